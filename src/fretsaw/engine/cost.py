"""Packing for cost: the same pods under the same rules on cheaper nodes than first-fit finds.

Pods that no other pod has a say about (*loose* ones) are taken off the nodes that first-fit opened and packed anew by
solving a covering problem; all others stay where the pass put them, and a second pass that refuses to grow a node
beyond what the pod would cost alone looks for better places for those. The cheapest of the plans wins; first-fit's own
plan is one of them, so the answer is never dearer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import msgspec

from fretsaw.engine.bound import bound_of, first_choices
from fretsaw.engine.covering import OUT_OF_TIME, solve
from fretsaw.engine.finish import finished
from fretsaw.engine.firstfit import FirstFit
from fretsaw.engine.lots import Covering, Lot, accepts, covering
from fretsaw.engine.places import Fit, OpenNode
from fretsaw.engine.plan import Bound
from fretsaw.engine.requests import Amounts, add
from fretsaw.engine.requirements import EMPTY, Requirements
from fretsaw.engine.shape import Shape, gpu_count
from fretsaw.engine.template import Template
from fretsaw.engine.universe import Bits

Elapsed = Callable[[], float] | None
NODES = "nodes"
"""The limit on a pool's number of nodes, among its limits on resources."""
SECONDS_PER_POD = 1e-4
"""What one pod of a pass takes, roughly, to tell without a clock whether a second pass fits the budget."""


class Packed(msgspec.Struct, frozen=True):
    """The cheapest plan found: the pass that it grew from, its open nodes, and the proven bound."""

    placed: FirstFit
    nodes: list[OpenNode]
    bound: Bound | None
    """None where none was asked for."""
    cut: bool
    """Whether the clock stopped the search, so that another run may find another plan."""


def pack(placed: FirstFit, elapsed: Elapsed, *, prove: bool = True) -> Packed:
    """The cheapest of the pass's own nodes, the same with loose pods packed anew, and both after a thrifty pass.

    prove: also compute the bound, which takes longer than the packing and changes nothing of it.
    """
    first = Packing(placed, placed.open)
    answers = [repacked(placed, elapsed)]
    known = answers[0][1]
    if _worth_a_second_pass(placed):
        thrifty = FirstFit(placed.prepared, thrifty=True)
        thrifty.run()
        if thrifty.unplaced.keys() == placed.unplaced.keys():
            answers += [(Packing(thrifty, thrifty.open), None), repacked(thrifty, elapsed)]
    best = _best(first, [packing for packing, _ in answers if packing is not None])
    bound = bound_of(best.placed, known=known, elapsed=elapsed) if prove else None
    proofs = [bound.proof if bound else "", *(problem[2] for _, problem in answers if problem is not None)]
    return Packed(best.placed, best.nodes, bound, any(OUT_OF_TIME in proof for proof in proofs))


class Packing(msgspec.Struct, frozen=True):
    """Open nodes that hold all the pods of a pass."""

    placed: FirstFit
    nodes: list[OpenNode]


def _worth_a_second_pass(placed: FirstFit) -> bool:
    """Whether some pods are bound to where they are, and a second pass fits the budget."""
    pods = len(placed.prepared.queue)
    bound = any(not is_loose(s) for node in placed.open for s in node.shapes)
    return bound and pods * SECONDS_PER_POD <= placed.settings.budget_s


def _best(first: Packing, others: Iterable[Packing]) -> Packing:
    """The packing with the lowest price and cost of its nodes together, among those that are no dearer than the first.

    The price alone has to be no higher: the cost of nodes chooses between plans, but never makes one dearer.
    """
    best, best_cost = first, _cost(first)
    most = best_cost[0] if best_cost is not None else None
    for packing in others:
        cost = _cost(packing) if _keeps_node_limits(first, packing) else None
        if cost is None or (most is not None and cost[0] > most):
            continue
        if best_cost is None or sum(cost) < sum(best_cost):
            best, best_cost = packing, cost
    return best


def _keeps_node_limits(first: Packing, packing: Packing) -> bool:
    limited = [t for t in first.placed.prepared.templates if NODES in t.limits]
    opened = Counter(node.template.name for node in packing.nodes)
    return all(opened[t.name] <= _most_nodes(first.placed, t) for t in limited)


def _cost(packing: Packing) -> tuple[int, int] | None:
    """(price, cost of having the nodes) in nano-USD an hour; None where a node fails at the end."""
    settings = packing.placed.settings
    good, failed = finished(packing.nodes, settings)
    if failed:
        return None
    return sum(n.price_nano for n in good), settings.node_cost_nano * len(packing.nodes)


