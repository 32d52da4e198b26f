"""How many instances are left in each capacity reservation, between two looks at the account.

Source: Karpenter AWS provider v1.14 pkg/providers/capacityreservation (availability cache).
"""

from __future__ import annotations

from fretsaw.providers.fleet.market import Market


class Reservations:
    """The counters."""

    def __init__(self) -> None:
        self._left: dict[str, int] = {}
        self._read: dict[str, int] = {}
        """What the account said last."""
        self._seen: object = None

    def read(self, market: Market) -> None:
        """Take over what a catalog says, once; a catalog that says the same as before changes nothing."""
        if self._seen is market:
            return
        self._seen = market
        for cell in market.universe.cells:
            count = cell.reservation_capacity
            if cell.reserved and count is not None and self._read.get(cell.reservation) != count:
                self._left[cell.reservation] = self._read[cell.reservation] = count

    def left(self, reservation: str) -> int:
        """Instances that can be launched; those of a reservation that nobody counts may be tried."""
        return self._left.get(reservation, 1)

    def launched(self, reservation: str) -> None:
        """One less."""
        if reservation in self._left:
            self._left[reservation] = max(0, self._left[reservation] - 1)

    def ended(self, reservation: str) -> None:
        """One more: its instance is gone."""
        if reservation in self._left:
            self._left[reservation] += 1

    def none_left(self, reservation: str) -> None:
        """EC2 says so."""
        self._left[reservation] = 0
