"""A listing of instance types as a table, as JSON or as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from fretsaw.api.catalog import Catalog
from fretsaw.providers.aws.listing import GI, CapacityType, Row, Sort
from fretsaw.report import table

NONE = "–"

FIELDS = (
    "name",
    "arch",
    "vcpus",
    "memoryGiB",
    "gpu",
    "gpus",
    "gpuMemoryMiB",
    "onDemandPerHour",
    "onDemandSource",
    "spotPerHour",
    "spotZone",
    "spotSaving",
    "perGPUHour",
    "perGPUMemoryGiBHour",
    "perTFLOPSHour",
    "zones",
)


def console(width: int | None = None) -> Console:
    """A console that never wraps by itself and obeys NO_COLOR and COLUMNS."""
    return Console(width=width, highlight=False, emoji=False, soft_wrap=True)


def draw(
    catalog: Catalog, rows: Sequence[Row], matching: int, capacity: CapacityType, sort: Sort, *, wide: bool = False
) -> None:
    """Print the table, how many rows are hidden, and where the prices come from.

    wide: every column, whatever the width; otherwise those that fit, the one sorted by always among them.
    """
    out = console()
    if not rows:
        out.print("No instance type matches.")
        return
    columns = _columns(rows, capacity, sort, wide=wide)
    for line in table.lines(columns if wide else table.fitting(columns, out.width)):
        out.print(line)
    out.print()
    if matching > len(rows):
        out.print(Text(f"{len(rows)} of {matching} types; --all or --limit shows more.", "dim"))
    if any(row.on_demand_source for row in rows):
        out.print(Text("* estimated", "dim"))
    for sentence in footer(catalog):
        out.print(Text(sentence, "dim"))


def footer(catalog: Catalog) -> list[str]:
    """Where the prices come from, a sentence a line."""
    where = " ".join(part for part in (catalog.region, f"of {catalog.as_of}" if catalog.as_of else "") if part)
    notes = [note[:1].upper() + note[1:] for note in catalog.notes]
    return [f"{sentence}." for sentence in (f"Prices: {where or 'no region or date given'}", *notes)]


def _columns(rows: Sequence[Row], capacity: CapacityType, sort: Sort, *, wide: bool) -> list[table.Column]:
    def column(title: str, cell: Callable[[Row], str], drop: int = 0, right: bool = True) -> table.Column:
        return table.Column(title, [Text(cell(row)) for row in rows], right=right, drop=drop)

    columns = [
        column("type", lambda row: row.name, right=False),
        column("GPUs", _devices, right=False),
        column("GiB each", lambda row: _number(row.device_mib and row.device_mib / 1024), drop=3),
        column("vCPU", lambda row: f"{row.vcpus:g}", drop=5),
        column("memory", lambda row: f"{row.memory_bytes / GI:,.0f}Gi", drop=6),
        column("$/h", lambda row: _on_demand(row), drop=0),
        column("spot from", _spot, drop=2),
        column("$/GPU-h", lambda row: _usd(row.per_device(capacity)), drop=1),
        column("$/GiB-h", lambda row: _usd(row.per_gib(capacity), 4), drop=0 if sort == "price-per-gib" else 4),
        column("zones", _zones, drop=7, right=False),
    ]
    if wide or sort == "price-per-tflop":
        columns.insert(-1, column("$/TFLOPS-h", lambda row: _usd(row.per_tflop(capacity), 5)))
    if wide:
        columns.insert(1, column("arch", lambda row: row.arch, right=False))
    return columns


def _devices(row: Row) -> str:
    if not row.accelerated:
        return NONE
    return f"{fraction(row.devices)} × {row.device or 'device'}"


def fraction(count: float) -> str:
    """`8`, or `1/8` for a part of a device."""
    return f"1/{round(1 / count)}" if 0 < count < 1 else f"{count:g}"


def _number(value: float | None) -> str:
    return f"{value:,.0f}" if value else NONE


def _usd(amount: float | None, digits: int = 3) -> str:
    return NONE if amount is None else f"{amount:,.{digits}f}"


def _on_demand(row: Row) -> str:
    return _usd(row.on_demand) + ("*" if row.on_demand_source else "")


def _spot(row: Row) -> str:
    if row.spot is None:
        return NONE
    saving = row.spot_saving
    return f"{row.spot:,.3f}" + (f" -{saving:.0%}" if saving is not None else "")


def _zones(row: Row) -> str:
    """Letters when all zones share a region: `abc`."""
    short = [zone[-1] for zone in row.zones]
    return "".join(short) if len({zone[:-1] for zone in row.zones}) == 1 else " ".join(row.zones) or NONE


def _record(row: Row, capacity: CapacityType) -> dict[str, Any]:
    values = (
        row.name,
        row.arch,
        row.vcpus,
        round(row.memory_bytes / GI, 3),
        row.device or None,
        row.devices,
        row.device_mib,
        row.on_demand,
        row.on_demand_source or None,
        row.spot,
        row.spot_zone or None,
        _rounded(row.spot_saving, 4),
        _rounded(row.per_device(capacity), 6),
        _rounded(row.per_gib(capacity), 6),
        _rounded(row.per_tflop(capacity), 8),
        list(row.zones),
    )
    return dict(zip(FIELDS, values, strict=True))


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def as_json(catalog: Catalog, rows: Sequence[Row], capacity: CapacityType) -> str:
    """One JSON document: region, date, notes, and the rows; ratios are of the price of `capacity`."""
    document = {
        "region": catalog.region,
        "asOf": catalog.as_of,
        "notes": catalog.notes,
        "pricesOf": capacity,
        "types": [_record(row, capacity) for row in rows],
    }
    return json.dumps(document, indent=1, ensure_ascii=False)


def as_csv(rows: Sequence[Row], capacity: CapacityType) -> str:
    """A header and a line for each row; zones are separated by spaces."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FIELDS)
    for row in rows:
        record = _record(row, capacity)
        writer.writerow([" ".join(value) if isinstance(value, list) else value for value in record.values()])
    return text.getvalue()
