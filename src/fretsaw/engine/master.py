"""The master problem in HiGHS: choose patterns that cover the items, as LP (with duals) and as MIP.

Called by `covering_solver`. Rows are the items (≥ demand), then the limits (≤). Money is in dollars here, so that
HiGHS' absolute tolerances of 1e-7 are far below a micro-dollar a node; one thread and a fixed seed keep it repeatable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np
import numpy.typing as npt

from fretsaw.engine.covering_reduce import IntArray, Reduced
from fretsaw.engine.patterns import FloatArray

DOLLAR = 1_000_000  # micro-USD


class _Silent(highspy.Highs):
    """HiGHS without its callbacks: setting them up prints a banner before `output_flag` can forbid it."""

    def enableCallbacks(self) -> None:  # noqa: N802 (the library's name)
        self.setOptionValue("output_flag", False)


def new_solver() -> Any:
    """A silent, single-threaded, repeatable solver."""
    solver: Any = _Silent()  # type: ignore[no-untyped-call]
    for name, value in {"threads": 1, "parallel": "off", "random_seed": 0, "dual_feasibility_tolerance": 1e-9}.items():
        solver.setOptionValue(name, value)
    return solver


class Columns:
    """The patterns found so far, without repeats, as a growing matrix."""

    def __init__(self, reduced: Reduced) -> None:
        self.cells: list[int] = []
        self.counts: list[IntArray] = []
        self._seen: set[tuple[int, bytes]] = set()
        self._width = len(reduced.items)

    def __len__(self) -> int:
        return len(self.cells)

    def add(self, cells: IntArray, counts: IntArray) -> int:
        """Append the patterns that are new; how many were."""
        before = len(self.cells)
        for cell, row in zip(cells.tolist(), np.ascontiguousarray(counts, dtype=np.int64), strict=True):
            key = (cell, row.tobytes())
            if key not in self._seen and row.any():
                self._seen.add(key)
                self.cells.append(cell)
                self.counts.append(row)
        return len(self.cells) - before

    def arrays(self, start: int = 0) -> tuple[IntArray, IntArray]:
        """(N,) cells and (N, I) counts from column `start` on."""
        cells = np.array(self.cells[start:], dtype=np.int64)
        if not len(cells):
            return cells, np.zeros((0, self._width), dtype=np.int64)
        return cells, np.stack(self.counts[start:])


class Master:
    """The LP over a growing set of columns."""

    def __init__(self, reduced: Reduced) -> None:
        self.reduced = reduced
        self.price: FloatArray = np.array([c.price for c in reduced.cells]) / DOLLAR
        self.uses = use_matrix(reduced)
        self.columns = Columns(reduced)
        self._loaded = 0
        self._solver = new_solver()
        self._solver.setOptionValue("presolve", "off")
        demand = np.array([i.demand for i in reduced.items], dtype=np.float64)
        _add_rows(self._solver, demand, np.array(reduced.limits, dtype=np.float64))
        dear = 10.0 * float(self.price.max(initial=0.0)) + 1.0
        many = len(reduced.items)
        eye = np.arange(many, dtype=np.int32)
        self._solver.addCols(  # one artificial column per item: the LP is feasible before the patterns are
            many, np.full(many, dear), np.zeros(many), np.full(many, np.inf), many, eye, eye, np.ones(many)
        )

    def solve(self) -> bool:
        """Load the new columns and solve; whether an optimum was found."""
        cells, counts = self.columns.arrays(self._loaded)
        if len(cells):
            _add_cols(self._solver, self.price[cells], counts, self.uses[cells])
        self._loaded = len(self.columns)
        self._solver.run()
        return bool(self._solver.getModelStatus() == highspy.HighsModelStatus.kOptimal)

    def value(self) -> float:
        """Objective in dollars an hour."""
        return float(self._solver.getInfo().objective_function_value)

    def duals(self) -> tuple[FloatArray, FloatArray]:
        """Dollars per pod of each item, and dollars per unit of each limit; all ≥ 0."""
        duals = np.array(self._solver.getSolution().row_dual, dtype=np.float64)
        items = len(self.reduced.items)
        return np.maximum(duals[:items], 0.0), np.maximum(-duals[items:], 0.0)

    def activity(self) -> tuple[FloatArray, float]:
        """How often each column is used, and how much of the demand only the artificial columns cover."""
        values = np.array(self._solver.getSolution().col_value, dtype=np.float64)
        items = len(self.reduced.items)
        return values[items:], float(values[:items].sum())


def use_matrix(reduced: Reduced) -> IntArray:
    """(C, L) units of each limit that a node of the cell uses."""
    uses = np.zeros((len(reduced.cells), len(reduced.limits)), dtype=np.int64)
    for c, cell in enumerate(reduced.cells):
        for row, units in cell.uses:
            uses[c, row] += units
    return uses


def _add_rows(solver: Any, demand: FloatArray, limits: FloatArray) -> None:
    lower = np.concatenate([demand, np.full(len(limits), -np.inf)])
    upper = np.concatenate([np.full(len(demand), np.inf), limits])
    none = np.zeros(0)
    solver.addRows(len(lower), lower, upper, 0, np.zeros(len(lower), dtype=np.int32), none.astype(np.int32), none)


def _add_cols(solver: Any, cost: FloatArray, counts: IntArray, uses: IntArray, upper: FloatArray | None = None) -> None:
    matrix = np.concatenate([counts, uses], axis=1)
    rows, entries = np.nonzero(matrix)
    starts = np.searchsorted(rows, np.arange(len(cost))).astype(np.int32)
    most = np.full(len(cost), np.inf) if upper is None else upper
    values = matrix[rows, entries].astype(np.float64)
    solver.addCols(len(cost), cost, np.zeros(len(cost)), most, len(values), starts, entries.astype(np.int32), values)


def round_down(master: Master, cost: FloatArray) -> IntArray | None:
    """A choice that covers all: the LP's rounded down, then the column worth most per dollar of what is left.

    cost: dollars an hour per column. None where the limits leave no column to go on with.
    """
    cells, counts = master.columns.arrays()
    uses, (value, _), (used, _) = master.uses[cells], master.duals(), master.activity()
    chosen: IntArray = np.zeros(len(cells), dtype=np.int64)
    chosen[: len(used)] = np.floor(used + 1e-6).astype(np.int64)
    left = np.array([item.demand for item in master.reduced.items], dtype=np.int64) - chosen @ counts
    room = np.array(master.reduced.limits, dtype=np.int64) - chosen @ uses
    worth, cost = value + 1e-9, cost + 1e-9
    while (left > 0).any():
        gain = np.minimum(counts, np.maximum(left, 0)) @ worth / cost
        gain[(uses > room).any(axis=1)] = 0.0
        best = int(gain.argmax())
        if gain[best] <= 0:
            return None
        held, per = counts[best] > 0, uses[best] > 0
        times = max(1, int((left[held] // counts[best][held]).min()))
        times = min([times, *(room[per] // uses[best][per]).tolist()])
        chosen[best] += times
        left -= times * counts[best]
        room -= times * uses[best]
    return chosen


@dataclass(frozen=True)
class Integral:
    """Answer of a MIP. used (N,): how often each column is used, None without a plan.

    bound: dollars an hour that no choice of these columns beats. closed: solved to the gap that was asked for.
    """

    used: IntArray | None
    bound: float
    closed: bool
    nodes: int
    out_of_time: bool


def choose(
    reduced: Reduced,
    cells: IntArray,
    counts: IntArray,
    demand: IntArray,
    *,
    cost: FloatArray,
    gap: float,
    most_nodes: int,
    time_s: float | None,
) -> Integral:
    """The cheapest whole number of each column that covers `demand` within the limits.

    cost: dollars an hour per column. gap: relative distance at which to stop. No start is passed: HiGHS 1.16 then
    ended early with the start itself, called optimal, and a bound below the LP's.
    """
    if not len(cells):
        return Integral(None, float("inf") if demand.any() else 0.0, True, 0, False)
    solver = new_solver()
    for name, value in {"mip_rel_gap": gap, "mip_max_nodes": most_nodes, "mip_abs_gap": 1e-7}.items():
        solver.setOptionValue(name, value)
    if time_s is not None:
        solver.setOptionValue("time_limit", max(time_s, 0.01))
    _add_rows(solver, demand.astype(np.float64), np.array(reduced.limits, dtype=np.float64))
    _add_cols(solver, cost, counts, use_matrix(reduced)[cells], _most_used(reduced, counts, demand))
    number = len(cells)
    whole = np.full(number, highspy.HighsVarType.kInteger)
    solver.changeColsIntegrality(number, np.arange(number, dtype=np.int32), whole)
    solver.run()
    return _answer(solver, number)


def _most_used(reduced: Reduced, counts: IntArray, demand: IntArray) -> FloatArray:
    """(N,) how often a column can be of use: more would cover nothing, unless a row asks for a number of nodes."""
    if any(units < 0 for cell in reduced.cells for _, units in cell.uses):
        return np.full(len(counts), float(sum(item.demand for item in reduced.items)))
    ratio = np.where(counts > 0, -(-demand[None, :] // np.maximum(counts, 1)), 0)
    return np.asarray(ratio.max(axis=1, initial=0), dtype=np.float64)


def _answer(solver: Any, number: int) -> Integral:
    info, status = solver.getInfo(), solver.getModelStatus()
    found = info.primal_solution_status == 2  # feasible
    values: npt.NDArray[np.float64] = np.array(solver.getSolution().col_value, dtype=np.float64)
    used = np.rint(values).astype(np.int64) if found and len(values) == number else None
    infeasible = status == highspy.HighsModelStatus.kInfeasible
    return Integral(
        used,
        float("inf") if infeasible else float(info.mip_dual_bound),
        bool(status == highspy.HighsModelStatus.kOptimal),
        max(0, int(info.mip_node_count)),
        bool(status == highspy.HighsModelStatus.kTimeLimit),
    )
