"""The table of a sweep: a line for each point of the grid, means with the interval around them, the best marked."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from fretsaw.report import words
from fretsaw.report.comparison import written
from fretsaw.report.table import Column
from fretsaw.report.terminal import line, paragraph, rows
from fretsaw.sim.many.figures import FIGURES, Figure
from fretsaw.sim.many.intervals import Interval
from fretsaw.sim.many.sweep import Summary, Sweep

SHOWN = {"cost": 0, "p99 wait": 0, "pending pods": 2, "interruptions": 3, "launched nodes": 4}
"""Figures of the table, and which is left out first where space is short."""
UNTRUE = ("expectations failed", "violations")
"""Shown where there are any."""


def draw(out: Console, sweep: Sweep, found: Sequence[Summary], by: Figure) -> None:
    """Print the table, and below it how to read it."""
    names = [f.name for f in FIGURES if f.name in SHOWN or f.name == by.name or (f.name in UNTRUE and _any(found, f))]
    columns = [
        Column("", [_mark(summary) for summary in found]),
        *(_setting(sweep, found, i) for i in range(len(sweep.paths))),
        *(_figure(found, name, by) for name in names),
        Column("runs", [Text(str(summary.runs), "dim") for summary in found], right=True, drop=5),
    ]
    rows(out, columns)
    out.print()
    best = next((summary for summary in found if summary.best), None)
    if best is not None and len(found) > 1:
        line(out, Text("best: ", "bold green"), Text(_told(best), "bold"), Text(f" (by {by.name})", "dim"))
    how = "Means of the runs, ± half of the 95% confidence interval."
    if any(summary.as_good for summary in found):
        how += " ≈ may be as good as the best: on the same seeds, chance alone could have put it behind."
    paragraph(out, Text(how, "dim"))


def _any(found: Sequence[Summary], figure: Figure) -> bool:
    return any(figure.name in summary.figures and summary.figures[figure.name].mean for summary in found)


def _mark(summary: Summary) -> Text:
    return Text("✓" if summary.best else "≈" if summary.as_good else " ", "bold green")


def _told(summary: Summary) -> str:
    return ", ".join(map(str, summary.point)) or "the only point"


def _setting(sweep: Sweep, found: Sequence[Summary], index: int) -> Column:
    return Column(_short(sweep.paths)[index], [Text(summary.point[index].text, "cyan") for summary in found])


def _short(paths: Sequence[str]) -> list[str]:
    """The last steps of the paths, whole paths where these are alike."""
    last = [path.rpartition(".")[2] for path in paths]
    return [path if last.count(name) > 1 else name for path, name in zip(paths, last, strict=True)]


def _figure(found: Sequence[Summary], name: str, by: Figure) -> Column:
    unit = next(figure.unit for figure in FIGURES if figure.name == name)
    cells = [Text(_interval(summary.figures.get(name), unit), "bold" if name == by.name else "") for summary in found]
    return Column(name, cells, right=True, drop=0 if name == by.name else SHOWN.get(name, 1))


def _interval(interval: Interval | None, unit: str) -> str:
    if interval is None:
        return words.NONE
    mean = written(interval.mean, unit)
    return mean if interval.half is None else f"{mean} ±{written(interval.half, unit)}"
