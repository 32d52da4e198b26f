"""Areas over time as inline SVG, with labels in HTML, so that a chart can be stretched and its text cannot.

Every value holds for its whole step, as it was counted: areas are drawn as steps, and the last ends with the run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fretsaw.report import axis
from fretsaw.report.markup import Html, el
from fretsaw.report.words import Calendar, number, rate, usd

WIDTH, HEIGHT = 1000, 200
UNITS: dict[str, Callable[[float], str]] = {"$/h": rate, "$": usd, "": number}
"""How values of a unit are written; `assets/page.js` has the same table."""
ROWS = 60
"""Rows of the table behind a chart at most: it is there to be read."""


@dataclass(frozen=True)
class Times:
    """The time axis that all charts of a page share."""

    calendar: Calendar
    seconds: float
    """The length of the run."""
    step: float
    t: Sequence[float]
    """Where each step begins, in seconds from the start."""

    def x(self, at: float) -> float:
        """The place of a point in time on the axis, 0 to 1."""
        return min(1.0, max(0.0, at / self.seconds)) if self.seconds else 0.0


@dataclass(frozen=True)
class Layer:
    """One line of a chart."""

    name: str
    colour: str
    values: Sequence[float]


@dataclass(frozen=True)
class Chart:
    """Layers over time. stacked: they stand on each other, the first below; otherwise all stand on zero."""

    key: str
    title: str
    unit: str
    layers: Sequence[Layer]
    stacked: bool = True
    total: str = ""
    """What the sum of the layers is called; empty where a sum says nothing."""

    @property
    def tops(self) -> list[list[float]]:
        """The upper edge of each layer."""
        if not self.stacked:
            return [list(layer.values) for layer in self.layers]
        edges: list[list[float]] = []
        for layer in self.layers:
            below = edges[-1] if edges else [0.0] * len(layer.values)
            edges.append([low + value for low, value in zip(below, layer.values, strict=True)])
        return edges

    @property
    def top(self) -> float:
        """Where the value axis ends."""
        return axis.value_top(max((value for edge in self.tops for value in edge), default=0.0))


def draw(chart: Chart, times: Times) -> Html:
    """The plot with its axes and legend, and the table behind it."""
    return el(
        "div",
        _legend(chart) if len(chart.layers) > 1 else None,
        el(
            "div",
            _value_marks(chart),
            _plot(chart, times),
            time_marks(times),
            class_="plot",
            data_plot=chart.key,
            tabindex="0",
            role="group",
            aria_label=f"{chart.title}. Arrow keys read the values; a table is below.",
        ),
        table(chart, times),
        class_="chart",
    )


def area(lower: Sequence[float], upper: Sequence[float], top: float, times: Times, height: int = HEIGHT) -> str:
    """The path of an area between two edges."""
    there = _edge(upper, top, times, height)
    back = _edge(lower, top, times, height)
    if not there:
        return ""
    return "M" + _forward(there) + "L" + _backward(back) + "z"


def stroke(upper: Sequence[float], top: float, times: Times, height: int = HEIGHT) -> str:
    """The path of an edge alone."""
    there = _edge(upper, top, times, height)
    return "M" + _forward(there) if there else ""


def _edge(values: Sequence[float], top: float, times: Times, height: int) -> list[tuple[str, str, str]]:
    """(left, right, y) of each run of equal values."""
    runs: list[tuple[str, str, str]] = []
    for at, value in zip(times.t, values, strict=True):
        left, right = _short(times.x(at) * WIDTH), _short(times.x(at + times.step) * WIDTH)
        y = _short(height - value / top * height)
        if left == right:
            continue  # the last step begins where the run ends
        if runs and runs[-1][2] == y:
            runs[-1] = (runs[-1][0], right, y)
        else:
            runs.append((left, right, y))
    return runs


def _forward(runs: Sequence[tuple[str, str, str]]) -> str:
    return f"{runs[0][0]} {runs[0][2]}" + "".join(f"V{y}H{right}" for _, right, y in runs)


def _backward(runs: Sequence[tuple[str, str, str]]) -> str:
    return f"{runs[-1][1]} {runs[-1][2]}" + "".join(f"V{y}H{left}" for left, _, y in reversed(runs))


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _plot(chart: Chart, times: Times) -> Html:
    tops, top = chart.tops, chart.top
    ground = [0.0] * len(times.t)
    parts = [grid(chart, times)]
    for i, layer in enumerate(chart.layers):
        lower = tops[i - 1] if chart.stacked and i else ground
        if any(layer.values):
            parts.append(f'<path class="area" d="{area(lower, tops[i], top, times)}" fill="{layer.colour}"/>')
            parts.append(f'<path class="edge" d="{stroke(tops[i], top, times)}" stroke="{layer.colour}"/>')
    return Html(
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" aria-hidden="true">{"".join(parts)}</svg>'
    )


def grid(chart: Chart, times: Times) -> str:
    """Lines at the marks of both axes."""
    across = [_short(HEIGHT - value / chart.top * HEIGHT) for value in axis.value_ticks(chart.top, chart.unit == "")]
    down = [_short(tick.at * WIDTH) for tick in axis.time_ticks(times.calendar, times.seconds)]
    path = "".join(f"M0 {y}H{WIDTH}" for y in across) + "".join(f"M{x} 0V{HEIGHT}" for x in down)
    return f'<path class="grid" d="{path}"/>'


def _value_marks(chart: Chart) -> Html:
    marks = axis.value_ticks(chart.top, chart.unit == "")
    labels = [el("span", _axis_label(v, chart.unit), style=f"bottom:{v / chart.top:.2%}") for v in marks]
    return el("div", labels, class_="y", aria_hidden="true")


def _axis_label(value: float, unit: str) -> str:
    """Short: thousands as k, no cents unless the axis has them."""
    sign = "$" if unit.startswith("$") else ""
    if value >= 10_000:
        return f"{sign}{value / 1000:,.10g}k"
    return f"{sign}{value:,.6g}"


def time_marks(times: Times) -> Html:
    """The labels of the time axis; narrow windows leave out every second one."""
    ticks = axis.time_ticks(times.calendar, times.seconds)
    labels = [
        el("span", _brief(tick.label), style=f"left:{tick.at:.2%}", class_="odd" if i % 2 else None)
        for i, tick in enumerate(ticks)
    ]
    return el("div", labels, class_="x", aria_hidden="true")


def _brief(label: str) -> list[Html]:
    """`Mon 5 Jan`, of which a narrow window leaves out the month."""
    day, space, month = label.rpartition(" ")
    return [el("span", day or month), el("span", space + month, class_="month") if day else Html()]


def _legend(chart: Chart) -> Html:
    """What the colours mean, in the order in which the layers lie, the uppermost first."""
    items = [el("li", swatch(layer.colour), layer.name) for layer in reversed(chart.layers)]
    return el("ul", items, class_="legend")


def swatch(colour: str) -> Html:
    """A small square of a colour; the words beside it say what it is."""
    return el("i", class_="swatch", style=f"background:{colour}", aria_hidden="true")


def table(chart: Chart, times: Times) -> Html:
    """The same values to be read: of each few steps the first."""
    stride = -(-len(times.t) // ROWS) or 1
    write = UNITS[chart.unit]
    columns = [*chart.layers]
    if chart.total and len(columns) > 1:
        columns.append(
            Layer(chart.total, "", [sum(row) for row in zip(*(c.values for c in chart.layers), strict=True)])
        )
    head = el("tr", el("th", "time (UTC)", scope="col"), [el("th", c.name, scope="col", class_="n") for c in columns])
    rows = [
        el(
            "tr",
            el("th", times.calendar.moment(times.t[i]), scope="row"),
            [el("td", write(c.values[i]), class_="n") for c in columns],
        )
        for i in range(0, len(times.t), stride)
    ]
    caption = f"{chart.title}; every step of the run is in the JSON." if stride > 1 else f"{chart.title}."
    return el(
        "details",
        el("summary", "Show as a table"),
        el(
            "div",
            el("table", el("caption", caption), el("thead", head), el("tbody", rows)),
            class_="scroll",
            tabindex="0",
            role="region",
            aria_label=chart.title,
        ),
        class_="behind",
    )


def values(chart: Chart) -> dict[str, object]:
    """What the page's script reads out when a chart is pointed at."""
    return {
        "unit": chart.unit,
        "total": chart.total,
        "layers": [[layer.name, layer.colour, list(layer.values)] for layer in chart.layers],
    }
