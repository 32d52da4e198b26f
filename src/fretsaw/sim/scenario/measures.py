"""What can be measured of a run's result, by the words that expectations use for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Any, Final

import msgspec

from fretsaw.api.times import DAY, SECOND, Millis, millis
from fretsaw.sim.journal import Journal

Result = dict[str, Any]
REASONS: Final = ("Empty", "Underutilized", "Drifted", "Expired")


class Unmeasured(Exception):  # noqa: N818 (its readers know it by this name)
    """There is nothing to measure; the text says what is not there."""


class Scope(msgspec.Struct, frozen=True):
    """Of what: a pool, or workloads. Both may hold `*`; empty for the whole run."""

    pool: str = ""
    workload: str = ""
    """A namespace, namespace/name or kind/namespace/name."""


class Window(msgspec.Struct, frozen=True):
    """A time of day in UTC, over midnight where it begins after it ends; on these weekdays (0: Monday), or all."""

    begin: Millis
    end: Millis
    days: tuple[int, ...] = ()

    def holds(self, when: Millis) -> bool:
        """Whether a point in time is in it: its beginning is, its end is not."""
        # 1970-01-01 was a Thursday.
        day, clock = (when // DAY + 3) % 7, when % DAY
        length = (self.end - self.begin) % DAY or DAY
        return (clock - self.begin) % DAY < length and (not self.days or day in self.days)


class Query(msgspec.Struct, frozen=True):
    """What is asked: a measure, and of what and when."""

    measure: str
    scope: Scope = Scope()
    type: str = ""
    """Instance types, with `*`."""
    reason: str = ""
    window: Window | None = None
    what: str = ""
    """The journal's word for a fact."""


class Measure(msgspec.Struct, frozen=True):
    """Something that can be measured."""

    unit: str
    value: Callable[[Query, Result, Journal | None], float]
    scopes: tuple[str, ...] = ()
    """By what it can be asked: pool, workload, type, reason, window, days; a bare `of X` means the first."""


def matches(pattern: str, workload: str) -> bool:
    """Whether a workload, as kind/namespace/name or namespace/name, is meant by a pattern."""
    wanted, given = pattern.lower().split("/"), workload.lower().split("/")
    if len(wanted) == 1:
        return len(given) >= 2 and fnmatchcase(given[-2], wanted[0])
    if len(wanted) == 3 and len(given) == 2:
        wanted = wanted[1:]
    return len(given) >= len(wanted) and all(map(fnmatchcase, given[-len(wanted) :], wanted))


# Pods


def _workloads(query: Query, result: Result) -> list[Result]:
    found = [row for row in result["pods"]["byWorkload"] if matches(query.scope.workload, row["workload"])]
    if not found:
        raise Unmeasured(f"there was no pod of {query.scope.workload}")
    return found


def _wait(percentile: str) -> Callable[[Query, Result, Journal | None], float]:
    def longest(query: Query, result: Result, _: Journal | None) -> float:
        """Of several workloads, the one that waited longest."""
        rows = _workloads(query, result) if query.scope.workload else [result["pods"]]
        waits = [(row.get("waitSeconds") or {}).get(percentile) for row in rows]
        known = [wait for wait in waits if wait is not None]
        if not known:
            raise Unmeasured("no pod got a place")
        return float(max(known))

    return longest


def _pods(name: str) -> Callable[[Query, Result, Journal | None], float]:
    def count(query: Query, result: Result, _: Journal | None) -> float:
        rows = _workloads(query, result) if query.scope.workload else [result["pods"]]
        return float(sum(row[name] for row in rows))

    return count


def _success(query: Query, result: Result, journal: Journal | None) -> float:
    created = _pods("created")(query, result, journal)
    if not created:
        raise Unmeasured("there was no pod")
    return _pods("succeeded")(query, result, journal) / created


def _interruptions(query: Query, result: Result, _: Journal | None) -> float:
    if not query.scope.workload:
        return float(result["interruptions"])
    return float(sum(row["interruptions"] for row in _workloads(query, result)))


