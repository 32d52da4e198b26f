"""`fretsaw run` under a clock that a test sets: `python -m support.jumping FILE --kubeconfig=… --fake-cloud=…`.

FILE holds the seconds by which the process's time of day is off, and is read whenever that is looked at. It is the
command's own process, put together as `cli.run_cmd` does; only the time of day comes from here.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from fretsaw.controllers.clock import SteadyClock
from fretsaw.controllers.hearing import Hearing
from fretsaw.controllers.operation import Operator
from fretsaw.controllers.settings import Run, found
from fretsaw.controllers.telemetry import Log
from fretsaw.controllers.timed import Timed
from fretsaw.engine.state import ClusterState
from fretsaw.kube.access import load_access
from fretsaw.providers.fake.provider import FakeProvider


class Jumps:
    """The test's hand on the clock of the operators that are started with it."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.set(0)

    def set(self, seconds: float) -> None:
        """Set their time of day to so much more than the machine's, less where it is negative."""
        fresh = self.file.with_suffix(".new")
        fresh.write_text(repr(seconds))
        fresh.replace(self.file)  # at once: nobody reads half a number


def off(file: Path) -> Callable[[], float]:
    """The time of day, as that file says."""
    return lambda: time.time() + float(file.read_text())


async def operate(settings: Run, kubeconfig: str, cloud: str, wall: Callable[[], float]) -> bool:
    """Until somebody asks for the end (True), or the lease is lost (False)."""
    state, clock = ClusterState(), SteadyClock(wall=wall)
    log = Log(_write, level=settings["log-level"], form=settings["log-format"], clock=wall)
    provider = FakeProvider(f"http://{cloud}", now=clock.now)
    with Hearing(log, state, settings.options, None, "test", clock=clock) as hearing:
        timed = Timed(provider, hearing.telemetry.provider_call)
        operator = Operator(settings, load_access(kubeconfig), timed, hearing, state, clock=clock)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, operator.stop.set)
        return await operator.run()


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    file, *flags = arguments
    given: dict[str, str | None] = {}
    for flag in flags:
        name, _, value = flag.removeprefix("--").partition("=")
        given[name] = value
    kubeconfig, cloud = given.pop("kubeconfig"), given.pop("fake-cloud")
    assert kubeconfig
    assert cloud
    return 0 if asyncio.run(operate(found(given, {}), kubeconfig, cloud, off(Path(file)))) else 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
