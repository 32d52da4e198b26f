"""Capacity reservations that a scenario brings along, as offerings of a catalog.

Source: AWS provider v1.14 pkg/providers/instancetype/offering (reserved offerings: the on-demand price divided by ten
million, so that they come first and are still ordered among themselves).
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from fretsaw.api.catalog import Catalog, InstanceType, Offering
from fretsaw.api.labels import AWS_DOMAIN
from fretsaw.engine.universe import RESERVED
from fretsaw.sim.scenario.cloud import Reservation

CHEAPER = 10_000_000


def with_reservations(catalog: Catalog, reservations: Iterable[Reservation]) -> Catalog:
    """The catalog with an offering for each reservation of one of its types; others are left out."""
    by_type: dict[str, list[Reservation]] = {}
    for reservation in reservations:
        by_type.setdefault(reservation.type, []).append(reservation)
    if not by_type:
        return catalog
    types = [_with(t, by_type[t.name]) if t.name in by_type else t for t in catalog.instance_types]
    return replace(catalog, instance_types=types)


def _with(instance_type: InstanceType, reservations: Iterable[Reservation]) -> InstanceType:
    on_demand = [o.price for o in instance_type.offerings if o.capacity_type == "on-demand"]
    price = min(on_demand, default=0.0) / CHEAPER
    added = [
        Offering(
            zone=r.zone,
            capacity_type=RESERVED,
            price=price,
            labels={f"{AWS_DOMAIN}/capacity-reservation-id": r.id, f"{AWS_DOMAIN}/capacity-reservation-type": r.kind},
            reservation_capacity=r.count,
        )
        for r in reservations
    ]
    return replace(instance_type, offerings=[*instance_type.offerings, *added])
