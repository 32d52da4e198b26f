"""NodeOverlay: corrections to prices and extended resources of the instance types that it selects.

Source: Karpenter v1.14 pkg/apis/v1alpha1 (NodeOverlay) as the API server enforces it.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, field

from fretsaw.api.meta import Condition, Object, Value
from fretsaw.api.schema import CRDQuantities, conditions, doc, replaced, rule
from fretsaw.api.selection import NodeSelectorRequirement, requirements

__all__ = ["NodeOverlay", "NodeOverlaySpec", "NodeOverlayStatus"]

_ADJUSTMENT = r"^(([+-]{1}(\d*\.?\d+))|(\+{1}\d*\.?\d+%)|(^(-\d{1,2}(\.\d+)?%)$)|(-100%))$"
_CAPACITY_RULE: dict[str, Any] = rule(
    "self.all(name, !(name in ['cpu', 'memory', 'ephemeral-storage', 'pods']))",
    "invalid resource restricted",
    "overlays add extended resources only",
)


class NodeOverlaySpec(Value, frozen=True):
    """Which offerings, and what to change of them. `price` replaces, `price_adjustment` is `±x` or `±x%`."""

    requirements: Annotated[tuple[NodeSelectorRequirement, ...], replaced(requirements("NodeOverlay"))]
    price: (
        Annotated[str, Meta(pattern=r"^\d+(\.\d+)?$"), doc("The price an hour, in place of the known one.")] | None
    ) = None
    price_adjustment: (
        Annotated[str, Meta(pattern=_ADJUSTMENT), doc("A change of the price: an amount or a percentage, signed.")]
        | None
    ) = None
    capacity: Annotated[CRDQuantities, doc("Extended resources that the nodes also have.", _CAPACITY_RULE)] = field(
        default_factory=dict
    )
    weight: Annotated[int, Meta(ge=1, le=10000), doc("Overlays with a higher weight win.", format="int32")] | None = (
        None
    )


class NodeOverlayStatus(Value, frozen=True):
    """Whether the overlay is in force."""

    conditions: Annotated[tuple[Condition, ...], replaced(conditions())] = ()


class NodeOverlay(Object, frozen=True, kw_only=True):
    """A correction of what is known about instance types."""

    spec: Annotated[
        NodeOverlaySpec,
        doc(
            "Which offerings, and what to change of them.",
            rule(
                "!has(self.price) || !has(self.priceAdjustment)",
                "cannot set both 'price' and 'priceAdjustment'",
                "keep one of them",
            ),
        ),
    ]
    status: NodeOverlayStatus = NodeOverlayStatus()