def is_loose(shape: Shape) -> bool:
    """Whether a pod may go anywhere its own spec allows: no other pod minds, and none of its wishes was given up."""
    return (
        shape.free
        and not shape.counted
        and not shape.inverse
        and not shape.wishes.any_preference
        and not shape.mold.ports
        and shape.mold.alternatives == (EMPTY,)
    )


def repacked(placed: FirstFit, elapsed: Elapsed) -> tuple[Packing | None, tuple[Covering, int, str] | None]:
    """(the pass's pods with the loose ones packed anew, the covering problem with its bound), None where it failed."""
    frozen: set[str] = set()
    while True:
        kept, loose = _taken_off(placed, frozen)
        loose = _topped_up(placed, kept, loose)
        if not loose:
            return (Packing(placed, kept), None)
        problem = _problem(placed, kept, loose, frozen)
        answer = solve(problem.problem, elapsed=elapsed, budget_s=placed.settings.budget_s)
        if answer.patterns is None:
            return None, (problem, answer.bound, answer.proof)
        built = _built(placed, problem, answer.patterns, loose, kept)
        if isinstance(built, list):
            return Packing(placed, [*kept, *built]), (problem, answer.bound, answer.proof)
        frozen.add(built)


_Loose = dict[Lot, list[tuple[str, Shape]]]


def _taken_off(placed: FirstFit, frozen: set[str]) -> tuple[list[OpenNode], _Loose]:
    """(the nodes without their loose pods, the loose pods by lot); reserved nodes and `frozen` pools stay whole."""
    kept: list[OpenNode] = []
    loose: _Loose = {}
    lots: dict[tuple[Shape, str], Lot | None] = {}
    for node in placed.open:
        if node.held or node.template.name in frozen or _over_gpu_cap(placed, node) or _has_guest(placed, node):
            kept.append(node.copy())
            continue
        bound = []
        for pod, shape in zip(node.pods, node.shapes, strict=True):
            question = (shape, node.template.name)
            if question not in lots:
                lots[question] = _lot(placed, shape, node.template, frozen)
            lot = lots[question]
            if lot is None:
                bound.append((pod, shape))
            else:
                loose.setdefault(lot, []).append((pod, shape))
        if bound:
            kept.append(_rebuilt(placed, node, bound))
    return kept, loose


def _over_gpu_cap(placed: FirstFit, node: OpenNode) -> bool:
    cap = placed.settings.max_gpus_per_node
    return bool(cap) and any(gpu_count(dict(s.mold.requests)) > cap for s in node.shapes)


def _has_guest(placed: FirstFit, node: OpenNode) -> bool:
    """Whether a pod is there only because another pod's demands made a label of the node known."""
    return any(placed.is_guest(node.template, shape.mold) for shape in node.shapes)


def _lot(placed: FirstFit, shape: Shape, home: Template, frozen: set[str]) -> Lot | None:
    """A loose pod's lot; None for a pod that is bound to where it is.

    It may open nodes of its first choice, or of the pool that the pass fell back to where that choice is none.
    """
    lot = Lot(shape.mold.requests, (shape.mold.requirements,), shape.mold.tolerations, None)
    if not is_loose(shape) or not accepts(home, lot):
        return None
    choices = first_choices(placed.prepared, lot) or frozenset()
    openers = choices if len(choices) == 1 and not choices & frozen else frozenset((home.name,))
    return msgspec.structs.replace(lot, openers=openers)


def _rebuilt(placed: FirstFit, node: OpenNode, pods: Iterable[tuple[str, Shape]]) -> OpenNode:
    """The node with fewer pods: what topology and volumes decided stays, else it is as if the others had never come."""
    template = node.template
    fresh = OpenNode(template, node.index, placed.prepared_types(template))
    requirements = template.requirements
    decided = set(placed.prepared.topology.keys())
    for pod, shape in pods:
        requirements = requirements.merged(shape.mold.requirements)
        decided.update(r.key for way in shape.mold.alternatives for r in way)
        fresh.pods.append(pod)
        fresh.shapes.append(shape)
        fresh.ports.extend(shape.mold.ports)
        for resource, amount in shape.mold.requests:
            fresh.used[resource] = fresh.used.get(resource, 0) + amount
    for key in sorted(decided):
        requirement = node.requirements.get(key)
        if requirement is not None:
            requirements = requirements.with_(requirement)
    fresh.requirements = requirements
    fresh.types = _types_for(fresh, requirements) & _within_charge(node)
    fresh.charged = node.charged
    return fresh


def _types_for(node: OpenNode, requirements: Requirements) -> Bits:
    template = node.template
    types = node.types & template.universe.eligible(requirements)
    for resource, amount in node.used.items():
        types &= template.room.holding(resource, amount)
    return types & ~template.port_blocked(node.ports) if node.ports else types


