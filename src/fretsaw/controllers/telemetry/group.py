"""What a group of metrics hears, and how it is asked for its numbers.

A group overrides what it needs; `Telemetry` calls nothing else. All of them are called after the event was applied, and
for a turn before its notes are, so that the state is the one that the turn was decided on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from fretsaw.api.meta import Object
from fretsaw.api.times import Millis
from fretsaw.controllers.telemetry.families import Family, Store
from fretsaw.engine.events import Event
from fretsaw.engine.state import ClusterState
from fretsaw.engine.turn import Turn

Told = tuple[Family, Iterable[str]]
"""A family and its lines."""


class Group:
    """Some metrics that belong together."""

    title: ClassVar[str]
    """The heading in the documentation."""
    families: ClassVar[tuple[Family, ...]]
    """All that the group may tell."""
    stores: tuple[Store, ...] = ()
    """Those of its families that are counted while events come in."""

    def changed(self, at: Millis, old: Object | None, new: Object | None, state: ClusterState) -> None:
        """An object came (old is None), changed, or went (new is None)."""

    def told(self, at: Millis, event: Event, state: ClusterState) -> None:
        """Something else happened."""

    def turned(self, at: Millis, turn: Turn, state: ClusterState) -> None:
        """A turn was taken; nothing of it is applied or performed yet."""

    def gauges(self, now: Millis, state: ClusterState) -> Iterator[Told]:
        """What is read from the state when somebody asks: nothing of it outlives its object."""
        return iter(())

    def reset(self) -> None:
        """Begin to count anew; what is remembered of objects stays."""
        for store in self.stores:
            store.clear()

    def counted(self, now: Millis) -> Iterator[Told]:
        """The families that were counted, with their lines."""
        for store in self.stores:
            yield store.family, store.lines(now)

    def exposed(self, now: Millis, state: ClusterState) -> Iterator[Told]:
        """All families with their lines."""
        yield from self.counted(now)
        yield from self.gauges(now, state)
