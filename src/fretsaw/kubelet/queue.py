"""Work by key: each key is looked at by one worker at a time, again after a failure, and when it is due."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

from fretsaw.api.times import Millis
from fretsaw.kube.errors import KubeError

FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 5.0
Sync = Callable[[str], Coroutine[None, None, Millis | None]]
"""Looks at a key; when to look at it again, None for not before something happens."""
Failed = Callable[[str, Exception], None]


class WorkQueue:
    """Calls `sync` for keys that were added. now: the clock that `sync` answers by."""

    def __init__(self, sync: Sync, now: Callable[[], Millis], failed: Failed, workers: int) -> None:
        self._sync, self._now, self._failed, self._workers = sync, now, failed, workers
        self._ready: asyncio.Queue[str] = asyncio.Queue()
        self._waiting: set[str] = set()
        """Keys in `_ready`."""
        self._running: set[str] = set()
        self._again: set[str] = set()
        """Keys that were added while they were looked at."""
        self._timers: dict[str, tuple[Millis, asyncio.TimerHandle]] = {}
        self._failures: dict[str, int] = {}

    def add(self, key: str) -> None:
        """Look at it now."""
        if key in self._running:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.put_nowait(key)

    def at(self, key: str, when: Millis) -> None:
        """Look at it then, at the latest."""
        known = self._timers.get(key)
        if known is not None:
            if known[0] <= when:
                return
            known[1].cancel()
        wait = max(0.0, (when - self._now()) / 1000)
        self._timers[key] = when, asyncio.get_running_loop().call_later(wait, self._due, key)

    async def run(self) -> None:
        """Work for ever."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._workers):
                    group.create_task(self._work())
        finally:
            for _, timer in self._timers.values():
                timer.cancel()
            self._timers.clear()

    def _due(self, key: str) -> None:
        del self._timers[key]
        self.add(key)

    async def _work(self) -> None:
        while True:
            key = await self._ready.get()
            self._waiting.discard(key)
            self._running.add(key)
            again = await self._look(key)
            self._running.discard(key)
            if key in self._again:
                self._again.discard(key)
                self.add(key)
            if again is not None:
                self.at(key, again)

    async def _look(self, key: str) -> Millis | None:
        try:
            again = await self._sync(key)
        except KubeError as error:
            self._failed(key, error)
            count = self._failures[key] = self._failures.get(key, 0) + 1
            return self._now() + round(1000 * min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(count, 10)))
        self._failures.pop(key, None)
        return again
