"""Everything about one instance type, as a page or as JSON: devices, prices, allocatable, labels, sources."""

from __future__ import annotations

import json
from collections.abc import Iterator
from textwrap import wrap
from typing import Any

import msgspec
from rich.text import Text

from fretsaw.api import labels as keys
from fretsaw.api.catalog import Catalog, InstanceType
from fretsaw.api.resources import render, units
from fretsaw.cli.catalog_view import NONE, console, footer, fraction
from fretsaw.providers.aws import facts, listing, prices, snapshot
from fretsaw.report import table

BANDS = ("under 5 %", "5-10 %", "10-15 %", "15-20 %", "over 20 %")
"""Share of spot instances that AWS took back in a month, by interruption band."""


def draw(catalog: Catalog, item: InstanceType, *, shipped: bool) -> None:
    """Print the page. shipped: the catalog is our own, so that sources are known."""
    out = console()
    out.print(Text(f"{item.name}  {catalog.region}".rstrip(), "bold"))
    for title, lines in _sections(catalog, item, shipped=shipped):
        if lines:
            out.print()
            out.print(Text(title, "bold"))
            for line in lines:
                for part in _indented(line, out.width):
                    out.print(part)
    out.print()
    for sentence in footer(catalog):
        out.print(Text(sentence, "dim"))


def _indented(line: str | Text, width: int) -> list[Text]:
    """Table lines as they are; sentences broken at the width, so that a terminal does not do it inside words."""
    if isinstance(line, Text):
        return [Text("  ") + line]
    return [Text(part) for part in wrap(line, width, initial_indent="  ", subsequent_indent="    ")]


def _sections(catalog: Catalog, item: InstanceType, *, shipped: bool) -> Iterator[tuple[str, list[str | Text]]]:
    row = listing.rows(Catalog([item]))[0]
    yield "Devices", list(_device_lines(row))
    yield "Prices, USD an hour", [*_price_lines(item), *(_basis_lines(catalog.region, item.name) if shipped else ())]
    yield "Resources", list(_resource_lines(item))
    yield "Labels", list(_label_lines(item))
    if shipped:
        yield "Sources", [f"{what}: {source}" for what, source in sources(catalog.region, item.name).items()]


def _device_lines(row: listing.Row) -> Iterator[str]:
    if not row.accelerated:
        return
    yield f"{fraction(row.devices)} × {row.device or 'device'}, {row.device_mib or 0:,} MiB each"
    if known := row.facts:
        yield from _model_lines(known)
    family, special = facts.family(row.family), facts.of_type(row.name)
    if link := special.link or (family.link if family else ""):
        speed = f", {family.link_gbs} GB/s a device" if family and family.link_gbs and not special.link else ""
        yield f"link between devices: {link}{speed}"
    if family and family.use:
        yield f"used for: {family.use}"
    if special.note:
        yield special.note


def _model_lines(known: facts.DeviceFacts) -> Iterator[str]:
    capability = f", compute capability {known.compute_capability}" if known.compute_capability else ""
    yield f"{known.product}: {known.architecture}{capability}"
    bandwidth = f", {known.bandwidth_gbs:,} GB/s" if known.bandwidth_gbs else ""
    yield f"memory {known.memory_gb} GB {known.memory_kind}".rstrip() + bandwidth
    speeds = [f"{name} {value:,g}" for name, value in (("fp16", known.fp16_tflops), ("fp8", known.fp8_tflops)) if value]
    if speeds:
        yield f"dense TFLOPS: {', '.join(speeds)}"
    formats = [f"{name} {'yes' if has else 'no'}" for name, has in (("bf16", known.bf16), ("fp8", known.fp8))]
    mig = "unknown" if known.mig_instances is None else known.mig_instances or "no"
    yield f"formats: {', '.join(formats)}; MIG instances: {mig}"
    for mark, fields in (("not verified", known.unverified), ("data-sheet values, not re-read", known.recalled)):
        if fields:
            yield f"{mark}: {', '.join(fields)}"
    if known.note:
        yield known.note


