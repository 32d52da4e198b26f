"""What workload controllers ask of a pod: does it count, is it ready, and for how long."""

from __future__ import annotations

from collections.abc import Iterable

from fretsaw.api.pod import Pod
from fretsaw.api.times import SECOND, Millis, millis
from fretsaw.sim.conditions import is_ready


def is_leaving(pod: Pod) -> bool:
    """Whether a pod is being deleted and has not ended yet."""
    return pod.metadata.deletion_timestamp is not None and not pod.is_terminal


def is_active(pod: Pod) -> bool:
    """Whether a pod counts as a replica: it has not ended and is not being deleted."""
    return pod.metadata.deletion_timestamp is None and not pod.is_terminal


def ready_since(pod: Pod) -> Millis | None:
    """When the pod became ready; None while it is not, and where its condition has no time."""
    for condition in pod.status.conditions:
        if condition.type == "Ready":
            since = condition.last_transition_time
            return millis(since) if condition.status == "True" and since else None
    return None


def available_from(pod: Pod, min_ready_s: int) -> Millis | None:
    """When a ready pod counts as available: once it has been ready for so long; None where it is not ready.

    Source: kubernetes.io, Deployments, "Min Ready Seconds".
    """
    if not is_ready(pod):
        return None
    if not min_ready_s:
        return 0
    since = ready_since(pod)
    return None if since is None else since + min_ready_s * SECOND


def is_available(pod: Pod, min_ready_s: int, now: Millis) -> bool:
    """Whether a pod has been ready for long enough."""
    when = available_from(pod, min_ready_s)
    return when is not None and when <= now


def availability(pods: Iterable[Pod], min_ready_s: int, now: Millis) -> tuple[int, Millis | None]:
    """How many of the pods are available, and when the next of them will be if it stays ready."""
    times = [when for pod in pods if (when := available_from(pod, min_ready_s)) is not None]
    return sum(when <= now for when in times), min((when for when in times if when > now), default=None)


def said_something(old: Pod | None, new: Pod | None) -> bool:
    """Whether a change of a pod concerns its controller: it came, went, ended, is leaving, or its readiness changed.

    Binding a pod, and what a kubelet says of a pod that starts, does not.
    """
    if old is None or new is None:
        return True
    if old.metadata.deletion_timestamp != new.metadata.deletion_timestamp:
        return True
    if old.status is new.status:
        return False
    return old.status.phase != new.status.phase or is_ready(old) != is_ready(new)
