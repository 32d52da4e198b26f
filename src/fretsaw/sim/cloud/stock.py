"""How much there is to be had of each offering: nothing, a number, or as much as one likes.

Drawn per offering over time and never per launch, so that two runs of one seed meet the same shortages whatever they
launch. An outage stops launches only; instances that run are the reclaims' business.
"""

from __future__ import annotations

import math

from fretsaw.api.times import Millis
from fretsaw.errors import BrokenInvariant
from fretsaw.providers.fleet.offerings import OfferingKey, Selector
from fretsaw.sim.cloud.settings import StockRule
from fretsaw.sim.dice import Dice


class OnOff:
    """A process that is on and off in turn, for exponential times; it begins in its long-run proportion."""

    def __init__(self, dice: Dice, name: tuple[str, ...], start: Millis, on: Millis, off: Millis) -> None:
        self._random = dice.once("stock", *name)
        self._means = (off, on)
        self._on = self._random.random() * (on + off) >= off
        self._until = start + self._time()

    def _time(self) -> float:
        # A standard exponential, stretched: another mean leaves the draws as they are.
        return self._random.expovariate(1.0) * self._means[self._on]

    def is_on(self, now: Millis) -> bool:
        """The state at `now`, which never goes back."""
        while self._until <= now:
            self._on = not self._on
            self._until += self._time()
        return self._on


class _Shelf:
    """One offering's stock."""

    __slots__ = ("free", "out_until", "process")

    def __init__(self, free: int | None, process: OnOff | None) -> None:
        self.free = free
        self.process = process
        self.out_until: Millis = 0


class Stock:
    """All offerings' stock, filled by rules and changed by launches and faults."""

    def __init__(self, dice: Dice, start: Millis, rules: tuple[StockRule, ...] = ()) -> None:
        self._dice = dice
        self._start = start
        self._rules = rules
        self._shelves: dict[OfferingKey, _Shelf] = {}
        self._processes: dict[tuple[str, ...], OnOff] = {}
        self._faults: list[tuple[Selector, Millis | None, int | None]] = []
        """What `set_out` and `set_stock` said, for offerings that nobody has asked for yet."""

    def left(self, offering: OfferingKey, now: Millis) -> float:
        """Instances that can be had now; infinity where nothing limits them."""
        shelf = self._shelf(offering)
        if shelf.out_until > now or (shelf.process is not None and not shelf.process.is_on(now)):
            return 0
        return math.inf if shelf.free is None else shelf.free

    def take(self, offering: OfferingKey) -> None:
        """One instance is launched. Raises BrokenInvariant where none was left."""
        shelf = self._shelf(offering)
        if shelf.free is not None:
            if shelf.free <= 0:
                raise BrokenInvariant(f"an instance of {offering} without stock")
            shelf.free -= 1

    def give_back(self, offering: OfferingKey) -> None:
        """One instance is gone, and its place free."""
        shelf = self._shelf(offering)
        if shelf.free is not None:
            shelf.free += 1

    def set_out(self, where: Selector, until: Millis) -> None:
        """There is nothing of `where` until then; an earlier end than was said before changes nothing."""
        self._fault(where, until, None)

    def set_stock(self, where: Selector, count: int) -> None:
        """From now on so many more instances can be had of each offering of `where`."""
        self._fault(where, None, max(count, 0))

    def _fault(self, where: Selector, until: Millis | None, count: int | None) -> None:
        self._faults.append((where, until, count))
        for offering, shelf in self._shelves.items():
            if where.matches(offering):
                _change(shelf, until, count)

    def _shelf(self, offering: OfferingKey) -> _Shelf:
        shelf = self._shelves.get(offering)
        if shelf is None:
            shelf = self._shelves[offering] = self._filled(offering)
        return shelf

    def _filled(self, offering: OfferingKey) -> _Shelf:
        rules = [rule for rule in self._rules if rule.where.matches(offering)]
        counts = [rule.count for rule in rules if rule.count is not None]
        processes = [rule for rule in rules if rule.available is not None and rule.out is not None]
        shelf = _Shelf(counts[-1] if counts else None, self._process(processes[-1], offering) if processes else None)
        for where, until, count in self._faults:
            if where.matches(offering):
                _change(shelf, until, count)
        return shelf

    def _process(self, rule: StockRule, offering: OfferingKey) -> OnOff:
        shared = {"offering": offering, "zone": (str(rule.where), offering[1]), "all": (str(rule.where),)}
        name = shared[rule.together]
        known = self._processes.get(name)
        if known is None:
            on, off = rule.available or 0, rule.out or 0
            known = self._processes[name] = OnOff(self._dice, name, self._start, on, off)
        return known


def _change(shelf: _Shelf, until: Millis | None, count: int | None) -> None:
    if until is not None:
        shelf.out_until = max(shelf.out_until, until)
    if count is not None:
        shelf.free = count
