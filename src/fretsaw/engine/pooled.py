"""A bound without patterns: pods poured into nodes like water, all of them at once.

A price for each unit of each resource column such that no node sells its whole capacity for more than it costs; then
the pods together cost at least what their sizes are worth. Weak where only some nodes take some pods, but found in
milliseconds whatever the size of the problem, so that a bound is never missing.
"""

from __future__ import annotations

from fractions import Fraction

import highspy
import numpy as np

from fretsaw.engine.covering_reduce import Reduced
from fretsaw.engine.master import new_solver

DIGITS = 10**12
"""Unit prices are rounded to this part of the largest one before they are proven."""


def pooled_bound(reduced: Reduced) -> Fraction:
    """A proven lower bound in the unit of the prices; 0 where columns say nothing.

    The LP's weights are only a guess: they are rounded, and scaled down exactly until they keep every node's price.
    """
    if not reduced.items or not reduced.cells:
        return Fraction(0)
    capacity = [_room(reduced, c) for c in range(len(reduced.cells))]
    rooms = list(zip(capacity, reduced.cells, strict=True))
    free = [(room, cell.uses[-1]) for room, cell in rooms if cell.config < 0]
    bought = [(room, cell.price) for room, cell in rooms if cell.config >= 0]
    if not bought or any(price == 0 for _, price in bought):
        return Fraction(0)
    columns = range(len(reduced.items[0].size))
    total = [sum(item.demand * item.size[r] for item in reduced.items) for r in columns]
    for room, (row, units) in free:
        total = [t - a * (reduced.limits[row] // units) for t, a in zip(total, room, strict=True)]
    weights = _weights(total, bought)
    worth = [(_dot(weights, room), price) for room, price in bought]
    scale = min((Fraction(price, value) for value, price in worth if value), default=Fraction(0))
    return max(Fraction(0), scale * _dot(weights, total))


def _dot(a: list[int], b: list[int]) -> int:
    return sum(x * y for x, y in zip(a, b, strict=True))


def _room(reduced: Reduced, number: int) -> list[int]:
    """A node's whole capacity: with the pod that opens it, which the cell's own capacity leaves out."""
    cell = reduced.cells[number]
    if cell.opener < 0:
        return list(cell.capacity)
    return [a + b for a, b in zip(cell.capacity, reduced.items[cell.opener].size, strict=True)]


def _weights(total: list[int], bought: list[tuple[list[int], int]]) -> list[int]:
    """Whole-number unit prices that make the total dear: max Σ w·total, Σ w·capacity ≤ price for every node."""
    largest = [max(room[r] for room, _ in bought) or 1 for r in range(len(total))]
    solver = new_solver()
    gains = np.array([-float(max(t, 0)) / a for t, a in zip(total, largest, strict=True)])
    count = len(total)
    nothing, none = np.zeros(0, dtype=np.int32), np.zeros(0)
    solver.addCols(
        count, gains, np.zeros(count), np.full(count, np.inf), 0, np.zeros(count, dtype=np.int32), nothing, none
    )
    dearest = max(price for _, price in bought)
    for room, price in bought:
        shares = np.array([a / b for a, b in zip(room, largest, strict=True)])
        used = np.flatnonzero(shares).astype(np.int32)
        solver.addRow(-np.inf, price / dearest, len(used), used, shares[used])
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return [0] * count
    found = np.maximum(np.array(solver.getSolution().col_value), 0.0)
    unit = DIGITS * max(largest)
    return [int(Fraction(float(w)) * unit / a) if t > 0 else 0 for w, a, t in zip(found, largest, total, strict=True)]
