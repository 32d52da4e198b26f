"""The arithmetic of a Deployment: how many pods each of its ReplicaSets shall have next. Nothing is written here.

Source: Kubernetes v1.36 pkg/controller/deployment (rolling.go, sync.go) and its util; kubernetes.io, Deployments.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

from fretsaw.api.meta import scaled
from fretsaw.api.workload import Deployment, ReplicaSet, wanted_replicas

DESIRED: Final = "deployment.kubernetes.io/desired-replicas"
MAX: Final = "deployment.kubernetes.io/max-replicas"
REVISION: Final = "deployment.kubernetes.io/revision"
_SHARE: Final = "25%"
Sizes = dict[str, int]
"""Pods that a ReplicaSet shall have, by its name."""


def is_rolling(deployment: Deployment) -> bool:
    """Whether old pods are replaced step by step."""
    return deployment.spec.strategy.type != "Recreate"


def fenceposts(deployment: Deployment) -> tuple[int, int]:
    """How many pods there may be above the wanted number, and how many of them may be unavailable.

    Rules: 25 % each by default; the surge is rounded up, what is unavailable is rounded down; both 0: 1 unavailable.
    Recreate has neither.
    """
    if not is_rolling(deployment):
        return 0, 0
    given, whole = deployment.spec.strategy.rolling_update, wanted_replicas(deployment)
    surge = given.max_surge if given is not None and given.max_surge is not None else _SHARE
    missing = given.max_unavailable if given is not None and given.max_unavailable is not None else _SHARE
    most, unavailable = scaled(surge, whole, up=True), scaled(missing, whole, up=False)
    if not most and not unavailable:
        unavailable = 1
    return most, min(unavailable, whole)


def total(sets: Iterable[ReplicaSet]) -> int:
    """The pods that ReplicaSets are asked for together."""
    return sum(map(wanted_replicas, sets))


def active(sets: Iterable[ReplicaSet]) -> list[ReplicaSet]:
    """The ReplicaSets that are asked for pods."""
    return [one for one in sets if wanted_replicas(one)]


def new_size(deployment: Deployment, sets: Iterable[ReplicaSet], size: int) -> int:
    """What the newest ReplicaSet of `size` may grow or has to shrink to. sets: all, the newest too."""
    goal = wanted_replicas(deployment)
    if size >= goal or not is_rolling(deployment):
        return goal
    room = goal + fenceposts(deployment)[0] - total(sets)
    return size + max(0, min(room, goal - size))


def old_sizes(deployment: Deployment, new: ReplicaSet, old: Sequence[ReplicaSet]) -> Sizes:
    """What old ReplicaSets shrink to while the newest one comes up; those that stay are left out.

    Rules: first goes what is not available anyway, oldest ReplicaSet first, as far as the new pods that are not
    available yet leave room; then available pods, down to the least that has to be available. A ReplicaSet that counts
    more pods as available than it shall have is about to delete some: nothing shrinks before it has.
    """
    old = active(old)
    if any(one.status.available_replicas > wanted_replicas(one) for one in old):
        return {}
    least = wanted_replicas(deployment) - fenceposts(deployment)[1]
    room = total((*old, new)) - least - (wanted_replicas(new) - new.status.available_replicas)
    if room <= 0:
        return {}
    by_age = sorted(old, key=_age)
    sizes = {one.name: wanted_replicas(one) for one in by_age}
    for one in by_age:
        gone = max(0, min(room, sizes[one.name] - one.status.available_replicas))
        sizes[one.name] -= gone
        room -= gone
    spare = sum(one.status.available_replicas for one in (*old, new)) - least
    for one in by_age:
        gone = max(0, min(spare, sizes[one.name]))
        sizes[one.name] -= gone
        spare -= gone
    return {one.name: sizes[one.name] for one in by_age if sizes[one.name] != wanted_replicas(one)}


def scaled_sizes(deployment: Deployment, new: ReplicaSet | None, old: Sequence[ReplicaSet]) -> Sizes:
    """What the ReplicaSets become when the wanted number of pods has changed, or while the rollout is paused.

    Rules: a single active ReplicaSet takes all; once the newest is complete, the old ones take none; in the middle of a
    rollout the change is spread in proportion, what is left over going to the first.
    """
    sole = _active_or_latest(new, old)
    if sole is not None:
        return {sole.name: wanted_replicas(deployment)}
    if new is not None and _saturated(deployment, new):
        return {one.name: 0 for one in active(old)}
    if not is_rolling(deployment):
        return {}
    return _in_proportion(deployment, active((*old, *([new] if new is not None else ()))))


def _active_or_latest(new: ReplicaSet | None, old: Sequence[ReplicaSet]) -> ReplicaSet | None:
    """The one ReplicaSet with pods; the newest where none has; None where several have."""
    several = active((*old, *([new] if new is not None else ())))
    if len(several) > 1:
        return None
    if several:
        return several[0]
    if new is not None:
        return new
    return max(old, key=_age, default=None)


def _age(one: ReplicaSet) -> tuple[str, str]:
    """Sorts the oldest first."""
    return one.metadata.creation_timestamp or "", one.metadata.uid


def _saturated(deployment: Deployment, one: ReplicaSet) -> bool:
    goal = wanted_replicas(deployment)
    return wanted_replicas(one) == goal == number(one, DESIRED) == one.status.available_replicas


def _in_proportion(deployment: Deployment, sets: Sequence[ReplicaSet]) -> Sizes:
    goal = wanted_replicas(deployment)
    allowed = goal + fenceposts(deployment)[0] if goal else 0
    change = left = allowed - total(sets)
    # Growing starts with the newest of equal size, shrinking with the oldest; always with the largest.
    ordered = sorted(sets, key=_age, reverse=change > 0)
    ordered.sort(key=wanted_replicas, reverse=True)
    sizes = {one.name: wanted_replicas(one) for one in ordered}
    for one in ordered:
        share = _share(deployment, one)
        step = min(share, left) if change > 0 else max(share, left)
        sizes[one.name] += step
        left -= step
    if ordered:
        first = ordered[0].name
        sizes[first] = max(0, sizes[first] + left)
    return sizes


def _share(deployment: Deployment, one: ReplicaSet) -> int:
    """How much a ReplicaSet gains or loses of a change, by its part of the pods that there could be before."""
    if not wanted_replicas(deployment):
        return -wanted_replicas(one)
    before = number(one, MAX) or deployment.status.replicas
    if not before:
        return 0
    after = wanted_replicas(deployment) + fenceposts(deployment)[0]
    return math.floor(wanted_replicas(one) * after / before + 0.5) - wanted_replicas(one)


def number(one: ReplicaSet, annotation: str) -> int | None:
    """A whole number that a ReplicaSet is annotated with, None where there is none."""
    text = one.metadata.annotations.get(annotation, "")
    return int(text) if text.isascii() and text.isdigit() else None


def is_scaling(deployment: Deployment, sets: Iterable[ReplicaSet]) -> bool:
    """Whether the wanted number of pods is another than the one that the active ReplicaSets were made for."""
    goals = (number(one, DESIRED) for one in active(sets))
    return any(goal is not None and goal != wanted_replicas(deployment) for goal in goals)
