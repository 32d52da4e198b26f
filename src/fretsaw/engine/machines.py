"""A machine: a NodeClaim and its Node as one thing, with the pods on it, as the lifecycle and disruption see it.

Source: Karpenter v1.14 pkg/controllers/state/statenode.go.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from fretsaw.api.labels import CAPACITY_TYPE, INSTANCE_TYPE, NODEPOOL, ZONE
from fretsaw.api.node import Node, Taint
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.pod import Pod
from fretsaw.engine.nodes import INITIALIZED, REGISTERED


class Machine(msgspec.Struct, frozen=True, eq=False):
    """One machine of the cluster; at least one of `claim` and `node` is there."""

    claim: NodeClaim | None
    node: Node | None
    pods: tuple[Pod, ...] = ()
    """All pods bound to the node, finished ones too, by key."""

    @property
    def name(self) -> str:
        """The claim's name; the node's where there is no claim."""
        if self.claim is not None:
            return self.claim.metadata.name
        return self.node_name

    @property
    def node_name(self) -> str:
        """The node's name, empty before there is one."""
        return self.node.metadata.name if self.node is not None else ""

    @property
    def provider_id(self) -> str:
        """The cloud's id, empty before the launch."""
        if self.claim is not None and self.claim.status.provider_id:
            return self.claim.status.provider_id
        return self.node.spec.provider_id if self.node is not None else ""

    @property
    def labels(self) -> Mapping[str, str]:
        """The node's labels once it has registered, the claim's before."""
        if self.claim is not None and not self.registered:
            return self.claim.metadata.labels
        return self.node.metadata.labels if self.node is not None else {}

    @property
    def pool(self) -> str:
        """The NodePool, empty for none."""
        return self.labels.get(NODEPOOL, "")

    @property
    def instance_type(self) -> str:
        """The instance type, empty where unknown."""
        return self.labels.get(INSTANCE_TYPE, "")

    @property
    def capacity_type(self) -> str:
        """`spot`, `on-demand` or `reserved`, empty where unknown."""
        return self.labels.get(CAPACITY_TYPE, "")

    @property
    def zone(self) -> str:
        """The zone, empty where unknown."""
        return self.labels.get(ZONE, "")

    @property
    def taints(self) -> tuple[Taint, ...]:
        """The taints of the node as it is."""
        return self.node.spec.taints if self.node is not None else ()

    @property
    def registered(self) -> bool:
        """Whether the node has joined; a node without a claim is as registered as it will be."""
        return self.node is not None and (self.claim is None or self.node.metadata.labels.get(REGISTERED) == "true")

    @property
    def initialized(self) -> bool:
        """Whether the node is ready for pods, with all resources that were asked for."""
        return self.node is not None and (self.claim is None or self.node.metadata.labels.get(INITIALIZED) == "true")

    @property
    def terminating(self) -> bool:
        """Whether the cloud has been asked to end the instance."""
        condition = self.claim.condition("InstanceTerminating") if self.claim is not None else None
        return condition is not None and condition.status == "True"

    @property
    def deleting(self) -> bool:
        """Whether the API was asked to delete the claim, or the node."""
        claim, node = self.claim, self.node
        return (claim is not None and bool(claim.metadata.deletion_timestamp)) or (
            node is not None and bool(node.metadata.deletion_timestamp)
        )

    @property
    def ready(self) -> bool:
        """Whether the node's Ready condition is True."""
        condition = self.node.condition("Ready") if self.node is not None else None
        return condition is not None and condition.status == "True"

    def is_true(self, condition: str) -> bool:
        """Whether the claim reports this condition as True."""
        found = self.claim.condition(condition) if self.claim is not None else None
        return found is not None and found.status == "True"
