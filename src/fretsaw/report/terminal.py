"""Lines on a terminal: never broken, in ASCII where the terminal has no more, and without what would steer it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from fretsaw.report import table
from fretsaw.report.table import Column

ASCII = str.maketrans("█░–·×…→↑↓✓✗─±≈", "#.-|x~>^v+!-~~")
"""One sign for one, so that columns stay aligned."""
CONTROLS = dict.fromkeys([*range(32), *range(127, 160)], "�")
"""What a name could move the cursor with."""


def line(out: Console, *parts: Text | str) -> None:
    """Print a line. A terminal that is too narrow breaks it itself, a file keeps it whole."""
    joined = Text()
    for part in parts:
        joined.append_text(fit(out, part if isinstance(part, Text) else Text(part)))
    joined.rstrip()
    out.print(joined, no_wrap=True, overflow="ignore", crop=False)


def paragraph(out: Console, text: Text, indent: int = 0) -> None:
    """Text broken between words, every line `indent` cells in."""
    for part in fit(out, text).wrap(out, max(out.width - indent, 20)):
        part.rstrip()
        line(out, " " * indent, part)


def rows(out: Console, columns: Sequence[Column]) -> None:
    """A table, without the columns that do not fit."""
    fitted = [Column(c.title, [fit(out, cell) for cell in c.cells], c.right, c.drop) for c in columns]
    for drawn in table.lines(table.fitting(fitted, out.width)):
        line(out, drawn)


def fit(out: Console, text: Text) -> Text:
    """The text in the signs that the terminal has; its length stays."""
    plain = text.plain.translate(CONTROLS)
    if out.options.ascii_only:
        plain = plain.translate(ASCII).encode("ascii", "replace").decode()
    if plain == text.plain:
        return text
    changed = text.copy()
    changed.plain = plain
    return changed
