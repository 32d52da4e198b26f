"""Why one pod is where it is, and what would change that, each with a price.

Runs after a pass, for the one pod that a user asks about.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.api.labels import CAPACITY_TYPE
from fretsaw.api.resources import render
from fretsaw.engine.finish import Node
from fretsaw.engine.firstfit import FirstFit
from fretsaw.engine.places import OpenNode
from fretsaw.engine.plan import Explanation, Verdict
from fretsaw.engine.requests import add
from fretsaw.engine.requirement import Requirement
from fretsaw.engine.shape import Shape
from fretsaw.engine.template import Template
from fretsaw.engine.universe import NANO, Bits, bits
from fretsaw.engine.why import NO_MISS, last_shape, miss

SPOT = "spot"


def explanation(done: FirstFit, nodes: list[Node], pod: str) -> Explanation | None:
    """The explanation for `pod`; None for a pod that the pass did not have to place."""
    kind = next((kind for kind, name in done.prepared.queue if name == pod), None)
    if kind is None:
        return None
    node = next((n for n in nodes if pod in n.open.pods), None)
    if node is not None:
        shape = node.open.shapes[node.open.pods.index(pod)]
        return Explanation(pod, tuple(_verdicts(done, shape, node.open.template)), tuple(_changes(done, node, shape)))
    return Explanation(pod, tuple(_verdicts(done, last_shape(done, kind), None)))


def _verdicts(done: FirstFit, shape: Shape, chosen: Template | None) -> Iterator[Verdict]:
    """What became of each pool, in the order in which they are tried."""
    passed = False
    for template in done.prepared.templates:
        if template is chosen:
            passed = True
            yield Verdict(template.name, template.weight, "chosen")
            continue
        found = miss(done, template, shape)
        if found != NO_MISS:
            yield Verdict(template.name, template.weight, "refused", found[1], found[2])
        elif chosen is None or passed:
            yield Verdict(template.name, template.weight, "behind", _alone(done, template, shape))
        else:
            yield Verdict(template.name, template.weight, "shared", _alone(done, template, shape))
    for name, reason in sorted(done.prepared.unusable.items()):
        yield Verdict(name, 0, "refused", reason, f"nodepool/{name}")


def _alone(done: FirstFit, template: Template, shape: Shape) -> str:
    """What a node of this pool for the pod alone would be."""
    found = _cheapest_alone(done, template, shape)
    return f"alone there it would take {found}" if found else "it would take the pod"


def _cheapest_alone(done: FirstFit, template: Template, shape: Shape) -> str:
    universe = template.universe
    node = OpenNode(template, len(done.open), done.prepared_types(template))
    requirements = template.requirements.merged(shape.mold.requirements)
    types = node.roomy(shape.mold) & universe.eligible(requirements)
    found = universe.cheapest_first(types, universe.cells_for(requirements), 1)
    return _named(template, found[0]) if found else ""


def _named(template: Template, candidate: tuple[int, int, int]) -> str:
    """An offering in words: type, capacity type, zone and price."""
    _, t, c = candidate
    cell = template.universe.cells[c]
    return f"{template.universe.names[t]} {cell.capacity_type} in {cell.zone} at {usd(cell.price_usd[t])}"


def usd(price: float) -> str:
    """A price an hour with the digits that matter."""
    return f"${price:.4g}/h" if price < 1 else f"${price:.2f}/h"


def _changes(done: FirstFit, node: Node, shape: Shape) -> Iterator[str]:
    """What would make the node another one, the likeliest first."""
    template = node.open.template
    runner_up = _runner_up(node)
    if runner_up is not None:
        price, best = runner_up[0], node.candidates[0][0]
        rise = f" (+{100 * (price - best) / best:.0f} %)" if best else ""
        yield f"{_named(template, runner_up)} is the runner-up: it wins once the first choice costs more{rise}"
    yield from _nearly(node)
    yield from _with_spot(node)
    yield from _behind(done, node, shape)


def _runner_up(node: Node) -> tuple[int, int, int] | None:
    """The cheapest offering of another type."""
    first = node.candidates[0][1]
    return next((c for c in node.candidates if c[1] != first), None)


def _nearly(node: Node) -> Iterator[str]:
    """A cheaper type that lacks only a little of one resource."""
    template, universe = node.open.template, node.open.template.universe
    types = template.types & universe.eligible(node.requirements) & ~node.open.types
    best = node.candidates[0][0]
    for candidate in universe.cheapest_first(types, node.cells, 5):
        price, t, _ = candidate
        if price >= best:
            return
        short = _short(node.open, t)
        if len(short) == 1:
            (resource, amount), *_ = short.items()
            yield (
                f"{_named(template, candidate)} is cheaper and lacks {render(resource, amount)} of {resource} "
                f"for the pods of this node"
            )
            return


def _short(node: OpenNode, t: int) -> dict[str, int]:
    """What a type lacks for the pods of a node and the daemon pods, by resource."""
    needed = dict(node.used)
    add(needed, node.template.overhead(t))
    room = node.template.universe.allocatable[t]
    return {r: amount - room.get(r, 0) for r, amount in sorted(needed.items()) if amount > room.get(r, 0)}


def _with_spot(node: Node) -> Iterator[str]:
    """The same pods on spot, where the pool or a pod rules it out."""
    universe = node.open.template.universe
    if universe.cells[node.candidates[0][2]].capacity_type == SPOT:
        return
    asked = node.requirements.get(CAPACITY_TYPE)
    if asked is None or asked.has(SPOT):
        return
    cells = universe.cells_for(node.requirements.replaced(Requirement(CAPACITY_TYPE, (SPOT,))))
    found = universe.cheapest_first(_roomy(node), cells, 1)
    if found and found[0][0] < node.candidates[0][0]:
        where = f"nodepool/{node.open.template.name} or the pod"
        yield f"{_named(node.open.template, found[0])} is cheaper, but {where} asks for {asked}"


def _roomy(node: Node) -> Bits:
    """Types that hold the node's pods and meet its requirements but for the capacity type."""
    universe = node.open.template.universe
    types = universe.compatible(node.requirements.without(CAPACITY_TYPE))
    return sum(1 << t for t in bits(types) if not _short(node.open, t))


def _behind(done: FirstFit, node: Node, shape: Shape) -> Iterator[str]:
    """A pool that is tried later and would be cheaper for this pod alone."""
    chosen = node.open.template
    if len(node.open.pods) > 1:
        return
    for template in done.prepared.templates[done.prepared.templates.index(chosen) + 1 :]:
        if miss(done, template, shape) == NO_MISS:
            universe = template.universe
            requirements = template.requirements.merged(shape.mold.requirements)
            types = OpenNode(template, 0, template.types).roomy(shape.mold) & universe.eligible(requirements)
            price = universe.cheapest(types, universe.cells_for(requirements))
            if price is not None and price < node.price_nano:
                found = _cheapest_alone(done, template, shape)
                saved = usd((node.price_nano - price) / NANO)
                yield (
                    f"nodepool/{template.name} would take it on {found}, {saved} less, "
                    f"but its weight {template.weight} puts it behind {chosen.name} ({chosen.weight})"
                )
                return
