"""Two scenarios side by side: every figure with how far the second is from the first, and whether that can be chance.

Input: `{a: {scenario, seeds}, b: …, runs, metrics: [{name, unit, a, b, difference, low, high, relative, clear}],
failures: [text]}`; `low` to `high` is the 95 % confidence interval of the difference, `relative` the difference as a
fraction of a's figure, `clear` whether the interval leaves out zero. `failures` are conditions of the user that hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from fretsaw.report import frame, sheet, words
from fretsaw.report.markup import Html, el
from fretsaw.report.sheet import Cell, figure, text
from fretsaw.report.table import Column
from fretsaw.report.terminal import line, paragraph, rows

Comparison = dict[str, Any]
Metric = dict[str, Any]
WIDTH = 1000
HOW = "Differences are those of B from A, with their 95% confidence intervals; what may be chance is marked so."

_WRITE: dict[str, Callable[[float], str]] = {
    "money": words.usd,
    "usd": words.usd,
    "$": words.usd,
    "money/h": words.rate,
    "duration": words.span,
    "seconds": words.span,
    "s": words.span,
    "share": words.share,
    "hours": lambda hours: f"{words.number(hours)} h",
}


def written(value: float, unit: str) -> str:
    """A figure in its unit; other units than those known stand behind the number."""
    if write := _WRITE.get(unit.lower()):
        return write(value)
    return words.number(value) + (f" {unit}" if unit not in ("", "count") else "")


def signed(value: float, unit: str) -> str:
    """The same with its sign; a share's difference is in points."""
    sign = "+" if value > 0 else "-" if value < 0 else ""
    shown = written(abs(value), unit)
    return sign + (f"{shown.removesuffix('%')} points" if unit == "share" else shown)


def relative(metric: Metric) -> str:
    """`-12%`; a dash where the first has none of it."""
    part = metric["relative"]
    if part is None:
        return words.NONE
    return ("+" if part > 0 else "-" if part < 0 else "") + words.share(abs(part))


def judged(metric: Metric) -> str:
    """What may be said of the difference."""
    if not metric["difference"] and metric["low"] == metric["high"]:
        return "the same"
    if not metric["clear"]:
        return "may be chance"
    return "lower" if metric["difference"] < 0 else "higher"


def _range(metric: Metric) -> str:
    return f"{signed(metric['low'], metric['unit'])} to {signed(metric['high'], metric['unit'])}"


def _runs(comparison: Comparison) -> str:
    return words.counted(comparison["runs"], "run")


def draw(out: Console, comparison: Comparison) -> None:
    """Print the comparison as a table."""
    metrics = comparison["metrics"]
    for name in ("a", "b"):
        side = comparison[name]
        line(out, Text(f"{name.upper()}  ", "bold cyan"), Text(str(side["scenario"]), "bold"),
             Text(f"  {words.counted(side['seeds'], 'seed')}", "dim"))  # fmt: skip
    _failures(out, comparison["failures"])
    out.print()
    if not metrics:
        line(out, "Nothing could be compared.")
        return
    columns = [
        Column("", [Text(m["name"]) for m in metrics]),
        Column("A", [Text(written(m["a"], m["unit"])) for m in metrics], right=True),
        Column("B", [Text(written(m["b"], m["unit"])) for m in metrics], right=True),
        Column("difference", [Text(signed(m["difference"], m["unit"]), _style(m)) for m in metrics],
               right=True, drop=2),
        Column("", [Text(relative(m), _style(m)) for m in metrics], right=True),
        Column("95% interval", [Text(_range(m), "dim") for m in metrics], drop=3),
        Column("B is", [Text(judged(m), _style(m)) for m in metrics]),
    ]  # fmt: skip
    rows(out, columns)
    out.print()
    paragraph(out, Text(f"{_runs(comparison)}. {HOW}", "dim"))


def _style(metric: Metric) -> str:
    return "bold" if metric["clear"] else "dim"