def _lost_work(query: Query, result: Result, _: Journal | None) -> float:
    rows = _workloads(query, result) if query.scope.workload else result["pods"]["byWorkload"]
    return float(sum(row["lostWorkSeconds"] for row in rows))


# Money and GPUs


def _cost(name: str) -> Callable[[Query, Result, Journal | None], float]:
    def dollars(query: Query, result: Result, _: Journal | None) -> float:
        cost = result["cost"]
        if query.scope.pool:
            return float(sum(row[name] for pool, row in cost["byPool"].items() if fnmatchcase(pool, query.scope.pool)))
        if query.scope.workload:
            rows = [row for row in cost["byWorkload"] if matches(query.scope.workload, row["workload"])]
            if not rows:
                raise Unmeasured(f"there was no pod of {query.scope.workload}")
            return float(sum(row["total"] for row in rows))
        return float(cost[name])

    return dollars


def _ratio(part: float, whole: float, nothing: str) -> float:
    if not whole:
        raise Unmeasured(nothing)
    return part / whole


def _saving(_query: Query, result: Result, _: Journal | None) -> float:
    cost = result["cost"]
    return 1 - _ratio(cost["total"], cost["allOnDemand"], "nothing was bought")


def _of_gpu_hours(name: str) -> Callable[[Query, Result, Journal | None], float]:
    def share(_query: Query, result: Result, _: Journal | None) -> float:
        return _ratio(result["gpuHours"][name], result["gpuHours"]["bought"], "no GPU was bought")

    return share


def _landed(_query: Query, result: Result, _: Journal | None) -> float:
    return _ratio(result["planned"]["landed"], result["planned"]["pods"], "no pod was planned")


# Nodes


def _nodes(query: Query, result: Result) -> Iterator[Result]:
    for node in result["nodes"]["list"]:
        if query.scope.pool and not fnmatchcase(node["nodePool"], query.scope.pool):
            continue
        if not query.type or fnmatchcase(node["instanceType"], query.type):
            yield node


def _launched(query: Query, result: Result, _: Journal | None) -> float:
    if not query.scope.pool and not query.type:
        return float(result["nodes"]["launched"])
    return float(sum(node.get("running") is not None for node in _nodes(query, result)))


def _terminated(query: Query, result: Result, _: Journal | None) -> float:
    if not query.scope.pool and not query.type:
        return float(result["nodes"]["terminated"])
    return float(sum(node.get("ended") is not None for node in _nodes(query, result)))


def _peak(query: Query, result: Result, _: Journal | None) -> float:
    """The most nodes that ran at once, counted from their lives."""
    if not query.scope.pool and not query.type:
        return float(result["nodes"]["peak"])
    changes = []
    for node in _nodes(query, result):
        if node.get("running") is not None:
            changes.append((node["running"], 1))
            changes.append((result["virtualSeconds"] if node.get("ended") is None else node["ended"], -1))
    running = peak = 0
    for _when, change in sorted(changes):
        running += change
        peak = max(peak, running)
    return float(peak)


def _spot_share(query: Query, result: Result, _: Journal | None) -> float:
    hours = {True: 0.0, False: 0.0}
    for node in _nodes(query, result):
        if node.get("running") is not None:
            end = result["virtualSeconds"] if node.get("ended") is None else node["ended"]
            hours[node["capacityType"] == "spot"] += end - node["running"]
    return _ratio(hours[True], hours[True] + hours[False], "no node ran")


# Disruptions


def _disruptions(query: Query, result: Result, _: Journal | None) -> float:
    """Counted by when they began; where a pool is named, those that took a node of it."""
    if not query.scope.pool and query.window is None:
        counts = result["disruptions"]
        return float(counts.get(query.reason, 0) if query.reason else sum(counts.values()))
    start = started(result)
    found = (when for when, reason in _when_disrupted(query, result) if query.reason in ("", reason))
    return float(sum(query.window is None or query.window.holds(start + round(when * SECOND)) for when in found))


