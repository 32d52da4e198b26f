"""The end of a pass: open nodes become orders, with their types by price, and values that can be printed.

A node that holds reservations is bought from them alone; a node that could be too many types is cut to the cheapest.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from fretsaw.api.labels import CAPACITY_TYPE
from fretsaw.engine.places import OpenNode
from fretsaw.engine.plan import Candidate, Launch
from fretsaw.engine.requests import add
from fretsaw.engine.requirement import Requirement
from fretsaw.engine.requirements import Requirements
from fretsaw.engine.settings import Settings
from fretsaw.engine.shape import gpu_count
from fretsaw.engine.template import min_values_unmet
from fretsaw.engine.universe import RESERVATION_ID, RESERVED, Bits, Universe, bits

LISTED = 60
"""Instance types that a Launch lists."""
ON_DEMAND = "on-demand"


class Node(msgspec.Struct, frozen=True):
    """A planned node at the end of a pass: its final requirements, its types by price, and the pods on it."""

    open: OpenNode
    requirements: Requirements
    cells: Bits
    candidates: tuple[tuple[int, int, int], ...]
    """(nano-USD an hour, type, cell), cheapest first."""

    @property
    def price_nano(self) -> int:
        """The cheapest candidate's price."""
        return self.candidates[0][0]

    @property
    def price_usd(self) -> float:
        """The same as the catalog writes it."""
        _, t, c = self.candidates[0]
        return self.open.template.universe.cells[c].price_usd[t]


def finished(nodes: Iterable[OpenNode], settings: Settings) -> tuple[list[Node], list[OpenNode]]:
    """(the nodes as they will be ordered, those that fail `minValues` once their types are cut to the most allowed)."""
    good, failed = [], []
    for node in nodes:
        requirements = _with_reservation(node)
        universe = node.template.universe
        cells = universe.cells_for(requirements)
        candidates = universe.cheapest_first(node.types, cells, settings.max_instance_types)
        if len(candidates) == settings.max_instance_types and not settings.best_effort_min_values:
            kept = sum(1 << t for _, t, _ in candidates)
            if min_values_unmet(universe, requirements, kept):
                failed.append(node)
                continue
        good.append(Node(node, requirements, cells, candidates))
    return good, failed


def _with_reservation(node: OpenNode) -> Requirements:
    """A node that holds reservations is bought from them and from nothing else; another never from one."""
    if not node.held:
        if node.template.universe.reserved_cells:
            return node.requirements.with_(Requirement(CAPACITY_TYPE, (RESERVED,), complement=True))
        return node.requirements
    reserved = node.requirements.replaced(Requirement(CAPACITY_TYPE, (RESERVED,)))
    return reserved.with_(Requirement(RESERVATION_ID, node.held)) if _has_ids(node) else reserved


def _has_ids(node: OpenNode) -> bool:
    return node.template.universe.carries(RESERVATION_ID)


def launches(nodes: Iterable[Node]) -> list[Launch]:
    """The nodes as values, named after their pool in the order of opening."""
    counts: dict[str, int] = {}
    listed: dict[tuple[int, int], tuple[Candidate, ...]] = {}
    found = []
    for node in nodes:
        pool = node.open.template.name
        counts[pool] = counts.get(pool, 0) + 1
        known = (id(node.open.template.universe), id(node.candidates))
        if known not in listed:
            listed[known] = _listed(node.open.template.universe, node.candidates)
        found.append(_launch(node, f"{pool}-{counts[pool]}", listed[known]))
    return found


def _launch(node: Node, name: str, candidates: tuple[Candidate, ...]) -> Launch:
    universe, template = node.open.template.universe, node.open.template
    best = node.candidates[0][1]
    requests = dict(node.open.used)
    add(requests, template.overhead(best))
    return Launch(
        name=name,
        node_pool=template.name,
        candidates=candidates,
        pods=tuple(node.open.pods),
        requirements=node.requirements.texts(),
        requests=tuple(sorted(requests.items())),
        allocatable=tuple(sorted(universe.allocatable[best].items())),
        gpus=gpu_count(universe.capacity[best]),
        gpus_requested=gpu_count(node.open.used),
        on_demand_usd_per_hour=_on_demand(node),
    )


def _listed(universe: Universe, candidates: tuple[tuple[int, int, int], ...]) -> tuple[Candidate, ...]:
    cells, names = universe.cells, universe.names
    return tuple(
        Candidate(
            names[t], cells[c].zone, cells[c].capacity_type, cells[c].price_usd[t], cells[c].price_source.get(t, "")
        )
        for _, t, c in candidates[:LISTED]
    )


def _on_demand(node: Node) -> float | None:
    """The cheapest on-demand price for the same pods on any of the node's types, in a zone that the node may use."""
    universe = node.open.template.universe
    free = node.requirements.without(CAPACITY_TYPE, RESERVATION_ID)
    cells = sum(1 << c for c in bits(universe.cells_for(free)) if universe.cells[c].capacity_type == ON_DEMAND)
    found = universe.cheapest_first(node.open.types, cells, 1)
    return universe.cells[found[0][2]].price_usd[found[0][1]] if found else None
