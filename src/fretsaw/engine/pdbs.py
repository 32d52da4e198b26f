"""Which pods may be moved: do-not-disrupt, disruption budgets, and what an eviction would not touch.

Source: Karpenter v1.14 pkg/utils/pod/scheduling.go, pkg/utils/pdb/pdb.go, pkg/controllers/state/statenode.go
(ValidatePodsDisruptable); kubernetes.io, Specifying a Disruption Budget.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from fretsaw.api.meta import scaled
from fretsaw.api.pod import Pod
from fretsaw.api.policy import PodDisruptionBudget
from fretsaw.api.resources import duration_ns
from fretsaw.api.times import Millis, millis
from fretsaw.engine.taints import DISRUPTED, untolerated

DO_NOT_DISRUPT = "karpenter.sh/do-not-disrupt"

Scale = Callable[[Pod], int | None]
"""How many replicas the pod's controller wants; None for a pod without one that scales."""


def owned_by(pod: Pod, kind: str) -> bool:
    """Whether an object of this kind is among the pod's owners."""
    return any(owner.kind == kind for owner in pod.metadata.owner_references)


def is_active(pod: Pod) -> bool:
    """Whether the pod has neither ended nor is being deleted."""
    return not pod.is_terminal and not pod.metadata.deletion_timestamp


def is_reschedulable(pod: Pod) -> bool:
    """Whether the pod will need another place when its node goes. Terminating pods of a StatefulSet come back."""
    if owned_by(pod, "DaemonSet") or owned_by(pod, "Node"):
        return False
    return is_active(pod) or (bool(pod.metadata.deletion_timestamp) and owned_by(pod, "StatefulSet"))


def protected_until(pod: Pod) -> Millis | None:
    """Until when do-not-disrupt protects the pod: 0 for not at all, None for as long as it runs.

    A duration counts from the pod's start; before it has started, there is no end yet.
    """
    text = pod.metadata.annotations.get(DO_NOT_DISRUPT, "")
    if text == "true":
        return None
    try:
        length = duration_ns(text) if text else 0
    except ValueError:
        return 0
    if length <= 0:
        return 0
    start = pod.status.start_time
    return None if start is None else millis(start) + length // 1_000_000


def is_protected(pod: Pod, now: Millis | None) -> bool:
    """Whether do-not-disrupt holds. now None: without a clock, a protection that ends counts as one that has not."""
    until = protected_until(pod)
    return until is None or (until > now if now is not None else until > 0)


def is_disruptable(pod: Pod, now: Millis) -> bool:
    """Whether the pod does not keep its node from being disrupted; daemon and mirror pods do so, too."""
    return not is_active(pod) or not is_protected(pod, now)


def is_evictable(pod: Pod, now: Millis | None) -> bool:
    """Whether a drain would evict the pod now: it is active, no mirror pod, and asks not to stay."""
    return (
        is_active(pod)
        and untolerated((DISRUPTED,), pod.spec.tolerations) is not None
        and not owned_by(pod, "Node")
        and not is_protected(pod, now)
    )


class Limits:
    """All disruption budgets, ready to be asked about one pod at a time; never about several at once."""

    def __init__(
        self, budgets: Iterable[PodDisruptionBudget], pods: Iterable[Pod] = (), scale: Scale = lambda pod: None
    ) -> None:
        """pods, scale: for budgets whose status says nothing yet."""
        self._by_namespace: dict[str, list[PodDisruptionBudget]] = defaultdict(list)
        for budget in budgets:
            if budget.spec.selector is not None:
                self._by_namespace[budget.metadata.home].append(budget)
        self._pods = pods
        self._scale = scale
        self._allowed: dict[str, int] = {}

    def matching(self, pod: Pod) -> list[PodDisruptionBudget]:
        """The budgets whose selector matches the pod."""
        found = self._by_namespace.get(pod.metadata.home, ())
        labels = pod.metadata.labels
        return [b for b in found if b.spec.selector is not None and b.spec.selector.matches(labels)]

    def blocking(self, pod: Pod, now: Millis) -> tuple[str, ...]:
        """The budgets, as `namespace/name`, that would refuse the pod's eviction now; none where it may go.

        Several budgets on one pod block each other, whatever they allow.
        """
        return self._blocking(pod, now, lambda budget: self.allowed(budget) == 0)

    def is_currently_reschedulable(self, pod: Pod, now: Millis | None) -> bool:
        """Whether a new place is worth planning for: the pod will leave, and nothing forbids for good that it does."""
        if not is_reschedulable(pod) or (is_active(pod) and is_protected(pod, now)):
            return False
        return not self._blocking(pod, now, blocks_always)

    def _blocking(self, pod: Pod, now: Millis | None, blocks: Callable[[PodDisruptionBudget], bool]) -> tuple[str, ...]:
        if not self._by_namespace or not is_evictable(pod, now):
            return ()
        matching = self.matching(pod)
        if len(matching) > 1:
            return tuple(b.metadata.key for b in matching)
        return tuple(b.metadata.key for b in matching if not _lets_unready_go(b, pod) and blocks(b))

    def allowed(self, budget: PodDisruptionBudget) -> int:
        """How many pods may go now: what the status says, else what the spec and the pods say."""
        known = budget.status.disruptions_allowed
        if known is not None:
            return known
        key = budget.metadata.key
        if key not in self._allowed:
            self._allowed[key] = disruptions_allowed(budget, self._pods, self._scale)
        return self._allowed[key]


