"""What the scheduler writes on pods: their node, their PodScheduled condition, their nomination."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from fretsaw.api.meta import Condition
from fretsaw.api.pod import Pod
from fretsaw.api.times import SECOND, Millis, rfc3339
from fretsaw.sim.store import Store

SCHEDULED: Final = "PodScheduled"
GATED: Final = "Scheduling is blocked due to non-empty scheduling gates"


def with_condition(pod: Pod, type_: str, status: str, reason: str, message: str, now: Millis) -> Pod:
    """The pod with a condition set; its time moves only with its status."""
    old = next((c for c in pod.status.conditions if c.type == type_), None)
    since = old.last_transition_time if old is not None and old.status == status else rfc3339(now - now % SECOND)
    new = Condition(type=type_, status=status, reason=reason, message=message, last_transition_time=since)
    if old == new:
        return pod
    others = tuple(c for c in pod.status.conditions if c.type != type_)
    return replace(pod, status=replace(pod.status, conditions=(*others, new)))


def scheduled_reason(pod: Pod) -> str:
    """The reason of the pod's PodScheduled condition, empty where it has none."""
    return next((c.reason for c in pod.status.conditions if c.type == SCHEDULED), "")


def bound(pod: Pod, node: str, now: Millis) -> Pod:
    """The pod on its node; a nomination has done its work then.

    Source: kube-apiserver v1.36 (ClearingNominatedNodeNameAfterBinding, on by default).
    """
    pod = with_condition(pod, SCHEDULED, "True", "", "", now)
    return replace(pod, spec=replace(pod.spec, node_name=node), status=replace(pod.status, nominated_node_name=""))


def refuse(store: Store, pod: Pod, reason: str, message: str, now: Millis) -> None:
    """Write why a pod is not scheduled."""
    store.put(with_condition(pod, SCHEDULED, "False", reason, message, now))


def nominate(store: Store, pod: Pod, node: str) -> None:
    """Write the node that a pod is meant for; empty for none."""
    store.put(replace(pod, status=replace(pod.status, nominated_node_name=node)))


def is_preempted(pod: Pod) -> bool:
    """Whether a pod is on its way out because the scheduler preempted it."""
    return pod.metadata.deletion_timestamp is not None and any(
        c.type == "DisruptionTarget" and c.reason == "PreemptionByScheduler" for c in pod.status.conditions
    )


def preempt(store: Store, victim: Pod, scheduler: str, now: Millis) -> None:
    """Mark a victim as such and delete it with its own grace.

    Source: kube-scheduler v1.36 framework/preemption (condition DisruptionTarget).
    """
    message = f"{scheduler}: preempting to accommodate a higher priority pod"
    store.put(with_condition(victim, "DisruptionTarget", "True", "PreemptionByScheduler", message, now))
    store.delete("Pod", victim.key)
