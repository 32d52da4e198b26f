"""Orders: a planned node, or a static pool's next one, as the NodeClaim that asks for it.

Source: Karpenter v1.14 pkg/controllers/provisioning/scheduling nodeclaimtemplate.go (ToNodeClaim), nodeclaim.go
(FinalizeScheduling), pkg/controllers/static.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping

from fretsaw.api.labels import CAPACITY_TYPE, HOSTNAME, INSTANCE_TYPE, NODEPOOL, RESTRICTED_KEYS, WELL_KNOWN
from fretsaw.api.meta import ObjectMeta, OwnerReference
from fretsaw.api.nodeclaim import NodeClaim, NodeClaimResources, NodeClaimSpec
from fretsaw.api.nodepool import NodePool
from fretsaw.api.resources import render
from fretsaw.api.selection import NodeSelectorRequirement
from fretsaw.api.times import Millis, rfc3339
from fretsaw.engine.finish import Node
from fretsaw.engine.pool_hash import HASH, HASH_VERSION, VERSION, pool_hash
from fretsaw.engine.requests import Amounts
from fretsaw.engine.requirement import Requirement
from fretsaw.engine.requirements import Requirements
from fretsaw.engine.template import requirements_of

MIN_VALUES_RELAXED = "karpenter.sh/nodeclaim-min-values-relaxed"
PRICE_OVERLAY = "karpenter.sh/price-overlay-applied"
OVERLAID = "nodeoverlay"
"""The price source of an offering whose price an overlay has set."""
NAME_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
"""What Kubernetes makes generated names of: no vowels, so no words; none that look like another."""
_SUFFIX = 5


def fresh_name(pool: str, occasion: str, taken: Collection[str]) -> str:
    """A claim's name: the pool's and five letters, the same for the same occasion, and none of `taken`."""
    attempt = 0
    while True:
        number = int.from_bytes(hashlib.sha256(f"{pool}/{occasion}/{attempt}".encode()).digest()[:8], "big")
        letters = []
        for _ in range(_SUFFIX):
            number, at = divmod(number, len(NAME_LETTERS))
            letters.append(NAME_LETTERS[at])
        name = f"{pool}-{''.join(letters)}"
        if name not in taken:
            return name
        attempt += 1


def claim_of(node: Node, pool: NodePool, name: str, now: Millis | None = None) -> NodeClaim:
    """The NodeClaim that orders a planned node: any of its types, with room for its pods and its daemons.

    name: unique among claims; see `fresh_name`. now: its creation, left out where the API server writes it.
    """
    universe = node.open.template.universe
    types = [t for _, t, _ in node.candidates]
    kept = node.requirements.get(INSTANCE_TYPE)
    listed = Requirement(
        INSTANCE_TYPE, (universe.names[t] for t in types), min_values=kept.min_values if kept is not None else None
    )
    requirements = node.requirements.without(HOSTNAME).replaced(listed).with_(_capacity_types(node))
    annotations = {MIN_VALUES_RELAXED: "true" if node.open.min_values_lowered else "false"}
    if any(universe.cells[c].price_source.get(t) == OVERLAID for _, t, c in node.candidates):
        annotations[PRICE_OVERLAY] = "true"
    requests = {r: render(r, amount) for r, amount in sorted(_requests(node).items())}
    return _claim(pool, name, requirements, requests, annotations, now, WELL_KNOWN | universe.well_known)


def static_claim(pool: NodePool, name: str, now: Millis | None = None) -> NodeClaim:
    """The NodeClaim of a static pool's node: its template as it is, for no pod in particular."""
    return _claim(pool, name, requirements_of(pool), {}, {MIN_VALUES_RELAXED: "false"}, now, WELL_KNOWN)


def _claim(
    pool: NodePool,
    name: str,
    requirements: Requirements,
    requests: Mapping[str, str],
    annotations: Mapping[str, str],
    now: Millis | None,
    well_known: Collection[str],
) -> NodeClaim:
    template, spec = pool.spec.template.metadata, pool.spec.template.spec
    own = {NODEPOOL: pool.metadata.name, spec.node_class_ref.label: spec.node_class_ref.name}
    owner = OwnerReference(
        kind="NodePool",
        name=pool.metadata.name,
        uid=pool.metadata.uid,
        api_version="karpenter.sh/v1",
        block_owner_deletion=True,
    )
    metadata = ObjectMeta(
        name=name,
        generate_name=f"{pool.metadata.name}-",
        labels={**_chosen(requirements, well_known), **template.labels, **own},
        annotations={**template.annotations, HASH: pool_hash(pool), HASH_VERSION: VERSION, **annotations},
        owner_references=(owner,),
        creation_timestamp=None if now is None else rfc3339(now),
    )
    return NodeClaim(
        metadata=metadata,
        spec=NodeClaimSpec(
            node_class_ref=spec.node_class_ref,
            requirements=tuple(entry for r in requirements for entry in entries(r)),
            taints=spec.taints,
            startup_taints=spec.startup_taints,
            resources=NodeClaimResources(requests=dict(requests)),
            termination_grace_period=spec.termination_grace_period,
            expire_after=spec.expire_after,
        ),
    )


def entries(requirement: Requirement) -> Iterator[NodeSelectorRequirement]:
    """A requirement as list entries: bounds are entries of their own, and `Gt` and `Lt` do not occur."""
    bounds = [("Gte", requirement.gte), ("Lte", requirement.lte)]
    given = [(operator, str(bound)) for operator, bound in bounds if bound is not None]
    if requirement.values or not given:
        values = tuple(sorted(requirement.values))
        yield NodeSelectorRequirement(requirement.key, requirement.operator, values, requirement.min_values)
    for operator, value in given:
        yield NodeSelectorRequirement(requirement.key, operator, (value,), requirement.min_values)


def _capacity_types(node: Node) -> Requirement:
    """The capacity types in which any of the node's types can be had."""
    cells = node.open.template.universe.cells
    types = sum(1 << t for _, t, _ in node.candidates)
    found = {cell.capacity_type for c, cell in enumerate(cells) if node.cells >> c & 1 and cell.on_sale & types}
    return Requirement(CAPACITY_TYPE, found)


def _requests(node: Node) -> Amounts:
    """The pods' requests, and of those of the daemons what every type the node can be has at least."""
    found = dict(node.open.used)
    overheads = [node.open.template.overhead(t) for _, t, _ in node.candidates]
    for resource in sorted({r for overhead in overheads for r in overhead}):
        least = min(overhead.get(resource, 0) for overhead in overheads)
        if least:
            found[resource] = found.get(resource, 0) + least
    return found


def _chosen(requirements: Requirements, well_known: Collection[str]) -> dict[str, str]:
    """One value for each of the user's own labels; the peer picks any, here it is the first."""
    found = {}
    for requirement in requirements:
        if requirement.key in well_known or requirement.key in RESTRICTED_KEYS:
            continue
        if (value := _first_value(requirement)) is not None:
            found[requirement.key] = value
    return found


def _first_value(requirement: Requirement) -> str | None:
    """The first text, or for a set that is open the least whole number, that a label may be; None for none."""
    if not requirement.complement:
        return min(requirement.values, default=None)
    if requirement.gte is not None:
        number = requirement.gte
    else:
        number = 0 if requirement.lte is None else min(0, requirement.lte)
    while str(number) in requirement.values:
        number += 1
    return str(number) if requirement.has(str(number)) else None
