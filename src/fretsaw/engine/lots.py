"""From pods and pools to a covering problem: lots of equal pods, and the configurations of nodes that could hold them.

A configuration is concrete (pool, instance type, offerings that the same pods may use), so that pods which fit it one
by one fit it together as far as labels go. Used twice: for the packing (what may really be built) and for the bound
(every plan that keeps the pools' rules, the peer's own plans included).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from fretsaw.api.affinity import Toleration
from fretsaw.engine.covering import Config, Item, Problem
from fretsaw.engine.prepare import Prepared
from fretsaw.engine.requirements import Requirements
from fretsaw.engine.shape import gpu_count
from fretsaw.engine.template import Template
from fretsaw.engine.universe import Bits, Cell, bits


class Lot(msgspec.Struct, frozen=True):
    """Pods that a node cannot tell apart."""

    requests: tuple[tuple[str, int], ...]
    alternatives: tuple[Requirements, ...]
    """What the node must be, as alternatives of which one has to hold."""
    tolerations: tuple[Toleration, ...]
    openers: frozenset[str] | None
    """Pools that the lot may open a node of; on those of others it may only ride along. None: all that take it."""
    companions: tuple[tuple[int, int], ...] = ()
    """(group, most on one node): groups of which one node takes only so many pods, as host anti-affinity demands."""


class Configuration(msgspec.Struct, frozen=True):
    """What a covering configuration stands for."""

    template: Template
    type: int
    cells: Bits


class Covering(msgspec.Struct, frozen=True):
    """A covering problem with what its numbers mean."""

    problem: Problem
    lots: tuple[Lot, ...]
    configurations: tuple[Configuration, ...]
    columns: tuple[str, ...]


def covering(
    prepared: Prepared,
    demands: Mapping[Lot, int],
    on_sale: Mapping[str, Bits],
    *,
    limits: Mapping[str, Mapping[str, int]] | None = None,
    reserved: bool = False,
    capped: bool = False,
) -> Covering:
    """The problem of covering `demands`.

    on_sale: the types that each pool may use. limits: what is left of each pool's limits; None: limits do not matter
    (a relaxation). reserved: whether reserved offerings may be used. capped: whether the settings' caps on pods and
    GPUs for one node hold.
    """
    lots = tuple(sorted(demands, key=_order))
    columns = tuple(sorted({resource for lot in lots for resource, _ in lot.requests}))
    groups = sorted({group for lot in lots for group in lot.companions})
    settings = prepared.settings
    cap_gpus = settings.max_gpus_per_node if capped else 0
    items = tuple(Item(demands[lot], _size(lot, columns, groups, cap_gpus)) for lot in lots)
    rows = [(pool, r) for pool, left in sorted((limits or {}).items()) for r in sorted(left)]
    configs: list[Config] = []
    meanings: list[Configuration] = []
    for template in prepared.templates:
        openers = _openers(lots, template)
        for t, cells, allowed, price in _kinds_of_nodes(template, lots, on_sale[template.name], reserved=reserved):
            if not allowed & openers:
                continue
            capacity = (
                *_capacity(template, t, columns),
                *(most for _, most in groups),
                *((cap_gpus,) if cap_gpus else ()),
            )
            config = Config(
                price=price,
                capacity=capacity,
                allowed=allowed,
                openers=openers & allowed,
                cap_items=_cap(settings.max_pods_per_node if capped else 0, capacity, items, allowed),
                key=f"{template.name} {template.universe.names[t]} {cells:x}",
                limit_use=tuple(
                    (i, 1 if resource == "nodes" else template.universe.capacity[t].get(resource, 0))
                    for i, (pool, resource) in enumerate(rows)
                    if pool == template.name
                ),
            )
            configs.append(config)
            meanings.append(Configuration(template, t, cells))
    problem = Problem(
        items=items,
        configs=tuple(configs),
        limits=tuple((limits or {})[pool][resource] for pool, resource in rows),
        fixed_cost=settings.node_cost_nano,
    )
    return Covering(problem, lots, tuple(meanings), columns)


def _order(lot: Lot) -> tuple[object, ...]:
    """An order of lots that depends on nothing but themselves, so that equal problems are equal."""
    return lot.requests, [str(a) for a in lot.alternatives], sorted(lot.openers or ()), lot.companions, repr(lot)


def _cap(most: int, capacity: Sequence[int], items: Sequence[Item], allowed: Bits) -> int | None:
    """The cap on pods of one node, None where its resources cap them as tightly anyway."""
    if not most:
        return None
    sizes = [item.size for i, item in enumerate(items) if allowed >> i & 1]
    for r, room in enumerate(capacity):
        least = min((size[r] for size in sizes), default=0)
        if least and room // least <= most:
            return None
    return most


def _size(lot: Lot, columns: Sequence[str], groups: Sequence[tuple[int, int]], cap_gpus: int) -> tuple[int, ...]:
    requests = dict(lot.requests)
    asked = tuple(requests.get(resource, 0) for resource in columns)
    together = tuple(int(group in lot.companions) for group in groups)
    return (*asked, *together, *((gpu_count(requests),) if cap_gpus else ()))


def _capacity(template: Template, t: int, columns: Iterable[str]) -> tuple[int, ...]:
    allocatable, taken = template.universe.allocatable[t], template.overhead(t)
    return tuple(max(allocatable.get(r, 0) - taken.get(r, 0), 0) for r in columns)


def _openers(lots: Sequence[Lot], template: Template) -> Bits:
    return sum(1 << i for i, lot in enumerate(lots) if lot.openers is None or template.name in lot.openers)


def _kinds_of_nodes(
    template: Template, lots: Sequence[Lot], on_sale: Bits, *, reserved: bool
) -> Iterator[tuple[int, Bits, Bits, int]]:
    """(type, cells, lots that fit by label and taint, price) for each type and set of cells that the same lots may use.

    Of the cells of one set only the cheapest price counts.
    """
    universe = template.universe
    reach = [list(reachable(template, lot)) for lot in lots]
    usable = universe.cells_for(template.requirements)
    if not reserved:
        usable &= ~universe.reserved_cells
    classes: dict[tuple[Bits, ...], Bits] = {}
    distinct = sorted({cells for found in reach for _, cells in found})
    for c in bits(usable):
        membership = tuple(cells >> c & 1 for cells in distinct)
        classes[membership] = classes.get(membership, 0) | 1 << c
    for membership, cells in sorted(classes.items(), key=lambda entry: entry[1]):
        inside = {d for d, member in zip(distinct, membership, strict=True) if member}
        by_type: dict[int, Bits] = {}
        for i, found in enumerate(reach):
            types = 0
            for admitted, of in found:
                if of in inside:
                    types |= admitted
            for t in bits(types & on_sale):
                by_type[t] = by_type.get(t, 0) | 1 << i
        prices = universe.prices(cells)
        for t, allowed in sorted(by_type.items()):
            if t in prices:
                yield t, cells, allowed, prices[t][0]


def reachable(template: Template, lot: Lot) -> Iterator[tuple[Bits, Bits]]:
    """(types, cells) of a pool's nodes that a lot may be on, one pair for each of its alternatives."""
    universe = template.universe
    for wanted in lot.alternatives:
        if template.refusal(wanted, lot.tolerations) is None:
            together = template.requirements.merged(wanted)
            types = template.types & universe.compatible(together)
            if types:
                yield types, universe.cells_for(together)


def has_room(template: Template, lot: Lot, types: Bits) -> Bits:
    """The types among `types` with room for one pod of the lot."""
    for resource, amount in lot.requests:
        types &= template.room.holding(resource, amount)
    return types


def accepts(template: Template, lot: Lot) -> bool:
    """Whether an empty node of the pool could take a pod of the lot, limits aside."""
    universe = template.universe
    return any(has_room(template, lot, types & universe.on_sale(cells)) for types, cells in reachable(template, lot))


def reservation_rooms(prepared: Prepared) -> Iterator[tuple[Template, Cell, Bits]]:
    """Every reservation that a pool can reach, with the types it is for."""
    for template in prepared.templates:
        universe = template.universe
        for c in bits(universe.reserved_cells & universe.cells_for(template.requirements)):
            yield template, universe.cells[c], universe.cells[c].on_sale & template.types
