"""Who paid for what: cost by pool and by workload, with what nobody used apart."""

from __future__ import annotations

from typing import Any

from fretsaw.report import facts, sheet, words
from fretsaw.report.chart import swatch
from fretsaw.report.colours import CAPACITY
from fretsaw.report.markup import Html, el
from fretsaw.report.overtime import pool_colours
from fretsaw.report.sheet import Cell, Column, figure, meter, text

Result = dict[str, Any]
Row = dict[str, Any]


def by_pool(result: Result) -> Html:
    """Pools, the dearest first, with the ways in which their nodes were bought and their idle GPUs."""
    found = result["cost"]["byPool"]
    if not found:
        return el("p", "No pool bought a node.", class_="none")
    rows = [{"pool": pool, **found[pool]} for pool in facts.pools(result) if pool in found]
    most = max(row["total"] for row in rows)
    colours = pool_colours(result)

    def bar(row: Row) -> Cell:
        return Cell(meter([(CAPACITY[name], row[key]) for name, key in facts.WAYS], most), row["total"])

    def share(row: Row) -> Cell:
        return figure(words.ratio(row["idleGpu"], row["total"]), words.share, made=True)

    columns = [
        Column(
            "pool",
            lambda row: Cell(
                [swatch(colours[row["pool"]]) if row["pool"] in colours else None, row["pool"]], row["pool"]
            ),
            number=False,
        ),
        Column("", bar, number=False, wide=True),
        Column("total", lambda row: figure(row["total"], words.usd)),
        *(Column(name, _usd(key)) for name, key in facts.WAYS),
        Column("idle GPUs", _usd("idleGpu"), hint="paid for GPUs that no pod had"),
        Column("idle", share, hint="idle GPUs as a share of the total"),
    ]
    together = {
        "pool": "all pools",
        **{key: result["cost"][key] for key in ("total", "spot", "onDemand", "reserved", "idleGpu")},
    }
    return sheet.draw("Cost by pool", columns, rows, foot=[together], key="by-pool")


def _usd(key: str) -> Any:
    return lambda row: figure(row[key], words.usd, blank=True)


def by_workload(result: Result) -> Html:
    """Workloads, the dearest first; below them what nobody used, and the total."""
    found = result["cost"]["byWorkload"]
    most = max([result["cost"]["idleGpu"], facts.other_idle(result), *(row["total"] for row in found)])

    def bar(row: Row) -> Cell:
        colour = "var(--accent)" if row["workload"] else "var(--other)"
        bar = None if row.get("whole") else meter([(colour, row["total"])], most)
        return Cell(bar, row["total"], row.get("made", False))

    def each(row: Row) -> Cell:
        hours = row.get("gpuHours")
        return figure(words.ratio(row["total"], hours) if hours else None, words.usd, made=True)

    columns = [
        Column("workload", lambda row: text(row["workload"] or row["label"]), number=False),
        Column("", bar, number=False, wide=True),
        Column("total", lambda row: figure(row["total"], words.usd, made=row.get("made", False))),
        Column("GPU hours", lambda row: figure(row.get("gpuHours"), words.number, blank=True)),
        Column("per GPU hour", each, hint="what an hour of a GPU cost it"),
    ]
    foot: list[Row] = [
        {"workload": "", "label": "idle GPUs", "total": result["cost"]["idleGpu"]},
        {"workload": "", "label": "other idle capacity", "total": facts.other_idle(result), "made": True},
        {"workload": "", "label": "all of it", "total": result["cost"]["total"], "whole": True},
    ]
    return sheet.draw("Cost by workload", columns, found, foot=foot, key="by-workload", most=12)
