"""A proven lower bound on the hourly price: no plan that keeps the pools' rules costs less.

The bound has to hold for every such plan, whoever made it, the peer's own included. So it knows less than the packing:
topology counts only where it caps pods for one node, preferences do not count at all, a pod with wishes may open a node
of any pool that takes it, limits are ignored, and room on existing nodes and in reservations is free.
There are two: one for plans that keep the pools' order, and one that any nodes of these pools have to respect.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import msgspec

from fretsaw.api.labels import HOSTNAME
from fretsaw.engine.covering import FreeBin, Problem, lower_bound
from fretsaw.engine.firstfit import FirstFit
from fretsaw.engine.groups import ANTI_AFFINITY, SPREAD
from fretsaw.engine.lots import Covering, Lot, accepts, covering, reservation_rooms
from fretsaw.engine.places import ExistingNode
from fretsaw.engine.plan import Bound
from fretsaw.engine.prepare import Prepared
from fretsaw.engine.requirements import Requirements
from fretsaw.engine.shape import Kind
from fretsaw.engine.taints import TOLERATE_PREFERENCES, untolerated
from fretsaw.engine.universe import NANO, bits
from fretsaw.engine.wishes import SCHEDULE_ANYWAY

LEAST_SHARE = 0.3
"""Part of the time budget that the bound gets even when the search has used it all up."""


def bound_of(
    placed: FirstFit, *, known: tuple[Covering, int, str] | None, elapsed: Callable[[], float] | None
) -> Bound:
    """The bound for the pods that a pass has placed.

    known: a covering problem that was solved already, with its bound and proof; used where it is the same problem.
    """
    demands = _demands(placed)
    if not demands or not placed.open:
        return Bound(0.0, "no node has to be bought")
    in_order = _solved(placed, demands, known, elapsed)
    any_order: dict[Lot, int] = {}
    for lot, count in demands.items():
        free = msgspec.structs.replace(lot, openers=None)
        any_order[free] = any_order.get(free, 0) + count
    problem = _covered(placed, any_order)
    if _same(problem.problem, in_order[2].problem):
        return Bound(in_order[0] / NANO, in_order[1])
    price, proof, _ = _solved(placed, any_order, None, elapsed)
    return Bound(min(price, in_order[0]) / NANO, proof, in_order[0] / NANO)


def _covered(placed: FirstFit, demands: Mapping[Lot, int]) -> Covering:
    return covering(placed.prepared, demands, {t.name: t.types for t in placed.prepared.templates})


def _solved(
    placed: FirstFit,
    demands: Mapping[Lot, int],
    known: tuple[Covering, int, str] | None,
    elapsed: Callable[[], float] | None,
) -> tuple[int, str, Covering]:
    """(nano-USD an hour, proof, the covering problem)."""
    problem = _covered(placed, demands)
    free = _free_bins(placed.prepared, problem)
    if known is not None and not free and _same(known[0].problem, problem.problem):
        return known[1], known[2], problem
    whole = msgspec.structs.replace(problem.problem, free=free, fixed_cost=0, limits=())
    budget = placed.settings.budget_s
    if elapsed is not None:
        budget = max(budget, elapsed() + budget * LEAST_SHARE)
    return *lower_bound(whole, elapsed=elapsed, budget_s=budget), problem


def _same(solved: Problem, wanted: Problem) -> bool:
    """Whether a bound of `solved` is one of `wanted`: the same choices, whatever is added for each node."""
    return solved.items == wanted.items and solved.configs == wanted.configs and not solved.limits


def _demands(placed: FirstFit) -> dict[Lot, int]:
    """The placed pods as lots that know only what every plan has to respect."""
    prepared = placed.prepared
    counts: Counter[int] = Counter()
    kinds = {id(kind): kind for kind in prepared.kinds}
    for kind, pod in prepared.queue:
        if pod not in placed.unplaced:
            counts[id(kind)] += 1
    demands: dict[Lot, int] = {}
    for number, count in counts.items():
        lot = lot_of(prepared, kinds[number])
        demands[lot] = demands.get(lot, 0) + count
    return demands


def lot_of(prepared: Prepared, kind: Kind) -> Lot:
    """What every plan has to respect of a pod of this kind."""
    shape = prepared.shape(kind, 0)
    assert shape is not None
    tolerations = shape.wishes.tolerations
    if prepared.supply.tolerate_preferences:
        tolerations = (*tolerations, TOLERATE_PREFERENCES)
    alternatives = tuple(
        dict.fromkeys(
            _without_gifts(prepared, term.merged(volumes))
            for term in shape.wishes.alternatives()
            for volumes in shape.mold.alternatives
        )
    )
    lot = Lot(shape.mold.requests, alternatives, tolerations, None, _companions(kind))
    wishes = shape.wishes.any_preference or prepared.supply.tolerate_preferences
    plain = shape.free and not wishes and not shape.mold.ports and len(alternatives) == 1
    return msgspec.structs.replace(lot, openers=first_choices(prepared, lot)) if plain else lot


def _without_gifts(prepared: Prepared, requirements: Requirements) -> Requirements:
    """Without labels that a node may get from another pod's negated requirement."""
    gifts = [r.key for r in requirements if r.key in prepared.negated_keys and r.key not in prepared.well_known]
    return requirements.without(*gifts, HOSTNAME)


