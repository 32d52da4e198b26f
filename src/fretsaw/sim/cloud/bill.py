"""What EC2 charges: for each instance the seconds in which it ran, at its price then; for reservations, all of them.

Exact and its own: it hears of instances from the cloud alone, and of nothing that others compute from the journal.
Amounts are whole nano-USD; within an instance price × milliseconds is summed before anything is rounded.

Rules: from `running` to the end of the machine, in whole seconds (a begun one counts), 60 of them at least. A reserved
instance costs nothing, its reservation does, used or not. Source: EC2 User Guide, On-Demand Instances (per-second
billing, one minute at least) and Capacity Reservations pricing.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from fretsaw.api.times import HOUR, MINUTE, SECOND, Millis
from fretsaw.sim.cloud.spot_price import Rate
from fretsaw.sim.instance import Instance

LEAST: Millis = 1 * MINUTE
"""What an instance that ran at all is charged for at least."""


class Totals(msgspec.Struct, frozen=True):
    """Nano-USD by way of buying."""

    spot: int = 0
    on_demand: int = 0
    reserved: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return self.spot + self.on_demand + self.reserved

    def __add__(self, other: Totals) -> Totals:
        return Totals(self.spot + other.spot, self.on_demand + other.on_demand, self.reserved + other.reserved)


class _Part(msgspec.Struct, frozen=True):
    """A time of an instance at one rate."""

    since: Millis
    capacity_type: str
    rate: Rate


class Line:
    """One instance on the bill."""

    __slots__ = ("_free", "_parts", "ended", "instance", "on_demand", "since")

    def __init__(self, instance: Instance, since: Millis, rate: Rate, on_demand: int | None) -> None:
        self.instance = instance
        self.since = since
        self.ended: Millis | None = None
        self.on_demand = on_demand
        """Nano-USD an hour of the same instance on demand; None where there is no such price."""
        self._parts = [_Part(since, instance.capacity_type, rate)]
        self._free = False

    def change(self, now: Millis, capacity_type: str, rate: Rate) -> None:
        """Another way of buying from now on."""
        self._parts.append(_Part(now, capacity_type, rate))

    def end(self, now: Millis, *, free: bool) -> None:
        """The machine is off. free: nothing of it is charged."""
        self.ended, self._free = now, free

    def until(self, now: Millis) -> Millis:
        """The end of what is charged, as of `now`."""
        ran = (now if self.ended is None else min(self.ended, now)) - self.since
        return self.since + max(-(-ran // SECOND) * SECOND, LEAST)

    def pieces(self, begin: Millis, end: Millis, now: Millis) -> Iterator[tuple[str, int]]:
        """(capacity type, price × milliseconds) of what is charged for the time between `begin` and `end`."""
        if self._free:
            return
        last = min(self.until(now), end)
        for number, part in enumerate(self._parts):
            following = self._parts[number + 1].since if number + 1 < len(self._parts) else last
            low, high = max(part.since, begin), min(following, last)
            if high > low:
                yield part.capacity_type, part.rate.integral(low, high)

    def charged(self, now: Millis) -> Millis:
        """Milliseconds that are charged, as of `now`."""
        return 0 if self._free else self.until(now) - self.since


class Commitment(msgspec.Struct, frozen=True):
    """A reservation that is paid for from `begin` to `end` (None: on and on), whoever uses it."""

    id: str
    nano_per_hour: int
    """Of all its instances."""
    begin: Millis
    end: Millis | None

    def cost(self, begin: Millis, end: Millis) -> int:
        """Price × milliseconds of the time between."""
        high = end if self.end is None else min(end, self.end)
        return self.nano_per_hour * max(high - max(begin, self.begin), 0)


class Bill:
    """All lines. Every question is as of `now`: an instance that runs is charged as if it ended then."""

    def __init__(self) -> None:
        self.lines: dict[str, Line] = {}
        """By provider id, in the order in which they began to run."""
        self.commitments: list[Commitment] = []

    def of(self, provider_id: str, now: Millis) -> int:
        """Nano-USD that an instance costs; 0 for one that never ran."""
        line = self.lines.get(provider_id)
        if line is None:
            return 0
        return sum(amount for _, amount in line.pieces(line.since, line.until(now), now)) // HOUR

    def between(self, provider_id: str, begin: Millis, end: Millis, now: Millis) -> int:
        """Nano-USD of one instance for a span of its time, as of `now`; rounded down."""
        line = self.lines.get(provider_id)
        return 0 if line is None else sum(amount for _, amount in line.pieces(begin, end, now)) // HOUR

    def total(self, now: Millis) -> Totals:
        """Everything until now: the sum of `of` over all instances, by capacity type, and the reservations' cost."""
        sums = {"spot": 0, "on-demand": 0, "reserved": 0}
        for line in self.lines.values():
            for capacity_type, amount in _rounded(line, now):
                sums[capacity_type] += amount
        return Totals(sums["spot"], sums["on-demand"], sums["reserved"] + self.committed(now))

    def committed(self, now: Millis) -> int:
        """Nano-USD of the reservations until now, whoever used them."""
        return sum(c.cost(c.begin, now) // HOUR for c in self.commitments)

    def all_on_demand(self, now: Millis) -> int:
        """Nano-USD of the same instances for the same times on demand; those without such a price as they were."""
        found = 0
        for provider_id, line in self.lines.items():
            if line.on_demand is None:
                found += self.of(provider_id, now)
            else:
                found += line.on_demand * line.charged(now) // HOUR
        return found

    def cost_between(self, begin: Millis, end: Millis, now: Millis | None = None) -> Totals:
        """What the time between costs: the sum over a row of such times is the whole, but for rounding.

        now: what is known, `end` by default. The rest of a first minute belongs to the time after the machine.
        """
        known = end if now is None else now
        sums = {"spot": 0, "on-demand": 0, "reserved": 0}
        for line in self.lines.values():
            for capacity_type, amount in line.pieces(begin, end, known):
                sums[capacity_type] += amount
        sums["reserved"] += sum(c.cost(begin, min(end, known)) for c in self.commitments)
        return Totals(sums["spot"] // HOUR, sums["on-demand"] // HOUR, sums["reserved"] // HOUR)

    def series(self, begin: Millis, step: Millis, count: int, now: Millis) -> list[Totals]:
        """`cost_between` of `count` steps in a row, in one pass over the lines.

        The last one, where it reaches `now`, has what is charged beyond it, so that all of them are the whole.
        """
        reaches = begin + count * step >= now
        sums = [[0, 0, 0] for _ in range(count)]
        column = {"spot": 0, "on-demand": 1, "reserved": 2}
        for line in self.lines.values():
            first = max((line.since - begin) // step, 0)
            last = min(-(-(line.until(now) - begin) // step), count)
            for i in range(first, last):
                low = begin + i * step
                high = low + step
                if reaches and i == count - 1:
                    high = max(high, line.until(now))
                for capacity_type, amount in line.pieces(low, high, now):
                    sums[i][column[capacity_type]] += amount
        for i in range(count):
            low = begin + i * step
            sums[i][2] += sum(c.cost(low, min(low + step, now)) for c in self.commitments)
        return [Totals(*(amount // HOUR for amount in row)) for row in sums]


def _rounded(line: Line, now: Millis) -> Iterator[tuple[str, int]]:
    """A line's nano-USD by capacity type, such that they add up to the line's rounded whole."""
    done = paid = 0
    for capacity_type, amount in line.pieces(line.since, line.until(now), now):
        done += amount
        yield capacity_type, done // HOUR - paid
        paid = done // HOUR
