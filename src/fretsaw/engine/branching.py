"""A higher bound by cases: at most k nodes of a configuration, or at least k + 1.

Called by `covering_solver`. The LP may buy 3.4 nodes of the dearest type; no plan can. Splitting on the number of
nodes of one configuration is just one more limit row, so that column generation goes on as before in each case; the
lowest bound of the open cases bounds every plan.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from fretsaw.engine.covering_reduce import Reduced
from fretsaw.engine.generation import Generation
from fretsaw.engine.patterns import FloatArray

WHOLE = 1e-6


class Tree:
    """Open cases, each a solved `Generation`; `bound` holds for all of them together."""

    def __init__(self, root: Generation) -> None:
        self.root = root
        self.open = [root]
        self.closed = Fraction(10**30)
        """Lowest bound among the cases that need no further look."""
        self.splits = 0

    @property
    def bound(self) -> Fraction:
        """No plan costs less, micro-USD an hour."""
        return min([self.closed, *(case.bound for case in self.open)])

    def grow(self, goal: int, most: int) -> None:
        """Split the case with the lowest bound until all reach `goal`, or `most` splits were made."""
        while self.splits < most and self.bound < goal and not self.root.clock.over(0.5):
            number = min(range(len(self.open)), key=lambda k: (self.open[k].bound, k))
            case = self.open[number]
            branch = _fractional(case)
            if branch is None:
                return
            self.splits += 1
            config, amount = branch
            pair = [_case(case, config, 1, amount), _case(case, config, -1, -amount - 1)]
            for child in pair:
                self._solve(child, goal)
            self.open[number : number + 1] = [c for c in pair if c.bound < goal]
            self.closed = min([self.closed, *(c.bound for c in pair if c.bound >= goal)])

    def _solve(self, child: Generation, goal: int) -> None:
        """Column generation in a case, its columns shared with all others."""
        child.resume(self.root.master.columns, goal)
        self.root.master.columns.add(*child.master.columns.arrays())
        self.root.states += child.states
        self.root.rounds += child.rounds


def _fractional(case: Generation) -> tuple[int, int] | None:
    """The configuration whose fractional number of nodes weighs most in money, and that number rounded down."""
    used, missing = case.master.activity()
    if missing > WHOLE or not len(used):
        return None
    cells, _ = case.master.columns.arrays()
    config = case.space.config[cells[: len(used)]]
    amounts: FloatArray = np.zeros(int(config.max(initial=0)) + 1)
    np.add.at(amounts, config[config >= 0], used[config >= 0])
    best: tuple[float, int] | None = None
    for c in np.flatnonzero(amounts > WHOLE).tolist():
        part = float(amounts[c] - np.floor(amounts[c] + WHOLE))
        weight = part * (1 - part) * float(case.space.price[case.space.config == c].max())
        if part > WHOLE and weight > 0 and (best is None or weight > best[0]):
            best = (weight, c)
    return None if best is None else (best[1], int(np.floor(amounts[best[1]] + WHOLE)))


def _case(parent: Generation, config: int, units: int, limit: int) -> Generation:
    """The parent's problem with Σ units · nodes of `config` ≤ limit."""
    reduced = parent.reduced
    row = len(reduced.limits)
    cells = tuple(
        replace(cell, uses=(*cell.uses, (row, units))) if cell.config == config else cell for cell in reduced.cells
    )
    split: Reduced = replace(reduced, cells=cells, limits=(*reduced.limits, limit))
    child = Generation(split, parent.clock, space=parent.space)
    child.floor = parent.bound
    return child