def blocks_always(budget: PodDisruptionBudget) -> bool:
    """Whether the budget forbids every eviction, whatever the pods do."""
    return budget.spec.max_unavailable in (0, "0%") or budget.spec.min_available == "100%"


def disruptions_allowed(budget: PodDisruptionBudget, pods: Iterable[Pod], scale: Scale) -> int:
    """What the disruption controller would write into the status.

    Percentages, rounded up, and `maxUnavailable` count from what the pods' controllers want; pods without a controller
    then allow nothing. Source: kubernetes.io, Specifying a Disruption Budget (Arbitrary workloads).
    """
    spec = budget.spec
    matching = [p for p in pods if not p.is_terminal and budget.selects(p.metadata)]
    healthy = sum(1 for p in matching if is_active(p) and _is_ready(p))
    if isinstance(spec.min_available, int):
        return max(healthy - spec.min_available, 0) if matching else 0
    expected = _expected(matching, scale)
    if not expected:
        return 0
    if spec.max_unavailable is not None:
        return max(healthy - (expected - scaled(spec.max_unavailable, expected, up=True)), 0)
    if spec.min_available is not None:
        return max(healthy - scaled(spec.min_available, expected, up=True), 0)
    return healthy


def _expected(pods: Iterable[Pod], scale: Scale) -> int:
    """Replicas of all controllers of the pods together; 0 where a pod has none that scales."""
    wanted: dict[str, int] = {}
    for pod in pods:
        owner, replicas = pod.metadata.controller, scale(pod)
        if owner is None or replicas is None:
            return 0
        wanted[owner.uid or f"{owner.kind}/{owner.name}"] = replicas
    return sum(wanted.values())


def _is_ready(pod: Pod) -> bool:
    return any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions)


def _lets_unready_go(budget: PodDisruptionBudget, pod: Pod) -> bool:
    return budget.spec.unhealthy_pod_eviction_policy == "AlwaysAllow" and any(
        c.type == "Ready" and c.status == "False" for c in pod.status.conditions
    )


def scale_of(objects: Mapping[str, Mapping[str, object]]) -> Scale:
    """Looks up `spec.replicas` of the pods' controllers among objects by kind and key."""

    def scale(pod: Pod) -> int | None:
        owner = pod.metadata.controller
        if owner is None:
            return None
        found = objects.get(owner.kind, {}).get(f"{pod.metadata.home}/{owner.name}")
        spec = getattr(found, "spec", None)
        replicas = getattr(spec, "replicas", None)
        return 1 if replicas is None and hasattr(spec, "replicas") else replicas

    return scale


def pods_refusal(pods: Iterable[Pod], limits: Limits, now: Millis) -> str | None:
    """The first pod that keeps its node from being disrupted, in the words of the event; None where none does."""
    held = tuple(pods)
    for pod in held:
        if not is_disruptable(pod, now):
            return f'pod has "{DO_NOT_DISRUPT}" annotation (Pod={pod.key})'
    for pod in held:
        blocking = limits.blocking(pod, now)
        if len(blocking) > 1:
            return f"eviction does not support multiple PDBs (PodDisruptionBudget(s)={_listed(blocking)})"
        if blocking:
            return f"pdb prevents pod evictions (PodDisruptionBudget={_listed(blocking)})"
    return None


def _listed(keys: Iterable[str]) -> str:
    return "[" + " ".join(sorted(keys)) + "]"
