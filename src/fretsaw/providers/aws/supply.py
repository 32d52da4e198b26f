"""What a region sells: instance types, their zones and prices, whether shipped with Fretsaw or read from an account.

`instance_types` makes catalogs of it and does not know where the figures are from.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import msgspec

from fretsaw.providers.aws import prices, snapshot
from fretsaw.providers.aws.snapshot import RegionData, RegionRow, TypeRow

MODELLED = "modelled"
ESTIMATED = "estimated"


class Sale(msgspec.Struct, frozen=True):
    """One type in one region."""

    name: str
    zones: frozenset[str]
    """Names of the zones that offer it."""
    on_demand: float | None
    """USD an hour."""
    on_demand_source: str = ""
    """See `Offering.price_source`."""
    spot: dict[str, float] = {}
    """Zone → USD an hour; a zone without a price sells no spot."""
    spot_source: str = ""


class Supply(msgspec.Struct, frozen=True):
    """A region as it is now."""

    region: str
    as_of: str
    """Date of its newest prices."""
    zones: dict[str, str]
    """Name → id of every zone; ids may be empty."""
    types: dict[str, TypeRow]
    sales: tuple[Sale, ...]
    """Sorted by name; every name is one of `types`."""
    notes: tuple[str, ...] = ()
    """What a reader has to know about these figures."""


@cache
def shipped(region: str) -> Supply:
    """A region of the snapshot. Raises UserError for one that it lacks."""
    data = snapshot.load_region(region)
    types = {name: row for name, row in snapshot.load_types().items() if row.arch in ("amd64", "arm64")}
    sales = tuple(_sale(types[row.name], row, data) for row in data.rows if row.name in types)
    return Supply(region, data.as_of, data.zones, types, sales, tuple(_notes(data)))


def _sale(kind: TypeRow, row: RegionRow, data: RegionData) -> Sale:
    zones = [zone for zone in data.zones if zone[-1] in row.zones]
    read = dict(zip(zones, row.spot, strict=False))
    return Sale(
        name=row.name,
        zones=frozenset(zones),
        on_demand=row.on_demand,
        on_demand_source=prices.price_source(row.basis),
        spot={zone: usd for zone, usd in read.items() if usd} if row.spot else modelled(kind, row, data, zones),
        spot_source="" if row.spot else MODELLED,
    )


def modelled(kind: TypeRow, row: RegionRow, data: RegionData, zones: Iterable[str]) -> dict[str, float]:
    """Spot prices by the model, of a type that is sold as spot."""
    if not kind.has("s"):
        return {}
    found = {zone: prices.spot_price(row, data.saving(row), zone) for zone in zones}
    return {zone: usd for zone, usd in found.items() if usd is not None}


def _notes(data: RegionData) -> list[str]:
    """What every output says of these prices."""
    notes = []
    if not any(row.spot for row in data.rows):
        dated = snapshot.load_sources().sources["spot-advisor"].date
        notes.append(f"spot prices are modelled: on-demand less the savings of {dated}")
    priced = [row for row in data.rows if row.on_demand is not None]
    estimated = sum(bool(prices.price_source(row.basis)) for row in priced)
    if estimated:
        notes.append(f"{estimated} of {len(priced)} on-demand prices are estimated")
    return notes
