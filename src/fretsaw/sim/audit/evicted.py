"""Evictions, at the instant at which the API grants them.

Laws: a pod that serves is evicted only if its one budget has enough healthy pods without it, as far as that budget's
controller can have seen · one that is not ready only if the others are enough, as far as anybody can say, or its budget
says AlwaysAllow · several budgets on a pod forbid its eviction · no pod is evicted whose do-not-disrupt holds · a pod
is deleted against its protection only where its node's termination grace period runs out.

Source: Kubernetes v1.36 pkg/registry/core/pod/storage/eviction.go; kubernetes.io, Specifying a Disruption Budget.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from fretsaw.api.meta import Object
from fretsaw.api.node import Node
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.pod import Pod
from fretsaw.api.policy import PodDisruptionBudget
from fretsaw.api.times import SECOND, Millis, millis
from fretsaw.sim.audit.judging import is_protected, is_ready, selecting
from fretsaw.sim.journal import Fact
from fretsaw.sim.world import World

SEEN: Millis = 100
"""What changed so shortly before, a budget's controller may not have seen: it takes 10 ms, others before it too."""
DEADLINE = "karpenter.sh/nodeclaim-termination-timestamp"
"""The annotation that says until when a claim's machine may drain."""
SCALED = ("ReplicaSet", "StatefulSet", "Deployment", "ReplicationController")


class Evicted:
    """Judges evictions and forced deletions."""

    def __init__(self, world: World, violated: Callable[[str], None]) -> None:
        self._loop, self._store = world.loop, world.store
        self._violated = violated
        self._granted: set[str] = set()
        """Uids of evicted pods: their going is in the budget's books at once."""
        self._stirred: dict[str, Millis] = defaultdict(lambda: -SEEN)
        """When the health of a namespace's pods, or what is wanted of them, last got worse by something else."""
        world.store.watch("Pod", self._pod)
        for kind in (*SCALED, "PodDisruptionBudget"):
            world.store.watch(kind, self._scaled)
        world.journal.listen(self._fact)

    def _pod(self, old: Pod | None, new: Pod | None) -> None:
        pod = new if new is not None else old
        if pod is None:
            return
        if new is None:
            self._granted.discard(pod.metadata.uid)
        worse = old is None or (is_ready(old) and (new is None or not is_ready(new)))
        leaves = old is not None and not old.metadata.deletion_timestamp
        leaves = leaves and (new is None or bool(new.metadata.deletion_timestamp))
        if (worse or leaves) and pod.metadata.uid not in self._granted:
            self._stir(pod)

    def _scaled(self, old: Any, new: Any) -> None:
        if old is None or new is None or old.spec != new.spec:
            self._stir(new if new is not None else old)

    def _stir(self, obj: Object) -> None:
        self._stirred[obj.metadata.home] = self._loop.now

    def _fact(self, fact: Fact) -> None:
        if fact.what not in ("pod-evicted", "pod-deleted"):
            return
        pod: Pod | None = self._store.get("Pod", fact.about.removeprefix("Pod/"))
        if pod is None:
            return
        if fact.what == "pod-deleted":
            self._deleted(pod)
            return
        self._granted.add(pod.metadata.uid)
        if pod.metadata.deletion_timestamp or pod.status.phase != "Running":
            return
        if is_protected(pod, self._loop.now):
            self._violated(f"pod {pod.key} is evicted, although its do-not-disrupt holds")
        self._check_budgets(pod)

    def _deleted(self, pod: Pod) -> None:
        """A deletion around the eviction API."""
        node: Node | None = self._store.get("Node", pod.spec.node_name)
        owners = (owner.name for owner in (node.metadata.owner_references if node is not None else ()))
        claims: list[NodeClaim] = [c for name in owners if (c := self._store.get("NodeClaim", name)) is not None]
        ends = next((claim.metadata.annotations.get(DEADLINE) for claim in claims), None)
        grace = pod.spec.termination_grace_period_seconds
        last = None if ends is None else millis(ends) - (30 if grace is None else grace) * SECOND
        if last is None or (self._loop.now <= last and not pod.metadata.deletion_timestamp):
            self._violated(f"pod {pod.key} is deleted by force, although its node has the time that it needs")

    def _check_budgets(self, pod: Pod) -> None:
        budgets = selecting(self._store, pod)
        if len(budgets) > 1:
            self._violated(f"pod {pod.key} is evicted, although {len(budgets)} budgets protect it")
            return
        stirred = self._stirred[pod.metadata.home]
        for budget in budgets if self._loop.now - stirred > SEEN else ():
            if budget.spec.unhealthy_pod_eviction_policy == "AlwaysAllow" and not is_ready(pod):
                continue
            self._check_budget(pod, budget)

    def _check_budget(self, pod: Pod, budget: PodDisruptionBudget) -> None:
        pods = [p for p in self._store.all("Pod").values() if budget.selects(p.metadata)]
        healthy = sum(
            is_ready(p) and not p.metadata.deletion_timestamp and p.metadata.uid not in self._granted for p in pods
        )
        name, needed = budget.metadata.name, self._needed(budget, pods)
        if needed is None and is_ready(pod):
            self._violated(f"evicting {pod.key}, although nobody can say how many pods budget {name} expects")
        elif needed is not None and healthy < needed:
            self._violated(f"evicting {pod.key} leaves budget {name} {healthy} healthy pods of {needed}")

    def _needed(self, budget: PodDisruptionBudget, pods: list[Pod]) -> int | None:
        """How many healthy pods a budget needs; None where a pod's controller has no scale."""
        spec = budget.spec
        if spec.max_unavailable is None and isinstance(spec.min_available, int):
            return spec.min_available
        scales = {}
        for pod in pods:
            if pod.metadata.controller is None:
                continue
            top = self._top(pod)
            if top is None:
                return None
            scales[top.metadata.uid] = 1 if top.spec.replicas is None else top.spec.replicas
        expected = sum(scales.values())
        if spec.max_unavailable is not None:
            return max(expected - _part(spec.max_unavailable, expected), 0)
        return _part(spec.min_available, expected) if spec.min_available is not None else 0

    def _top(self, pod: Pod) -> Any:
        """The controller with the pod's scale."""
        owner, found = pod.metadata.controller, None
        namespace = pod.metadata.home
        while owner is not None and owner.kind in SCALED:
            above = self._store.get(owner.kind, f"{namespace}/{owner.name}")
            if above is None:
                break
            found, owner = above, above.metadata.controller
        return found


def _part(amount: int | str, whole: int) -> int:
    return amount if isinstance(amount, int) else -(-int(amount.rstrip("%")) * whole // 100)
