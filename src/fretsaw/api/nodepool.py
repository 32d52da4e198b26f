"""NodePool: which nodes may be made, how many, and when they may be taken away again.

The annotations are the admission rules of the CRD (see `api.schema`); defaults are the CRD's defaults.
Source: Karpenter v1.14 pkg/apis/v1 (NodePool) as the API server enforces it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from fretsaw.api.meta import Condition, Object, Value
from fretsaw.api.node import Taint
from fretsaw.api.schema import (
    ATOMIC_LIST,
    DURATION,
    DURATION_OR_NEVER,
    LABEL_VALUE,
    SET_LIST,
    CRDQuantities,
    conditions,
    doc,
    replaced,
    rule,
    taints,
)
from fretsaw.api.selection import (
    LABEL_RULES,
    NodeClassRef,
    NodeSelectorRequirement,
    node_class_ref,
    requirements,
)

__all__ = [
    "Budget",
    "Disruption",
    "NodeClaimTemplate",
    "NodeClaimTemplateSpec",
    "NodeClassRef",
    "NodePool",
    "NodePoolSpec",
    "NodePoolStatus",
    "NodeSelectorRequirement",
    "TemplateMeta",
]

_LABELS = {
    "type": "object",
    "description": "Labels of every node of this pool.",
    "maxProperties": 100,
    "additionalProperties": {"type": "string", "maxLength": 63, "pattern": LABEL_VALUE},
    "x-kubernetes-map-type": "atomic",
    "x-kubernetes-validations": LABEL_RULES,
}
_SCHEDULE = r"^(@(annually|yearly|monthly|weekly|daily|midnight|hourly))|((.+)\s(.+)\s(.+)\s(.+)\s(.+))$"

Reason = Literal["Underutilized", "Empty", "Drifted"]


class TemplateMeta(Value, frozen=True):
    """Labels and annotations that every node of the pool gets."""

    labels: Annotated[dict[str, str], replaced(_LABELS)] = field(default_factory=dict)
    annotations: Annotated[dict[str, str], doc("Annotations of every node of this pool.")] = field(default_factory=dict)


class NodeClaimTemplateSpec(Value, frozen=True):
    """What the pool's nodes are like; `expire_after` may be `Never`."""

    node_class_ref: Annotated[NodeClassRef, replaced(node_class_ref(immutable=True))]
    requirements: Annotated[tuple[NodeSelectorRequirement, ...], replaced(requirements("NodePool"))]
    taints: Annotated[tuple[Taint, ...], replaced(taints("Taints that the nodes keep."))] = ()
    startup_taints: Annotated[
        tuple[Taint, ...],
        replaced(taints("Taints that something else removes once the node is ready; pods need not tolerate them.")),
    ] = ()
    termination_grace_period: (
        Annotated[
            str,
            Meta(pattern=DURATION),
            doc("How long a node may drain before its pods are deleted; absent: as long as it takes."),
        ]
        | None
    ) = None
    expire_after: Annotated[str, Meta(pattern=DURATION_OR_NEVER), doc("How old a node may become, or Never.")] = "720h"


class NodeClaimTemplate(Value, frozen=True):
    """The mould of the pool's NodeClaims."""

    spec: Annotated[NodeClaimTemplateSpec, doc("What the nodes are like.")]
    metadata: Annotated[TemplateMeta, doc("Labels and annotations of the nodes.")] = TemplateMeta()


class Budget(Value, frozen=True):
    """How many nodes may be disrupted at once, for some reasons, at some times.

    `reasons` None means all reasons; an empty tuple, written as `[]`, matches none. `schedule` is cron in UTC.
    """

    nodes: Annotated[
        str, Meta(pattern="^((100|[0-9]{1,2})%|[0-9]+)$"), doc("A number of nodes, or a percentage of the pool's.")
    ] = "10%"
    reasons: (
        Annotated[
            tuple[Annotated[Reason, doc("A reason to take a node away.")], ...],
            Meta(max_length=50),
            doc("What the budget is for; absent: every reason.", **SET_LIST),
        ]
        | None
    ) = None
    schedule: (
        Annotated[
            str, Meta(pattern=_SCHEDULE), doc("When the budget begins to hold: five cron fields in UTC, or @daily.")
        ]
        | None
    ) = None
    duration: (
        Annotated[
            str,
            Meta(pattern=r"^((([0-9]+(h|m))|([0-9]+h[0-9]+m))(0s)?)$"),
            doc("How long the budget holds after each time of the schedule."),
        ]
        | None
    ) = None