def first_choices(prepared: Prepared, lot: Lot) -> frozenset[str] | None:
    """The pools that such a pod may open a node of: down to the first that cannot refuse it; None: all that accept it.

    A pool with limits, `minValues` or reservations may be passed over, so that the next one is tried.
    """
    accepting = [template for template in prepared.templates if accepts(template, lot)]
    for number, template in enumerate(accepting[:-1]):
        may_refuse = template.limits or template.requirements.has_min_values or template.universe.reserved_cells
        if not may_refuse:
            return frozenset(t.name for t in accepting[: number + 1])
    return None


def _companions(kind: Kind) -> tuple[tuple[int, int], ...]:
    """(group, most on one node) for each hard constraint over the host name that counts the pod itself."""
    shape = kind.chain[0]
    found = []
    wishes = shape.wishes
    hard = [s for s in wishes.spreads if s.when_unsatisfiable != SCHEDULE_ANYWAY]
    for constraint in (*hard, *wishes.anti_affinity):
        group = kind.owned.by_constraint[id(constraint)]
        if group.key != HOSTNAME or not shape.matches.get(group):
            continue
        if group.spec.kind == ANTI_AFFINITY:
            found.append((group.number, 1))
        elif group.spec.kind == SPREAD:
            found.append((group.number, group.max_skew))
    return tuple(sorted(set(found)))


def _free_bins(prepared: Prepared, problem: Covering) -> tuple[FreeBin, ...]:
    """Room on existing nodes and in reservations."""
    extra = len(problem.problem.items[0].size) - len(problem.columns)
    found: Counter[tuple[tuple[int, ...], int]] = Counter()
    total = sum(item.demand for item in problem.problem.items)
    for node in prepared.existing():
        allowed = sum(1 << i for i, lot in enumerate(problem.lots) if _may_hold(node, lot))
        if allowed and min(node.free.values(), default=0) >= 0:
            capacity = tuple(node.free.get(r, 0) for r in problem.columns)
            found[(*capacity, *(total for _ in range(extra))), allowed] += 1
    everything = (1 << len(problem.lots)) - 1
    for template, cell, types in reservation_rooms(prepared):
        rooms = [tuple(template.universe.allocatable[t].get(r, 0) for r in problem.columns) for t in bits(types)]
        if rooms:
            largest = tuple(max(column) for column in zip(*rooms, strict=True))
            found[(*largest, *(total for _ in range(extra))), everything] += cell.reservation_capacity or 0
    return tuple(FreeBin(c, a, n) for (c, a), n in sorted(found.items()) if n)


def _may_hold(node: ExistingNode, lot: Lot) -> bool:
    if untolerated(node.taints, lot.tolerations) is not None:
        return False
    return any(node.requirements.conflict(wanted) is None for wanted in lot.alternatives)
