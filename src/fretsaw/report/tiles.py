"""The headline figures of a page: each a tile with one great number and what explains it."""

from __future__ import annotations

from typing import Any

from fretsaw.report import facts, words
from fretsaw.report.chart import swatch
from fretsaw.report.colours import CAPACITY
from fretsaw.report.markup import Html, el
from fretsaw.report.sheet import meter

Result = dict[str, Any]


def tiles(result: Result) -> Html:
    """All of them, money first."""
    made = (_cost, _saving, _gpus, _waits, _pods, _nodes, _interruptions, _capacity, _expectations, _planned)
    return el("ul", [make(result) for make in made], class_="tiles")


def _tile(label: str, great: str, *below: Any, tone: str = "") -> Html:
    return el(
        "li",
        el("h3", label),
        el("p", great, class_="great"),
        el("div", below, class_="small"),
        class_=f"tile {tone}".strip(),
    )


def _cost(result: Result) -> Html:
    cost = result["cost"]
    parts = [(CAPACITY[name], cost[key]) for name, key in facts.WAYS]
    names = [
        el("span", swatch(CAPACITY[name]), f"{name} {words.usd(cost[key])}") for name, key in facts.WAYS if cost[key]
    ]
    return _tile(
        "Cost",
        words.usd(cost["total"]),
        meter(parts, cost["total"]),
        el("div", names or "nothing was bought", class_="keys"),
    )


def _saving(result: Result) -> Html:
    saved = facts.saving(result)
    all_on_demand = result["cost"]["allOnDemand"]
    if saved is None:
        return _tile("Against all on demand", words.NONE, "nothing was bought")
    label = "Saved against all on demand" if saved >= 0 else "Over all on demand"
    amount = words.usd(abs(all_on_demand - result["cost"]["total"]))
    bar = meter([("var(--accent)", result["cost"]["total"])], max(all_on_demand, result["cost"]["total"]))
    return _tile(label, words.share(abs(saved)), bar, f"{amount} of {words.usd(all_on_demand)}")


def _gpus(result: Result) -> Html:
    hours = result["gpuHours"]
    used = words.ratio(hours["used"], hours["bought"])
    if used is None:
        return _tile("GPUs used", words.NONE, "no GPU was bought")
    rows = [
        el("span", meter([(colour, hours[key])], hours["bought"]), f"{key} {words.number(hours[key])} h")
        for key, colour in (("bought", "var(--other)"), ("requested", "var(--c1)"), ("used", "var(--c2)"))
    ]
    return _tile("GPUs used", words.share(used), el("div", rows, class_="steps"))


def _waits(result: Result) -> Html:
    waits = result["pods"]["waitSeconds"]
    if not result["pods"]["created"]:
        return _tile("Pods waited, p50", words.NONE, "no pod was created")
    rest = [el("span", f"{name} ", el("b", words.span(waits[name]))) for name in ("p90", "p99", "max")]
    return _tile("Pods waited, p50", words.span(waits["p50"]), el("div", rest, class_="keys"))


def _pods(result: Result) -> Html:
    pods = result["pods"]
    rest = [
        el("span", f"{label} ", el("b", words.number(pods[key])))
        for label, key in (("succeeded", "succeeded"), ("failed", "failed"), ("pending at the end", "pendingAtEnd"))
    ]
    return _tile(
        "Pods",
        words.number(pods["created"]),
        el("div", rest, class_="keys"),
        tone="warn" if pods["pendingAtEnd"] else "",
    )


def _nodes(result: Result) -> Html:
    nodes = result["nodes"]
    rest = [el("span", f"{key} ", el("b", words.number(nodes[key]))) for key in ("launched", "terminated")]
    return _tile("Nodes at the peak", words.number(nodes["peak"]), el("div", rest, class_="keys"))


def _interruptions(result: Result) -> Html:
    lost = sum(row["lostWorkSeconds"] for row in result["pods"]["byWorkload"])
    pods = sum(row["interruptions"] for row in result["pods"]["byWorkload"])
    below = f"{words.counted(pods, 'pod')} stopped, {words.span(lost)} of work lost"
    return _tile("Spot interruptions", words.number(result["interruptions"]), below)


def _capacity(result: Result) -> Html:
    return _tile("Insufficient capacity", words.number(result["insufficientCapacity"]), "launches that EC2 refused")


def _expectations(result: Result) -> Html:
    ok, every = facts.met(result)
    if not every:
        return _tile("Expectations met", words.NONE, "the scenario has none")
    below = "all of them" if ok == every else f"{every - ok} not met"
    return _tile("Expectations met", f"{ok} of {every}", below, tone="good" if ok == every else "bad")


def _planned(result: Result) -> Html:
    planned = result.get("planned") or {"pods": 0, "landed": 0}
    landed = words.ratio(planned["landed"], planned["pods"])
    great = words.NONE if landed is None else words.share(landed)
    below = f"{words.number(planned['landed'])} of {words.counted(planned['pods'], 'pod')} with a planned node"
    return _tile("Landed as planned", great, below if planned["pods"] else "no pod had a planned node")