class Disruption(Value, frozen=True):
    """When nodes may be taken away on purpose."""

    consolidate_after: Annotated[
        str,
        Meta(pattern=DURATION_OR_NEVER),
        doc("How long a node's pods must not have changed before it may be consolidated, or Never."),
    ]
    consolidation_policy: Annotated[
        Literal["WhenEmpty", "WhenEmptyOrUnderutilized", "Balanced"],
        doc("Which nodes may be consolidated."),
    ] = "WhenEmptyOrUnderutilized"
    budgets: Annotated[
        tuple[Budget, ...],
        Meta(max_length=50),
        doc(
            "How many nodes may be disrupted at once; the strictest active budget wins.",
            rule(
                "self.all(b, has(b.schedule) == has(b.duration))",
                "'schedule' must be set with 'duration'",
                "give both, or neither for a budget that always holds",
            ),
            default=[{"nodes": "10%"}],
            **ATOMIC_LIST,
        ),
    ] = (Budget(),)


class NodePoolSpec(Value, frozen=True):
    """What nodes are like, how many there may be, and which pool is tried first."""

    template: Annotated[NodeClaimTemplate, doc("The mould of the pool's nodes.")]
    disruption: Annotated[
        Disruption, doc("When nodes may be taken away on purpose.", default={"consolidateAfter": "0s"})
    ] = Disruption(consolidate_after="0s")
    limits: Annotated[CRDQuantities, doc("How much the pool may have in all, by resource.")] = field(
        default_factory=dict
    )
    weight: (
        Annotated[int, Meta(ge=1, le=100), doc("Pools with a higher weight are tried first.", format="int32")] | None
    ) = None
    replicas: (
        Annotated[
            int,
            Meta(ge=0),
            doc("A fixed number of nodes; absent: as many as the pods need.", format="int64"),
        ]
        | None
    ) = None


class NodePoolStatus(Value, frozen=True):
    """How much the pool has."""

    resources: Annotated[CRDQuantities, doc("What the pool's nodes have in all.")] = field(default_factory=dict)
    nodes: Annotated[int, doc("How many nodes the pool has.", format="int64")] = 0
    node_class_observed_generation: (
        Annotated[int, doc("The generation of the node class that was last seen.", format="int64")] | None
    ) = None
    conditions: Annotated[tuple[Condition, ...], replaced(conditions())] = ()


_SPEC_RULES = (
    rule(
        "has(self.replicas) == has(oldSelf.replicas)",
        "Cannot transition NodePool between static (replicas set) and dynamic (replicas unset) provisioning modes",
        "make a new NodePool",
    ),
    rule(
        "!has(self.replicas) || !has(self.limits) || self.limits.size() == 0 || "
        "(self.limits.size() == 1 && 'nodes' in self.limits)",
        "only 'limits.nodes' is supported on static NodePools",
        "leave out the other limits, or replicas",
    ),
    rule(
        "!has(self.replicas) || !has(self.weight)",
        "'weight' is not supported on static NodePools",
        "leave out weight, or replicas",
    ),
)


class NodePool(Object, frozen=True, kw_only=True):
    """A kind of nodes that may be made when pods need them."""

    spec: Annotated[NodePoolSpec, doc("What the pool's nodes are like.", *_SPEC_RULES)]
    status: NodePoolStatus = NodePoolStatus()

    def condition(self, type_: str) -> Condition | None:
        """The condition of that type, if the pool reports it."""
        return next((condition for condition in self.status.conditions if condition.type == type_), None)
