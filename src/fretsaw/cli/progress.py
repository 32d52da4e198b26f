"""A spinner with the name of the phase, for work that takes longer than a second.

Only on a terminal, only on standard error, and gone without a trace when the work is done: standard output and logs
never see it.
"""

from __future__ import annotations

import os
import sys
from threading import Lock, Timer
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as BarOfRich
    from rich.progress import TaskID
    from rich.status import Status

PATIENCE_S = 1.0
"""Silence until then: most plans are done by that time, and a spinner that flashes by is noise."""


class Progress:
    """`with Progress() as progress: progress("reading manifests"); …`"""

    def __init__(self, patience_s: float = PATIENCE_S, *, shown: bool | None = None) -> None:
        """shown: None lets standard error decide, which has to be a terminal that can move its cursor."""
        self._shown = sys.stderr.isatty() and os.environ.get("TERM") != "dumb" if shown is None else shown
        self._phase = "starting"
        self._status: Status | None = None
        self._ended = False
        self._lock = Lock()
        self._timer = Timer(patience_s, self._start)
        self._timer.daemon = True

    def __call__(self, phase: str) -> None:
        """The work has come to this phase."""
        with self._lock:
            self._phase = phase
            if self._status is not None:
                self._status.update(f"{phase} …")

    def __enter__(self) -> Progress:
        if self._shown:
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            self._ended = True
            if self._status is not None:
                self._status.stop()

    def _start(self) -> None:
        """Runs on the timer's thread, once."""
        from rich.console import Console

        with self._lock:
            if not self._ended:
                self._status = Console(stderr=True).status(f"{self._phase} …")
                self._status.start()


class Bar:
    """A bar with the share that is done and the time that is left. `with Bar("…") as bar: bar(done, whole)`

    Only on a terminal, only on standard error, as `Progress`.
    """

    def __init__(self, title: str, *, shown: bool | None = None) -> None:
        """shown: None lets standard error decide."""
        self._shown = sys.stderr.isatty() and os.environ.get("TERM") != "dumb" if shown is None else shown
        self._title = title
        self._bar: BarOfRich | None = None
        self._task: TaskID | None = None

    def __call__(self, done: int, whole: int) -> None:
        """So much of the whole is done."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, total=whole)

    def __enter__(self) -> Bar:
        if self._shown:
            from rich.console import Console
            from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as BarOfRich

            columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
            self._bar = BarOfRich(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task(self._title, total=None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
