"""Columns that fit: right- and left-aligned cells in groups under headings, the least needed columns left out.

rich's own tables shorten or wrap cells when space is short; here a column goes as a whole, and a line is never broken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.text import Text

GAP = "  "


@dataclass(frozen=True)
class Column:
    """A title and one cell for each row."""

    title: str
    cells: Sequence[Text]
    right: bool = False
    """Numbers stand right, names left."""
    drop: int = 0
    """0 stays always; the highest number is left out first when the width does not do."""

    @property
    def width(self) -> int:
        """Cells of the terminal that the widest entry takes."""
        return max([len(self.title), *(cell.cell_len for cell in self.cells)])

    def aligned(self, cell: Text) -> Text:
        """The cell filled up to the column's width."""
        blank = Text(" " * (self.width - cell.cell_len))
        return blank + cell if self.right else cell + blank


def fitting(columns: Sequence[Column], width: int) -> list[Column]:
    """The columns that are shown in `width` cells; those that never go may still be wider."""
    kept = list(columns)
    while sum(column.width for column in kept) + len(GAP) * (len(kept) - 1) > width:
        weakest = max(kept, key=lambda column: column.drop)
        if not weakest.drop:
            break
        kept.remove(weakest)
    return kept


def lines(columns: Sequence[Column]) -> Iterator[Text]:
    """The title line and one line for each row, without spaces at the end."""
    yield _line([column.aligned(Text(column.title, "dim")) for column in columns])
    for row in range(len(columns[0].cells)):
        yield _line([column.aligned(column.cells[row]) for column in columns])


def bar(share: float, cells: int = 8) -> Text:
    """A small bar: full blocks for `share` (0 to 1) in green, yellow or red, light ones for the rest."""
    full = min(cells, max(int(share > 0), round(share * cells)))
    colour = "green" if share >= 0.9 else "yellow" if share >= 0.5 else "red"
    return Text("█" * full, colour) + Text("░" * (cells - full), "dim")


def _line(cells: Sequence[Text]) -> Text:
    line = Text(GAP).join(cells)
    line.rstrip()
    return line
