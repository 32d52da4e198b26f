"""What an account sells, as files in the shape of the shipped snapshot, beside the regions that are there already.

Used by `fretsaw catalog refresh`. What an account does not tell stays as it was shipped: facts of devices, bandwidth,
branch interfaces, and how often spot instances are taken back.
"""

from __future__ import annotations

import asyncio
import re
import statistics
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path

import msgspec

from fretsaw.errors import UserError
from fretsaw.providers.aws import facts, snapshot
from fretsaw.providers.aws.calls import Asking
from fretsaw.providers.aws.live import reading
from fretsaw.providers.aws.live.assemble import fallback
from fretsaw.providers.aws.snapshot import PriceBasis, RegionData, RegionRow, Saving, Source, TypeRow
from fretsaw.providers.aws.snapshot_text import document, table

OFTEN = 4
"""The interruption band of types that the shipped figures do not know: the worst, so that nobody counts on them."""


class Market(msgspec.Struct, frozen=True):
    """A whole reading of a region."""

    region: str
    zones: Mapping[str, str]
    types: Mapping[str, TypeRow]
    offered: Mapping[str, frozenset[str]]
    on_demand: Mapping[str, float]
    spot: Mapping[str, Mapping[str, float]]


async def read(aws: Asking, now: datetime) -> Market:
    """Everything there is to read, or nothing. Raises AwsError."""
    # In a row, so that an error is that of the first call that failed, and none goes on behind it.
    async with asyncio.timeout(600):
        return Market(
            region=aws.region,
            zones=await reading.zones(aws),
            types=await reading.types(aws),
            offered=await reading.offerings(aws),
            on_demand=await reading.on_demand(aws),
            spot=await reading.spot(aws, now),
        )


def render(market: Market, today: date) -> dict[str, bytes]:
    """The files by their names below the snapshot's folder: the region's, and those that all regions share."""
    types = {**snapshot.load_types(), **market.types}
    sources = snapshot.load_sources()
    own = Source("EC2 and the AWS price list, as an account read them", today.isoformat(), "figures of AWS")
    data = region_data(market, today)
    head = {
        "region": data.region,
        "as_of": data.as_of,
        "zones": data.zones,
        "family_savings": msgspec.to_builtins(data.family_savings),
        "source": data.source,
    }
    return {
        "types.json": table({"as_of": today.isoformat()}, TypeRow, [types[name] for name in sorted(types)]),
        "facts.json": document(facts.load()),
        "sources.json": document(msgspec.structs.replace(sources, sources={**sources.sources, reading.SOURCE: own})),
        f"regions/{market.region}.json": table(head, RegionRow, data.rows),
    }


def region_data(market: Market, today: date) -> RegionData:
    """The region as the snapshot has regions: zones by their letters."""
    # A local zone has a letter, too, and would be taken for the zone of the region that has the same.
    own = re.compile(rf"{re.escape(market.region)}[a-z]")
    zones = {zone: zone_id for zone, zone_id in sorted(market.zones.items()) if own.fullmatch(zone)}
    old = fallback(market.region)
    known = {row.name: row for row in old.rows}
    rows = tuple(_row(name, zones, market, old, known.get(name)) for name in sorted(market.types))
    return RegionData(
        market.region, today.isoformat(), zones, old.family_savings, RegionRow.__struct_fields__, rows, reading.SOURCE
    )


def _row(name: str, zones: Mapping[str, str], market: Market, old: RegionData, known: RegionRow | None) -> RegionRow:
    places = [zone for zone in zones if zone in market.offered.get(name, ())]
    usd = market.on_demand.get(name)
    spot = market.spot.get(name, {})
    prices = [spot.get(zone) for zone in places]
    there = [price for price in prices if price is not None]
    return RegionRow(
        name=name,
        zones="".join(zone[-1] for zone in places),
        on_demand=usd,
        basis=PriceBasis.NONE if usd is None else PriceBasis.ACCOUNT,
        saving=_saving(usd, there, old.saving(known or RegionRow(name, "", None, PriceBasis.NONE))),
        spot=tuple(prices) if there else (),
    )


def _saving(usd: float | None, spot: list[float], known: Saving | None) -> Saving | None:
    """What spot saves now, by the median zone; taken back as often as was known."""
    if not usd or not spot:
        return None
    percent = round(100 * (1 - statistics.median(spot) / usd))
    return Saving(min(max(percent, 0), 99), known.band if known else OFTEN)


def write(files: Mapping[str, bytes], out: Path) -> None:
    """Write the files, and copy the regions that are there already. Raises UserError where that is not possible."""
    others: dict[str, bytes] = {}
    if out != snapshot.DATA:
        paths = [snapshot.DATA / "regions" / f"{name}.json" for name in snapshot.regions()]
        others = {f"regions/{path.name}": path.read_bytes() for path in paths}
    for name, content in {**others, **files}.items():
        path = out / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError as error:
            right = "--out DIR writes elsewhere, and FRETSAW_CATALOG_DIR=DIR reads it from there"
            raise UserError(str(path), "cannot be written", error.strerror or str(error), right) from error
