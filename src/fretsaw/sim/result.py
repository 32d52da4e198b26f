"""The figures of a run, in the shape that `--json` writes; every other output is made from them alone.

Times are seconds from the start, money is USD, figures are rounded so that equal runs give equal bytes.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from fretsaw.api.times import HOUR, SECOND, Millis, rfc3339
from fretsaw.engine.shape import gpu_count
from fretsaw.sim.allocation import IDLE, allocate
from fretsaw.sim.disruptions import Disruptions
from fretsaw.sim.ledger import Ledger, NodeLife, PodLife
from fretsaw.sim.series import series, step_for

NANO = 1_000_000_000


class Totals(Protocol):
    """Nano-USD by way of buying."""

    @property
    def spot(self) -> int: ...
    @property
    def on_demand(self) -> int: ...
    @property
    def reserved(self) -> int: ...
    @property
    def total(self) -> int: ...


class Costs(Protocol):
    """What the cloud charges."""

    def of(self, provider_id: str, now: Millis) -> int:
        """Nano-USD of one instance."""

    def between(self, provider_id: str, begin: Millis, end: Millis, now: Millis) -> int:
        """Nano-USD of one instance for a span of its life."""

    def total(self, now: Millis) -> Totals:
        """Nano-USD of everything."""

    def all_on_demand(self, now: Millis) -> int:
        """Nano-USD of the same instances on demand."""

    def series(self, begin: Millis, step: Millis, count: int, now: Millis) -> Sequence[Totals]:
        """Nano-USD of equal steps."""


class Outcome:
    """All that a result is made from."""

    def __init__(
        self,
        ledger: Ledger,
        costs: Costs,
        disruptions: Disruptions,
        capacity: Callable[[str], Mapping[str, int]],
        used: Callable[[int], float],
        start: Millis,
        end: Millis,
    ) -> None:
        """capacity: of an instance by its provider id, base units. used: busy GPUs at a step of the series."""
        self.ledger = ledger
        self.costs = costs
        self.disruptions = disruptions
        self.capacity = capacity
        self.used = used
        self.start = start
        self.end = end
        for life in ledger.nodes.values():
            life.gpus = gpu_count(capacity(life.provider_id)) if life.provider_id else 0
        self.shares = {name: self._shares(life) for name, life in ledger.nodes.items()}
        """For each claim its cost by workload."""

    def _shares(self, life: NodeLife) -> dict[str, int]:
        if not life.provider_id:
            return {}

        def cost(begin: Millis, end: Millis) -> int:
            return self.costs.between(life.provider_id, begin, end, self.end)

        total = self.costs.of(life.provider_id, self.end)
        return allocate(life, self.capacity(life.provider_id), cost, total, self.end)

    def node_costs(self) -> dict[str, int]:
        """Nano-USD of each instance, by its provider id."""
        lives = self.ledger.nodes.values()
        return {life.provider_id: self.costs.of(life.provider_id, self.end) for life in lives if life.provider_id}

    def divided(self) -> dict[str, int]:
        """What was divided of each instance's cost, what is idle included; nano-USD by its provider id."""
        nodes = self.ledger.nodes
        return {nodes[name].provider_id: sum(shares.values()) for name, shares in self.shares.items() if shares}

    def figures(self) -> dict[str, Any]:
        """Everything but what the run itself knows (its name, its seed, its wall time)."""
        pods = [pod for pod in self.ledger.pods.values() if not pod.daemon]
        counts = self.ledger.counts
        expired = sum(life.why_gone == "expired" for life in self.ledger.nodes.values())
        return {
            "start": rfc3339(self.start),
            "virtualSeconds": (self.end - self.start) // SECOND,
            "cost": self._cost(),
            "nodes": self._nodes(),
            "pods": self._pods(pods),
            "gpuHours": self._gpu_hours(pods),
            "interruptions": counts.get("spot-interrupted", 0),
            "insufficientCapacity": counts.get("insufficient-capacity", 0),
            "disruptions": {**self.disruptions.nodes_by_reason(), "Expired": expired},
            "disruptionList": [dict(row) for row in self.disruptions.rows],
            "series": self._series(),
            "planned": {"pods": self.ledger.handed_over, "landed": self.ledger.landed},
        }

    def _cost(self) -> dict[str, Any]:
        total = self.costs.total(self.end)
        by_pool: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        by_workload: dict[str, int] = defaultdict(int)
        hours: dict[str, float] = defaultdict(float)
        idle_gpu = 0
        for name, shares in self.shares.items():
            life = self.ledger.nodes[name]
            pool = by_pool[life.pool]
            spent = sum(shares.values())
            pool["total"] += spent
            pool[_KEYS.get(life.capacity_type, "onDemand")] += spent
            if life.gpus:
                pool["idleGpu"] += shares.get(IDLE, 0)
                idle_gpu += shares.get(IDLE, 0)
            for workload, amount in shares.items():
                if workload != IDLE:
                    by_workload[workload] += amount
        for pod in self.ledger.pods.values():
            if pod.bound is not None and not pod.daemon:
                hours[pod.workload] += pod.gpus * ((pod.ended or self.end) - pod.bound) / HOUR
        return {
            "total": usd(total.total),
            "spot": usd(total.spot),
            "onDemand": usd(total.on_demand),
            "reserved": usd(total.reserved),
            "allOnDemand": usd(self.costs.all_on_demand(self.end)),
            "idleGpu": usd(idle_gpu),
            "idle": usd(sum(shares.get(IDLE, 0) for shares in self.shares.values())),
            "byPool": {
                pool: {key: usd(amounts[key]) for key in ("total", "spot", "onDemand", "reserved", "idleGpu")}
                for pool, amounts in sorted(by_pool.items())
            },
            "byWorkload": [
                {"workload": workload, "total": usd(amount), "gpuHours": round(hours[workload], 3)}
                for workload, amount in sorted(by_workload.items(), key=lambda item: (-item[1], item[0]))
            ],
        }

    def _nodes(self) -> dict[str, Any]:
        lives = [life for life in self.ledger.nodes.values() if life.running is not None]
        return {
            "launched": len(lives),
            "terminated": sum(life.ended is not None for life in lives),
            "peak": self.ledger.peak,
            "list": [self._node(life) for life in self.ledger.nodes.values()],
        }

    def _node(self, life: NodeLife) -> dict[str, Any]:
        cost = self.costs.of(life.provider_id, self.end) if life.provider_id else 0
        return {
            "name": life.claim,
            "node": life.node,
            "nodePool": life.pool,
            "instanceType": life.instance_type,
            "zone": life.zone,
            "capacityType": life.capacity_type,
            "pricePerHour": life.price_usd_per_hour,
            "gpus": life.gpus,
            "cost": usd(cost),
            "why": life.why,
            "whyGone": life.why_gone,
            "created": self._seconds(life.created),
            "running": self._seconds(life.running),
            "registered": self._seconds(life.registered),
            "initialized": self._seconds(life.initialized),
            "deleted": self._seconds(life.deleted),
            "ended": self._seconds(life.ended),
            "pods": [
                {"pod": pod.key, "from": self._seconds(pod.bound), "to": self._seconds(pod.ended)}
                for pod in life.pods
                if not pod.daemon
            ],
        }

    def _pods(self, pods: Sequence[PodLife]) -> dict[str, Any]:
        by_workload: dict[str, list[PodLife]] = defaultdict(list)
        for pod in pods:
            by_workload[pod.workload].append(pod)
        return {
            **self._counts(pods),
            "byWorkload": [
                {
                    "workload": workload,
                    **self._counts(own),
                    "interruptions": sum(pod.result == "Killed" for pod in own),
                    "lostWorkSeconds": round(sum(pod.lost_ms for pod in own) / SECOND, 3),
                }
                for workload, own in sorted(by_workload.items())
            ],
        }

    def _counts(self, pods: Sequence[PodLife]) -> dict[str, Any]:
        waits = [(pod.running - pod.created) / SECOND for pod in pods if pod.running is not None]
        still = [(self.end - pod.created) / SECOND for pod in pods if pod.running is None and pod.ended is None]
        return {
            "created": len(pods),
            "succeeded": sum(pod.result == "Succeeded" for pod in pods),
            "failed": sum(pod.result in ("Failed", "Killed") for pod in pods),
            "pendingAtEnd": len(still),
            "waitSeconds": _percentiles([*waits, *still]),
        }

    def _gpu_hours(self, pods: Iterable[PodLife]) -> dict[str, float]:
        lives = [life for life in self.ledger.nodes.values() if life.running is not None]
        bought = sum(life.gpus * ((life.ended or self.end) - (life.running or 0)) for life in lives)
        requested = used = 0.0
        for pod in pods:
            if pod.bound is not None:
                requested += pod.gpus * ((pod.ended or self.end) - pod.bound)
                used += pod.used_gpu_ms
        return {
            "bought": round(bought / HOUR, 3),
            "requested": round(requested / HOUR, 3),
            "used": round(used / HOUR, 3),
        }

    def _series(self) -> dict[str, Any]:
        step = step_for(self.end - self.start)
        count = (self.end - self.start) // step + 1
        costs = [
            round(totals.total / NANO * HOUR / step, 6)
            for totals in self.costs.series(self.start, step, count, self.end)
        ]
        return series(self.ledger, self.start, self.end, self.used, costs)

    def _seconds(self, when: Millis | None) -> float | None:
        return None if when is None else (when - self.start) / SECOND


_KEYS = {"spot": "spot", "on-demand": "onDemand", "reserved": "reserved"}


def usd(nano: int) -> float:
    """USD with all digits that were charged."""
    return nano / NANO


def _percentiles(values: Iterable[float]) -> dict[str, float]:
    """The nearest-rank percentiles; zeros where there is nothing to rank."""
    ordered = sorted(values)
    found = {"p50": 0.0, "p90": 0.0, "p99": 0.0, "max": 0.0}
    if ordered:
        for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
            found[name] = ordered[math.ceil(share * len(ordered)) - 1]
        found["max"] = ordered[-1]
    return found
