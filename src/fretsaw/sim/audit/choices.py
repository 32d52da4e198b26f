"""What is disrupted by choice, at the instant at which a disruption begins.

Laws: its machines are there, in use, and not on their way out · neither they nor their pods are protected: by
`do-not-disrupt`, for its time, or by a budget that allows nothing; drift with a termination grace period goes on all
the same · the pool's policy allows the method, and what is called empty is · no budget of the pool that holds at the
instant is exceeded, with all machines counted that are not ready or on their way out.

Source: Karpenter v1.14 pkg/controllers/disruption (NewCandidate, ShouldDisrupt, BuildDisruptionBudgetMapping).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator

from fretsaw.api.cron import next_after
from fretsaw.api.labels import NODEPOOL
from fretsaw.api.node import Node, Taint
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.nodepool import Budget, NodePool
from fretsaw.api.pod import Pod
from fretsaw.api.policy import PodDisruptionBudget
from fretsaw.api.times import Millis, span
from fretsaw.engine import events as e
from fretsaw.engine.nodes import INITIALIZED
from fretsaw.engine.taints import untolerated
from fretsaw.sim.audit.judging import is_active, is_protected, is_ready, selecting
from fretsaw.sim.audit.marked import Marked
from fretsaw.sim.world import World

PROTECTED = "karpenter.sh/do-not-disrupt"
DISRUPTED = Taint("karpenter.sh/disrupted", "NoSchedule")
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


class Choices:
    """Judges commands."""

    def __init__(self, world: World, marked: Marked, violated: Callable[[str], None]) -> None:
        self._store = world.store
        self._marked = marked
        self._violated = violated

    def started(self, at: Millis, command: e.Command) -> None:
        """A command starts."""
        per_pool: dict[str, int] = defaultdict(int)
        for name in command.candidates:
            claim: NodeClaim | None = self._store.get("NodeClaim", name)
            node: Node | None = self._node_of(claim) if claim is not None else None
            if claim is None or node is None:
                self._violated(f"{command.id} takes {name}, which has no {'claim' if claim is None else 'node'}")
                continue
            per_pool[claim.metadata.labels.get(NODEPOOL, "")] += 1
            if claim.metadata.deletion_timestamp or name in self._marked:
                self._violated(f"{command.id} takes claim {name}, which is on its way out")
            for why in (*self._forbidden(at, command, claim, node), *self._against_policy(command, claim, node)):
                self._violated(f"{command.id} takes node {node.metadata.name}, {why}")
        for pool, number in per_pool.items():
            self._check_budget(at, command, pool, number)

    # Protection and policy

    def _forbidden(self, at: Millis, command: e.Command, claim: NodeClaim, node: Node) -> Iterator[str]:
        if node.metadata.labels.get(INITIALIZED) != "true":
            yield "which is not in use yet"
        if node.metadata.annotations.get(PROTECTED) == "true":
            yield "which says do-not-disrupt"
        if command.reason == "Drifted" and claim.spec.termination_grace_period is not None:
            return
        for pod in self._pods(node):
            if is_active(pod) and is_protected(pod, at):
                yield f"with the protected pod {pod.key}"
            elif is_active(pod) and not _stays(pod) and (why := self._kept(pod)):
                yield f"with pod {pod.key}, which {why}"

    def _kept(self, pod: Pod) -> str:
        """What keeps a pod from being evicted now; empty for nothing."""
        found: list[PodDisruptionBudget] = selecting(self._store, pod)
        if len(found) > 1:
            return "several budgets protect"
        for budget in found:
            free = budget.spec.unhealthy_pod_eviction_policy == "AlwaysAllow" and not is_ready(pod)
            if budget.status.disruptions_allowed == 0 and not free:
                return f"budget {budget.metadata.name} keeps"
        return ""

    def _against_policy(self, command: e.Command, claim: NodeClaim, node: Node) -> Iterator[str]:
        pool: NodePool | None = self._store.get("NodePool", claim.metadata.labels.get(NODEPOOL, ""))
        if pool is None or command.reason == "Drifted":
            return
        policy = pool.spec.disruption
        if pool.spec.replicas is not None:
            yield "of a static pool"
        if policy.consolidate_after == "Never":
            yield "of a pool that is never consolidated"
        if command.reason == "Underutilized" and policy.consolidation_policy == "WhenEmpty":
            yield "of a pool that is consolidated only when empty"
        if command.reason == "Empty":
            yield from (f"which is not empty: {pod.key}" for pod in self._pods(node) if _moves(pod))

    # Budgets

    def _check_budget(self, at: Millis, command: e.Command, name: str, number: int) -> None:
        """All of the pool's machines that are going, this command's included, against the strictest budget."""
        pool: NodePool | None = self._store.get("NodePool", name)
        if pool is None:
            return
        machines = list(self._counted(name))
        allowed = min(
            (_limit(b, len(machines)) for b in pool.spec.disruption.budgets if _holds(b, command.reason, at)),
            default=math.inf,
        )
        others = [(claim, node) for claim, node in machines if claim.metadata.name not in command.candidates]
        going = sum(self._is_going(claim, node) for claim, node in others)
        if going + number > allowed:
            self._violated(
                f"{command.id} takes {number} nodes of pool {name} while {going} are going; its budgets allow {allowed}"
            )

    def _counted(self, pool: str) -> Iterator[tuple[NodeClaim, Node]]:
        """The pool's machines for budgets: in use, and their instance is not being ended."""
        for claim in self._store.all("NodeClaim").values():
            if claim.metadata.labels.get(NODEPOOL) != pool:
                continue
            node = self._node_of(claim)
            ending = claim.condition("InstanceTerminating")
            if node is None or node.metadata.labels.get(INITIALIZED) != "true":
                continue
            if ending is None or ending.status != "True":
                yield claim, node

    def _is_going(self, claim: NodeClaim, node: Node) -> bool:
        ready = node.condition("Ready")
        leaves = bool(claim.metadata.deletion_timestamp) or claim.metadata.name in self._marked
        return leaves or ready is None or ready.status != "True"

    # Objects

    def _node_of(self, claim: NodeClaim) -> Node | None:
        found: Node | None = self._store.get("Node", claim.status.node_name) if claim.status.node_name else None
        return found

    def _pods(self, node: Node) -> list[Pod]:
        return list(self._store.pods_on(node.metadata.name).values())


