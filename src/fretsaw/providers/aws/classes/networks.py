"""Subnets, security groups and capacity reservations as EC2 describes them → the lists of the status. Pure.

Source: AWS provider v1.14 pkg/controllers/nodeclass (subnet.go, securitygroup.go, capacityreservation.go).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from fretsaw.api.nodeclass_status import ResolvedCapacityReservation, ResolvedSecurityGroup, ResolvedSubnet
from fretsaw.api.times import MINUTE, Millis, millis, rfc3339

EXPIRES = 40 * MINUTE
"""So long before a capacity block ends its nodes are drained: EC2 takes them back 30 min before."""
Items = Iterable[Mapping[str, Any]]
_KINDS: dict[str, Literal["default", "capacity-block"]] = {"default": "default", "capacity-block": "capacity-block"}


class Group(msgspec.Struct, frozen=True):
    """A placement group."""

    id: str = ""


NO_GROUP = Group()


def group(item: Mapping[str, Any]) -> Group:
    """An entry of DescribePlacementGroups."""
    return Group(item["GroupId"])


def subnets(items: Items) -> tuple[ResolvedSubnet, ...]:
    """Each once, the one with most free addresses first."""
    found = _by("SubnetId", items).values()
    ordered = sorted(found, key=lambda item: (-_count(item.get("AvailableIpAddressCount")), item["SubnetId"]))
    return tuple(
        ResolvedSubnet(item["SubnetId"], item.get("AvailabilityZone") or "", item.get("AvailabilityZoneId") or "")
        for item in ordered
    )


def security_groups(items: Items) -> tuple[ResolvedSecurityGroup, ...]:
    """Each once, by id."""
    found = _by("GroupId", items)
    return tuple(ResolvedSecurityGroup(name, found[name].get("GroupName") or "") for name in sorted(found))


def capacity_reservations(items: Items, now: Millis) -> tuple[ResolvedCapacityReservation, ...]:
    """Each once, by id; without those that have ended, and those of a kind that nobody here knows."""
    found = _by("CapacityReservationId", items)
    read = (_reservation(found[name], now) for name in sorted(found))
    return tuple(one for one in read if one is not None)


def instances_left(items: Items) -> dict[str, int]:
    """Reservation → instances that it still has."""
    found = _by("CapacityReservationId", items)
    return {name: _count(item.get("AvailableInstanceCount")) for name, item in found.items()}


def _reservation(item: Mapping[str, Any], now: Millis) -> ResolvedCapacityReservation | None:
    match, kind = item.get("InstanceMatchCriteria"), _KINDS.get(item.get("ReservationType") or "default")
    if match not in ("open", "targeted") or kind is None:
        return None
    end = _time(item.get("EndDate"))
    if end is not None and end <= now:
        return None
    ending = kind == "capacity-block" and end is not None and now >= end - EXPIRES
    return ResolvedCapacityReservation(
        availability_zone=item.get("AvailabilityZone") or "",
        id=item["CapacityReservationId"],
        instance_match_criteria=match,
        instance_type=item.get("InstanceType") or "",
        owner_id=item.get("OwnerId") or "",
        reservation_type=kind,
        interruptible=True if item.get("Interruptible") else None,
        state="expiring" if ending else "active",
        end_time=None if end is None else rfc3339(end),
    )


def _by(field: str, items: Items) -> dict[str, Mapping[str, Any]]:
    return {item[field]: item for item in items if item.get(field)}


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _time(value: Any) -> Millis | None:
    """Times come as datetimes over the wire, and as texts where somebody has written them down."""
    if isinstance(value, datetime):
        return round(value.timestamp() * 1000)
    return millis(value) if isinstance(value, str) and value else None
