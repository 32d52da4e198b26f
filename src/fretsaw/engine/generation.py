"""Column generation: the LP of the covering problem, solved by adding patterns that pay under its duals.

Called by `covering_solver` and `branching`. Ends with the best certificate that any round's duals gave, and with the
columns that the whole-number stage starts from.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from fretsaw.engine import fluid
from fretsaw.engine.certificate import Certificate, Duals, certify, most_listed, without_worthless
from fretsaw.engine.covering import Elapsed
from fretsaw.engine.covering_reduce import IntArray, Reduced
from fretsaw.engine.master import DOLLAR, Columns, Master
from fretsaw.engine.patterns import FloatArray, Search, Space, fill, greedy, maximal, poured, weigh

LIST_STATES = 30_000  # partial patterns at once beyond which not all patterns are listed
LIST_COLUMNS = 5_000  # patterns beyond which a MIP over all of them is slower than pricing
BEAM = 4_000  # partial patterns at once in a pricing search
DEEP = 16_000  # the same where the smaller search could neither find nor refute a better pattern
TOLERANCE = 1e-7  # patterns that beat their price by less are not looked for; the bound loses as much
LOOSE = 1e-3  # the same while the duals still move; a near-linear price has too many near-ties for less
NEAR = 0.01  # a bound so close to the LP's value is not worth the larger search
ROUNDS = 60
PER_CELL = 8  # columns that one search adds per cell


class Clock:
    """The caller's time, if it gave one."""

    def __init__(self, elapsed: Elapsed | None, budget_s: float) -> None:
        self.elapsed, self.budget_s = elapsed, budget_s
        self.hit = False

    def left(self) -> float | None:
        """Seconds left, None for no limit."""
        return None if self.elapsed is None else self.budget_s - self.elapsed()

    def over(self, share: float = 1.0) -> bool:
        """Whether this share of the time is used up; remembers that it was."""
        gone = self.elapsed is not None and self.elapsed() >= self.budget_s * share
        self.hit = self.hit or gone
        return gone


