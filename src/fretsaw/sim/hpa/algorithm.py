"""How many replicas a metric asks for: pure arithmetic on readings, one function for each kind of target.

Values are whole thousandths of the metric's unit; averages are cut off to whole thousandths, and ratios are doubles, so
that the steps at a border are those of a real controller.
Source: Kubernetes v1.36 pkg/controller/podautoscaler (replica_calculator.go, metrics/utilization.go); kubernetes.io,
Horizontal Pod Autoscaling, "Algorithm details".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil
from typing import TypeVar

import msgspec

Item = TypeVar("Item")
FULL = 100
"""Percent of its request that a pod without a sample uses at least, when it would let the workload shrink."""


class Tolerance(msgspec.Struct, frozen=True):
    """How far from its target a metric may be without a change; both borders belong to it."""

    up: float = 0.1
    down: float = 0.1

    def holds(self, ratio: float) -> bool:
        """Whether a ratio is near enough to 1."""
        return 1.0 - self.down <= ratio <= 1.0 + self.up


class Proposal(msgspec.Struct, frozen=True):
    """What one metric asks for, and the reading that the status shows."""

    replicas: int
    value: int
    """Thousandths: the average for a pod, or the metric's value."""
    utilization: int | None = None
    """Percent of the requests."""


class Failure(msgspec.Struct, frozen=True):
    """A metric that could not be used. reason: that of the condition ScalingActive."""

    reason: str
    message: str


class PodReadings(msgspec.Struct, frozen=True):
    """A metric's values of the pods that count, and how many pods beside them do not."""

    values: tuple[int, ...]
    unready: int = 0
    """Pending pods; for cpu also those that are not ready yet."""
    missing: int = 0
    """Running pods without a sample."""


class UsageReadings(msgspec.Struct, frozen=True):
    """Usage and request of the pods that count, and the requests of those beside them; all in one unit."""

    used: tuple[tuple[int, int], ...]
    unready: tuple[int, ...] = ()
    missing: tuple[int, ...] = ()


def by_average(current: int, pods: PodReadings, target: int, tolerance: Tolerance) -> Proposal:
    """Replicas so that the pods' average is `target`: metrics of type Pods, and AverageValue of a resource.

    Pods without a sample are taken to be on target where the workload would shrink, and idle where it would grow.
    pods: at least one value.
    """

    def ratio(values: Sequence[int]) -> float:
        return sum(values) // len(values) / target

    def absent(first: float) -> Sequence[int]:
        return (target if first < 1.0 else 0,) * pods.missing

    replicas = _replicas(current, pods.values, ratio, absent, (0,) * pods.unready, bool(pods.missing), tolerance)
    return Proposal(replicas, sum(pods.values) // len(pods.values))


def by_utilization(current: int, pods: UsageReadings, target: int, tolerance: Tolerance) -> Proposal:
    """Replicas so that the pods use `target` percent of what they request.

    Pods without a sample use all of their request (or the target, if that is more) where the workload would shrink.
    pods: at least one that counts, requests above 0.
    """

    def percent(pairs: Sequence[tuple[int, int]]) -> int:
        return sum(used for used, _ in pairs) * 100 // sum(request for _, request in pairs)

    def absent(first: float) -> Sequence[tuple[int, int]]:
        if first == 1.0:
            return ()
        share = max(FULL, target) if first < 1.0 else 0
        return [(request * share // 100, request) for request in pods.missing]

    replicas = _replicas(
        current,
        pods.used,
        lambda pairs: percent(pairs) / target,
        absent,
        [(0, request) for request in pods.unready],
        bool(pods.missing),
        tolerance,
    )
    return Proposal(replicas, sum(used for used, _ in pods.used) // len(pods.used), percent(pods.used))


def by_value(current: int, ready: int, value: int, target: int, tolerance: Tolerance) -> Proposal:
    """Replicas so that one value for all pods is `target` (Object and External, Value). ready: running, ready pods."""
    ratio = value / target
    if current == 0:
        return Proposal(ceil(ratio), value)
    if tolerance.holds(ratio):
        return Proposal(current, value)
    return Proposal(ceil(ratio * ready), value)


def by_share(replicas: int, value: int, target: int, tolerance: Tolerance) -> Proposal:
    """Replicas so that each has `target` of a value (Object and External, AverageValue). replicas: status.replicas."""
    if replicas == 0:
        return Proposal(ceil(value / target), value)
    share = ceil(value / replicas)
    if tolerance.holds(value / (float(target) * replicas)):
        return Proposal(replicas, share)
    return Proposal(ceil(value / target), share)


def largest(current: int, found: Sequence[Proposal | Failure]) -> int | None:
    """The place in `found` of the proposal to follow; None where nothing may be done.

    The largest wins, the first of equals. Where some metric failed, the workload may still grow but not shrink.
    """
    best: int | None = None
    most = 0
    for index, proposal in enumerate(found):
        if isinstance(proposal, Proposal) and (best is None or most == 0 or proposal.replicas > most):
            best, most = index, proposal.replicas
    failed = any(isinstance(proposal, Failure) for proposal in found)
    return None if failed and most < current else best


def _replicas(
    current: int,
    counted: Sequence[Item],
    ratio_of: Callable[[Sequence[Item]], float],
    absent: Callable[[float], Sequence[Item]],
    unready: Sequence[Item],
    missing: bool,
    tolerance: Tolerance,
) -> int:
    """The replicas that the pods that count ask for, held back by those that do not.

    The second look, with a guess for the others, may weaken the first one's direction but never turn it round.
    """
    first = ratio_of(counted)
    idle = unready if first > 1.0 else ()
    if not missing and not idle:
        return current if tolerance.holds(first) else ceil(first * len(counted))
    everyone = (*counted, *absent(first), *idle)
    second = ratio_of(everyone)
    if tolerance.holds(second) or second < 1.0 < first or first < 1.0 < second:
        return current
    replicas = ceil(second * len(everyone))
    against = replicas > current if second < 1.0 else replicas < current
    return current if against else replicas