def _failures(out: Console, failures: Sequence[str]) -> None:
    if not failures:
        return
    out.print()
    line(out, Text(f"Failed: {words.counted(len(failures), 'condition')}", "bold red"))
    for failure in failures:
        paragraph(out, Text(str(failure), "red"), indent=2)


def html(comparison: Comparison) -> str:
    """The comparison as one page that needs nothing else."""
    a, b = comparison["a"], comparison["b"]
    clear = sum(bool(metric["clear"]) for metric in comparison["metrics"])
    told = f"{clear} of {words.counted(len(comparison['metrics']), 'figure')} differ clearly."
    head = [
        el("h1", "A and B compared"),
        el("p", told, class_="lead"),
        el("div", _side("A", a), _side("B", b), class_="versus"),
        el("p", f"{_runs(comparison)}. {HOW}", class_="ran"),
    ]
    failures = comparison["failures"]
    alarm = el(
        "div",
        el(
            "section",
            el("h2", f"Failed: {words.counted(len(failures), 'condition')}"),
            el("ul", [el("li", each) for each in failures]),
            class_="alarm bad",
            role="alert",
        ),
        class_="alarms",
    )  # fmt: skip
    section = el("section", el("h2", "Figures"), el("div", _table(comparison["metrics"]), class_="card"), id="figures")
    title = f"{a['scenario']} and {b['scenario']} compared"
    known = {"start": 0, "seconds": 0, "step": 1, "plots": {}, "pods": []}
    return frame.page(title, [("figures", "Figures")], head, [alarm if failures else None, section], known)


def _side(name: str, side: dict[str, Any]) -> Html:
    return el("span", el("b", f"{name} "), side["scenario"], el("span", f" · {words.counted(side['seeds'], 'seed')}"))


def _table(metrics: Sequence[Metric]) -> Html:
    if not metrics:
        return el("p", "Nothing could be compared.", class_="none")

    def of(key: str, write: Callable[[float, str], str]) -> Callable[[Metric], Cell]:
        return lambda metric: figure(metric[key], lambda value: write(value, metric["unit"]))

    columns = [
        sheet.Column("figure", lambda m: text(m["name"]), number=False),
        sheet.Column("A", of("a", written)),
        sheet.Column("B", of("b", written)),
        sheet.Column("difference", of("difference", signed)),
        sheet.Column("of A", lambda m: figure(m["relative"], lambda _: relative(m)),
                     hint="the difference as a share of A"),
        sheet.Column("less ← 95% interval → more", _whisker, number=False, wide=True,
                     hint="the line in the middle is no difference; each row has its own scale"),
        sheet.Column("95% interval", lambda m: Cell(_range(m), m["low"])),
        sheet.Column("B is", lambda m: text(judged(m)), number=False),
    ]  # fmt: skip
    return sheet.draw(
        "Figures of both, and how they differ",
        columns,
        metrics,
        key="figures-table",
        attributes=lambda m: {"class_": "clear" if m["clear"] else "unclear"},
    )


def _whisker(metric: Metric) -> Cell:
    """The interval around the difference, with zero in the middle; each row has a scale of its own."""
    reach = max(abs(metric["low"]), abs(metric["high"]), abs(metric["difference"])) * 1.08
    parts = [f'<path class="zero" d="M{WIDTH // 2} 0V16"/>']
    if reach:
        low, mean, high = (round(WIDTH / 2 + metric[key] / reach * WIDTH / 2) for key in ("low", "difference", "high"))
        parts += [f'<path class="range" d="M{low} 8H{high}"/>', f'<path class="mean" d="M{mean} 8h0"/>']
    size = f'viewBox="0 0 {WIDTH} 16" preserveAspectRatio="none"'
    svg = Html(f'<svg class="whisker" {size} aria-hidden="true">{"".join(parts)}</svg>')
    return Cell(svg, metric["difference"])
