"""The catalog of a region under a node class: labels, capacity, overhead and offerings of every EC2 type.

Called by the planner, by `fretsaw catalog` and by `live`. Pure but for reading the shipped snapshot once per process.
Source: Karpenter AWS provider v1.14 pkg/providers/instancetype (types.go, offering, compatibility).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fretsaw.api import labels as keys
from fretsaw.api.catalog import Catalog, InstanceType, Offering
from fretsaw.api.resources import render
from fretsaw.providers.aws import formulas, labels, supply
from fretsaw.providers.aws.nodeclass_view import NodeClassView
from fretsaw.providers.aws.settings import DEFAULT, Settings
from fretsaw.providers.aws.snapshot import TypeRow, regions
from fretsaw.providers.aws.supply import Sale, Supply

__all__ = ["Settings", "catalog", "catalog_of", "compatible", "regions"]

_RESERVATION = f"{keys.AWS_DOMAIN}/capacity-reservation"
_RESERVED_DIVISOR = 10_000_000
"""A reservation is paid for anyway: its price only orders it before everything else."""


def catalog(
    region: str = "us-east-1",
    node_class_spec: Mapping[str, Any] | None = None,
    node_class_status: Mapping[str, Any] | None = None,
    *,
    settings: Settings = DEFAULT,
) -> Catalog:
    """Every instance type of a region of the shipped snapshot as a node class gets it, sorted by name.

    Raises UserError for an unknown region, and for values of the node class that cannot be read.
    """
    return catalog_of(supply.shipped(region), node_class_spec, node_class_status, settings=settings)


def catalog_of(
    offered: Supply,
    node_class_spec: Mapping[str, Any] | None = None,
    node_class_status: Mapping[str, Any] | None = None,
    *,
    settings: Settings = DEFAULT,
    memory: Mapping[str, int] | None = None,
) -> Catalog:
    """Every instance type that is offered as a node class gets it, sorted by name.

    node_class_spec, node_class_status: the plain mappings of an EC2NodeClass; without a spec the defaults of AL2023.
    memory: bytes that nodes of a type were seen to have. They replace the estimate after the overheads are computed,
    so that shares of memory are still those of the estimate.
    A type that the node class cannot launch stays listed with its offerings marked unavailable.
    Raises UserError for values of the node class that cannot be read.
    """
    node_class = NodeClassView(node_class_spec, node_class_status)
    seen = memory or {}
    types = [_instance_type(sale, offered, node_class, settings, seen) for sale in offered.sales]
    return Catalog(types, region=offered.region, as_of=offered.as_of, notes=list(offered.notes))


def _instance_type(
    sale: Sale, offered: Supply, node_class: NodeClassView, settings: Settings, seen: Mapping[str, int]
) -> InstanceType:
    row = offered.types[sale.name]
    amounts = formulas.capacity(row, node_class, settings)
    kept_back = formulas.overhead(row, node_class, amounts)
    if sale.name in seen:
        amounts["memory"] = seen[sale.name]
    return InstanceType(
        name=row.name,
        capacity={name: render(name, amount) for name, amount in sorted(amounts.items())},
        overhead={name: render(name, amount) for name, amount in sorted(kept_back.items())},
        labels=labels.labels(row, offered.region, node_class),
        offerings=_offerings(row, sale, offered, node_class),
    )


def _offerings(row: TypeRow, sale: Sale, offered: Supply, node_class: NodeClassView) -> list[Offering]:
    """By zone, then on-demand, spot, and the node class's reservations; only what has a price, and in its zones."""
    available = compatible(row, node_class) is None
    found: list[Offering] = []
    for zone, zone_id in _zones(sale, offered, node_class).items():
        place = {keys.ZONE_ID: zone_id} if zone_id else {}
        if sale.on_demand is not None and row.has("o"):
            mark = sale.on_demand_source
            found.append(Offering(zone, "on-demand", sale.on_demand, available, place, None, mark))
        if row.has("s") and (price := sale.spot.get(zone)) is not None:
            found.append(Offering(zone, "spot", price, available, place, None, sale.spot_source))
    return [*found, *_reserved(row, sale, offered, node_class, available)]


def _zones(sale: Sale, offered: Supply, node_class: NodeClassView) -> dict[str, str]:
    """Zones that offer the type and that the node class's subnets reach; ids of the subnets win."""
    selling = {zone: zone_id for zone, zone_id in offered.zones.items() if zone in sale.zones}
    if node_class.zones is None:
        return selling
    return {zone: node_class.zones[zone] or zone_id for zone, zone_id in selling.items() if zone in node_class.zones}


def _reserved(row: TypeRow, sale: Sale, offered: Supply, node_class: NodeClassView, available: bool) -> list[Offering]:
    return [
        _reservation(item, sale, offered, node_class, available)
        for item in node_class.reservations
        if item.get("instanceType") == row.name
    ]


def _reservation(
    item: Mapping[str, Any], sale: Sale, offered: Supply, node_class: NodeClassView, available: bool
) -> Offering:
    zone = str(item.get("availabilityZone") or "")
    count = item.get("availableInstanceCount")
    zone_id = (node_class.zones or {}).get(zone) or offered.zones.get(zone, "")
    usable = available and count != 0 and item.get("state") != "expiring"
    reachable = node_class.zones is None or zone in node_class.zones
    return Offering(
        zone=zone,
        capacity_type="reserved",
        price=(sale.on_demand or 0.0) / _RESERVED_DIVISOR,
        available=usable and reachable,
        labels={
            **({keys.ZONE_ID: zone_id} if zone_id else {}),
            f"{_RESERVATION}-id": str(item["id"]),
            f"{_RESERVATION}-type": str(item.get("reservationType") or "default"),
            f"{_RESERVATION}-interruptible": "true" if item.get("interruptible") else "false",
        },
        reservation_capacity=count if isinstance(count, int) else None,
    )


def compatible(row: TypeRow, node_class: NodeClassView) -> str | None:
    """Why the node class cannot launch the type, or None when it can."""
    if node_class.family == "AL2023" and row.family == "a1":
        return "AL2023 does not run on a1"
    if node_class.nested_virtualization and not row.has("v"):
        return "no nested virtualization"
    if node_class.connection_tracking and row.hypervisor != "nitro":
        return "connection tracking needs the nitro hypervisor"
    return _interfaces_fit(row, node_class) if node_class.network_interfaces is not None else None


def _interfaces_fit(row: TypeRow, node_class: NodeClassView) -> str | None:
    if not row.has("a"):
        return "network interfaces need ENA"
    for item in node_class.network_interfaces or ():
        if not 0 <= item.card < len(row.card_interfaces):
            return f"has no network card {item.card}"
        if item.device >= row.card_interfaces[item.card]:
            return f"network card {item.card} takes {row.card_interfaces[item.card]} interfaces"
    if node_class.efa_only_count > (row.efa_interfaces or 0):
        return f"takes {row.efa_interfaces or 0} EFA interfaces"
    return None
