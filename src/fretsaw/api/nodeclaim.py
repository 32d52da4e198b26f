"""NodeClaim: one node that was asked for, from the order to the machine. Its spec never changes.

Source: Karpenter v1.14 pkg/apis/v1 (NodeClaim) as the API server enforces it.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from fretsaw.api.meta import Condition, Object, Value
from fretsaw.api.node import Taint
from fretsaw.api.schema import (
    DURATION,
    DURATION_OR_NEVER,
    CRDQuantities,
    conditions,
    doc,
    replaced,
    rule,
    taints,
)
from fretsaw.api.selection import NodeClassRef, NodeSelectorRequirement, node_class_ref, requirements

__all__ = ["NodeClaim", "NodeClaimResources", "NodeClaimSpec", "NodeClaimStatus", "NodeClassRef"]


class NodeClaimResources(Value, frozen=True):
    """What the node has to offer at least."""

    requests: Annotated[CRDQuantities, doc("Least amounts by resource.")] = field(default_factory=dict)


class NodeClaimSpec(Value, frozen=True):
    """What was asked for; `expire_after` may be `Never`."""

    node_class_ref: Annotated[NodeClassRef, replaced(node_class_ref(immutable=False))]
    requirements: Annotated[tuple[NodeSelectorRequirement, ...], replaced(requirements("NodeClaim"))]
    taints: Annotated[tuple[Taint, ...], replaced(taints("Taints that the node keeps."))] = ()
    startup_taints: Annotated[
        tuple[Taint, ...], replaced(taints("Taints that something else removes once the node is ready."))
    ] = ()
    resources: Annotated[NodeClaimResources, doc("What the node has to offer at least.")] = NodeClaimResources()
    termination_grace_period: (
        Annotated[
            str,
            Meta(pattern=DURATION),
            doc("How long the node may drain before its pods are deleted; absent: as long as it takes."),
        ]
        | None
    ) = None
    expire_after: Annotated[str, Meta(pattern=DURATION_OR_NEVER), doc("How old the node may become, or Never.")] = (
        "720h"
    )


class NodeClaimStatus(Value, frozen=True):
    """The machine that answers the claim."""

    node_name: Annotated[str, doc("Name of the Node.")] = ""
    provider_id: Annotated[str, doc("The cloud's id of the machine.")] = field(default="", name="providerID")
    image_id: Annotated[str, doc("Id of the machine's image.")] = field(default="", name="imageID")
    capacity: Annotated[CRDQuantities, doc("What the node has in all.")] = field(default_factory=dict)
    allocatable: Annotated[CRDQuantities, doc("What of it pods may use.")] = field(default_factory=dict)
    conditions: Annotated[tuple[Condition, ...], replaced(conditions(strict=False))] = ()
    last_pod_event_time: (
        Annotated[str, doc("When a pod was last bound to or removed from the node.", format="date-time")] | None
    ) = None


class NodeClaim(Object, frozen=True, kw_only=True):
    """An order of one node."""

    spec: Annotated[
        NodeClaimSpec,
        doc("What was asked for.", rule("self == oldSelf", "spec is immutable", "delete the claim and make another")),
    ]
    status: NodeClaimStatus = NodeClaimStatus()

    def condition(self, type_: str) -> Condition | None:
        """The condition of that type, if the claim reports it."""
        return next((condition for condition in self.status.conditions if condition.type == type_), None)
