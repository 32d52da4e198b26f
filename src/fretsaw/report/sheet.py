"""Tables of a page: right-aligned numbers with their raw values beside them, sortable columns, long ones folded.

A cell keeps the figure that it shows in `data-v`, as it stands in the result: the script sorts by it, and a test finds
each of them in the JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from fretsaw.report.markup import Html, el
from fretsaw.report.words import NONE


@dataclass(frozen=True)
class Cell:
    """What stands in a cell, and what it is sorted by."""

    shown: Any
    value: float | str | None = None
    """None where the shown text is also the order."""
    made: bool = False
    """Whether the figure was computed from the result's figures instead of being one of them."""


@dataclass(frozen=True)
class Column:
    """A column's title, and its cells from the rows."""

    title: str
    cell: Callable[[Any], Cell]
    number: bool = True
    hint: str = ""
    """What the title means, where a word does not say it."""
    wide: bool = False
    """Takes what width is left, and breaks its lines."""


def text(shown: Any, order: str | None = None) -> Cell:
    """A cell of words."""
    return Cell(shown, order)


def figure(value: float | None, write: Callable[[float], str], made: bool = False, blank: bool = False) -> Cell:
    """A cell with a figure; a dash where there is none. blank: also where it is zero, so that others stand out."""
    if value is None:
        return Cell(NONE, -1, made=True)
    return Cell(NONE if blank and not value else write(value), value, made)


def draw(
    title: str,
    columns: Sequence[Column],
    rows: Iterable[Any],
    *,
    most: int = 0,
    foot: Sequence[Any] = (),
    key: str = "",
    attributes: Callable[[Any], dict[str, Any]] = lambda row: {},
) -> Html:
    """A sortable table. most: rows that are shown at first, 0 for all. foot: rows below that stay there.

    key: the page's name for it. attributes: of a row.
    """
    head = [_title(column) for column in columns]
    body = [el("tr", _cells(columns, row), **attributes(row)) for row in rows]
    below = [el("tr", _cells(columns, row)) for row in foot]
    return el(
        "div",
        el(
            "table",
            el("caption", title, class_="hidden"),
            el("thead", el("tr", head)),
            el("tbody", body),
            el("tfoot", below) if below else None,
            class_="sortable",
            data_most=most or None,
            id=key or None,
        ),
        class_="scroll",
        tabindex="0",
        role="region",
        aria_label=title,
    )


def _title(column: Column) -> Html:
    """A column's head, which sorts by it; one that only has bars is named for those who cannot see them."""
    name = el("button", column.title, type="button") if column.title else el("span", "bar", class_="hidden")
    return el("th", name, scope="col", class_=_class(column), title=column.hint or None)


def _cells(columns: Sequence[Column], row: Any) -> Iterable[Html]:
    for i, column in enumerate(columns):
        cell = column.cell(row)
        scope = None if i else "row"
        yield el(
            "td" if i else "th", cell.shown, scope=scope, class_=_class(column), data_v=cell.value, data_made=cell.made
        )


def _class(column: Column) -> str | None:
    return "n" if column.number else "wide" if column.wide else None


def meter(parts: Sequence[tuple[str, float]], whole: float) -> Html | None:
    """A bar in a cell: (colour, amount) of each part against the whole."""
    if whole <= 0:
        return None
    pieces = [
        el("i", style=f"width:{amount / whole:.2%};background:{colour}") for colour, amount in parts if amount > 0
    ]
    return el("span", pieces, class_="meter", aria_hidden="true")
