"""The disruption controller: what each PodDisruptionBudget allows now, told in its status.

Source: Kubernetes v1.36 pkg/controller/disruption/disruption.go, component-helpers apps/poddisruptionbudget;
kubernetes.io, Specifying a Disruption Budget for your Application.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from fretsaw.api.meta import Condition, OwnerReference, scaled
from fretsaw.api.pod import Pod
from fretsaw.api.policy import PodDisruptionBudget, PodDisruptionBudgetSpec, PodDisruptionBudgetStatus
from fretsaw.api.times import MINUTE, Millis, millis
from fretsaw.api.workload import wanted_replicas
from fretsaw.sim.conditions import is_ready, with_condition
from fretsaw.sim.controller import WorkQueue
from fretsaw.sim.members import Members
from fretsaw.sim.store import Store
from fretsaw.sim.world import World

KIND: Final = "PodDisruptionBudget"
ALLOWED: Final = "DisruptionAllowed"
DELETION_TIMEOUT: Final[Millis] = 2 * MINUTE
"""So long a pod whose eviction was granted counts as gone, even if nobody deletes it."""
_SCALED: Final = ("ReplicaSet", "StatefulSet", "ReplicationController", "Deployment")
_PLURALS: Final = {"Job": "jobs.batch", "DaemonSet": "daemonsets.apps", "CronJob": "cronjobs.batch", "Node": "nodes"}


class NoScale(Exception):  # noqa: N818 (it is what the controller found)
    """The number of expected pods cannot be known; the text is the condition's message."""


class Need(msgspec.Struct, frozen=True):
    """What a budget asks for: pods that should be there, and how many of them have to be healthy."""

    expected: int
    healthy: int


class Budgets:
    """The controller. It looks at a budget when the budget changes, or the health of a pod that it selects."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._store = world.store
        self._queue = WorkQueue(world.loop, self._sync)
        self._members = Members(world.store, self._pod_changed)
        self._store.watch(KIND, self._changed)
        for budget in list(self._store.all(KIND).values()):
            self._changed(None, budget)

    def _changed(self, old: PodDisruptionBudget | None, new: PodDisruptionBudget | None) -> None:
        budget = new if new is not None else old
        assert budget is not None
        key = budget.metadata.key
        if new is None:
            self._members.drop(key)
            return
        self._members.select(key, new.spec.selector)
        if old is None or old.spec != new.spec or old.status.disrupted_pods != new.status.disrupted_pods:
            self._queue.add(key)

    def _pod_changed(self, key: str, old: Pod | None, new: Pod | None) -> None:
        if old is None or new is None or _counts(old) != _counts(new):
            self._queue.add(key)

    def _sync(self, key: str) -> None:
        budget = self._store.get(KIND, key)
        if budget is None:
            return
        pods = self._members.of(key)
        now = self._world.loop.now
        try:
            need = needed(self._store, budget.spec, pods.values())
        except NoScale as why:
            self._write(budget, _failed(budget, str(why), now))
            return
        disrupted = still_disrupted(budget.status.disrupted_pods, pods.values(), now)
        healthy = count_healthy(pods.values(), disrupted)
        self._write(budget, _status(budget, need, healthy, disrupted, now))
        if disrupted:
            self._queue.add(key, min(map(_gives_up, disrupted.values())) - now)

    def _write(self, budget: PodDisruptionBudget, status: PodDisruptionBudgetStatus) -> None:
        if status != budget.status:
            self._store.put(replace(budget, status=status))


def _counts(pod: Pod) -> tuple[bool, bool]:
    return is_ready(pod), bool(pod.metadata.deletion_timestamp)


def _gives_up(granted: str) -> Millis:
    return millis(granted) + DELETION_TIMEOUT


def count_healthy(pods: Iterable[Pod], disrupted: Mapping[str, str]) -> int:
    """How many pods are ready, not being deleted, and not about to be."""
    return sum(
        is_ready(pod) and not pod.metadata.deletion_timestamp and pod.metadata.name not in disrupted for pod in pods
    )


def still_disrupted(disrupted: Mapping[str, str], pods: Iterable[Pod], now: Millis) -> dict[str, str]:
    """The granted evictions that the API has not seen carried out, and that are not too old to be believed."""
    if not disrupted:
        return {}
    names = [pod.metadata.name for pod in pods if not pod.metadata.deletion_timestamp]
    return {name: disrupted[name] for name in names if name in disrupted and _gives_up(disrupted[name]) > now}


def needed(store: Store, spec: PodDisruptionBudgetSpec, pods: Iterable[Pod]) -> Need:
    """How many pods a budget expects and needs. Percentages are of the controllers' scale, rounded up.

    Pods without a controller have no scale; they only count for a number in `minAvailable`. Raises NoScale for pods of
    a controller that cannot be scaled.
    """
    found = list(pods)
    if spec.max_unavailable is not None:
        expected = _scale(store, found)
        return Need(expected, max(0, expected - scaled(spec.max_unavailable, expected, up=True)))
    if isinstance(spec.min_available, str):
        expected = _scale(store, found)
        return Need(expected, scaled(spec.min_available, expected, up=True))
    if spec.min_available is not None:
        return Need(len(found), spec.min_available)
    return Need(0, 0)


def _scale(store: Store, pods: Iterable[Pod]) -> int:
    """The replicas of all controllers of the pods."""
    scales: dict[str, int] = {}
    asked: set[str] = set()
    for pod in pods:
        owner = pod.metadata.controller
        if owner is not None and owner.uid not in asked:
            asked.add(owner.uid)
            uid, replicas = _scale_of(store, pod, owner)
            scales[uid] = replicas
    return sum(scales.values())


def _scale_of(store: Store, pod: Pod, owner: OwnerReference) -> tuple[str, int]:
    """Uid and replicas of a pod's controller; of the Deployment where that is a ReplicaSet of one."""
    if owner.kind not in _SCALED:
        plural = _PLURALS.get(owner.kind, f"{owner.kind.lower()}s")
        raise NoScale(f"{plural} does not implement the scale subresource")
    namespace = pod.metadata.home
    found = _found(store, namespace, owner)
    above = found.metadata.controller if found is not None else None
    if above is not None and above.kind == "Deployment":
        found = _found(store, namespace, above)
    if found is None:
        raise NoScale(f'found no controllers for pod "{pod.metadata.name}"')
    return found.metadata.uid, wanted_replicas(found)


