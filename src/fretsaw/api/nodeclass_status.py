"""The status of an EC2NodeClass: what its selectors resolved to.

Source: AWS provider v1.14 pkg/apis/v1 (EC2NodeClassStatus).
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import field

from fretsaw.api.meta import Condition, Value
from fretsaw.api.schema import conditions, doc, replaced
from fretsaw.api.selection import NodeSelectorRequirement

_REQUIREMENTS = {
    "type": "array",
    "description": "Instance types that the image is for.",
    "items": {
        "type": "object",
        "description": "A condition on one label.",
        "required": ["key", "operator"],
        "properties": {
            "key": {"type": "string", "description": "The label."},
            "operator": {"type": "string", "description": "How the label relates to the values."},
            "values": {"type": "array", "description": "Label values.", "items": {"type": "string"}},
        },
    },
}


class ResolvedSubnet(Value, frozen=True):
    """A subnet that nodes may be launched in."""

    id: Annotated[str, doc("Id of the subnet.")]
    zone: Annotated[str, doc("Name of its zone.")]
    zone_id: Annotated[str, doc("Id of its zone.")] = field(default="", name="zoneID")


class ResolvedSecurityGroup(Value, frozen=True):
    """A security group of the nodes."""

    id: Annotated[str, doc("Id of the group.")]
    name: Annotated[str, doc("Name of the group.")] = ""


class ResolvedAMI(Value, frozen=True):
    """An image, and the instance types that it is for."""

    id: Annotated[str, doc("Id of the image.")]
    requirements: Annotated[tuple[NodeSelectorRequirement, ...], replaced(_REQUIREMENTS)]
    name: Annotated[str, doc("Name of the image.")] = ""
    deprecated: Annotated[bool, doc("Whether its owner has deprecated it.")] | None = None


class ResolvedCapacityReservation(Value, frozen=True):
    """A capacity reservation that nodes may be launched into."""

    availability_zone: Annotated[str, doc("Name of its zone.")]
    id: Annotated[str, doc("Id of the reservation.")]
    instance_match_criteria: Annotated[
        Literal["open", "targeted"], doc("Whether instances have to ask for the reservation.")
    ]
    instance_type: Annotated[str, doc("The instance type that is reserved.")]
    owner_id: Annotated[str, doc("Account that owns it.")] = field(name="ownerID")
    reservation_type: Annotated[Literal["default", "capacity-block"], doc("Kind of reservation.")] = "default"
    interruptible: Annotated[bool, doc("Whether its instances may be reclaimed.")] | None = None
    state: Annotated[Literal["active", "expiring"], doc("Whether it ends soon.")] = "active"
    end_time: Annotated[str, doc("When it ends.", format="date-time")] | None = None


class EC2NodeClassStatus(Value, frozen=True):
    """What the selectors resolved to."""

    subnets: Annotated[tuple[ResolvedSubnet, ...], doc("Subnets, the one with most free addresses first.")] = ()
    security_groups: Annotated[tuple[ResolvedSecurityGroup, ...], doc("Security groups.")] = ()
    amis: Annotated[tuple[ResolvedAMI, ...], doc("Images, newest first.")] = ()
    capacity_reservations: Annotated[
        tuple[ResolvedCapacityReservation, ...], doc("Capacity reservations that are active.")
    ] = ()
    instance_profile: Annotated[str, doc("Name of the instance profile in use.")] = ""
    conditions: Annotated[tuple[Condition, ...], replaced(conditions())] = ()
