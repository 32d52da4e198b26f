"""Which pods a pass has to place, and which it has to leave alone, with the reason.

Source: Karpenter v1.14 pkg/utils/pod/scheduling.go, pkg/utils/pdb/pdb.go, pkg/controllers/provisioning (Validate).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from fretsaw.api.labels import NODEPOOL, normalize, requirement_problem
from fretsaw.api.pod import Pod
from fretsaw.api.policy import PodDisruptionBudget
from fretsaw.api.resources import duration_ns
from fretsaw.engine.plan import Refusal
from fretsaw.engine.taints import DISRUPTED, untolerated
from fretsaw.engine.volumes import Storage
from fretsaw.engine.wishes import Wishes

DO_NOT_DISRUPT = "karpenter.sh/do-not-disrupt"


def is_pending(pod: Pod) -> bool:
    """Whether a pod waits for a place that a new node could be.

    A pod from a file has no status and counts as waiting; one whose scheduling failed for another reason than want of
    a node (a gate, say) does not.
    """
    if pod.spec.node_name or pod.status.nominated_node_name or pod.is_terminal:
        return False
    if pod.metadata.deletion_timestamp or _owned_by(pod, "DaemonSet") or _owned_by(pod, "Node"):
        return False
    reasons = [c.reason for c in pod.status.conditions if c.type == "PodScheduled"]
    return all(reason in ("", "Unschedulable", "SchedulingGated") for reason in reasons)


def is_leaving(pod: Pod, budgets: Iterable[PodDisruptionBudget]) -> bool:
    """Whether a pod on a node that is being deleted will need another place.

    Not those that nothing may evict now (do-not-disrupt, a budget that never allows it, two budgets on one pod).
    """
    terminating = bool(pod.metadata.deletion_timestamp)
    if pod.is_terminal or _owned_by(pod, "DaemonSet") or _owned_by(pod, "Node"):
        return False
    if terminating:
        return _owned_by(pod, "StatefulSet")
    if is_protected(pod):
        return False
    return untolerated((DISRUPTED,), pod.spec.tolerations) is None or not _is_blocked(pod, budgets)


def is_protected(pod: Pod) -> bool:
    """Whether the pod says do-not-disrupt: `true`, or for a time.

    Without a clock a pod protected for a time counts as protected: to plan too little is repaired by the next pass.
    """
    text = pod.metadata.annotations.get(DO_NOT_DISRUPT, "")
    if text == "true":
        return True
    try:
        return bool(text) and duration_ns(text) > 0
    except ValueError:
        return False


def _is_blocked(pod: Pod, budgets: Iterable[PodDisruptionBudget]) -> bool:
    """Whether disruption budgets forbid the pod's eviction whatever the other pods do."""
    namespace = pod.metadata.namespace or "default"
    matching = [
        b
        for b in budgets
        if (b.metadata.namespace or "default") == namespace
        and b.spec.selector is not None
        and b.spec.selector.matches(pod.metadata.labels)
    ]
    if len(matching) > 1:
        return True
    for budget in matching:
        if budget.spec.unhealthy_pod_eviction_policy == "AlwaysAllow" and _is_unready(pod):
            return False
        if budget.spec.max_unavailable in (0, "0%") or budget.spec.min_available == "100%":
            return True
    return False


def _is_unready(pod: Pod) -> bool:
    return any(c.type == "Ready" and c.status == "False" for c in pod.status.conditions)


def _owned_by(pod: Pod, kind: str) -> bool:
    return any(owner.kind == kind for owner in pod.metadata.owner_references)


def is_daemon(pod: Pod) -> bool:
    """Whether a DaemonSet made the pod."""
    return _owned_by(pod, "DaemonSet")


def refusal(pod: Pod, storage: Storage, well_known: Collection[str]) -> Refusal | None:
    """Why a pod cannot be planned whatever the pools are, None when it can."""
    if pod.spec.scheduling_gates:
        names = ", ".join(gate.name for gate in pod.spec.scheduling_gates)
        return Refusal("", f"scheduling gates hold the pod back: {names}", "pod spec.schedulingGates")
    if pod.spec.resource_claims or any(c.resources.claims for c in pod.spec.containers):
        return Refusal(
            "",
            "the pod has ResourceClaims (dynamic resource allocation), which are not supported yet: "
            "ask for the device as an extended resource such as nvidia.com/gpu",
            "pod spec.resourceClaims",
        )
    why = _requirements_refusal(pod, well_known)
    if why is None:
        volume = storage.refusal(pod)
        why = Refusal("", *volume) if volume is not None else None
    return why


def _requirements_refusal(pod: Pod, well_known: Collection[str]) -> Refusal | None:
    pool = Wishes.of(pod.spec, respect_preferences=False).strict().get(NODEPOOL)
    if pool is not None and pool.operator == "DoesNotExist":
        return Refusal("", "the pod is configured not to run on nodes of a NodePool", "pod spec.affinity.nodeAffinity")
    for key, value in sorted(pod.spec.node_selector.items()):
        problem = requirement_problem(normalize(key), "In", (value,), None, well_known)
        if problem is not None:
            return Refusal("", problem, f"pod spec.nodeSelector[{key}]")
    affinity = pod.spec.affinity.node_affinity if pod.spec.affinity else None
    for i, term in enumerate(affinity.required.node_selector_terms if affinity and affinity.required else ()):
        where = f"pod spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution[{i}]"
        if term.match_fields:
            return Refusal("", "node affinity with matchFields is not supported", f"{where}.matchFields")
        for j, e in enumerate(term.match_expressions):
            problem = requirement_problem(normalize(e.key), e.operator, e.values, None, well_known)
            if problem is not None:
                return Refusal("", problem, f"{where}.matchExpressions[{j}]")
    return None
