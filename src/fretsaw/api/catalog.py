"""The catalog file: instance types with their capacity, labels and offerings, as fixed by the documented format.

Text quantities stay text here; `engine.universe` turns them into integers. The shipped snapshot, a file given with
`--catalog` and a test's own catalog all arrive in this one shape.
"""

from __future__ import annotations

import msgspec


class Offering(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One way to buy a type: a zone, a capacity type and a price in USD an hour."""

    zone: str
    capacity_type: str
    price: float
    available: bool = True
    labels: dict[str, str] = {}
    reservation_capacity: int | None = None
    """Instances left in the reservation; only for capacityType `reserved`."""
    price_source: str = ""
    """Empty for a published price; `modelled` or `estimated` where it is not, and every output says so."""


class InstanceType(msgspec.Struct, frozen=True, rename="camel"):
    """A machine shape. Allocatable is `capacity` minus `overhead`; quantities are Kubernetes texts."""

    name: str
    capacity: dict[str, str]
    overhead: dict[str, str] = {}
    labels: dict[str, list[str]] = {}
    offerings: list[Offering] = []


class Catalog(msgspec.Struct, frozen=True, rename="camel"):
    """All types of one region on one day."""

    instance_types: list[InstanceType]
    region: str = ""
    as_of: str = ""
    notes: list[str] = []
    """What a reader of any output has to know about these figures, such as `spot prices are modelled`."""
