"""The eviction API: a deletion that asks the disruption budgets first.

Source: Kubernetes v1.36 pkg/registry/core/pod/storage/eviction.go; kubernetes.io, API-initiated Eviction.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from fretsaw.api.pod import Pod
from fretsaw.api.policy import PodDisruptionBudget
from fretsaw.api.times import Millis, rfc3339
from fretsaw.sim.budgets import KIND, enough
from fretsaw.sim.conditions import disrupted, is_ready, with_condition
from fretsaw.sim.world import World

VIOLATES: Final = "429 TooManyRequests: Cannot evict pod as it would violate the pod's disruption budget."
SEVERAL: Final = (
    "500 InternalError: This pod has more than one PodDisruptionBudget, "
    "which the eviction subresource does not support."
)
MOST_DISRUPTED: Final = 2000
"""Granted evictions that a budget may carry before its controller has seen them."""


class Evictions:
    """POST pods/<name>/eviction."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._store = world.store

    def evict(self, pod_key: str, uid: str | None = None, grace_s: int | None = None) -> str:
        """Delete a pod if its budget allows that; empty where it does, else the API's answer.

        uid: refuse another pod of the same name. grace_s: as of the deletion, the pod's own by default.
        Pods that do not serve (pending, finished, being deleted) are not protected; one that runs but is not ready is
        only while its budget is short of healthy pods, or never with AlwaysAllow.
        """
        pod = self._store.get("Pod", pod_key)
        if pod is None:
            return f'404 NotFound: pods "{pod_key.rpartition("/")[2]}" not found'
        if uid is not None and uid != pod.metadata.uid:
            return _other(pod, uid)
        budget = ""
        if not _unprotected(pod):
            budgets = self.budgets(pod)
            if len(budgets) > 1:
                return SEVERAL
            if budgets:
                budget = budgets[0].metadata.name
                if refused := self._take(pod, budgets[0]):
                    return refused
        self._delete(pod, grace_s, budget)
        return ""

    def budgets(self, pod: Pod) -> tuple[PodDisruptionBudget, ...]:
        """The budgets that select a pod."""
        return tuple(budget for budget in self._store.all(KIND).values() if budget.selects(pod.metadata))

    def _take(self, pod: Pod, budget: PodDisruptionBudget) -> str:
        """Use a disruption of the budget up, where the pod needs one; or say why that cannot be."""
        if not is_ready(pod) and _lets_unready_go(budget):
            return ""
        status = budget.status
        if (status.observed_generation or 0) < (budget.metadata.generation or 0) or not status.disruptions_allowed:
            return VIOLATES
        if len(status.disrupted_pods) > MOST_DISRUPTED:
            return (
                f'403 Forbidden: poddisruptionbudgets.policy "{budget.metadata.name}" is forbidden: '
                "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
            )
        self._store.put(_one_less(budget, pod, self._world.loop.now))
        return ""

    def _delete(self, pod: Pod, grace_s: int | None, budget: str) -> None:
        now = self._world.loop.now
        self._store.put(disrupted(pod, "EvictionByEvictionAPI", "Eviction API: evicting", now))
        self._world.journal.note("pod-evicted", f"Pod/{pod.key}", node=pod.spec.node_name, budget=budget)
        self._store.delete("Pod", pod.key, grace_s=grace_s)


def _unprotected(pod: Pod) -> bool:
    return pod.status.phase in ("", "Pending", "Succeeded", "Failed") or bool(pod.metadata.deletion_timestamp)


def _lets_unready_go(budget: PodDisruptionBudget) -> bool:
    """Whether a pod that is not ready needs no disruption: it is not among the healthy ones anyway."""
    if budget.spec.unhealthy_pod_eviction_policy == "AlwaysAllow":
        return True
    desired = budget.status.desired_healthy or 0
    return (budget.status.current_healthy or 0) >= desired > 0


def _one_less(budget: PodDisruptionBudget, pod: Pod, now: Millis) -> PodDisruptionBudget:
    """The budget with the eviction in its books, before its controller has seen it."""
    status = budget.status
    left = (status.disruptions_allowed or 0) - 1
    conditions = status.conditions if left else with_condition(status.conditions, enough(budget, left), now)
    granted = {**status.disrupted_pods, pod.metadata.name: rfc3339(now)}
    status = replace(status, disruptions_allowed=left, disrupted_pods=granted, conditions=conditions)
    return replace(budget, status=status)


def _other(pod: Pod, uid: str) -> str:
    return (
        f'409 Conflict: Operation cannot be fulfilled on Pod "{pod.metadata.name}": the UID in the precondition '
        f"({uid}) does not match the UID in record ({pod.metadata.uid}). "
        "The object might have been deleted and then recreated"
    )
