"""A result's figures as the page and the terminal need them: what is optional filled in, what is implied computed.

The result is the plain dict that `--json` writes; nothing here knows how it came about.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from fretsaw.report import words
from fretsaw.report.words import Calendar

Result = dict[str, Any]
WAYS = (("spot", "spot"), ("on-demand", "onDemand"), ("reserved", "reserved"))
"""Capacity types, and their keys among the costs."""
DISRUPTION_REASONS = frozenset({"empty", "underutilized", "drifted"})
"""Why a node went, where a disruption took it; those have their own list."""


def calendar(result: Result) -> Calendar:
    """The run's clock."""
    return Calendar(result["start"])


def title(result: Result) -> str:
    """The scenario's name."""
    return str(result.get("scenario") or "simulation")


def sentence(result: Result) -> str:
    """The outcome in one or two sentences."""
    cost = result["cost"]
    parts = [f"{words.length(result['virtualSeconds'])} cost {words.usd(cost['total'])}"]
    saved = saving(result)
    if saved is not None and abs(saved) >= 0.0005:
        parts.append(f"{words.share(abs(saved))} {'less' if saved > 0 else 'more'} than the same machines on demand")
    first = ", ".join(parts) + "."
    if not result["pods"]["created"]:
        return f"{first} No pod was created."
    waits = result["pods"]["waitSeconds"]
    return (
        f"{first} Half of the pods ran within {words.span(waits['p50'])}, 99 of 100 within {words.span(waits['p99'])}."
    )


def saving(result: Result) -> float | None:
    """What was saved against buying the same machines on demand, as a share; None where nothing was bought."""
    cost = result["cost"]
    left = words.ratio(cost["total"], cost["allOnDemand"])
    return None if left is None else 1 - left


def met(result: Result) -> tuple[int, int]:
    """(expectations met, all of them)."""
    found = result.get("expectations") or []
    return sum(bool(e["ok"]) for e in found), len(found)


def ran(result: Result) -> str:
    """What was run and how: the line below the title."""
    clock = calendar(result)
    until = clock.moment(result["virtualSeconds"])
    parts = [f"{clock.day(0)} {clock.start.year} {clock.clock(0)} to {until} UTC"]
    if result.get("seed") is not None:
        parts.append(f"seed {result['seed']}")
    if result.get("packing"):
        parts.append(f"packing: {result['packing']}")
    if result.get("events"):
        events = words.counted(result["events"], "event")
        parts.append(f"{events} simulated in {words.span(result.get('wallSeconds') or 0)}")
    return " · ".join(parts)


def other_idle(result: Result) -> float:
    """What nobody used of nodes without GPUs: the rest of the total, so that the parts of a bill add up to it."""
    cost = result["cost"]
    left = cost["total"] - cost["idleGpu"] - sum(row["total"] for row in cost["byWorkload"])
    return float(round(max(0.0, left), 9))


def pools(result: Result) -> list[str]:
    """Names of all pools that bought or ran a node, the dearest first."""
    by_pool = result["cost"]["byPool"]
    names = dict.fromkeys([*by_pool, *result["series"]["nodes"]["byPool"], *(pool_of(n) for n in nodes(result))])
    return sorted(names, key=lambda name: (-by_pool.get(name, {}).get("total", 0.0), words.natural(name)))


def nodes(result: Result) -> list[dict[str, Any]]:
    """All claims, in the order of their creation."""
    found: list[dict[str, Any]] = result["nodes"]["list"]
    return found


def pool_of(node: dict[str, Any]) -> str:
    """The pool of a node, as the series names it."""
    return str(node["nodePool"] or "none")


VIEWS: dict[str, Callable[[dict[str, Any]], str]] = {
    "byPool": pool_of,
    "byType": lambda node: str(node["instanceType"]),
    "byCapacityType": lambda node: str(node["capacityType"]),
}


def gpu_lines(result: Result, view: str) -> dict[str, list[int]]:
    """GPUs at each step of the series, by pool, type or capacity type; together they are `gpus.bought`."""
    series = result["series"]
    count, step = len(series["t"]), series["step"]
    changes: dict[str, list[int]] = {}
    for node in nodes(result):
        if node["running"] is None or not node["gpus"]:
            continue
        line = changes.setdefault(VIEWS[view](node), [0] * (count + 1))
        first = min(count, math.ceil(node["running"] / step))
        last = count if node["ended"] is None else min(count, math.ceil(node["ended"] / step))
        line[first] += node["gpus"]
        line[max(first, last)] -= node["gpus"]
    return {name: _sums(line[:count]) for name, line in sorted(changes.items())}


def spent(result: Result) -> list[float]:
    """USD from the start to the end of each step."""
    series = result["series"]
    return _sums([usd * series["step"] / 3600 for usd in series["costPerHour"]])


def _sums(changes: Sequence[Any]) -> list[Any]:
    total: Any = 0
    found = []
    for change in changes:
        total += change
        found.append(total)
    return found


def departures(result: Result) -> list[dict[str, Any]]:
    """All disruptions, and what else took nodes away (expiry, the cloud), in the order of their time."""
    rows = [dict(row) for row in result["disruptionList"]]
    for node in nodes(result):
        why, at = node.get("whyGone") or "", node["deleted"] if node["deleted"] is not None else node["ended"]
        if why and why.lower() not in DISRUPTION_REASONS and at is not None:
            outcome = "never ran" if node["running"] is None else "leaving" if node["ended"] is None else "ended"
            rows.append({
                "at": at, "reason": words.went(why), "method": "", "decision": "", "nodes": [node["name"]],
                "replacements": [], "savingsPerHour": None, "outcome": outcome,
                "byCloud": why in words.TAKEN,
            })  # fmt: skip
    return sorted(rows, key=lambda row: row["at"])