def _found(store: Store, namespace: str, owner: OwnerReference) -> Any:
    found = store.get(owner.kind, f"{namespace}/{owner.name}")
    return found if found is not None and found.metadata.uid == owner.uid else None


def _status(
    budget: PodDisruptionBudget, need: Need, healthy: int, disrupted: dict[str, str], now: Millis
) -> PodDisruptionBudgetStatus:
    # Without expected pods nothing is allowed: the first pods may be there before this controller has counted them.
    allowed = max(0, healthy - need.healthy) if need.expected > 0 else 0
    return replace(
        budget.status,
        disruptions_allowed=allowed,
        current_healthy=healthy,
        desired_healthy=need.healthy,
        expected_pods=need.expected,
        disrupted_pods=disrupted,
        observed_generation=budget.metadata.generation,
        conditions=with_condition(budget.status.conditions, enough(budget, allowed), now),
    )


def enough(budget: PodDisruptionBudget, allowed: int) -> Condition:
    """The condition that says whether any pod may be disrupted."""
    generation = budget.metadata.generation
    if allowed > 0:
        return Condition(ALLOWED, "True", "SufficientPods", observed_generation=generation)
    return Condition(ALLOWED, "False", "InsufficientPods", observed_generation=generation)


def _failed(budget: PodDisruptionBudget, why: str, now: Millis) -> PodDisruptionBudgetStatus:
    """Nothing is allowed; the rest of the status stays, so that evictions also see that it is out of date."""
    condition = Condition(ALLOWED, "False", "SyncFailed", why, observed_generation=budget.status.observed_generation)
    conditions = with_condition(budget.status.conditions, condition, now)
    return replace(budget.status, disruptions_allowed=0, conditions=conditions)
