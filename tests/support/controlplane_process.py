"""Processes of a test that can be stopped, killed and paused, and that never outlive the test.

A guard, one small process for all of them, kills their process groups when the test's end of its pipe closes: also when
the test was killed itself. The kernel's signal at a parent's death would do for the main thread alone: it is sent when
the thread ends that started the child, and fault tests start components from threads of a pool.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

STOP_S = 3.0
"""After this long a component that was asked to stop is killed. The API server would wait a minute for its watches."""
_GUARD = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
alive = set()
for line in sys.stdin:
    (alive.add if line[0] == "+" else alive.discard)(int(line[1:]))
for group in alive:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass
"""


class Guard:
    """Kills what is left of the processes it was told of, when it is closed or its owner is gone."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-c", _GUARD], stdin=subprocess.PIPE, text=True, bufsize=1, start_new_session=True
        )

    def watch(self, pid: int) -> None:
        """From now on: kill the group of this process at the end."""
        self._tell(f"+{pid}\n")

    def forget(self, pid: int) -> None:
        """This one has ended, and its number may go to somebody else."""
        self._tell(f"-{pid}\n")

    def close(self) -> None:
        """Kill what is left."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line)


class Process:
    """One program with its log file; it can be started again after its end."""

    def __init__(self, name: str, command: Sequence[str], log: Path, guard: Guard) -> None:
        self.name, self.command, self.log = name, list(command), log
        self._guard = guard
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """True from the start to the end; a paused process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its number while it runs."""
        if self._process is None:
            raise RuntimeError(f"{self.name} is not running")
        return self._process.pid

    def start(self) -> None:
        """Start it in a session of its own, so that Ctrl-C reaches only whoever started it."""
        if self.running:
            raise RuntimeError(f"{self.name} runs already")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._guard.watch(self._process.pid)

    def stop(self) -> None:
        """Ask it to end, and kill it when it does not; one that has ended stays so."""
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)
        self._ended(STOP_S)

    def kill(self) -> None:
        """End it between two instructions, as a lost machine would."""
        self._ended(0)

    def pause(self) -> None:
        """Let it hang: its connections stay open, and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on as if nothing had been."""
        self._signal(signal.SIGCONT)

    def last_words(self, lines: int = 15) -> str:
        """The end of its log, for messages."""
        written = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return "\n".join(written.splitlines()[-lines:])

    def _ended(self, patience_s: float) -> None:
        if self._process is None:
            return
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()
        self._guard.forget(self._process.pid)
        self._process = None

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
