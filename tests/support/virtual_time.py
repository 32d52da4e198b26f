"""Coroutines in virtual time: nobody waits, and `loop.time()` says how long it would have taken."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class _Jumping(selectors.DefaultSelector):
    """In the place of waiting for the next timer, the time of that timer has come."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        """What is ready at once; else time jumps."""
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("everybody waits for something that never happens")
        if not ready and timeout:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop without sockets."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual seconds."""
        return self._jumping.now


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """What `main` comes to."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