class Generation:
    """State of the column generation; `run` fills `master` with columns and `best` with the bound."""

    def __init__(self, reduced: Reduced, clock: Clock, *, space: Space | None = None) -> None:
        self.reduced, self.clock = reduced, clock
        self.space = space or Space(reduced)
        self.master = Master(reduced)
        items, limits = len(reduced.items), len(reduced.limits)
        self.best = Certificate(Fraction(0), np.zeros(items, np.int64), np.zeros(limits, np.int64), Fraction(1))
        self.floor = Fraction(0)
        """A bound that holds for other reasons: this is a case of a problem with that bound."""
        self.listed = False
        self.rounds = self.states = 0

    @property
    def bound(self) -> Fraction:
        """No plan costs less, micro-USD an hour."""
        return max(self.floor, self.best.bound)

    def run(self) -> None:
        """Solve the LP from nothing: by listing every pattern, or by pricing."""
        self.listed = self._list()
        if self.listed:
            self._bound_by_list()
            return
        self._seed()
        self._start()
        self._price_out(goal=None)

    def resume(self, columns: Columns, goal: int) -> None:
        """Solve the LP from known columns; stop once the bound reaches `goal` micro-USD an hour."""
        self.master.columns.add(*columns.arrays())
        self._price_out(goal)

    def short(self) -> bool:
        """Whether the solved LP could not cover everything: the limits leave no plan, or the columns are too few."""
        return self.master.activity()[1] > 1e-6

    def _price_out(self, goal: int | None) -> None:
        limit, tolerance = BEAM, LOOSE
        while self.rounds < ROUNDS and not self.clock.over(0.6) and self.master.solve():
            self.rounds += 1
            duals = without_worthless(self.reduced, Duals.of_dollars(*self.master.duals()))
            if self._greedy(duals) >= 3:
                continue
            added, complete = self._search(duals, limit, tolerance)
            if self._converged(goal):
                return
            if added:
                continue
            if complete and tolerance > TOLERANCE:
                tolerance = max(TOLERANCE, tolerance / 100)
            elif not complete and limit < DEEP and not self._within(NEAR):
                limit *= 4
            else:
                return

    def _converged(self, goal: int | None) -> bool:
        if goal is not None and self.bound >= goal:
            return True
        return self._within(3 * TOLERANCE)

    def _within(self, gap: float) -> bool:
        return float(self.best.bound) / DOLLAR >= self.master.value() * (1 - gap)

    def _list(self) -> bool:
        """Whether the maximal patterns are few; if so they are all columns now."""
        space = self.space
        none = np.full(len(space.cap), -np.inf)
        base = np.zeros(len(space.cap))
        search = Search(space, self._prices().min(axis=0), base, none, LIST_STATES, zeros=True, strict=True)
        found = search.run()
        self.states += found.states
        if not found.complete:
            return False
        keep = maximal(space, found.cells, found.counts)
        if int(keep.sum()) > LIST_COLUMNS:
            return False
        self.master.columns.add(found.cells[keep], found.counts[keep])
        return True

    def _bound_by_list(self) -> None:
        if self.master.solve():
            duals = without_worthless(self.reduced, Duals.of_dollars(*self.master.duals()))
            cells, counts = self.master.columns.arrays()
            self.best = certify(self.reduced, duals, most_listed(len(self.reduced.cells), duals, cells, counts))

    def _prices(self) -> FloatArray:
        """(C, I) price of a pod when the cell holds nothing else, in 1/1000 micro-USD; inf where it holds none."""
        space = self.space
        room = space.room + space.opened(np.arange(len(space.cap)))
        price = np.rint((space.price[:, None] + 1) * 1000 / np.maximum(room, 1)) + 1
        return np.where(room > 0, price, np.inf)

    def _seed(self) -> None:
        """Greedy patterns under single-item prices, and three cells filled with each item first."""
        space, prices = self.space, self._prices()
        value = prices.min(axis=0)
        self.master.columns.add(*greedy(space, value, weigh(space, value, value > 0)))
        ranked = np.argsort(-value, kind="stable")
        nearest = np.argsort(prices, axis=0, kind="stable")[:3]
        item = np.repeat(np.arange(len(value)), len(nearest))
        cells = nearest.T.ravel()
        held = np.isfinite(prices[cells, item])
        first = np.array([[i, *ranked[ranked != i]] for i in range(len(value))], dtype=np.int64)
        cells, order = cells[held], first[item[held]]
        self.master.columns.add(cells, fill(space, cells, space.opened(cells), order))

    def _start(self) -> None:
        """Columns and a first bound from the duals of the fluid problem."""
        self._pour(Duals(self._prices().min(axis=0).astype(np.int64), np.zeros(len(self.reduced.limits), np.int64)))
        left = self.clock.left()
        guess = fluid.duals(self.reduced, self.space, None if left is None else left / 2)
        if guess is not None:
            duals = without_worthless(self.reduced, Duals.of_dollars(*guess))
            self._pour(duals)
            self._greedy(duals)
            self._search(duals, BEAM, LOOSE)

    def _pour(self, duals: Duals) -> None:
        """The bound that these duals give with patterns of fractions, in next to no time."""
        duals = without_worthless(self.reduced, duals)
        most = poured(self.space, duals.item.astype(np.float64), duals.opening(self.space.opener))
        self._learn(certify(self.reduced, duals, most))

    def _learn(self, certificate: Certificate) -> None:
        if certificate.bound > self.best.bound:
            self.best = certificate

    def _greedy(self, duals: Duals) -> int:
        """Add each cell's greedy pattern where it pays; how many did."""
        value = duals.item.astype(np.float64)
        cells, counts = greedy(self.space, value, weigh(self.space, value, value > 0))
        above = duals.threshold(self.space.price, self.master.uses)
        pays = counts @ duals.item > above[cells] + np.abs(above[cells]) * 1e-4
        return self.master.columns.add(cells[pays], counts[pays])

    def _search(self, duals: Duals, limit: int, tolerance: float) -> tuple[int, bool]:
        """Add patterns that pay and take the bound; how many are new, and whether none can be missing."""
        above = duals.threshold(self.space.price, self.master.uses)
        above += np.abs(above) * tolerance
        value = duals.item.astype(np.float64)
        found = Search(self.space, value, duals.opening(self.space.opener), above, limit).run()
        self.states += found.states
        self._learn(certify(self.reduced, duals, found.most))
        ranked = np.lexsort((np.arange(len(found.cells)), -found.value, found.cells))
        cells = found.cells[ranked]
        kept = ranked[np.arange(len(cells)) - np.searchsorted(cells, cells) < PER_CELL]
        return self.add_filled(found.cells[kept], found.counts[kept]), found.complete

    def add_filled(self, cells: IntArray, counts: IntArray) -> int:
        """Add patterns with what still fits put in, large items first; how many are new."""
        large_first = np.argsort(-self.space.share_of_largest(), kind="stable")
        order = np.tile(large_first, (len(cells), 1))
        return self.master.columns.add(cells, fill(self.space, cells, counts, order))
