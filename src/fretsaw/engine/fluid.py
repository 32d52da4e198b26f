"""First duals: the LP in which a node may be bought and filled in any fraction.

Called by `generation` before the first pattern exists. Pods poured like water cost nearly what they cost in patterns
where nodes are large, so that column generation starts close to its end; where pods are large it merely starts.
The duals are a guess: the bound is proven from them like from any others.
"""

from __future__ import annotations

import highspy
import numpy as np

from fretsaw.engine.covering_reduce import IntArray, Reduced
from fretsaw.engine.master import DOLLAR, new_solver, use_matrix
from fretsaw.engine.patterns import FloatArray, Space


def duals(reduced: Reduced, space: Space, time_s: float | None) -> tuple[FloatArray, FloatArray] | None:
    """Dollars per pod of each item and per unit of each limit, all ≥ 0; None where the LP was not solved.

    Rows: items (≥ demand), limits (≤), then cell × column (pods' sizes ≤ capacity × nodes). Columns: nodes per cell,
    then pods per cell and item that fits.
    """
    solver = new_solver()
    if time_s is not None:
        solver.setOptionValue("time_limit", max(time_s, 0.01))
    cells, columns = space.cap.shape
    items, limits = len(reduced.items), len(reduced.limits)
    demand, most = space.demand.astype(np.float64), np.array(reduced.limits, dtype=np.float64)
    lower = np.concatenate([demand, np.full(limits + cells * columns, -np.inf)])
    upper = np.concatenate([np.full(items, np.inf), most, np.zeros(cells * columns)])
    nothing = np.zeros(0, dtype=np.int32)
    solver.addRows(len(lower), lower, upper, 0, np.zeros(len(lower), dtype=np.int32), nothing, nothing.astype(float))
    _add_nodes(solver, reduced, space)
    _add_pods(solver, space, items + limits)
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    values = np.array(solver.getSolution().row_dual, dtype=np.float64)
    return np.maximum(values[:items], 0.0), np.maximum(-values[items : items + limits], 0.0)


def _add_nodes(solver: highspy.Highs, reduced: Reduced, space: Space) -> None:
    cells = np.arange(len(space.cap))
    uses = use_matrix(reduced)
    room = np.zeros((len(cells), space.cap.size))
    for r in range(space.cap.shape[1]):
        room[cells, cells * space.cap.shape[1] + r] = -1.0  # shares of the capacity keep the coefficients near 1
    _add(solver, space.price / DOLLAR, np.concatenate([space.opened(cells), uses, room], axis=1))


def _add(solver: highspy.Highs, cost: FloatArray, matrix: FloatArray) -> None:
    rows, entries = np.nonzero(matrix)
    starts = np.searchsorted(rows, np.arange(len(cost))).astype(np.int32)
    none, free = np.zeros(len(cost)), np.full(len(cost), np.inf)
    values = matrix[rows, entries].astype(np.float64)
    solver.addCols(len(cost), cost, none, free, len(values), starts, entries.astype(np.int32), values)


def _add_pods(solver: highspy.Highs, space: Space, first_row: int) -> None:
    """One column per cell and item that fits: 1 in the item's row, the share of each column's capacity it takes."""
    cell, item = np.nonzero(space.room > 0)
    columns = space.cap.shape[1]
    share = space.share[cell, item, :]
    entries = np.concatenate([item[:, None], first_row + cell[:, None] * columns + np.arange(columns)], axis=1)
    values = np.concatenate([np.ones((len(cell), 1)), share], axis=1)
    starts: IntArray = np.arange(len(cell), dtype=np.int64) * (columns + 1)
    none, free = np.zeros(len(cell)), np.full(len(cell), np.inf)
    solver.addCols(
        len(cell), none, none, free, values.size, starts.astype(np.int32), entries.ravel().astype(np.int32),
        values.ravel(),
    )  # fmt: skip
