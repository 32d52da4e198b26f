"""The bound and the whole-number plan of the covering problem.

Called by `covering.solve` and `covering.lower_bound`. Few patterns: all are listed, and the answer is exact. Many:
column generation gives the LP's bound, cases on node counts lift it, and a MIP over the patterns found makes the plan.
Where a gap is left, every pattern whose reduced cost the gap allows is listed: no cheaper plan uses another, so that a
MIP over them bounds all plans (Baldacci et al. 2008). Counted work stops each stage; the clock is the last safety.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from msgspec.structs import replace

from fretsaw.engine.branching import Tree
from fretsaw.engine.certificate import round_up
from fretsaw.engine.covering import OUT_OF_TIME, Elapsed, Problem, Solution, Work
from fretsaw.engine.covering_reduce import IntArray, reduce
from fretsaw.engine.covering_round import Nodes, deal, nodes_of, price_of, trim
from fretsaw.engine.generation import Clock, Generation
from fretsaw.engine.master import DOLLAR, Integral, choose, round_down
from fretsaw.engine.patterns import FloatArray, Search, maximal
from fretsaw.engine.pooled import pooled_bound

GAP = 0.0005  # a plan this close to the bound is good enough
SPLITS = 10  # cases on node counts
NODES = 300  # branch-and-bound nodes of one MIP
NEAR_STATES = 60_000  # partial patterns at once while listing those that the gap allows
NEAR_COLUMNS = 2_000  # more of them make the MIP too slow
EXACT_PODS = 300  # up to so many pods the MIP goes on to the last cent
CASES = 8  # open cases in which all patterns that the gap allows are looked at
ENDLESS = 10**30


class Stage:
    """The whole-number stage: the best plan so far and the bound so far."""

    def __init__(self, root: Generation, fixed_cost: int, incumbent: int | None) -> None:
        self.root, self.reduced, self.space = root, root.reduced, root.space
        self.fixed_cost, self.incumbent = fixed_cost, incumbent
        self.nodes: Nodes | None = None
        self.cost: int | None = None
        self.proven = root.bound
        self.steps = ["every pattern listed, LP" if root.listed else "column generation, LP"]
        self.mip_nodes = 0
        self.gap = 0.0 if int(self.space.demand.sum()) <= EXACT_PODS else GAP / 4
        if not root.listed:
            self._lift(pooled_bound(root.reduced), "resources pooled")

    @property
    def bound(self) -> int:
        """Micro-USD an hour, whole."""
        return round_up(self.proven, self.reduced.price_step)

    @property
    def price(self) -> int | None:
        """Price of our plan."""
        return None if self.nodes is None else price_of(self.reduced, self.nodes)

    @property
    def best(self) -> int | None:
        """Price of the cheapest plan known, ours or the caller's."""
        return min((p for p in (self.price, self.incumbent) if p is not None), default=None)

    def settled(self) -> bool:
        """Whether nothing worth the work is left to gain."""
        tolerated = GAP if self.gap else GAP / 10
        return self.best is not None and self.bound >= self.best * (1 - tolerated)

    def run(self) -> None:
        """Plan, then close the gap from both sides while it pays."""
        if self.settled():
            return
        self.plan()
        if self.root.listed:
            self._bound_by_list()
            return
        if self.settled() or self.best is None:
            return
        tree = Tree(self.root)
        self.split(tree, self.best)
        if self.settled():
            return
        self._near_columns(tree)
        self.plan()
        if not self.settled() and not self.root.clock.over(0.8):
            self._close(tree)

    def plan(self) -> None:
        """The MIP over all columns; keeps its plan where it is cheaper than the one before."""
        cells, counts = self.root.master.columns.arrays()
        cost = self.root.master.price[cells] + self.fixed_cost / DOLLAR
        if self.nodes is None and not self.root.listed:
            rounded = round_down(self.root.master, cost)
            if rounded is not None:
                self._take(nodes_of(cells, counts, rounded))
        answer = self._choose(self.root, cells, counts, self.space.demand, cost)
        if answer.used is not None:
            self._take(nodes_of(cells, counts, answer.used))
        if self.root.listed and not self.fixed_cost:
            self._lift(self._bound_of(answer), "branch and bound over them")

    def _take(self, cover: Nodes) -> None:
        """Keep the plan that this cover becomes, where it is the cheapest so far."""
        nodes = trim(self.reduced, self.space, cover)
        cost = price_of(self.reduced, nodes) + self.fixed_cost * nodes.total()
        if self.cost is None or cost < self.cost:
            self.nodes, self.cost = nodes, cost

    def split(self, tree: Tree, goal: int) -> None:
        """Raise the bound by cases."""
        tree.grow(goal, SPLITS)
        if tree.splits:
            self._lift(tree.bound, f"{tree.splits} splits on node counts")

    def _bound_by_list(self) -> None:
        """The bound of the MIP over all patterns, for prices alone where the plan also counts nodes."""
        if self.settled() or not self.fixed_cost:
            return
        cells, counts = self.root.master.columns.arrays()
        answer = self._choose(self.root, cells, counts, self.space.demand, self.root.master.price[cells])
        self._lift(self._bound_of(answer), "branch and bound over them")

    def _near_columns(self, tree: Tree) -> None:
        """More columns for the plan: those of least reduced cost in the two lowest cases."""
        for case in sorted(tree.open, key=lambda g: g.bound)[:2]:
            slack = float((self.best or 0) - case.best.bound)
            for _ in range(6):
                if self.root.clock.over(0.6):
                    return
                found = self._near(case, slack)
                if found is not None:
                    self.root.add_filled(*_first(found, NEAR_COLUMNS // 2))
                    break
                slack /= 4

    def _near(self, case: Generation, slack: float) -> tuple[IntArray, IntArray] | None:
        """All patterns with a reduced cost of at most `slack` micro-USD, the cheapest first; None if too many.

        Items without a dual value are left out: patterns are maximal in the others, and filled up by the caller.
        """
        certificate = case.best
        above = certificate.thresholds(self.space.price, case.master.uses, slack)
        value = certificate.item.astype(np.float64)
        opening = np.where(self.space.opener >= 0, value[self.space.opener], 0.0)
        found = Search(self.space, value, opening, above, NEAR_STATES, strict=True).run()
        self.root.states += found.states
        if not found.complete:
            return None
        keep = np.flatnonzero(maximal(self.space, found.cells, found.counts, np.flatnonzero(value > 0)))
        price = certificate.thresholds(self.space.price, case.master.uses, 0.0)
        ranked = keep[np.argsort(price[found.cells[keep]] - found.value[keep], kind="stable")]
        return found.cells[ranked], found.counts[ranked]

    def _close(self, tree: Tree) -> None:
        """In each open case the bound of a MIP over all patterns that a plan cheaper than ours could use.

        The cases come lowest first, and the work ends at the first that cannot be raised: it sets the bound.
        """
        goal, low, added = Fraction(self.best or 0), tree.closed, 0
        for number, case in enumerate(sorted(tree.open, key=lambda g: g.bound)):
            tried = number < CASES and case.bound < low and not self.root.clock.over(0.9)
            near = self._near(case, float(goal - case.best.bound)) if tried else None
            if near is None or len(near[0]) > NEAR_COLUMNS:
                low = min(low, case.bound)
                break
            low = min(low, max(case.bound, self._case_bound(case, *near)))
            added += self.root.add_filled(*_first(near, NEAR_COLUMNS // 8))
        self._lift(low, "branch and bound over all patterns within the gap")
        if added and not self.settled():
            self.plan()

    def _case_bound(self, case: Generation, cells: IntArray, counts: IntArray) -> Fraction:
        demand = np.where(case.best.item > 0, self.space.demand, 0)
        answer = self._choose(case, cells, counts, demand, self.root.master.price[cells])
        return self._bound_of(answer)

    def _choose(
        self,
        case: Generation,
        cells: IntArray,
        counts: IntArray,
        demand: IntArray,
        cost: FloatArray,
    ) -> Integral:
        time_s = self.root.clock.left()
        answer = choose(case.reduced, cells, counts, demand, cost=cost, gap=self.gap, most_nodes=NODES, time_s=time_s)
        self.mip_nodes += answer.nodes
        self.root.clock.hit = self.root.clock.hit or answer.out_of_time
        return answer

    def _bound_of(self, answer: Integral) -> Fraction:
        """The MIP's dual bound less what HiGHS' tolerances may have added: 1e-9 dollars a node, and rounding."""
        if answer.bound >= ENDLESS / DOLLAR:
            return Fraction(self.best or 0)
        if not answer.bound > 0:
            return Fraction(0)
        margin = 1e-8 * int(self.space.demand.sum()) + answer.bound * 1e-9
        return max(Fraction(0), Fraction(answer.bound - margin) * DOLLAR)

    def _lift(self, bound: Fraction, how: str) -> None:
        """Take a higher bound; never above a plan that exists."""
        ceiling = self.best
        bound = bound if ceiling is None else min(bound, Fraction(ceiling))
        if bound > self.proven:
            self.proven = bound
            self.steps.append(how)


def _first(found: tuple[IntArray, IntArray], number: int) -> tuple[IntArray, IntArray]:
    return found[0][:number], found[1][:number]


def solve(problem: Problem, incumbent: int | None, elapsed: Elapsed | None, budget_s: float) -> Solution:
    """See `covering.solve`."""
    reduced = reduce(problem, free=False)
    if not reduced.items:
        return Solution((), 0, 0, "optimal: nothing to cover", Work())
    root = Generation(reduced, Clock(elapsed, budget_s))
    if not reduced.stuck:
        root.run()
    if reduced.stuck or root.short():
        bound, proof = lower_bound(_without_limits(problem), elapsed, budget_s)
        return Solution(None, None, bound, f"{proof}; the limits leave no plan", Work(out_of_time=root.clock.hit))
    stage = Stage(root, problem.fixed_cost, incumbent)
    stage.run()
    price, nodes = stage.price, stage.nodes
    bound, proof = stage.bound, _proof(stage)
    if problem.free:
        bound, proof = lower_bound(problem, elapsed, budget_s)
    if price is None or nodes is None or (incumbent is not None and price >= incumbent):
        return Solution(None, None, bound, proof, _work(stage))
    patterns = deal(reduced, nodes, tuple(item.demand for item in problem.items))
    return Solution(patterns, price, bound, proof, _work(stage))


def _without_limits(problem: Problem) -> Problem:
    """The problem without its limit rows: a relaxation."""
    return replace(problem, configs=tuple(replace(c, limit_use=()) for c in problem.configs), limits=())


def _proof(stage: Stage) -> str:
    optimal = "optimal: " if stage.bound == stage.best else ""
    return optimal + ", ".join([*stage.steps, *([OUT_OF_TIME] if stage.root.clock.hit else [])])


def _work(stage: Stage) -> Work:
    root = stage.root
    return Work(
        configs=len(root.reduced.cells),
        items=len(root.reduced.items),
        columns=len(root.master.columns),
        rounds=root.rounds,
        states=root.states,
        mip_nodes=stage.mip_nodes,
        out_of_time=root.clock.hit,
    )


def lower_bound(problem: Problem, elapsed: Elapsed | None, budget_s: float) -> tuple[int, str]:
    """See `covering.lower_bound`."""
    reduced = reduce(problem, free=True)
    if not reduced.items:
        return 0, "nothing to cover"
    root = Generation(reduced, Clock(elapsed, budget_s))
    if not reduced.stuck:
        root.run()
    if problem.limits and (reduced.stuck or root.short()):
        bound, proof = lower_bound(_without_limits(problem), elapsed, budget_s)
        return bound, f"{proof}, limits left out"
    stage = Stage(root, 0, None)
    if root.listed:
        stage.plan()
    else:
        stage.split(Tree(root), ENDLESS)
    return stage.bound, ", ".join([*stage.steps, *([OUT_OF_TIME] if root.clock.hit else [])])
