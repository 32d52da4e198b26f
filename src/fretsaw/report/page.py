"""A result as one HTML page that needs nothing else: no network, no fonts, no chart library.

The charts are SVG that is drawn here, so that the page stays small, prints as it looks, and opens years from now on a
machine without a network. A little script adds what paper cannot do: pointing, filtering, sorting, switching; without
it everything but the switches and tooltips is still there. Equal results give equal bytes.
"""

from __future__ import annotations

from typing import Any

from fretsaw.report import disruptions, facts, frame, lives, money, overtime, tiles, verdict, words, work
from fretsaw.report.markup import Html, el

Result = dict[str, Any]


def html(result: Result) -> str:
    """The page of a result, the dict that `--json` writes."""
    charts, values = overtime.section(result)
    rows, pods = lives.section(result)
    sections = [
        verdict.alarms(result),
        el("section", tiles.tiles(result), id="overview", aria_label="Overview"),
        verdict.expectations(result),
        _section("course", "Over time", charts, _range(result)),
        _section("nodes", "Nodes", rows, "from order to end, with the pods that ran on them"),
        _section("money", "Money", _money(result)),
        _section("workloads", "Workloads", el("div", work.waits(result), class_="card"), "how their pods fared"),
        _section("disruptions", "Disruptions", disruptions.section(result), "what took nodes away, and why"),
        verdict.notes(result),
    ]
    links = [("overview", "Overview"), ("course", "Over time"), ("nodes", "Nodes"), ("money", "Money"),
             ("workloads", "Workloads"), ("disruptions", "Disruptions")]  # fmt: skip
    known = {
        "start": round(facts.calendar(result).start.timestamp() * 1000),
        "seconds": result["virtualSeconds"],
        "step": result["series"]["step"],
        "plots": values,
        "pods": pods,
    }
    title = f"{facts.title(result)}: simulation"
    head = [
        el("h1", facts.title(result)),
        el("p", facts.sentence(result), class_="lead"),
        el("p", facts.ran(result), class_="ran"),
    ]
    return frame.page(title, links, head, sections, known)


def _section(identity: str, title: str, inside: Html, told: str = "") -> Html:
    return el("section", el("h2", title, el("small", told) if told else None), inside, id=identity)


def _range(result: Result) -> str:
    """The time zone and the step, which all charts share."""
    return f"UTC, in steps of {words.span(result['series']['step'])}"


def _money(result: Result) -> Html:
    return el(
        "div",
        el("section", el("h3", "By pool"), money.by_pool(result), class_="card"),
        el("section", el("h3", "By workload"), money.by_workload(result), class_="card"),
        class_="pair",
    )
