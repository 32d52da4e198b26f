"""Nodes that exist or are on their way, as one view of Node and NodeClaim.

Until a node has registered, its claim says what its labels and taints are; until it is initialised, the claim fills in
resources that the node does not report yet (a GPU that its driver has not announced).

Source: Karpenter v1.14 pkg/controllers/state/statenode.go, cluster.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from fretsaw.api.labels import HOSTNAME, INSTANCE_TYPE, NODEPOOL, normalize
from fretsaw.api.node import CSINode, Node, Taint
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.resources import units
from fretsaw.engine.requests import Amounts
from fretsaw.engine.taints import is_ephemeral, same

REGISTERED = "karpenter.sh/registered"
INITIALIZED = "karpenter.sh/initialized"


class StateNode(msgspec.Struct, frozen=True):
    """A node as placement sees it."""

    name: str
    """The node's name, or its claim's until it has registered."""
    node_name: str
    """The name that pods are bound to; empty before there is a Node."""
    machine: str
    """The claim's name, or the node's where there is no claim."""
    hostname: str
    labels: Mapping[str, str]
    """Keys normalised."""
    taints: tuple[Taint, ...]
    capacity: Amounts
    allocatable: Amounts
    initialized: bool
    deleting: bool
    volume_limits: Mapping[str, int]
    """Volumes that fit, by driver; drivers without a known limit are left out."""

    @property
    def pool(self) -> str:
        """The NodePool that the node belongs to, empty for none."""
        return self.labels.get(NODEPOOL, "")


Known = dict[str, tuple[object, object, object, "StateNode"]]
"""Views made before, by machine, with the objects that they were made from."""


def state_nodes(
    nodes: Iterable[Node], claims: Iterable[NodeClaim], csi_nodes: Iterable[CSINode], known: Known | None = None
) -> tuple[StateNode, ...]:
    """One StateNode for each machine, ordered by name. Claims that have not launched are left out: nothing is known.

    known: views made before, which are taken over where the objects are the same, and renewed where they are not.
    """
    drivers = {csi.metadata.name: csi for csi in csi_nodes}
    launched = {c.status.provider_id: c for c in claims if c.status.provider_id}
    memory = {} if known is None else known
    found = []
    for node in nodes:
        if _is_known(node):
            claim = launched.pop(node.spec.provider_id, None) if node.spec.provider_id else None
            found.append(_view(node, claim, drivers.get(node.metadata.name), memory))
    found.extend(_view(None, claim, None, memory) for claim in launched.values())
    return tuple(sorted(found, key=lambda n: (n.name, n.node_name)))


def state_node(
    node: Node | None, claim: NodeClaim | None, csi_nodes: Mapping[str, CSINode], known: Known
) -> StateNode | None:
    """The view of one machine as `state_nodes` has it; None where nothing is known of it yet.

    node, claim: of one instance, and the only ones of it. csi_nodes: by name.
    """
    if node is not None and _is_known(node):
        return _view(node, claim, csi_nodes.get(node.metadata.name), known)
    return _view(None, claim, None, known) if claim is not None and claim.status.provider_id else None


def _view(node: Node | None, claim: NodeClaim | None, csi: CSINode | None, known: Known) -> StateNode:
    name = claim.metadata.name if claim is not None else node.metadata.name if node is not None else ""
    before = known.get(name)
    if before is not None and before[0] is node and before[1] is claim and before[2] is csi:
        return before[3]
    view = _merged(node, claim, _limits(csi) if csi is not None else {})
    known[name] = (node, claim, csi, view)
    return view


def _is_known(node: Node) -> bool:
    """Whether the node can be told apart: a pool's node without a provider id or a type is still being set up."""
    labels = node.metadata.labels
    if not labels.get(NODEPOOL):
        return True
    return bool(node.spec.provider_id) and bool(labels.get(INSTANCE_TYPE) or labels.get(INITIALIZED))


def _limits(csi: CSINode) -> dict[str, int]:
    return {
        driver.name: driver.allocatable.count
        for driver in csi.spec.drivers
        if driver.allocatable is not None and driver.allocatable.count is not None
    }


def _merged(node: Node | None, claim: NodeClaim | None, volume_limits: Mapping[str, int]) -> StateNode:
    own = node.metadata.labels if node is not None else {}
    registered = claim is None or own.get(REGISTERED) == "true"
    initialized = claim is None or own.get(INITIALIZED) == "true"
    from_claim = claim is not None and (node is None or not registered)
    labels = {normalize(k): v for k, v in (claim.metadata.labels if claim and from_claim else own).items()}
    node_name = node.metadata.name if node is not None else ""
    name = claim.metadata.name if claim is not None and from_claim else node_name
    return StateNode(
        name=name,
        node_name=node_name,
        machine=claim.metadata.name if claim is not None else node_name,
        hostname=labels.get(HOSTNAME) or name,
        labels=labels,
        taints=_taints(node, claim, from_claim=from_claim, initialized=initialized),
        capacity=_amounts(node, claim, "capacity", initialized=initialized),
        allocatable=_amounts(node, claim, "allocatable", initialized=initialized),
        initialized=initialized,
        deleting=_deleting(node, claim),
        volume_limits=volume_limits,
    )


def _taints(node: Node | None, claim: NodeClaim | None, *, from_claim: bool, initialized: bool) -> tuple[Taint, ...]:
    taints = claim.spec.taints if claim is not None and from_claim else node.spec.taints if node is not None else ()
    if claim is None or initialized:
        return taints
    return tuple(t for t in taints if not is_ephemeral(t) and not any(same(t, s) for s in claim.spec.startup_taints))


def _amounts(node: Node | None, claim: NodeClaim | None, field: str, *, initialized: bool) -> Amounts:
    own: Mapping[str, str | int | float] = getattr(node.status, field) if node is not None else {}
    found = {resource: units(resource, quantity, up=False) for resource, quantity in own.items()}
    if claim is None or initialized:
        return found
    for resource, quantity in getattr(claim.status, field).items():
        if not found.get(resource):
            found[resource] = units(resource, quantity, up=False)
    return found


def _deleting(node: Node | None, claim: NodeClaim | None) -> bool:
    if claim is None:
        return node is not None and bool(node.metadata.deletion_timestamp)
    terminating = claim.condition("InstanceTerminating")
    return bool(claim.metadata.deletion_timestamp) or (terminating is not None and terminating.status == "True")
