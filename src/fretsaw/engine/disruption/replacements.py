"""A planned node narrowed to what a consolidation may buy: cheaper types only, one capacity type.

Prices are nano-USD an hour. Every function returns a new node; None, or an empty list of types, where nothing is left.
Source: Karpenter v1.14 pkg/controllers/provisioning/scheduling nodeclaim.go (RemoveInstanceTypeOptionsByPrice…),
pkg/cloudprovider types.go (WorstLaunchPrice), pkg/controllers/disruption multinodeconsolidation.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from fretsaw.api.labels import CAPACITY_TYPE
from fretsaw.engine.finish import Node
from fretsaw.engine.requirement import Requirement
from fretsaw.engine.template import min_values_unmet

SPOT = "spot"
ON_DEMAND = "on-demand"


def names(node: Node) -> tuple[str, ...]:
    """The node's types, cheapest first."""
    universe = node.open.template.universe
    return tuple(universe.names[t] for _, t, _ in node.candidates)


def cheaper(node: Node, than: int) -> Node:
    """The node with only those types whose launch costs less than `than` even at its dearest."""
    kept = node.open.template.universe.safely_below(than, node.candidates, node.cells)
    return msgspec.structs.replace(node, candidates=kept)


def among(node: Node, allowed: Iterable[str]) -> Node:
    """The node with only those types that are named."""
    universe = node.open.template.universe
    wanted = {universe.number[name] for name in allowed if name in universe.number}
    return _kept(node, wanted.__contains__)


def _kept(node: Node, keep: Callable[[int], bool]) -> Node:
    return msgspec.structs.replace(node, candidates=tuple(entry for entry in node.candidates if keep(entry[1])))


def unmet(node: Node) -> tuple[str, ...]:
    """Labels whose `minValues` the node's types do not reach."""
    types = sum(1 << t for _, t, _ in node.candidates)
    return tuple(sorted(min_values_unmet(node.open.template.universe, node.requirements, types)))


def allows(node: Node, capacity_type: str) -> bool:
    """Whether the node's requirements admit a capacity type."""
    requirement = node.requirements.get(CAPACITY_TYPE)
    return requirement is None or requirement.has(capacity_type)


def as_spot(node: Node) -> Node:
    """The node bought as spot or not at all: a dearer on-demand node must not come in its place."""
    universe = node.open.template.universe
    requirements = node.requirements.with_(Requirement(CAPACITY_TYPE, (SPOT,)))
    cells = universe.cells_for(requirements)
    types = sum(1 << t for _, t, _ in node.candidates)
    candidates = universe.cheapest_first(types, cells, len(node.candidates))
    return msgspec.structs.replace(node, requirements=requirements, cells=cells, candidates=candidates)


def cheapest_types(node: Node, most: int) -> Node:
    """The node with its `most` cheapest types, or as many as its `minValues` need if that is more."""
    count = most
    while count < len(node.candidates) and unmet(_first(node, count)):
        count += 1
    return _first(node, count)


def _first(node: Node, count: int) -> Node:
    return msgspec.structs.replace(node, candidates=node.candidates[:count])
