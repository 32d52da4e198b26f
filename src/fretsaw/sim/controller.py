"""A controller's work queue: keys that something happened to, each looked at once a short time later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fretsaw.api.times import Millis
from fretsaw.sim.loop import Loop, Timer

INFORMER_LAG: Millis = 10
"""From a change to the controller that acts on it: what a watch and a work queue take in a healthy cluster, roughly."""


class WorkQueue:
    """Calls `sync(key)` for each key that was added; adding a key that waits already changes nothing but its time."""

    def __init__(self, loop: Loop, sync: Callable[[str], None], lag: Millis = INFORMER_LAG) -> None:
        self._loop = loop
        self._sync = sync
        self._lag = lag
        self._timers: dict[str, Timer] = {}

    def add(self, key: str, after: Millis | None = None) -> None:
        """Look at `key` in a while, at the earliest of all times that it was added for."""
        when = self._loop.now + (self._lag if after is None else after)
        known = self._timers.get(key)
        if known is not None:
            if known.when <= when:
                return
            known.cancel()
        self._timers[key] = self._loop.at(when, self._run, key)

    def _run(self, key: str) -> None:
        del self._timers[key]
        self._sync(key)


def asks_anew(old: Any, new: Any) -> bool:
    """Whether an object is new or asks for something else: what controllers write into its status does not count."""
    return old is None or old.spec is not new.spec or old.metadata is not new.metadata
