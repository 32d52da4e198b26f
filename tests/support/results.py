"""Results of simulations that never ran, in the documented shape: for all that turns results into pages and tables.

Deterministic: equal arguments give equal results. The figures hang together as a run's do: the series count the nodes of
the list, and the costs of pools, workloads and idle capacity add up to the total.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from typing import Any

HOUR, DAY = 3600, 86400
Result = dict[str, Any]

# pool: (instance type, capacity type, GPUs, USD an hour on demand, share of that price that is paid)
POOLS: dict[str, tuple[tuple[str, str, int, float, float], ...]] = {
    "gpu-spot-inference": (
        ("g5.xlarge", "spot", 1, 1.006, 0.42),
        ("g5.12xlarge", "spot", 4, 5.672, 0.45),
        ("g6.xlarge", "spot", 1, 0.805, 0.5),
    ),
    "gpu-general": (("g5.2xlarge", "on-demand", 1, 1.212, 1.0), ("g4dn.xlarge", "on-demand", 1, 0.526, 1.0)),
    "gpu-training-protected": (
        ("p4d.24xlarge", "on-demand", 8, 32.773, 1.0),
        ("p5.48xlarge", "reserved", 8, 98.32, 0.0),
    ),
    "general-purpose": (("m7g.xlarge", "spot", 0, 0.163, 0.4), ("m7g.2xlarge", "on-demand", 0, 0.326, 1.0)),
}
WORKLOADS = {
    "gpu-spot-inference": ("deployment/ml-serving/llm-inference", "deployment/ml-serving/gpu-inference-server"),
    "gpu-general": ("job/ml-training/experiment-{}", "statefulset/notebooks/jupyter"),
    "gpu-training-protected": ("job/ml-training/distributed-training", "job/ml-training/fine-tune-{}"),
    "general-purpose": ("deployment/platform/gateway", "cronjob/platform/nightly-report"),
}
WHY_GONE = ("empty", "empty", "underutilized", "underutilized", "drifted", "expired", "spot-reclaim", None, None)
DISRUPTED = {"empty": "Empty", "underutilized": "Underutilized", "drifted": "Drifted"}


def week(nodes: int = 60, pods: int = 400, days: float = 7, number: int = 1) -> Result:
    """A week of the GPU platform. nodes, pods: how many, the pods as near as their nodes allow."""
    return _Making(nodes, pods, round(days * DAY), number).result()


def nothing() -> Result:
    """A day in which nothing happened."""
    result = _Making(0, 0, DAY, 1).result()
    return {**result, "scenario": "quiet", "expectations": []}


def instant() -> Result:
    """A run of no length at all."""
    return {**_Making(0, 0, 0, 1).result(), "scenario": "instant"}


def huge() -> Result:
    """1,000 nodes and about 6,000 pods in a week."""
    return {**week(1000, 6000), "scenario": "huge"}


def free() -> Result:
    """Nodes that cost nothing, as on reservations alone."""
    making = _Making(12, 60, 2 * DAY, 3)
    making.free = True
    return {**making.result(), "scenario": "free"}


def partial() -> Result:
    """A run that was stopped on its third day, with broken laws, missed expectations and notes."""
    result = week(30, 150, 2.4, 5)
    result["expectations"][0].update(ok=False, seen="1,412.77")
    return {
        **result,
        "partial": True,
        "violations": [
            "pod ml-training/fine-tune-3-0 ran on two nodes at 1d4h",
            "bill: parts differ from the total by $0.02",
        ],
        "notes": [
            "Spot prices are modelled: flat, from the advisor's savings.",
            "GPU use is what the scenario says of its work.",
        ],
    }


HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;"


def hostile() -> Result:
    """Names that would be markup if anybody forgot to escape them."""
    result = week(8, 40, 1, 2)
    for node in result["nodes"]["list"]:
        for key in ("name", "instanceType", "zone", "why", "whyGone"):
            node[key] = HOSTILE
        node["nodePool"] = HOSTILE
        for pod in node["pods"]:
            pod["pod"] = HOSTILE
    result["cost"]["byPool"] = {HOSTILE: next(iter(result["cost"]["byPool"].values()))}
    for row in (*result["cost"]["byWorkload"], *result["pods"]["byWorkload"]):
        row["workload"] = HOSTILE
    for row in result["disruptionList"]:
        row.update(reason=HOSTILE, method=HOSTILE, outcome=HOSTILE, nodes=[HOSTILE], replacements=[HOSTILE])
    for view, lines in result["series"]["nodes"].items():
        result["series"]["nodes"][view] = {HOSTILE: next(iter(lines.values()))}
    result["expectations"] = [{"text": HOSTILE, "ok": False, "seen": HOSTILE}]
    return {**result, "scenario": HOSTILE, "packing": HOSTILE, "violations": [HOSTILE], "notes": [HOSTILE]}


ALL = {
    "week": week, "nothing": nothing, "instant": instant, "huge": huge,
    "free": free, "partial": partial, "hostile": hostile,
}  # fmt: skip


def comparison() -> dict[str, Any]:
    """Two scenarios side by side: some figures differ clearly, some may be chance, one cannot be measured in parts."""
    rows = (
        ("cost", "money", 12345.67, 10876.5, -1520.3, -1418.04, True),
        ("idle GPU cost", "money", 2310.4, 1500.25, -860.0, -760.3, True),
        ("p50 wait", "duration", 95.0, 92.5, -9.0, 4.0, False),
        ("p99 wait", "duration", 640.0, 905.0, 120.0, 410.0, True),
        ("interruptions", "count", 14.2, 15.6, -2.1, 4.9, False),
        ("saving against on-demand", "share", 0.312, 0.391, 0.06, 0.098, True),
        ("GPU hours", "hours", 4120.5, 3890.25, -300.0, -160.5, True),
        ("violations", "count", 0.0, 0.0, 0.0, 0.0, False),
    )
    metrics = [
        {
            "name": name, "unit": unit, "a": a, "b": b, "difference": round(b - a, 6), "low": low, "high": high,
            "relative": round((b - a) / a, 6) if a else None, "clear": clear,
        }
        for name, unit, a, b, low, high, clear in rows
    ]  # fmt: skip
    return {
        "a": {"scenario": "gpu-platform-week", "seeds": 20},
        "b": {"scenario": "gpu-platform-week-spot", "seeds": 20},
        "runs": 40,
        "metrics": metrics,
        "failures": [],
    }


class _Making:
    """One result in the making."""

    def __init__(self, nodes: int, pods: int, seconds: int, number: int) -> None:
        self.dice = random.Random(number)
        self.seconds = seconds
        self.number = number
        self.free = False
        self.left = pods
        self.count = nodes
        self.nodes: list[Result] = []
        self.waits: dict[str, list[float]] = defaultdict(list)
        self.ends: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self.by_pool: dict[str, dict[str, float]] = {}
        self.by_workload: dict[str, float] = defaultdict(float)
        self.gpu_hours: dict[str, float] = defaultdict(float)
        self.on_demand = self.requested = 0.0
        self.pending: list[tuple[float, float]] = []
        self.busy: list[tuple[float, float, int]] = []
        self.serial = 0

    def result(self) -> Result:
        for i in range(self.count):
            self._node(i)
        self.nodes.sort(key=lambda node: node["created"])
        rows = self._disruptions()
        series = self._series()
        everything = [wait for waits in self.waits.values() for wait in waits]
        counts = {
            key: sum(ends[key] for ends in self.ends.values())
            for key in ("created", "succeeded", "failed", "pendingAtEnd")
        }
        bought = sum(n["gpus"] * (_end(n, self.seconds) - n["running"]) for n in self.nodes) / HOUR
        return {
            "scenario": "gpu-platform-week", "seed": self.number, "wallSeconds": 12.345, "events": 48211 * (self.count > 0),
            "partial": False, "packing": "cost", "start": "2026-01-05T00:00:00Z", "virtualSeconds": self.seconds,
            "cost": self._cost(),
            "nodes": {
                "launched": len(self.nodes), "terminated": sum(n["ended"] is not None for n in self.nodes),
                "peak": self._peak(), "list": self.nodes,
            },
            "pods": {
                **counts, "waitSeconds": _percentiles(everything),
                "byWorkload": [
                    {
                        "workload": name, **{key: self.ends[name][key] for key in ("created", "succeeded", "failed", "pendingAtEnd")},
                        "waitSeconds": _percentiles(waits), "interruptions": self.ends[name]["interrupted"],
                        "lostWorkSeconds": round(self.ends[name]["interrupted"] * 431.5, 3),
                    }
                    for name, waits in sorted(self.waits.items())
                ],
            },
            "gpuHours": {"bought": round(bought, 3), "requested": round(self.requested, 3), "used": round(self.requested * 0.78, 3)},
            "interruptions": sum(n["whyGone"] == "spot-reclaim" for n in self.nodes),
            "insufficientCapacity": self.count // 8,
            "disruptions": {
                **{reason: sum(r["reason"] == reason for r in rows) for reason in DISRUPTED.values()},
                "Expired": sum(n["whyGone"] == "expired" for n in self.nodes),
            },
            "disruptionList": rows, "series": series, "planned": {"pods": counts["created"], "landed": counts["created"] * 9 // 10},
            "violations": [],
            "expectations": [
                {"text": "cost <= 12000", "ok": True, "seen": "$9,876.54"},
                {"text": "p90 wait of ml-serving <= 10m", "ok": True, "seen": "4m12s"},
                {"text": "no disruption of gpu-training", "ok": True, "seen": "0"},
                {"text": "GPU use >= 80%", "ok": False, "seen": "71.4%"},
                {"text": "saving against on-demand >= 5%", "ok": True, "seen": "18.2%"},
            ],
        }  # fmt: skip

    def _node(self, i: int) -> None:
        dice = self.dice
        pool = list(POOLS)[(i * 7 + i // 3) % len(POOLS)] if i else "gpu-training-protected"
        kind, capacity, gpus, full, part = dice.choice(POOLS[pool])
        created = float(dice.randrange(0, max(1, int(self.seconds * 0.9)), 10))
        created = created // DAY * DAY + (created % DAY + 9 * HOUR) % DAY if dice.random() < 0.6 else created
        created = min(created, self.seconds * 0.95)
        running = round(created + dice.uniform(20, 60), 3)
        initialized = round(running + dice.uniform(60, 400), 3)
        life = dice.uniform(30 * HOUR, 110 * HOUR) if gpus == 8 else dice.expovariate(1 / (14 * HOUR)) + HOUR
        deleted: float | None = round(initialized + life, 3)
        why_gone = dice.choice(WHY_GONE)
        if capacity != "spot" and why_gone == "spot-reclaim":
            why_gone = "expired"
        if why_gone is None or (deleted or 0) > self.seconds - HOUR:
            deleted = why_gone = None
        ended = None if deleted is None else round(deleted + dice.uniform(60, 900), 3)
        price = 0.0 if self.free else round(full * part, 4)
        node: Result = {
            "name": f"{pool}-{i * 7919 % 46656:04x}", "node": f"ip-10-0-{i // 250}-{i % 250}", "nodePool": pool,
            "instanceType": kind, "zone": f"us-east-1{'abc'[i % 3]}", "capacityType": capacity, "pricePerHour": price, "gpus": gpus,
            "cost": 0.0, "why": dice.choice(("provisioned",) * 5 + ("underutilized", "drifted")), "whyGone": why_gone or "",
            "created": created, "running": running, "registered": round(running + 40, 3), "initialized": initialized,
            "deleted": deleted, "ended": ended, "pods": [],
        }  # fmt: skip
        hours = (_end(node, self.seconds) - running) / HOUR
        node["cost"] = price * hours
        self.on_demand += full * hours * (not self.free)
        key = {"spot": "spot", "on-demand": "onDemand", "reserved": "reserved"}[capacity]
        row = self.by_pool.setdefault(pool, dict.fromkeys(("total", "spot", "onDemand", "reserved", "idleGpu"), 0.0))
        row["total"] += node["cost"]
        row[key] += node["cost"]
        used = self._fill(node, initialized, deleted or self.seconds, gpus)
        if gpus:
            row["idleGpu"] += node["cost"] - used
        self.nodes.append(node)

    def _fill(self, node: Result, begin: float, until: float, gpus: int) -> float:
        """Give a node its pods; the dollars that they take."""
        dice, used = self.dice, 0.0
        lanes = gpus if 0 < gpus < 8 else 2
        quota = min(
            self.left, max(2, math.ceil(self.left / max(1, self.count - len(self.nodes)) * dice.uniform(0.5, 1.5)))
        )
        for lane in range(lanes):
            at = begin + dice.uniform(0, 300)
            for _ in range(math.ceil(quota / lanes)):
                if at >= until or self.left <= 0:
                    break
                end = min(at + dice.expovariate(lanes / max(HOUR, (until - begin) / max(1, quota))) + 600, until)
                used += self._pod(
                    node, at, end if end < self.seconds else None, max(1, gpus // lanes) if gpus else 0, lanes, lane
                )
                at = end + dice.uniform(60, 2400)
        node["pods"].sort(key=lambda pod: (pod["from"], pod["pod"]))
        return used

    def _pod(self, node: Result, at: float, end: float | None, gpus: int, lanes: int, lane: int) -> float:
        self.left -= 1
        self.serial += 1
        names = WORKLOADS[node["nodePool"]]
        workload = names[lane % 2].format(self.serial % 12)
        name = workload.partition("/")[2]
        at = round(at, 3)
        node["pods"].append(
            {"pod": f"{name}-{self.serial * 2654435761 % 2**20:05x}", "from": at, "to": end and round(end, 3)}
        )
        wait = round(min(at, self.dice.lognormvariate(4, 1.1)), 3)
        self.waits[workload].append(wait)
        self.pending.append((at - wait, at))
        ends = self.ends[workload]
        ends["created"] += 1
        killed = end is not None and end == node["deleted"] and node["whyGone"] == "spot-reclaim"
        ends["interrupted"] += killed
        ends["failed"] += killed
        ends["succeeded"] += end is not None and not killed and workload.startswith(("job", "cronjob"))
        hours = ((end or self.seconds) - at) / HOUR
        self.gpu_hours[workload] += gpus * hours
        self.requested += gpus * hours
        self.busy.append((at, end or self.seconds + 1, gpus))
        amount: float = node["pricePerHour"] * hours / lanes
        self.by_workload[workload] += amount
        return amount

    def _cost(self) -> Result:
        parts = {
            key: sum(row[key] for row in self.by_pool.values())
            for key in ("total", "spot", "onDemand", "reserved", "idleGpu")
        }
        return {
            **parts,
            "allOnDemand": self.on_demand,
            "idle": parts["total"] - sum(self.by_workload.values()),
            "byPool": dict(sorted(self.by_pool.items())),
            "byWorkload": [
                {"workload": name, "total": amount, "gpuHours": round(self.gpu_hours[name], 3)}
                for name, amount in sorted(self.by_workload.items(), key=lambda item: (-item[1], item[0]))
            ],
        }

    def _disruptions(self) -> list[Result]:
        rows = []
        names = [node["name"] for node in self.nodes]
        for node in self.nodes:
            reason = DISRUPTED.get(node["whyGone"])
            if reason is None:
                continue
            replaced = reason == "Drifted" or (reason == "Underutilized" and self.dice.random() < 0.5)
            rows.append({
                "at": node["deleted"], "reason": reason,
                "method": {"Empty": "emptiness", "Drifted": "drift", "Underutilized": "single"}[reason],
                "decision": "replace" if replaced else "delete", "nodes": [node["name"]],
                "replacements": [self.dice.choice(names)] if replaced else [],
                "savingsPerHour": 0.0 if reason == "Drifted" else round(node["pricePerHour"] * self.dice.uniform(0.2, 1), 6),
                "outcome": self.dice.choice(("done",) * 6 + ("failed: a replacement never came",)), "tookSeconds": round(self.dice.uniform(15, 400), 3),
            })  # fmt: skip
        return sorted(rows, key=lambda row: row["at"])

    def _series(self) -> Result:
        step = next(s for s in (10, 60, 300, 600, 1800, HOUR) if self.seconds <= s * 400)
        count = self.seconds // step + 1
        t = [i * step for i in range(count)]
        views: dict[str, dict[str, list[int]]] = {"byPool": {}, "byType": {}, "byCapacityType": {}}
        bought, requested, pending, cost = [0] * count, [0] * count, [0] * count, [0.0] * count
        for node in self.nodes:
            here = _steps(node["running"], node["ended"], step, count)
            for view, key in (("byPool", "nodePool"), ("byType", "instanceType"), ("byCapacityType", "capacityType")):
                line = views[view].setdefault(node[key], [0] * count)
                for i in here:
                    line[i] += 1
            for i in here:
                bought[i] += node["gpus"]
            for i in range(count):
                overlap = min((i + 1) * step, _end(node, self.seconds)) - max(i * step, node["running"])
                cost[i] += max(0.0, overlap) / step * node["pricePerHour"]
        for at, end, gpus in self.busy:
            for i in _steps(at, end, step, count):
                requested[i] += gpus
        for begin, end in self.pending:
            for i in _steps(begin, end, step, count):
                pending[i] += 1
        return {
            "step": step, "t": t, "nodes": {view: dict(sorted(lines.items())) for view, lines in views.items()},
            "gpus": {"bought": bought, "requested": requested, "used": [round(g * 0.78, 3) for g in requested]},
            "pendingPods": pending, "costPerHour": [round(c, 6) for c in cost],
        }  # fmt: skip

    def _peak(self) -> int:
        changes = sorted([(n["running"], 1) for n in self.nodes] + [(_end(n, self.seconds), -1) for n in self.nodes])
        alive = peak = 0
        for _, change in changes:
            alive += change
            peak = max(peak, alive)
        return peak


def _end(node: Result, seconds: int) -> float:
    return float(seconds if node["ended"] is None else node["ended"])


def _steps(since: float, until: float | None, step: int, count: int) -> range:
    return range(math.ceil(since / step), count if until is None else min(count, math.ceil(until / step)))


def _percentiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    rank = {
        name: ordered[math.ceil(part * len(ordered)) - 1] if ordered else 0.0
        for name, part in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))
    }
    return {**rank, "max": ordered[-1] if ordered else 0.0}
