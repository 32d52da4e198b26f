"""What the laws ask of pods: ready, active, protected, selected by which budgets."""

from __future__ import annotations

from fretsaw.api.pod import Pod
from fretsaw.api.policy import PodDisruptionBudget
from fretsaw.api.times import Millis, millis, span
from fretsaw.sim.store import Store

PROTECTED = "karpenter.sh/do-not-disrupt"


def is_ready(pod: Pod) -> bool:
    """Whether the pod says that it is ready."""
    return any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions)


def is_active(pod: Pod) -> bool:
    """Whether it has neither ended nor is it on its way out."""
    return not pod.is_terminal and not pod.metadata.deletion_timestamp


def is_protected(pod: Pod, at: Millis) -> bool:
    """Whether do-not-disrupt holds: `true` for ever, a duration from the pod's start on."""
    text = pod.metadata.annotations.get(PROTECTED, "")
    if text == "true":
        return True
    try:
        length = span(text) if text else 0
    except ValueError:
        return False
    if not length or length < 0:
        return False
    start = pod.status.start_time
    return start is None or at < millis(start) + length


def selecting(store: Store, pod: Pod) -> list[PodDisruptionBudget]:
    """The budgets that select a pod."""
    return [budget for budget in store.all("PodDisruptionBudget").values() if budget.selects(pod.metadata)]
