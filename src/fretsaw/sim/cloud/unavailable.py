"""Offerings that the provider avoids for a while, because EC2 could not fill them or took an instance back.

Source: Karpenter AWS provider v1.14 pkg/cache (unavailable offerings): 3 minutes, prolonged when marked again;
on-demand and spot apart; reservations are not kept here but counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fretsaw.api.times import Millis
from fretsaw.providers.fleet.offerings import OfferingKey
from fretsaw.sim.loop import Loop, Timer


class Unavailable:
    """The cache. `changed` is called with the whole set whenever it is another one."""

    def __init__(self, loop: Loop, keep: Millis, changed: Callable[[frozenset[OfferingKey]], None]) -> None:
        self._loop = loop
        self._keep = keep
        self._changed = changed
        self._until: dict[OfferingKey, Millis] = {}
        self._timer: Timer | None = None
        self.version = 0
        """Counts the changes of the set."""

    def __contains__(self, offering: OfferingKey) -> bool:
        return offering in self._until

    def all(self) -> frozenset[OfferingKey]:
        """What is avoided now."""
        return frozenset(self._until)

    def mark(self, offerings: Iterable[OfferingKey]) -> None:
        """Avoid these from now on, for as long as the cache keeps them."""
        before = len(self._until)
        for offering in offerings:
            # Taken out first: the dictionary stays ordered by expiry.
            self._until.pop(offering, None)
            self._until[offering] = self._loop.now + self._keep
        self._wait()
        if len(self._until) != before:
            self._tell()

    def _wait(self) -> None:
        if self._timer is not None or not self._until:
            return
        self._timer = self._loop.at(next(iter(self._until.values())), self._expire)

    def _expire(self) -> None:
        self._timer = None
        due = [offering for offering, until in self._until.items() if until <= self._loop.now]
        for offering in due:
            del self._until[offering]
        self._wait()
        if due:
            self._tell()

    def _tell(self) -> None:
        self.version += 1
        self._changed(self.all())
