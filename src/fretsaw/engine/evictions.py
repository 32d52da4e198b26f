"""The queue of pods that a drain wants gone: one eviction after another, each refusal with a longer wait.

The queue is not kept: which pods are in it follows from the node, and when each is due from the times of its first and
last eviction. What is close to the node's deadline is deleted instead, whatever protects it.

Source: Karpenter v1.14 pkg/controllers/node/termination/terminator (eviction.go, terminator.go).
"""

from __future__ import annotations

from fretsaw.api.pod import Pod
from fretsaw.api.times import SECOND, Millis, millis, rfc3339
from fretsaw.engine import actions as a
from fretsaw.engine.pdbs import protected_until
from fretsaw.engine.sight import Sight, backoff

RETRY: Millis = 100
"""The first wait after an eviction; each further one is twice as long."""
RETRY_MAX: Millis = 10 * SECOND
"""The longest wait between two evictions of a pod."""
DEFAULT_GRACE: Millis = 30 * SECOND
"""What the API server gives pods that ask for nothing."""
FORCEFUL = "Forceful Termination"
"""The reason of an eviction that no disruption has asked for."""


def grace_of(pod: Pod) -> Millis:
    """How long the pod may take to stop."""
    seconds = pod.spec.termination_grace_period_seconds
    return DEFAULT_GRACE if seconds is None else seconds * SECOND


def must_go(pod: Pod, deadline: Millis | None, now: Millis) -> bool:
    """Whether the pod would outlive the deadline if it were left to itself, and so has to be deleted.

    It does where it is stopping and has been given longer, or where it could no longer have all of its own grace.
    """
    if deadline is None:
        return False
    if pod.metadata.deletion_timestamp:
        return millis(pod.metadata.deletion_timestamp) > deadline
    return now > deadline - grace_of(pod)


def delete(sight: Sight, pod: Pod, deadline: Millis) -> None:
    """Delete a pod so that it ends by the deadline; one second is the least that it gets."""
    left = max(1, (deadline - sight.now) // SECOND)
    given = pod.metadata.deletion_grace_period_seconds
    if pod.metadata.deletion_timestamp and given is not None and given <= left:
        return
    sight.order(a.DeletePod(pod.key, pod.metadata.uid, left, reason_of(sight)))
    own = grace_of(pod) // SECOND
    text = f"Deleted to end by {rfc3339(deadline)}, with {left}s of its own {own}s of grace; no budget protects it"
    sight.tell(f"Pod/{pod.key}", pod.key, "Disrupted", text)


def evict(sight: Sight, pod: Pod) -> None:
    """Ask for a pod's eviction when that is due, and tell what came of the last try. Stopping pods are left alone."""
    _tell_answer(sight, pod)
    if pod.metadata.deletion_timestamp:
        return
    until = protected_until(pod)
    if until is None:
        return
    if sight.now < until:
        sight.wake_at(until)
        return
    first, last = sight.checked("first evict", pod.key), sight.checked("evict", pod.key)
    due = backoff(first, last, RETRY, RETRY_MAX)
    if sight.now < due:
        sight.wake_at(due)
        return
    sight.order(a.Evict(pod.key, pod.metadata.uid, sight.machine.node_name, reason_of(sight)))
    sight.check("evict", pod.key)
    if first is None:
        sight.check("first evict", pod.key)
    sight.wake_at(sight.now + min(sight.now - (first or sight.now) + RETRY, RETRY_MAX))


def reason_of(sight: Sight) -> str:
    """Why the node's pods have to go: the disruption's reason where there is one."""
    found = sight.condition("DisruptionReason")
    return found.reason if found is not None and found.status == "True" else FORCEFUL


def _tell_answer(sight: Sight, pod: Pod) -> None:
    answer = sight.state.evictions.get(pod.key)
    if answer is None:
        return
    if answer.refused:
        name = sight.machine.node_name
        text = f"Failed to drain node, {answer.refused} (Pod={pod.key})"
        sight.tell(f"Node/{name}", name, "FailedDraining", text, "Warning")
    else:
        sight.tell(f"Pod/{pod.key}", pod.key, "Evicted", f"Evicted pod: {reason_of(sight)}")
