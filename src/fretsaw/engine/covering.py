"""The cheapest set of nodes that holds given pods, and a proof of how cheap it can be.

What lives here: the covering problem (`Item`, `Config`, `Problem`), its answer (`Solution`) and the two questions that
`engine.cost` asks: `solve` and `lower_bound`. A *pattern* is one way to fill one node of one configuration: a count per
item. A plan is a multiset of patterns that covers every item exactly.

Invariant: `Solution.bound` is below the price of every plan that keeps the rules of the problem, whoever made it.
The solver itself is imported on first use: it brings numpy and HiGHS along.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from msgspec import Struct

OUT_OF_TIME = "stopped by the time budget"
"""Ends a proof that was cut by the clock: the same question may have another answer next time."""
Elapsed = Callable[[], float]
"""Seconds since the caller started; the solver has no clock of its own."""


class Item(Struct, frozen=True):
    """A class of equal pods: how many, and what one of them takes of each resource column (integers ≥ 0)."""

    demand: int
    size: tuple[int, ...]


class Config(Struct, frozen=True):
    """One kind of node that can be bought: a node pool, an instance type and an offering.

    price: micro-USD an hour. capacity: room for pods, per resource column.
    allowed, openers: bit masks over items. A pattern holds allowed items only and, where `openers` lacks some of
    them, at least one pod of `openers`: the others may join a node of this kind but not be the reason for it.
    cap_items: most pods in one pattern, None for no such cap. key: unique, orders equal choices.
    limit_use: (row of `Problem.limits`, units that one node uses).
    exclusive: bit masks; of each mask at most one item (any number of its pods) may be in a pattern. "At most one
    pod" is a resource column of capacity 1.
    """

    price: int
    capacity: tuple[int, ...]
    allowed: int
    openers: int
    cap_items: int | None
    key: str
    limit_use: tuple[tuple[int, int], ...] = ()
    exclusive: tuple[int, ...] = ()


class FreeBin(Struct, frozen=True):
    """Room on existing nodes: a plan may use it for nothing, so the bound must not charge for it."""

    capacity: tuple[int, ...]
    allowed: int
    count: int = 1


class Problem(Struct, frozen=True):
    """Cover the items with patterns of the configurations.

    limits: right-hand side of each limit row, Σ units used ≤ limit.
    fixed_cost: micro-USD an hour added per node to what the plan minimises, not to prices and bounds.
    free: used by the bound alone; the plan covers all demands with new nodes.
    """

    items: tuple[Item, ...]
    configs: tuple[Config, ...]
    limits: tuple[int, ...] = ()
    fixed_cost: int = 0
    free: tuple[FreeBin, ...] = ()


class Pattern(NamedTuple):
    """`multiplicity` nodes of `Problem.configs[config]`, each holding `counts[i]` pods of item i."""

    config: int
    counts: tuple[int, ...]
    multiplicity: int


class Work(Struct, frozen=True):
    """What the answer took, in units that do not depend on the machine; `out_of_time` says whether the clock cut it."""

    configs: int = 0
    items: int = 0
    columns: int = 0
    rounds: int = 0
    states: int = 0
    mip_nodes: int = 0
    out_of_time: bool = False


class Solution(Struct, frozen=True):
    """patterns: sorted by (config, counts); None where no plan below the incumbent was found.

    price: of `patterns`, None where there are none. bound: no plan costs less, micro-USD an hour.
    proof: how the bound was proven, in words; begins with `optimal` where bound == price of the best known plan.
    """

    patterns: tuple[Pattern, ...] | None
    price: int | None
    bound: int
    proof: str
    work: Work


def solve(
    problem: Problem, *, incumbent: int | None = None, elapsed: Elapsed | None = None, budget_s: float = 2.0
) -> Solution:
    """The cheapest plan found and the bound below which there is none.

    incumbent: price of a plan that the caller already has; only a cheaper one is returned.
    elapsed, budget_s: last safety; without `elapsed` only counted work stops the search, so that equal inputs give
    equal answers.
    Raises ValueError naming the first item that no configuration can hold, or the first malformed field.
    """
    from fretsaw.engine import covering_solver

    return covering_solver.solve(problem, incumbent, elapsed, budget_s)


def lower_bound(problem: Problem, *, elapsed: Elapsed | None = None, budget_s: float = 2.0) -> tuple[int, str]:
    """A price in micro-USD an hour below which no plan exists, and how that is known.

    Room in `problem.free` counts as free of charge. Raises as `solve` does, except that items which fit into free
    room need no configuration.
    """
    from fretsaw.engine import covering_solver

    return covering_solver.lower_bound(problem, elapsed, budget_s)