def _price_lines(item: InstanceType) -> list[Text]:
    by_zone: dict[str, dict[str, str]] = {}
    ids: dict[str, str] = {}
    for offering in item.offerings:
        mark = f" ({offering.price_source})" if offering.price_source else ""
        state = "" if offering.available else ", unavailable"
        by_zone.setdefault(offering.zone, {})[offering.capacity_type] = f"{offering.price:,.4f}{mark}{state}"
        ids.setdefault(offering.zone, offering.labels.get(keys.ZONE_ID, ""))
    if not by_zone:
        return [Text("not offered in any zone, as far as the sources say")]
    zones = sorted(by_zone)
    columns = [
        table.Column("zone", [Text(zone) for zone in zones]),
        table.Column("zone id", [Text(ids[zone] or NONE) for zone in zones], drop=1),
    ]
    for capacity in ("on-demand", "spot", "reserved"):
        cells = [by_zone[zone].get(capacity, NONE) for zone in zones]
        if set(cells) != {NONE}:
            columns.append(table.Column(capacity, [Text(cell) for cell in cells], right=True))
    return list(table.lines(columns))


def _basis_lines(region: str, name: str) -> Iterator[str]:
    data = snapshot.load_region(region)
    row = _region_row(region, name)
    price = f"{row.on_demand:,.4f}, " if row.on_demand is not None else ""
    yield f"on-demand: {price}{prices.BASES[row.basis]}"
    saving = data.saving(row) if snapshot.load_types()[name].has("s") else None
    if saving is None:
        yield "spot: no spot pool is known"
        return
    whose = {"t": "this type", "f": "its family (median)", "c": "its category (median)"}[saving.basis.value]
    yield f"spot: {saving.percent} % below on-demand for {whose}; taken back: {BANDS[saving.band]} a month"


def _region_row(region: str, name: str) -> snapshot.RegionRow:
    return next(row for row in snapshot.load_region(region).rows if row.name == name)


def allocatable(item: InstanceType) -> dict[str, str]:
    """Capacity less overhead, as quantities."""
    return {
        name: render(name, max(units(name, text) - units(name, item.overhead.get(name, "0")), 0))
        for name, text in item.capacity.items()
    }


def _resource_lines(item: InstanceType) -> Iterator[Text]:
    names = sorted(item.capacity)
    left = allocatable(item)
    yield from table.lines(
        [
            table.Column("resource", [Text(name) for name in names]),
            table.Column("capacity", [Text(item.capacity[name]) for name in names], right=True),
            table.Column("overhead", [Text(item.overhead.get(name, NONE)) for name in names], right=True),
            table.Column("allocatable", [Text(left[name]) for name in names], right=True),
        ]
    )


def _label_lines(item: InstanceType) -> Iterator[str]:
    for key, values in sorted(item.labels.items()):
        yield f"{key}: {', '.join(value or '(empty)' for value in values)}"


def sources(region: str, name: str) -> dict[str, str]:
    """What kind of figure → title and date of its source, for a type of the shipped catalog."""
    known = snapshot.load_sources()
    row, sale = snapshot.load_types()[name], _region_row(region, name)
    read = snapshot.load_region(region).source

    def title(key: str) -> str:
        return f"{known.sources[key].title} ({known.sources[key].date})"

    found = {
        "machine, devices, network cards": title(row.source),
        "zones": title(read or known.columns["zones"]) if sale.zones else "none",
        "branch interfaces (pod-eni)": title(known.columns["branch_interfaces"]),
        "network bandwidth": title(known.columns["network_mbps"]),
    }
    if sale.on_demand is not None:
        found["on-demand price"] = title(prices.BASIS_SOURCE[sale.basis])
    if row.has("s") and snapshot.load_region(region).saving(sale) is not None:
        found["spot saving and interruptions"] = title("spot-advisor")
        found["spot price"] = title(read if sale.spot else "spot-model")
    if row.gpus or row.accelerators or row.neuron:
        found["speed, formats, links"] = title(facts.load().source)
    return found


def as_json(catalog: Catalog, item: InstanceType, *, shipped: bool) -> str:
    """The page as one JSON document; the keys of the catalog file, and allocatable, facts and sources."""
    row = listing.rows(Catalog([item]))[0]
    document: dict[str, Any] = {
        "region": catalog.region,
        "asOf": catalog.as_of,
        "notes": catalog.notes,
        **msgspec.to_builtins(item),
        "allocatable": allocatable(item),
        "device": msgspec.to_builtins(row.facts),
        "family": msgspec.to_builtins(facts.family(row.family)),
        "sources": sources(catalog.region, item.name) if shipped else {},
    }
    return json.dumps(document, indent=1, ensure_ascii=False)