def _owned(pod: Pod, *kinds: str) -> bool:
    return any(owner.kind in kinds for owner in pod.metadata.owner_references)


def _stays(pod: Pod) -> bool:
    """Whether a drain would leave the pod alone."""
    return _owned(pod, "Node") or untolerated((DISRUPTED,), pod.spec.tolerations) is None


def _moves(pod: Pod) -> bool:
    """Whether a pod needs another place, and moving it costs something."""
    stateful = bool(pod.metadata.deletion_timestamp) and _owned(pod, "StatefulSet")
    if _owned(pod, "DaemonSet", "Node") or not (is_active(pod) or stateful):
        return False
    try:
        cost = float(pod.metadata.annotations.get(DELETION_COST, "0"))
    except ValueError:
        cost = 0.0
    return 1 + cost / 2**27 + (pod.spec.priority or 0) / 2**25 > 0


def _holds(budget: Budget, reason: str, at: Millis) -> bool:
    """Whether a budget counts for this reason now."""
    if budget.reasons is not None and reason not in budget.reasons:
        return False
    if budget.schedule is None or budget.duration is None:
        return True
    hit = next_after(budget.schedule, at - (span(budget.duration) or 0))
    return hit is not None and hit <= at


def _limit(budget: Budget, nodes: int) -> int:
    text = budget.nodes
    return math.ceil(nodes * int(text[:-1]) / 100) if text.endswith("%") else int(text)
