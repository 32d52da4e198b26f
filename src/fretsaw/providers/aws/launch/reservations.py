"""How many instances are left in each capacity reservation: what the account said last, and what was done since.

The account is read every minute. So what was done counts until another figure is read, and not for long if none is.
Source: Karpenter AWS provider v1.14 pkg/providers/capacityreservation (availability cache).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fretsaw.api.times import SECOND, Millis
from fretsaw.providers.fleet.market import Market

Heard = Callable[[], Mapping[str, int]]
"""Reservation → instances left, as read last."""
FORGET = 90 * SECOND


class Reservations:
    """The counters. heard: what was read last; what a catalog says counts for those that it does not name."""

    def __init__(self, now: Callable[[], Millis], heard: Heard = dict) -> None:
        self._now, self._heard = now, heard
        self._sold: dict[str, int] = {}
        self._seen: dict[str, tuple[int, Millis]] = {}
        """What was known when it was last asked for, and since when."""
        self._changes: dict[str, list[tuple[Millis, int]]] = {}
        self._none_left: dict[str, Millis] = {}

    def read(self, market: Market) -> None:
        """Take over what a catalog says."""
        for cell in market.universe.cells:
            if cell.reserved and cell.reservation_capacity is not None:
                self._sold[cell.reservation] = cell.reservation_capacity

    def left(self, reservation: str) -> int:
        """Instances that can be launched; those of a reservation that nobody counts may be tried."""
        count = self._heard().get(reservation, self._sold.get(reservation, 1))
        now = self._now()
        known, at = self._seen.get(reservation, (count, now - FORGET))
        if known != count:
            at = now
        self._seen[reservation] = (count, at)
        since = max(at, now - FORGET)
        if self._none_left.get(reservation, since) > since:
            return 0
        return max(0, count + sum(by for when, by in self._changes.get(reservation, ()) if when > since))

    def launched(self, reservation: str) -> None:
        """One less."""
        self._change(reservation, -1)

    def ended(self, reservation: str) -> None:
        """One more: its instance is gone."""
        self._change(reservation, 1)

    def none_left(self, reservation: str) -> None:
        """EC2 says so."""
        self._none_left[reservation] = self._now()

    def _change(self, reservation: str, by: int) -> None:
        now = self._now()
        kept = [one for one in self._changes.get(reservation, ()) if one[0] > now - FORGET]
        self._changes[reservation] = [*kept, (now, by)]
