"""The lives of all nodes: a row for each, grouped by pool, with what it waited for, what ran on it and why it went.

A row's bar is drawn in four paths: the order, the boot, the time that it was up (pale), the way out; the pods on it are
one more path (strong), so that pale is what was paid and not used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fretsaw.report import chart, facts, overtime, sheet, words
from fretsaw.report.axis import time_ticks, value_top
from fretsaw.report.chart import Times, swatch
from fretsaw.report.colours import CAPACITY
from fretsaw.report.markup import Html, el
from fretsaw.report.sheet import Column, figure, text

Result = dict[str, Any]
Node = dict[str, Any]
WIDTH, HEIGHT = 10_000, 16
LEAST = 14
"""Width below which a bar would not be seen."""
OPEN = 40
"""Rows up to which pools are shown open."""
LEGEND = (
    ("ordered", "ordered"),
    ("boot", "booting, paid"),
    ("live", "up, free"),
    ("pods", "pods on it"),
    ("drain", "on its way out"),
    ("taken", "taken by EC2"),
)


def section(result: Result) -> tuple[Html, list[Any]]:
    """The rows, and the pods of each node for the page's script."""
    nodes = facts.nodes(result)
    if not nodes:
        return el("p", "No node was ordered.", class_="none"), []
    times = overtime.times(result)
    by_pool: dict[str, list[tuple[int, Node]]] = {pool: [] for pool in facts.pools(result)}
    for i, node in enumerate(nodes):
        by_pool[facts.pool_of(node)].append((i, node))
    groups = []
    left = OPEN
    for pool, members in by_pool.items():
        if members:
            groups.append(_group(result, pool, members, times, is_open=len(members) <= left))
            left -= len(members)
    inside = [_tools(len(nodes)), _legend(nodes), el("div", _ruler(times), groups, class_="lives"), _table(result)]
    return el("div", inside, class_="card"), [_pods(node) for node in nodes]


def _tools(count: int) -> Html:
    return el(
        "div",
        el(
            "label",
            "Filter ",
            el("input", type="search", id="filter", placeholder="name, type, zone, pod, reason"),
            for_="filter",
        ),
        el("output", words.counted(count, "node"), id="found", for_="filter"),
        el("button", "Open all", type="button", id="open-all"),
        class_="tools",
    )


def _legend(nodes: Sequence[Node]) -> Html:
    phases = [el("li", el("i", class_=f"swatch {name}", aria_hidden="true"), label) for name, label in LEGEND]
    seen = {node["capacityType"] for node in nodes}
    ways = [el("li", swatch(colour), name) for name, colour in CAPACITY.items() if name in seen]
    return el("ul", phases, ways, class_="legend phases")


def _ruler(times: Times) -> list[Html]:
    """The time axis above all rows, and its lines behind them."""
    lines = "".join(f"M{tick.at * WIDTH:.0f} 0V{HEIGHT}" for tick in time_ticks(times.calendar, times.seconds))
    behind = Html(
        f'<svg class="rules" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" aria-hidden="true">'
        f'<path class="grid" d="{lines}"/></svg>'
    )
    return [el("div", el("span"), chart.time_marks(times), class_="ruler"), behind]


def _group(result: Result, pool: str, members: list[tuple[int, Node]], times: Times, is_open: bool) -> Html:
    colour = overtime.pool_colours(result)[pool]
    cost = sum(node["cost"] for _, node in members)
    told = f"{words.counted(len(members), 'node')} · {words.usd(cost)}"
    head = el(
        "summary",
        el("span", el("span", swatch(colour), el("b", pool)), el("span", told, class_="told"), class_="who"),
        _spark(result["series"]["nodes"]["byPool"].get(pool, []), times, colour),
    )
    rows = [_row(i, node, times) for i, node in members]
    return el(
        "details",
        head,
        el("div", rows, class_="rows many" if len(rows) > OPEN else "rows"),
        class_="pool",
        open=is_open,
    )


def _spark(values: Sequence[float], times: Times, colour: str) -> Html:
    """How many nodes a pool had over time."""
    path = chart.area([0.0] * len(values), values, value_top(max(values)), times, 30) if any(values) else ""
    return Html(
        f'<svg class="spark" viewBox="0 0 {chart.WIDTH} 30" preserveAspectRatio="none" aria-hidden="true">'
        f'<path d="{path}" fill="{colour}"/></svg>'
    )


def _row(i: int, node: Node, times: Times) -> Html:
    kind = node["capacityType"]
    own = kind if kind in CAPACITY else "other"
    told = el("span", node["instanceType"] or "never launched", class_="told")
    return el(
        "button",
        el("span", _name(node), told, class_="who"),
        _bar(node, times),
        class_=f"node {own}",
        type="button",
        data_i=i,
        aria_expanded="false",
    )


