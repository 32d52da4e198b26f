"""The second part of a claim's life: its node joins, gets the claim's labels and taints, and becomes ready for pods.

Each step writes the node first; the claim says that it was done once the node shows it. So a write that was lost is
made again, and never is a claim Registered whose node is not.

Source: Karpenter v1.14 pkg/controllers/nodeclaim/lifecycle (registration.go, initialization.go).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec.structs import replace

from fretsaw.api.labels import NODEPOOL
from fretsaw.api.meta import OwnerReference
from fretsaw.api.node import Node, Taint
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.resources import Quantity, units
from fretsaw.api.times import SECOND, Millis
from fretsaw.engine import events as e
from fretsaw.engine.lifecycle import TERMINATION
from fretsaw.engine.managed import is_managed_node
from fretsaw.engine.nodes import INITIALIZED, REGISTERED
from fretsaw.engine.sight import Sight
from fretsaw.engine.taints import UNREGISTERED, is_ephemeral, same

DO_NOT_SYNC = "karpenter.sh/do-not-sync-taints"
"""The node label with which a node says that it brings its taints itself."""
HOOKS_AGAIN: Millis = 5 * SECOND
"""The wait before hooks that were not ready are asked again."""


def register(sight: Sight, pending: Iterable[str] = ()) -> None:
    """Bring the claim's labels, annotations and taints to its node, once. pending: hooks that are not ready yet."""
    if sight.status("Registered") != "Unknown" or sight.status("Launched") != "True" or confirm_registered(sight):
        return
    nodes = sight.state.nodes_with(sight.provider_id)
    if len(nodes) > 1:
        names = ", ".join(node.metadata.name for node in nodes)
        sight.mark("Registered", "False", "MultipleNodesFound", f"several nodes name the instance: {names}")
    elif sight.node is None or sight.claim is None:
        sight.mark("Registered", "Unknown", "NodeNotFound", "Node not registered with cluster")
    else:
        _warn(sight, sight.node)
        waiting = ", ".join(pending)
        sight.node = synced(sight.node, sight.claim, done=not waiting)
        if waiting:
            sight.mark("Registered", "Unknown", "RegistrationHookPending", waiting)
            sight.wake_at(sight.now + HOOKS_AGAIN)


def confirm_registered(sight: Sight) -> bool:
    """Whether the node shows that it was synced; the claim then is Registered, and its pool hears of it."""
    node, claim = sight.machine.node, sight.claim
    if node is None or claim is None or node.metadata.labels.get(REGISTERED) != "true":
        return False
    if sight.status("Launched") != "True" or sight.status("Registered") != "Unknown":
        return False
    if len(sight.state.nodes_with(sight.provider_id)) > 1:
        return False
    sight.claim = replace(claim, status=replace(claim.status, node_name=node.metadata.name))
    sight.mark("Registered", "True")
    report_registration(sight, well=True)
    return True


def report_registration(sight: Sight, *, well: bool) -> None:
    """Tell the pool's history how the registration went, once for each claim, if the claim is the pool's own."""
    claim = sight.claim
    pool = sight.state.pools.get(claim.metadata.labels.get(NODEPOOL, "")) if claim is not None else None
    if claim is None or pool is None or sight.checked("registration") is not None:
        return
    owners = [owner.uid for owner in claim.metadata.owner_references if owner.kind == "NodePool"]
    if not owners or pool.metadata.uid in owners:
        sight.note(e.Registered(pool.metadata.name, well))
        sight.check("registration")


def synced(node: Node, claim: NodeClaim, *, done: bool) -> Node:
    """The node with all that it gets from its claim. done: it also loses the taint that kept pods away till now."""
    metadata = node.metadata
    labels = {**metadata.labels, **claim.metadata.labels}
    taints = node.spec.taints
    if metadata.labels.get(DO_NOT_SYNC) != "true":
        taints = (*taints, *_missing(taints, (*claim.spec.taints, *claim.spec.startup_taints)))
    if done:
        labels[REGISTERED] = "true"
        taints = tuple(taint for taint in taints if not same(taint, UNREGISTERED))
    return replace(
        node,
        metadata=replace(
            metadata,
            labels=labels,
            annotations={**metadata.annotations, **claim.metadata.annotations},
            finalizers=(*metadata.finalizers, *(f for f in (TERMINATION,) if f not in metadata.finalizers)),
            owner_references=(*metadata.owner_references, *_owner(node, claim)),
        ),
        spec=replace(node.spec, taints=taints),
    )


