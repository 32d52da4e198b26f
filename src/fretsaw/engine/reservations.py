"""Capacity reservations during a pass: how many instances are left of each, and which planned node holds which.

A node holds every reservation that it could still be launched into; it lets go of those that a later pod rules out.

Source: Karpenter v1.14 reservationmanager.go, nodeclaim.go (offeringsToReserve).
"""

from __future__ import annotations

from collections.abc import Iterable

from fretsaw.engine.requirements import Requirements
from fretsaw.engine.universe import Bits, Cell, Universe, bits

NONE_LEFT = "instance types with a matching capacity reservation exist, but every reservation is taken"


class Reservations:
    """Who holds what. `hold` is the only writer."""

    def __init__(self, universes: Iterable[Universe]) -> None:
        self._left: dict[str, int] = {}
        for universe in universes:
            for c in bits(universe.reserved_cells):
                cell = universe.cells[c]
                left = cell.reservation_capacity or 0
                self._left[cell.reservation] = min(self._left.get(cell.reservation, left), left)

    def __bool__(self) -> bool:
        return bool(self._left)

    def within_reach(
        self, universe: Universe, types: Bits, requirements: Requirements, held: frozenset[str]
    ) -> tuple[bool, frozenset[str]]:
        """(whether any reservation matches, those that the node holds or could take)."""
        matching = [
            cell
            for c in bits(universe.cells_for(requirements) & universe.reserved_cells)
            if (cell := universe.cells[c]).on_sale & types
        ]
        return bool(matching), frozenset(c.reservation for c in matching if self._can_take(c, held))

    def _can_take(self, cell: Cell, held: frozenset[str]) -> bool:
        return cell.reservation in held or self._left[cell.reservation] > 0

    def hold(self, before: frozenset[str], after: frozenset[str]) -> None:
        """A node that held `before` holds `after` from now on."""
        for name in after - before:
            self._left[name] -= 1
        for name in before - after:
            self._left[name] += 1