def _when_disrupted(query: Query, result: Result) -> Iterator[tuple[float, str]]:
    """(seconds, reason) of what took nodes: commands that did not fail, and expiries, which are none."""
    pools = {node["name"]: node["nodePool"] for node in result["nodes"]["list"]}

    def wanted(names: Iterable[str]) -> bool:
        return not query.scope.pool or any(fnmatchcase(pools.get(name, ""), query.scope.pool) for name in names)

    for row in result["disruptionList"]:
        if wanted(row["nodes"]) and not row["outcome"].startswith("failed"):
            yield row["at"], row["reason"]
    for node in result["nodes"]["list"]:
        if str(node.get("whyGone") or "").lower() == "expired" and wanted([node["name"]]):
            yield node["deleted"], "Expired"


def started(result: Result) -> Millis:
    """When the run began."""
    return millis(result["start"]) if isinstance(result["start"], str) else int(result["start"])


def _noted(query: Query, result: Result, journal: Journal | None) -> float:
    if journal is None:
        raise Unmeasured("the run kept no journal")
    facts = (fact for fact in journal.facts if fact.what == query.what)
    return float(sum(query.window is None or query.window.holds(fact.at) for fact in facts))


def _total(name: str) -> Callable[[Query, Result, Journal | None], float]:
    def count(_query: Query, result: Result, _: Journal | None) -> float:
        found = result[name]
        return float(len(found) if isinstance(found, list) else found)

    return count


def _gpu_hours(_query: Query, result: Result, _: Journal | None) -> float:
    return float(result["gpuHours"]["bought"])


_WHEN = ("reason", "window", "days")
MEASURES: Final[dict[str, Measure]] = {
    "cost": Measure("money", _cost("total"), ("workload", "pool")),
    "spot cost": Measure("money", _cost("spot"), ("pool",)),
    "on-demand cost": Measure("money", _cost("onDemand"), ("pool",)),
    "reserved cost": Measure("money", _cost("reserved"), ("pool",)),
    "idle GPU cost": Measure("money", _cost("idleGpu"), ("pool",)),
    "saving against on-demand": Measure("share", _saving),
    "p50 wait": Measure("duration", _wait("p50"), ("workload",)),
    "p90 wait": Measure("duration", _wait("p90"), ("workload",)),
    "p99 wait": Measure("duration", _wait("p99"), ("workload",)),
    "longest wait": Measure("duration", _wait("max"), ("workload",)),
    "created pods": Measure("count", _pods("created"), ("workload",)),
    "succeeded pods": Measure("count", _pods("succeeded"), ("workload",)),
    "failed pods": Measure("count", _pods("failed"), ("workload",)),
    "pending pods": Measure("count", _pods("pendingAtEnd"), ("workload",)),
    "success": Measure("share", _success, ("workload",)),
    "interruptions": Measure("count", _interruptions, ("workload",)),
    "lost work": Measure("duration", _lost_work, ("workload",)),
    "disruptions": Measure("count", _disruptions, ("pool", *_WHEN)),
    "launched nodes": Measure("count", _launched, ("pool", "type")),
    "terminated nodes": Measure("count", _terminated, ("pool", "type")),
    "peak nodes": Measure("count", _peak, ("pool", "type")),
    "spot share": Measure("share", _spot_share, ("pool", "type")),
    "GPU hours": Measure("hours", _gpu_hours),
    "GPU use": Measure("share", _of_gpu_hours("used")),
    "GPU allocation": Measure("share", _of_gpu_hours("requested")),
    "planned landing": Measure("share", _landed),
    "insufficient capacity": Measure("count", _total("insufficientCapacity")),
    "violations": Measure("count", _total("violations")),
    "noted": Measure("count", _noted, ("window", "days")),
}
"""By the words of an expectation."""