def label_node_class(sight: Sight) -> None:
    """Name the node class on a registered node that lacks it; without it nothing would end the node."""
    node, claim = sight.node, sight.claim
    if node is None or claim is None or is_managed_node(node) or not sight.machine.registered:
        return
    ref = claim.spec.node_class_ref
    labels = {**node.metadata.labels, ref.label: ref.name}
    sight.node = replace(node, metadata=replace(node.metadata, labels=labels))


def initialize(sight: Sight) -> None:
    """Find the node ready for pods, once; what comes later does not make it uninitialised."""
    if sight.status("Initialized") != "Unknown" or sight.status("Registered") != "True":
        return
    node, claim = sight.node, sight.claim
    if node is None or claim is None:
        sight.mark("Initialized", "Unknown", "NodeNotFound", "Node not registered with cluster")
    elif node.metadata.labels.get(INITIALIZED) == "true":
        sight.mark("Initialized", "True")
    elif (unready := next(_unready(sight, node, claim), None)) is not None:
        sight.mark("Initialized", "Unknown", *unready)
    else:
        labels = {**node.metadata.labels, INITIALIZED: "true"}
        sight.node = replace(node, metadata=replace(node.metadata, labels=labels))


def _unready(sight: Sight, node: Node, claim: NodeClaim) -> Iterator[tuple[str, str]]:
    """What the node still lacks, in the order in which it is asked for: (reason, message)."""
    if not sight.machine.ready:
        ready = node.condition("Ready")
        yield "NodeNotReady", f"Node is {ready.status if ready is not None else 'Unknown'} for Ready"
    for taint in claim.spec.startup_taints:
        if any(same(taint, own) for own in node.spec.taints):
            yield "StartupTaintsExist", f'the node still has the startup taint "{_quoted(taint)}"'
    for taint in node.spec.taints:
        if is_ephemeral(taint):
            yield "KnownEphemeralTaintsExist", f'the node still has the ephemeral taint "{_quoted(taint)}"'
    for resource in sorted(claim.spec.resources.requests):
        asked = _amount(claim.spec.resources.requests, resource)
        if asked and not _amount(node.status.allocatable, resource):
            yield "ResourceNotRegistered", f'the node does not offer the resource "{resource}" yet'


def _amount(quantities: Mapping[str, Quantity], resource: str) -> int:
    return units(resource, quantities[resource]) if resource in quantities else 0


def _quoted(taint: Taint) -> str:
    return f"{taint.key}={taint.value}:{taint.effect}"


def _missing(own: Iterable[Taint], wanted: Iterable[Taint]) -> tuple[Taint, ...]:
    """Those of the wanted taints whose key and effect is not there yet."""
    found: list[Taint] = []
    for taint in wanted:
        if not any(same(taint, known) for known in (*own, *found)):
            found.append(taint)
    return tuple(found)


def _owner(node: Node, claim: NodeClaim) -> Iterator[OwnerReference]:
    metadata = claim.metadata
    if all(owner.uid != metadata.uid for owner in node.metadata.owner_references):
        yield OwnerReference("NodeClaim", metadata.name, metadata.uid, "karpenter.sh/v1")


def _warn(sight: Sight, node: Node) -> None:
    """Say so where a node has joined without the taint that keeps pods away from half-made nodes."""
    if not any(same(taint, UNREGISTERED) for taint in node.spec.taints):
        text = f"missing {UNREGISTERED.key} taint on node {node.metadata.name}: pods may land there before it is ready"
        sight.tell(f"NodeClaim/{sight.name}", sight.name, "UnregisteredTaintMissing", text, "Warning")
