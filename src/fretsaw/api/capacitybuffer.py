"""CapacityBuffer: room that is kept free for pods that do not exist yet.

Source: Karpenter v1.14 pkg/apis/autoscaling/v1beta1 as the API server enforces it.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from fretsaw.api.meta import Condition, Object, Value
from fretsaw.api.schema import CRDQuantities, conditions, doc, replaced, rule

__all__ = ["CapacityBuffer", "CapacityBufferSpec", "CapacityBufferStatus", "LocalReference", "ScalableReference"]

_Name = Annotated[str, Meta(min_length=1), doc("The object's name.")]


class LocalReference(Value, frozen=True):
    """An object of the same namespace by name."""

    name: _Name


class ScalableReference(Value, frozen=True):
    """A workload of the same namespace whose pods are copied."""

    kind: Annotated[str, Meta(min_length=1), doc("Deployment, StatefulSet or ReplicaSet.")]
    name: _Name
    api_group: Annotated[str, doc("API group of the kind: apps.")] = ""


class CapacityBufferSpec(Value, frozen=True):
    """Which pods room is kept for, and for how many of them."""

    provisioning_strategy: Annotated[str, doc("How the room is kept.")] = "buffer.x-k8s.io/active-capacity"
    pod_template_ref: Annotated[LocalReference | None, doc("A PodTemplate that the room is for.")] = None
    scalable_ref: Annotated[ScalableReference | None, doc("A workload whose pods the room is for.")] = None
    replicas: Annotated[int, Meta(ge=0), doc("For how many pods.", format="int32")] | None = None
    percentage: (
        Annotated[int, Meta(ge=0), doc("For how many pods, in percent of the workload's replicas.", format="int32")]
        | None
    ) = None
    limits: Annotated[CRDQuantities, doc("How much the room may be in all, by resource.")] = field(default_factory=dict)
    """Absent and empty are the same here: neither limits anything."""


class CapacityBufferStatus(Value, frozen=True):
    """What the buffer came to."""

    pod_template_ref: Annotated[LocalReference | None, doc("The PodTemplate in use.")] = None
    pod_template_generation: Annotated[int, doc("Generation of the PodTemplate in use.", format="int64")] | None = None
    replicas: Annotated[int, doc("For how many pods room is kept.", format="int32")] | None = None
    provisioning_strategy: Annotated[str, doc("How the room is kept.")] | None = None
    conditions: Annotated[tuple[Condition, ...], replaced(conditions())] = ()


class CapacityBuffer(Object, frozen=True, kw_only=True):
    """Room that is kept free."""

    spec: Annotated[
        CapacityBufferSpec,
        doc(
            "Which pods room is kept for.",
            rule(
                "!has(self.podTemplateRef) || has(self.replicas) || has(self.limits)",
                "If podTemplateRef is set, replicas or limits must also be set",
                "say for how many pods, or how much",
            ),
            rule(
                "!(has(self.podTemplateRef) && has(self.scalableRef))",
                "You must define either PodTemplateRef or ScalableRef, but not both",
                "keep one of them",
            ),
        ),
    ]
    status: CapacityBufferStatus = CapacityBufferStatus()
