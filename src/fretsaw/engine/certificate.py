"""From duals to a bound that holds: exact integer arithmetic on top of what the pattern search proves.

Duals are integers in `UNIT`ths of a micro-dollar. If no pattern of cell c is worth more than its price plus what the
limit duals add, Σ demand·dual − Σ limit·dual is a lower bound (weak duality). Where the search only proves a larger
value, all duals are scaled down until it holds (Farley 1990), or, where scaling would lose everything (price 0), the
dual of a limit that the cell uses is raised.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil

import numpy as np

from fretsaw.engine.covering_reduce import IntArray, Reduced
from fretsaw.engine.patterns import SAFE, FloatArray

UNIT = 1000


@dataclass(frozen=True)
class Duals:
    """Integer duals in 1/UNIT micro-USD an hour: per pod of an item, per unit of a limit."""

    item: IntArray
    limit: IntArray

    @classmethod
    def of_dollars(cls, item: FloatArray, limit: FloatArray) -> Duals:
        """Rounded from HiGHS' dollars: to nearest; `certify` repairs what rounding breaks."""
        scale = 1_000_000 * UNIT
        return cls(np.rint(item * scale).astype(np.int64), np.rint(limit * scale).astype(np.int64))

    def threshold(self, price: IntArray, uses: IntArray) -> FloatArray:
        """(C,) the value above which a pattern of the cell would pay."""
        result: FloatArray = (price * UNIT + uses @ self.limit).astype(np.float64)
        return result

    def opening(self, opener: IntArray) -> FloatArray:
        """(C,) value of the cell's opener."""
        result: FloatArray = np.where(opener >= 0, self.item[opener], 0).astype(np.float64)
        return result


@dataclass(frozen=True)
class Certificate:
    """bound: micro-USD an hour, proven. It is reached by the duals `item` × scale and `limit` × scale (in 1/UNIT),
    under which no pattern costs less than nothing."""

    bound: Fraction
    item: IntArray
    limit: IntArray
    scale: Fraction

    def thresholds(self, price: IntArray, uses: IntArray, slack: float) -> FloatArray:
        """(C,) the value (under unscaled `item`) above which a pattern's reduced cost is below `slack` micro-USD."""
        if not self.scale:
            return np.full(len(price), -np.inf)
        result: FloatArray = (price - slack) * UNIT / float(self.scale) + uses @ self.limit
        return result - 1e-9 * np.abs(result) - 1.0


def certify(reduced: Reduced, duals: Duals, most: FloatArray) -> Certificate:
    """A proven lower bound. most (C,): upper bounds on the value of any pattern of the cells under the duals."""
    limit = [int(v) for v in duals.limit]
    values = [int(v) if v < 2**53 and v == int(v) else ceil(v * SAFE) for v in most.tolist()]
    for cell, value in zip(reduced.cells, values, strict=True):
        over = value - cell.price * UNIT - sum(units * limit[row] for row, units in cell.uses)
        raising = [(row, units) for row, units in cell.uses if units > 0]
        if over > 0 and cell.price == 0 and raising:
            row, units = raising[-1]
            limit[row] += -(-over // units)
    scale = Fraction(1)
    for cell, value in zip(reduced.cells, values, strict=True):
        net = value - sum(units * limit[row] for row, units in cell.uses)
        if net > cell.price * UNIT:
            scale = min(scale, Fraction(cell.price * UNIT, net))
    total = sum(item.demand * int(v) for item, v in zip(reduced.items, duals.item, strict=True))
    total -= sum(rhs * v for rhs, v in zip(reduced.limits, limit, strict=True))
    bound = max(Fraction(0), scale * total / UNIT)
    return Certificate(bound, duals.item, np.array(limit, dtype=np.int64), scale)


def round_up(bound: Fraction, step: int) -> int:
    """The bound as a whole number: every price is a multiple of `step`, so the next multiple is a bound as well."""
    return ceil(bound / step) * step


def without_worthless(reduced: Reduced, duals: Duals) -> Duals:
    """Duals with 0 for items that a cell of price 0 takes without any limit: those are free."""
    item = duals.item.copy()
    for cell in reduced.cells:
        if cell.price == 0 and not cell.uses:
            for i in range(len(item)):
                item[i] = 0 if cell.allowed >> i & 1 else item[i]
    return Duals(item, duals.limit)


def most_listed(number: int, duals: Duals, cells: IntArray, counts: IntArray) -> FloatArray:
    """(C,) the largest value in a complete list of maximal patterns of `number` cells: exact, no search needed."""
    most = np.zeros(number)
    np.maximum.at(most, cells, (counts @ duals.item).astype(np.float64))
    return most