def _name(node: Node) -> Html:
    """The name, of which the pool's part may be cut short: the heading above has it."""
    name, pool = node["name"], facts.pool_of(node)
    known = len(pool) + 1 if name.startswith(f"{pool}-") else 0
    return el("b", el("span", name[:known]) if known else None, el("span", name[known:]))


def _bar(node: Node, times: Times) -> Html:
    end = times.seconds
    ended = end if node["ended"] is None else node["ended"]
    running = node["running"]
    gone = min(ended, end if node["deleted"] is None else node["deleted"])
    paths = [_box("ordered", node["created"], gone if running is None else running, times, 7, 2)]
    if running is not None:
        up = gone if node["initialized"] is None else min(node["initialized"], ended)
        paths.append(_box("live", up, max(up, gone), times))
        paths.append(_pods_path(node, times))
        paths.append(_box("boot", running, up, times))
        if node["deleted"] is not None:
            paths.append(_box("drain", gone, ended, times))
    if node.get("whyGone") in words.TAKEN and node["ended"] is not None:
        paths.append(f'<path class="taken" d="M{_x(ended, times)} 0v{HEIGHT}"/>')
    inside = "".join(paths)
    return Html(
        f'<svg class="bar" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" aria-hidden="true">{inside}</svg>'
    )


def _x(at: float, times: Times) -> int:
    return round(times.x(at) * WIDTH)


def _box(name: str, begin: float, end: float, times: Times, y: int = 2, height: int = 12) -> str:
    if end <= begin:
        return ""
    left = _x(begin, times)
    width = max(LEAST, _x(end, times) - left)
    left = min(left, WIDTH - width)
    return f'<path class="{name}" d="M{left} {y}h{width}v{height}h-{width}z"/>'


def _pods_path(node: Node, times: Times) -> str:
    """All pods of a node as one path: side by side those that ran at once."""
    lanes: list[float] = []
    placed = []
    for pod in node["pods"]:
        begin = pod["from"] or 0.0
        end = times.seconds if pod["to"] is None else pod["to"]
        lane = next((i for i, free in enumerate(lanes) if free <= begin), len(lanes))
        lanes[lane : lane + 1] = [end]
        placed.append((lane, begin, end))
    if not placed:
        return ""
    height = 12 / len(lanes)
    drawn = []
    for lane, begin, end in placed:
        left = _x(begin, times)
        width = max(LEAST // 2, _x(end, times) - left)
        y, tall = f"{2 + lane * height:.4g}", f"{height * (0.86 if len(lanes) > 1 else 1):.3g}"
        drawn.append(f"M{left} {y}h{width}v{tall}h-{width}z")
    return f'<path class="pods" d="{"".join(drawn)}"/>'


def _pods(node: Node) -> list[list[Any]]:
    return [[pod["pod"], pod["from"], pod["to"]] for pod in node["pods"]]


def _table(result: Result) -> Html:
    """The same lives to be read; the page's script tells a row's facts from here."""
    clock = facts.calendar(result)
    rows = list(enumerate(facts.nodes(result)))

    def when(key: str) -> Any:
        return lambda row: figure(row[1][key], clock.moment)

    columns = [
        Column("node", lambda row: text(row[1]["name"]), number=False),
        Column("pool", lambda row: text(facts.pool_of(row[1])), number=False),
        Column("type", lambda row: text(row[1]["instanceType"] or words.NONE), number=False),
        Column("zone", lambda row: text(row[1]["zone"] or words.NONE), number=False),
        Column("capacity", lambda row: text(row[1]["capacityType"] or words.NONE), number=False),
        Column("GPUs", lambda row: figure(row[1]["gpus"], words.number, blank=True)),
        Column("price", lambda row: figure(row[1]["pricePerHour"], words.rate)),
        Column("cost", lambda row: figure(row[1]["cost"], words.usd)),
        Column("pods", lambda row: figure(len(row[1]["pods"]), words.number, made=True)),
        Column("ordered", when("created")),
        Column("running", when("running")),
        Column("ready", when("initialized"), hint="initialized: all its devices are there"),
        Column("told to go", when("deleted")),
        Column("ended", when("ended")),
        Column("why it came", lambda row: text(words.came(row[1].get("why"))), number=False),
        Column("why it went", lambda row: text(words.went(row[1].get("whyGone")) or words.NONE), number=False),
    ]
    made = sheet.draw("All nodes", columns, rows, key="nodes-table", attributes=lambda row: {"data_i": row[0]}, most=25)
    return el("details", el("summary", "Show as a table"), made, class_="behind")
