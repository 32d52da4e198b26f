"""How many instances of each offering can be had: as the script says, without limit where it says nothing."""

from __future__ import annotations

import math

from fretsaw.errors import BrokenInvariant
from fretsaw.providers.fleet.offerings import OfferingKey, Selector


class _Shelf:
    __slots__ = ("free", "taken")

    def __init__(self, free: int | None) -> None:
        self.free = free
        self.taken: set[str] = set()
        """Instances that come back to this shelf when they end."""


class ScriptedStock:
    """All offerings. What is set later wins; an instance from before does not come back to what was set since."""

    def __init__(self) -> None:
        self._rules: list[tuple[Selector, int | None]] = []
        self._shelves: dict[OfferingKey, _Shelf] = {}

    def set(self, where: Selector, count: int | None) -> None:
        """From now on so many more of each offering of `where`; None: as many as one likes."""
        self._rules.append((where, count))
        for offering in self._shelves:
            if where.matches(offering):
                self._shelves[offering] = _Shelf(count)

    def rules(self) -> dict[str, int | None]:
        """What was set, by selector; the last word counts."""
        return {str(where): count for where, count in self._rules}

    def left(self, offering: OfferingKey) -> float:
        """Instances that can be had now; infinity where nothing limits them."""
        free = self._shelf(offering).free
        return math.inf if free is None else free

    def take(self, offering: OfferingKey, instance: str) -> None:
        """An instance is launched. Raises BrokenInvariant where none was left."""
        shelf = self._shelf(offering)
        if shelf.free is not None:
            if shelf.free <= 0:
                raise BrokenInvariant(f"an instance of {offering} without stock")
            shelf.free -= 1
            shelf.taken.add(instance)

    def give_back(self, offering: OfferingKey, instance: str) -> None:
        """An instance is gone."""
        shelf = self._shelf(offering)
        if shelf.free is not None and instance in shelf.taken:
            shelf.taken.remove(instance)
            shelf.free += 1

    def _shelf(self, offering: OfferingKey) -> _Shelf:
        shelf = self._shelves.get(offering)
        if shelf is None:
            counts = [count for where, count in self._rules if where.matches(offering)]
            shelf = self._shelves[offering] = _Shelf(counts[-1] if counts else None)
        return shelf
