"""What the cluster looked like over time: counts at equal steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fretsaw.api.times import DAY, HOUR, MINUTE, SECOND, Millis
from fretsaw.sim.ledger import Ledger, NodeLife, PodLife

STEPS = (10 * SECOND, MINUTE, 5 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 6 * HOUR, DAY)
MOST = 400
"""Points of a series at most: enough for a page's width."""


def step_for(length: Millis) -> Millis:
    """The shortest step that gives no more than MOST points."""
    return next((step for step in STEPS if length <= step * MOST), STEPS[-1] * -(-length // (STEPS[-1] * MOST)))


def series(
    ledger: Ledger, start: Millis, end: Millis, used: Callable[[int], float], costs: list[float]
) -> dict[str, Any]:
    """The documented `series`. used: busy GPUs at a step. costs: USD an hour in each step."""
    step = step_for(end - start)
    count = (end - start) // step + 1
    names: dict[str, dict[str, list[int]]] = {"byPool": {}, "byType": {}, "byCapacityType": {}}
    bought, requested, pending = [0] * count, [0] * count, [0] * count
    for node in ledger.nodes.values():
        if node.running is None:
            continue
        low, high = _steps(node.running, node.ended, start, end, step)
        for view, name in _names(node):
            line = names[view].setdefault(name, [0] * count)
            for i in range(low, high):
                line[i] += 1
        for i in range(low, high):
            bought[i] += node.gpus
    for pod in ledger.pods.values():
        for i in range(*_steps(pod.created, _began(pod), start, end, step)) if not pod.daemon else ():
            pending[i] += 1
        if pod.bound is not None and pod.gpus:
            for i in range(*_steps(pod.bound, pod.ended, start, end, step)):
                requested[i] += pod.gpus
    return {
        "step": step // SECOND,
        "t": [i * step // SECOND for i in range(count)],
        "nodes": {view: dict(sorted(lines.items())) for view, lines in names.items()},
        "gpus": {"bought": bought, "requested": requested, "used": [round(used(i), 3) for i in range(count)]},
        "pendingPods": pending,
        "costPerHour": costs,
    }


def _began(pod: PodLife) -> Millis | None:
    """When a pod stopped waiting: it ran, or was taken away."""
    return pod.running if pod.running is not None else pod.ended


def _names(node: NodeLife) -> tuple[tuple[str, str], ...]:
    return (
        ("byPool", node.pool or "none"),
        ("byType", node.instance_type),
        ("byCapacityType", node.capacity_type),
    )


def _steps(since: Millis, until: Millis | None, start: Millis, end: Millis, step: Millis) -> tuple[int, int]:
    """The steps at which something was there: `since` counts, `until` does not."""
    first = -(-(since - start) // step)
    last = (end - start) // step + 1 if until is None else -(-(until - start) // step)
    return first, max(last, first)
