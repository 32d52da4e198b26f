"""Which pods a pass has to place, and which it has to leave alone, with the reason.

Source: Karpenter v1.14 pkg/utils/pod/scheduling.go, pkg/utils/pdb/pdb.go, pkg/controllers/provisioning (Validate).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from fretsaw.api.labels import NODEPOOL, normalize, requirement_problem
from fretsaw.api.pod import Pod
from fretsaw.api.policy import PodDisruptionBudget
from fretsaw.api.times import Millis
from fretsaw.engine.pdbs import Limits, owned_by
from fretsaw.engine.plan import Refusal
from fretsaw.engine.volumes import Storage
from fretsaw.engine.wishes import Wishes


def is_pending(pod: Pod) -> bool:
    """Whether a pod waits for a place that a new node could be.

    A pod from a file has no status and counts as waiting; one whose scheduling failed for another reason than want of
    a node (a gate, say) does not.
    """
    if pod.spec.node_name or pod.status.nominated_node_name or pod.is_terminal:
        return False
    if pod.metadata.deletion_timestamp or owned_by(pod, "DaemonSet") or owned_by(pod, "Node"):
        return False
    reasons = [c.reason for c in pod.status.conditions if c.type == "PodScheduled"]
    return all(reason in ("", "Unschedulable", "SchedulingGated") for reason in reasons)


def is_leaving(pod: Pod, budgets: Iterable[PodDisruptionBudget], now: Millis | None = None) -> bool:
    """Whether a pod on a node that is being deleted will need another place.

    Not those that nothing may evict now (do-not-disrupt, a budget that never allows it, two budgets on one pod).
    now None: without a clock a pod protected for a time counts as protected; to plan too little is repaired later.
    """
    return Limits(budgets).is_currently_reschedulable(pod, now)


def is_daemon(pod: Pod) -> bool:
    """Whether a DaemonSet made the pod."""
    return owned_by(pod, "DaemonSet")


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
