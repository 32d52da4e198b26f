"""What took nodes away: every disruption with its reason and its end, expiries, and what the cloud did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fretsaw.report import facts, sheet, words
from fretsaw.report.markup import Html, el
from fretsaw.report.sheet import Column, figure, text

Result = dict[str, Any]
Row = dict[str, Any]
NAMED = 3
"""Nodes of a row that are named; the others are counted, and named where the pointer rests."""


def section(result: Result) -> Html:
    """The counts by reason, and the list."""
    counts = [
        el("li", f"{reason} ", el("b", words.number(count))) for reason, count in sorted(result["disruptions"].items())
    ]
    rows = facts.departures(result)
    return el(
        "div",
        el("ul", counts, class_="legend"),
        _table(result, rows) if rows else el("p", "No node was taken away.", class_="none"),
        class_="card",
    )


def _table(result: Result, rows: Sequence[Row]) -> Html:
    clock = facts.calendar(result)
    columns = [
        Column("when", lambda row: figure(row["at"], clock.moment), number=False),
        Column("reason", lambda row: text(row["reason"]), number=False),
        Column("found by", lambda row: text(row["method"] or words.NONE), number=False),
        Column("decision", lambda row: text(row["decision"] or words.NONE), number=False),
        Column("nodes", lambda row: text(_named(row["nodes"])), number=False),
        Column("replaced by", lambda row: text(_named(row["replacements"])), number=False),
        Column("saves", lambda row: figure(row["savingsPerHour"], words.rate, blank=True)),
        Column("took", lambda row: figure(row.get("tookSeconds"), words.span)),
        Column("outcome", lambda row: text(row["outcome"]), number=False, wide=True),
    ]  # fmt: skip
    return sheet.draw("Disruptions", columns, rows, key="disruptions-table", most=12, attributes=_tone)


def _tone(row: Row) -> dict[str, Any]:
    if row.get("byCloud"):
        return {"class_": "taken-away"}
    return {"class_": "failed" if str(row["outcome"]).startswith("failed") else None}


def _named(names: Sequence[str]) -> Any:
    if not names:
        return words.NONE
    shown = ", ".join(names[:NAMED])
    if len(names) <= NAMED:
        return shown
    return [shown, " and ", el("span", f"{len(names) - NAMED} more", title=", ".join(names[NAMED:]), tabindex="0")]
