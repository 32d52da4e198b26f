"""A machine: a NodeClaim and its Node as one thing, with the pods on it, as the lifecycle and disruption see it.

Source: Karpenter v1.14 pkg/controllers/state/statenode.go.
"""

from __future__ import annotations

from collections.abc import Mapping

from fretsaw.api.labels import CAPACITY_TYPE, INSTANCE_TYPE, NODEPOOL, ZONE
from fretsaw.api.node import Node, Taint
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.pod import Pod
from fretsaw.engine.nodes import INITIALIZED, REGISTERED


class Machine:
    """One machine of the cluster; at least one of `claim` and `node` is there. Never changed once it is made.

    What is asked of it over and over is worked out when it is made, which is only when one of its parts has changed.
    """

    __slots__ = (
        "capacity_type",
        "claim",
        "deleting",
        "initialized",
        "instance_type",
        "labels",
        "name",
        "node",
        "node_name",
        "pods",
        "pool",
        "provider_id",
        "ready",
        "registered",
        "terminating",
        "truths",
        "zone",
    )

    def __init__(self, claim: NodeClaim | None, node: Node | None, pods: tuple[Pod, ...] = ()) -> None:
        self.claim = claim
        self.node = node
        self.pods = pods
        """All pods bound to the node, finished ones too, by key."""
        self.node_name = node.metadata.name if node is not None else ""
        """The node's name, empty before there is one."""
        self.name = claim.metadata.name if claim is not None else self.node_name
        """The claim's name; the node's where there is no claim."""
        self.provider_id = _provider_id(claim, node)
        """The cloud's id, empty before the launch."""
        own: Mapping[str, str] = node.metadata.labels if node is not None else {}
        self.registered = node is not None and (claim is None or own.get(REGISTERED) == "true")
        """Whether the node has joined; a node without a claim is as registered as it will be."""
        self.initialized = node is not None and (claim is None or own.get(INITIALIZED) == "true")
        """Whether the node is ready for pods, with all resources that were asked for."""
        self.labels: Mapping[str, str] = claim.metadata.labels if claim is not None and not self.registered else own
        """The node's labels once it has registered, the claim's before."""
        self.pool = self.labels.get(NODEPOOL, "")
        """The NodePool, empty for none."""
        self.instance_type = self.labels.get(INSTANCE_TYPE, "")
        """The instance type, empty where unknown."""
        self.capacity_type = self.labels.get(CAPACITY_TYPE, "")
        """`spot`, `on-demand` or `reserved`, empty where unknown."""
        self.zone = self.labels.get(ZONE, "")
        """The zone, empty where unknown."""
        self.truths = frozenset(c.type for c in claim.status.conditions if c.status == "True") if claim else frozenset()
        """The conditions that the claim reports as True."""
        self.terminating = "InstanceTerminating" in self.truths
        """Whether the cloud has been asked to end the instance."""
        self.deleting = bool(
            (claim is not None and claim.metadata.deletion_timestamp)
            or (node is not None and node.metadata.deletion_timestamp)
        )
        """Whether the API was asked to delete the claim, or the node."""
        ready = node.condition("Ready") if node is not None else None
        self.ready = ready is not None and ready.status == "True"
        """Whether the node's Ready condition is True."""

    @property
    def taints(self) -> tuple[Taint, ...]:
        """The taints of the node as it is."""
        return self.node.spec.taints if self.node is not None else ()

    def is_true(self, condition: str) -> bool:
        """Whether the claim reports this condition as True."""
        return condition in self.truths


def _provider_id(claim: NodeClaim | None, node: Node | None) -> str:
    if claim is not None and claim.status.provider_id:
        return claim.status.provider_id
    return node.spec.provider_id if node is not None else ""