def _within_charge(node: OpenNode) -> Bits:
    """Types that take no more of the pool's limits than the node was charged with."""
    universe = node.template.universe
    types = universe.all
    for resource, amount in node.charged.items():
        types &= ~universe.capacity_room.holding(resource, amount + 1)
    return types


def _topped_up(placed: FirstFit, kept: Iterable[OpenNode], loose: _Loose) -> _Loose:
    """Fill kept nodes with loose pods as long as that costs nothing; the loose pods that are left."""
    left = {lot: list(pods) for lot, pods in loose.items()}
    order = sorted(left, key=lambda lot: (-gpu_count(dict(lot.requests)), [-a for _, a in lot.requests], str(lot)))
    for node in kept:
        if node.held:
            continue
        price = _price(node)
        for lot in order:
            while left[lot]:
                pod, shape = left[lot][-1]
                fit = placed.fit(node, shape)
                if not isinstance(fit, Fit) or _price_of(node.template, fit.types, fit.requirements) != price:
                    break
                node.take(pod, shape, fit)
                left[lot].pop()
    return {lot: pods for lot, pods in left.items() if pods}


def _price(node: OpenNode) -> int | None:
    return _price_of(node.template, node.types, node.requirements)


def _price_of(template: Template, types: Bits, requirements: Requirements) -> int | None:
    return template.universe.cheapest(types, template.universe.cells_for(requirements))


def _problem(placed: FirstFit, kept: Iterable[OpenNode], loose: _Loose, frozen: set[str]) -> Covering:
    prepared = placed.prepared
    limits: dict[str, Amounts] = {}
    for template in prepared.templates:
        if template.limits:
            left = dict(prepared.remaining[template.name])
            if NODES in left:
                left[NODES] = _most_nodes(placed, template)
            for node in kept:
                if node.template is template:
                    add(left, {resource: -amount for resource, amount in node.charged.items()})
                    left[NODES] = left.get(NODES, 0) - 1
            limits[template.name] = {r: max(a, 0) for r, a in left.items() if r in template.limits}
    on_sale = {t.name: 0 if t.name in frozen else placed.prepared_types(t) for t in prepared.templates}
    demands = {lot: len(pods) for lot, pods in loose.items()}
    return covering(prepared, demands, on_sale, limits=limits, capped=True)


def _most_nodes(placed: FirstFit, template: Template) -> int:
    """How many nodes a pool with a limit on nodes may open: what is left, or as many as first-fit did if that is more.

    A pass does not charge this limit, as with the peer, but a cheaper plan must not strain it further.
    """
    opened = sum(node.template is template for node in placed.open)
    return max(placed.prepared.remaining[template.name][NODES], opened)


def _built(
    placed: FirstFit,
    problem: Covering,
    patterns: Iterable[tuple[int, tuple[int, ...], int]],
    loose: _Loose,
    kept: list[OpenNode],
) -> list[OpenNode] | str:
    """The patterns as nodes, through the same checks as the pass's; the name of a pool whose node was refused."""
    waiting = {lot: iter(pods) for lot, pods in loose.items()}
    nodes: list[OpenNode] = []
    index = max((n.index for n in kept), default=-1) + 1
    for config, counts, multiplicity in patterns:
        meaning = problem.configurations[config]
        for _ in range(multiplicity):
            node = OpenNode(meaning.template, index + len(nodes), _allowed_types(placed, problem, config))
            opened = problem.problem.configs[config].openers
            lots = sorted(range(len(counts)), key=lambda i: (not opened >> i & 1, i))
            for i in lots:
                for _ in range(counts[i]):
                    pod, shape = next(waiting[problem.lots[i]])
                    fit = placed.fit(
                        node, shape, lower_min_values=not node.pods and placed.settings.best_effort_min_values
                    )
                    if not isinstance(fit, Fit):
                        for built in (*nodes, node):
                            placed.reservations.hold(built.held, frozenset())
                        return meaning.template.name
                    placed.reservations.hold(node.held, fit.held)
                    node.take(pod, shape, fit)
            nodes.append(node)
    return nodes


def _allowed_types(placed: FirstFit, problem: Covering, config: int) -> Bits:
    """The types that a pattern's node may be: no more of a limited resource than the pattern was charged with."""
    meaning = problem.configurations[config]
    universe = meaning.template.universe
    types = placed.prepared_types(meaning.template)
    for resource in meaning.template.limits:
        if resource != "nodes":
            most = universe.capacity[meaning.type].get(resource, 0)
            types &= ~universe.capacity_room.holding(resource, most + 1)
    return types
