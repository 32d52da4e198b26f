"""The course of a run: cost, nodes and GPUs, use of GPUs and waiting pods, each over the same time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fretsaw.report import chart, facts
from fretsaw.report.chart import Chart, Layer, Times
from fretsaw.report.colours import MOST, OTHER, by_size, colour_of, turns
from fretsaw.report.markup import Html, el

Result = dict[str, Any]
VIEWS = (("byPool", "by pool"), ("byType", "by type"), ("byCapacityType", "by capacity type"))
WHAT = (("nodes", "Nodes"), ("gpus", "GPUs"))


def times(result: Result) -> Times:
    """The time axis of a result."""
    series = result["series"]
    return Times(facts.calendar(result), result["virtualSeconds"], series["step"], series["t"])


def cost(result: Result) -> dict[str, Chart]:
    """What an hour costs, and what was spent so far."""
    hourly = Layer("cost per hour", "var(--accent)", result["series"]["costPerHour"])
    total = Layer("spent so far", "var(--accent)", facts.spent(result))
    return {
        "cost.hourly": Chart("cost.hourly", "Cost per hour", "$/h", [hourly]),
        "cost.total": Chart("cost.total", "Spent so far", "$", [total]),
    }


def capacity(result: Result) -> dict[str, Chart]:
    """Nodes and GPUs, each by pool, type and capacity type."""
    found = {}
    for what, title in WHAT:
        for view, words in VIEWS:
            lines = result["series"]["nodes"][view] if what == "nodes" else facts.gpu_lines(result, view)
            key = f"{what}.{view}"
            colours = pool_colours(result) if view == "byPool" else turns(by_size(lines))
            found[key] = Chart(key, f"{title} {words}", "", layers(lines, colours), total="together")
    return found


def pool_colours(result: Result) -> dict[str, str]:
    """The colour of each pool, the same all over the page."""
    return turns(facts.pools(result))


def layers(lines: Mapping[str, Sequence[float]], colours: Mapping[str, str]) -> list[Layer]:
    """The greatest lines, the largest below, and the rest as one."""
    names = [name for name in by_size(lines) if any(lines[name])]
    shown, rest = (names, []) if len(names) <= MOST else (names[: MOST - 1], names[MOST - 1 :])
    found = [Layer(name, colour_of(colours, name), lines[name]) for name in shown]
    if rest:
        together = [sum(values) for values in zip(*(lines[name] for name in rest), strict=True)]
        found.append(Layer(f"{len(rest)} others", OTHER, together))
    return found


def gpus(result: Result) -> Chart:
    """GPUs bought, requested and used, the smaller before the greater."""
    series = result["series"]["gpus"]
    colours = {"bought": OTHER, "requested": "var(--c1)", "used": "var(--c2)"}
    drawn = [Layer(name, colour, series[name]) for name, colour in colours.items()]
    return Chart("gpus", "GPUs bought, requested and used", "", drawn, stacked=False)


def pending(result: Result) -> Chart:
    """Pods that wait."""
    waiting = Layer("pending pods", "var(--c8)", result["series"]["pendingPods"])
    return Chart("pending", "Pending pods", "", [waiting])


def switched(
    choices: Sequence[Sequence[tuple[str, str]]], charts: Mapping[str, Chart], times: Times, name: str
) -> Html:
    """Charts of which one is shown: a row of buttons for each part of their keys, the first ones pressed."""
    groups = [
        el(
            "div",
            [
                el("button", label, type="button", data_part=part, aria_pressed="false" if i else "true")
                for i, (part, label) in enumerate(choice)
            ],
            class_="buttons",
            role="group",
            aria_label=f"{name}: what to show",
        )
        for choice in choices
    ]
    variants = [
        el("div", chart.draw(one, times), data_variant=key, hidden=bool(i))
        for i, (key, one) in enumerate(charts.items())
    ]
    return el("div", el("div", groups, class_="switch"), variants, class_="switched")


def section(result: Result) -> tuple[Html, dict[str, Any]]:
    """The charts, and their values for the page's script."""
    axis = times(result)
    money, machines = cost(result), capacity(result)
    use, waiting = gpus(result), pending(result)
    hourly = ((("cost.hourly", "per hour"), ("cost.total", "so far")),)
    cards = [
        _card("Cost", switched(hourly, money, axis, "Cost")),
        _card("Nodes and GPUs", switched((WHAT, VIEWS), machines, axis, "Nodes and GPUs")),
        _card("GPUs: bought, requested, used", chart.draw(use, axis)),
        _card("Pending pods", chart.draw(waiting, axis)),
    ]
    every = {**money, **machines, use.key: use, waiting.key: waiting}
    return el("div", cards, class_="cards"), {key: chart.values(one) for key, one in every.items()}


def _card(title: str, *inside: Any) -> Html:
    return el("section", el("h3", title), inside, class_="card")
