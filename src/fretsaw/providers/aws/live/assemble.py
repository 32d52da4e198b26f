"""Readings and the shipped snapshot together: a Supply. Pure.

Types and zones are the account's own: zone names differ by account, so that shipped ones would be of other places.
Prices that could not be read are the shipped ones of the region, else those of us-east-1, and are marked and noted.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from fretsaw.providers.aws import prices, snapshot, supply
from fretsaw.providers.aws.snapshot import BASE_REGION, RegionData, RegionRow, TypeRow
from fretsaw.providers.aws.supply import ESTIMATED, MODELLED, Sale, Supply

OnDemand = Mapping[str, float]
Spot = Mapping[str, Mapping[str, float]]


def assemble(
    region: str,
    zones: Mapping[str, str],
    types: Mapping[str, TypeRow],
    offered: Mapping[str, frozenset[str]],
    on_demand: OnDemand | None,
    spot: Spot | None,
    today: date,
    listed: date,
) -> Supply:
    """What the region sells. on_demand, spot: None where no reading has succeeded yet. listed: the day of on_demand."""
    data = fallback(region)
    known = {row.name: row for row in data.rows}
    sales = tuple(
        _sale(types[name], offered.get(name, frozenset()), known.get(name), data, region, on_demand, spot)
        for name in sorted(types)
    )
    live = on_demand is not None and spot is not None
    return Supply(
        region=region,
        as_of=data.as_of if on_demand is None else listed.isoformat(),
        zones=dict(zones),
        types=dict(types),
        sales=sales,
        notes=() if live else tuple(_notes(data, region, on_demand, spot, today)),
    )


def fallback(region: str) -> RegionData:
    """The shipped figures that stand in for a region."""
    return snapshot.load_region(region if region in snapshot.regions() else BASE_REGION)


def _sale(
    kind: TypeRow,
    places: frozenset[str],
    row: RegionRow | None,
    data: RegionData,
    region: str,
    on_demand: OnDemand | None,
    spot: Spot | None,
) -> Sale:
    if on_demand is not None:
        usd, mark = on_demand.get(kind.name), ""
    else:
        usd = row.on_demand if row else None
        mark = ESTIMATED if data.region != region else prices.price_source(row.basis) if row else ""
    if spot is not None:
        asked, source = dict(spot.get(kind.name, {})), ""
    else:
        asked, source = _modelled(kind, places, usd, row, data), MODELLED
    return Sale(kind.name, places, usd, mark, asked, source)


def _modelled(
    kind: TypeRow, places: frozenset[str], usd: float | None, row: RegionRow | None, data: RegionData
) -> dict[str, float]:
    """Spot prices from the on-demand price that holds; a type whose saving is unknown costs as much as on-demand."""
    if usd is None or not kind.has("s"):
        return {}
    priced = RegionRow(kind.name, "", usd, snapshot.PriceBasis.NONE, row.saving if row else None)
    return supply.modelled(kind, priced, data, places) or dict.fromkeys(places, usd)


def _notes(data: RegionData, region: str, on_demand: OnDemand | None, spot: Spot | None, today: date) -> list[str]:
    notes = []
    if on_demand is None:
        whose = "" if data.region == region else f" and of {data.region}"
        notes.append(f"on-demand prices could not be read; those used are {_age(data.as_of, today)} old{whose}")
    if spot is None:
        notes.append("spot prices could not be read; those used are modelled from on-demand prices and usual savings")
    return notes


def _age(as_of: str, today: date) -> str:
    days = max(0, (today - date.fromisoformat(as_of)).days)
    return f"{days} day{'' if days == 1 else 's'}"
