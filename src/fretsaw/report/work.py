"""How the workloads fared: their pods, how long those waited, and what was interrupted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fretsaw.report import sheet, words
from fretsaw.report.markup import Html, el
from fretsaw.report.sheet import Cell, Column, figure, text

Result = dict[str, Any]
Row = dict[str, Any]
PERCENTILES = ("p50", "p90", "p99", "max")
WIDTH = 1000


def waits(result: Result) -> Html:
    """A row for each workload, those that waited longest first."""
    rows = sorted(
        result["pods"]["byWorkload"],
        key=lambda row: (-row["waitSeconds"]["p99"], -row["waitSeconds"]["max"], words.natural(row["workload"])),
    )
    if not rows:
        return el("p", "No pod was created.", class_="none")
    scale = _scale([row["waitSeconds"] for row in rows])
    ends = f"{words.span(scale[0])} to {words.span(scale[1])}"
    columns = [
        Column("workload", lambda row: text(row["workload"]), number=False),
        Column("pods", lambda row: figure(row["created"], words.number)),
        Column("done", lambda row: figure(row["succeeded"], words.number, blank=True), hint="succeeded"),
        Column("failed", lambda row: figure(row["failed"], words.number, blank=True)),
        Column("pending", lambda row: figure(row["pendingAtEnd"], words.number, blank=True), hint="at the end"),
        Column(f"wait: {ends}", lambda row: _strip(row["waitSeconds"], scale), number=False,
               wide=True, hint="a logarithmic scale: thick p50 to p90, thin to p99, a dot at the longest"),
        *(Column(name, _wait(name)) for name in PERCENTILES),
        Column("interrupted", lambda row: figure(row.get("interruptions"), words.number, blank=True)),
        Column("work lost", lambda row: figure(row.get("lostWorkSeconds"), words.span, blank=True)),
    ]  # fmt: skip
    together = {**result["pods"], "workload": "all pods"}
    return sheet.draw("Pods and their waits by workload", columns, rows, foot=[together], key="waits", most=12)


def _wait(name: str) -> Any:
    return lambda row: figure(row["waitSeconds"][name], words.span)


def _scale(waits: Sequence[dict[str, float]]) -> tuple[float, float]:
    """Where the scale begins and ends, in seconds: around all rows, and wide enough for equal waits to look equal."""
    longest = max(60.0, *(found["max"] for found in waits))
    shortest = min(found["p50"] for found in waits)
    return min(max(1.0, float(round(shortest / 2))), longest / 10), longest


def _strip(found: dict[str, float], scale: tuple[float, float]) -> Cell:
    """The percentiles of a row on one scale for all rows."""
    p50, p90, p99, most = (_place(found[name], scale) for name in PERCENTILES)
    svg = Html(
        f'<svg class="strip" viewBox="0 0 {WIDTH} 16" preserveAspectRatio="none" aria-hidden="true">'
        f'<path class="rail" d="M0 8H{WIDTH}"/><path class="thin" d="M{p50} 8H{max(p99, p50 + 4)}"/>'
        f'<path class="thick" d="M{p50} 8H{max(p90, p50 + 8)}"/><path class="dot" d="M{most} 8h0"/></svg>'
    )
    return Cell(svg, found["p99"])


def _place(seconds: float, scale: tuple[float, float]) -> int:
    low, high = scale
    return round(WIDTH * min(1.0, math.log(max(low, seconds) / low) / math.log(high / low)))
