"""What must hold in every run, checked from the outside while it goes on: a violation is a bug of ours, and is told.

Looks at objects and the journal only, with arithmetic of its own; nothing here is asked by what it checks.

Laws: a node never holds more than its allocatable · a pod is on one node, once · a pool never exceeds its limits · an
eviction leaves each budget its healthy pods · what is disrupted by choice holds no protected pod and keeps within its
pool's budgets · a claim has one instance · the bill is the sum of the instances' seconds times their prices.
"""

from __future__ import annotations

import math
from collections import defaultdict

import msgspec

from fretsaw.api.cron import next_after
from fretsaw.api.labels import NODEPOOL
from fretsaw.api.meta import LabelSelector
from fretsaw.api.node import Node
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.nodepool import Budget, NodePool
from fretsaw.api.pod import Pod
from fretsaw.api.resources import units
from fretsaw.api.times import SECOND, Millis, span
from fretsaw.engine import events as e
from fretsaw.engine.requests import Amounts, add, pod_requests
from fretsaw.engine.turn import Turn
from fretsaw.sim.journal import Fact
from fretsaw.sim.world import World

PROTECTED = "karpenter.sh/do-not-disrupt"
MOST = 100
"""Violations that are told; the rest is only counted."""


class Audit:
    """Listens to a run, and remembers what was not as it must be."""

    def __init__(self, world: World) -> None:
        self._loop, self._store = world.loop, world.store
        self.violations: list[str] = []
        self.number = 0
        self._used: dict[str, Amounts] = defaultdict(dict)
        self._homes: dict[str, str] = {}
        """The node of each bound pod, by uid."""
        self._instances: dict[str, str] = {}
        self._ran: dict[str, _Run] = {}
        world.store.watch("Pod", self._pod)
        world.store.watch("NodeClaim", self._claim)
        world.journal.listen(self._fact)

    def told(self) -> list[str]:
        """The violations as the result tells them."""
        more = self.number - len(self.violations)
        return [*self.violations, *([f"and {more} more"] if more else [])]

    def _violated(self, text: str) -> None:
        self.number += 1
        if len(self.violations) < MOST:
            self.violations.append(f"at {(self._loop.now - self._loop.start) / SECOND:.3f}s: {text}")

    # Nodes and pods

    def _pod(self, old: Pod | None, new: Pod | None) -> None:
        pod = new or old
        if pod is None:
            return
        uid, home = pod.metadata.uid, self._homes.get(pod.metadata.uid)
        holds = new is not None and bool(new.spec.node_name) and not new.is_terminal
        if holds and home is None:
            self._enter(pod)
        elif holds and home != pod.spec.node_name:
            self._violated(f"pod {pod.key} moved from node {home} to {pod.spec.node_name}")
        elif not holds and home is not None:
            del self._homes[uid]
            add(self._used[home], {r: -n for r, n in pod_requests(pod.spec).items()})

    def _enter(self, pod: Pod) -> None:
        name = pod.spec.node_name
        self._homes[pod.metadata.uid] = name
        used = self._used[name]
        add(used, pod_requests(pod.spec))
        node: Node | None = self._store.get("Node", name)
        if node is None:
            self._violated(f"pod {pod.key} is bound to node {name}, which does not exist")
            return
        for resource, amount in used.items():
            room = units(resource, node.status.allocatable.get(resource, 0), up=False)
            if amount > room:
                self._violated(f"node {name} holds {amount} {resource} of {room} after pod {pod.key}")

    # Pools

    def _claim(self, old: NodeClaim | None, new: NodeClaim | None) -> None:
        """A claim has launched: its pool must be within its limits still."""
        launched = new is not None and new.status.provider_id and not (old is not None and old.status.provider_id)
        if new is None or not launched:
            return
        pool: NodePool | None = self._store.get("NodePool", new.metadata.labels.get(NODEPOOL, ""))
        if pool is None or not pool.spec.limits:
            return
        used: Amounts = defaultdict(int)
        for claim in self._store.all("NodeClaim").values():
            if claim.metadata.labels.get(NODEPOOL) == pool.metadata.name and claim.status.provider_id:
                if claim.metadata.deletion_timestamp:
                    continue
                used["nodes"] += 1
                for resource, quantity in claim.status.capacity.items():
                    used[resource] += units(resource, quantity, up=False)
        for resource, quantity in pool.spec.limits.items():
            limit = units(resource, quantity, up=False)
            if used[resource] > limit:
                self._violated(f"pool {pool.metadata.name} has {used[resource]} {resource} of its limit {limit}")

    # Disruptions

    def turn(self, at: Millis, what: e.Event | Turn) -> None:
        """A listener of the autoscaler: what it starts has to be allowed."""
        for note in what.notes if isinstance(what, Turn) else ():
            if isinstance(note, e.CommandStarted):
                self._started(at, note.command)

    def _started(self, at: Millis, command: e.Command) -> None:
        per_pool: dict[str, int] = defaultdict(int)
        for name in command.candidates:
            claim: NodeClaim | None = self._store.get("NodeClaim", name)
            if claim is None:
                self._violated(f"{command.id} takes claim {name}, which does not exist")
                continue
            per_pool[claim.metadata.labels.get(NODEPOOL, "")] += 1
            self._check_protection(command, claim)
        for pool, number in per_pool.items():
            self._check_budget(at, command, pool, number)

    def _check_protection(self, command: e.Command, claim: NodeClaim) -> None:
        node: Node | None = self._store.get("Node", claim.status.node_name)
        if node is not None and node.metadata.annotations.get(PROTECTED) == "true":
            self._violated(f"{command.id} takes node {node.metadata.name}, which says do-not-disrupt")
        eventual = command.reason == "Drifted" and claim.spec.termination_grace_period is not None
        if node is None or eventual:
            return
        for pod in self._store.pods_on(node.metadata.name).values():
            alive = not pod.is_terminal and not pod.metadata.deletion_timestamp
            if alive and pod.metadata.annotations.get(PROTECTED) == "true":
                self._violated(f"{command.id} takes node {node.metadata.name} with the protected pod {pod.key}")

    def _check_budget(self, at: Millis, command: e.Command, name: str, number: int) -> None:
        """All of the pool's nodes that are going, this command's included, against the strictest budget."""
        pool: NodePool | None = self._store.get("NodePool", name)
        if pool is None:
            return
        nodes = [n for n in self._store.all("Node").values() if self._counts(n, name)]
        allowed = min(
            (_limit(b, len(nodes)) for b in pool.spec.disruption.budgets if _holds(b, command.reason, at)),
            default=math.inf,
        )
        going = sum(self._is_going(node) for node in nodes if self._claim_name(node) not in command.candidates)
        if going + number > allowed and number:
            self._violated(
                f"{command.id} takes {number} nodes of pool {name} while {going} are going; its budgets allow {allowed}"
            )

    def _counts(self, node: Node, pool: str) -> bool:
        """Whether a node is one of its pool's for budgets. One whose instance is ending is none any more.

        Source: Karpenter v1.14 pkg/controllers/disruption/helpers.go (BuildDisruptionBudgetMapping).
        """
        labels = node.metadata.labels
        if labels.get(NODEPOOL) != pool or labels.get("karpenter.sh/initialized") != "true":
            return False
        claim: NodeClaim | None = self._store.get("NodeClaim", self._claim_name(node))
        ending = claim.condition("InstanceTerminating") if claim is not None else None
        return ending is None or ending.status != "True"

    def _claim_name(self, node: Node) -> str:
        return next((o.name for o in node.metadata.owner_references if o.kind == "NodeClaim"), "")

    def _is_going(self, node: Node) -> bool:
        claim: NodeClaim | None = self._store.get("NodeClaim", self._claim_name(node))
        ready = node.condition("Ready")
        return (
            claim is None
            or bool(claim.metadata.deletion_timestamp)
            or bool(node.metadata.deletion_timestamp)
            or ready is None
            or ready.status != "True"
        )

    # Evictions, instances, money

    def _fact(self, fact: Fact) -> None:
        match fact.what:
            case "pod-evicted":
                self._evicted(fact.about.removeprefix("Pod/"))
            case "instance-asked":
                claim = fact.data["claim"]
                if claim in self._instances:
                    self._violated(f"claim {claim} has two instances: {self._instances[claim]} and {fact.about}")
                self._instances[claim] = fact.about
            case "instance-running":
                self._ran[fact.about.removeprefix("Instance/")] = _Run(fact.at, fact.data["price"])
            case "instance-ended" if fact.about.removeprefix("Instance/") in self._ran:
                self._ran[fact.about.removeprefix("Instance/")].ended = fact.at
            case "instance-rebought" if fact.about.removeprefix("Instance/") in self._ran:
                self._ran[fact.about.removeprefix("Instance/")].rebought = True

    def _evicted(self, key: str) -> None:
        """The budgets of a pod that was just evicted: enough others have to be healthy."""
        pod: Pod | None = self._store.get("Pod", key)
        namespace = key.partition("/")[0]
        if pod is None or not _is_ready(pod):
            return
        for budget in self._store.all("PodDisruptionBudget").values():
            selector: LabelSelector | None = budget.spec.selector
            if (budget.metadata.namespace or "default") != namespace or selector is None:
                continue
            if not selector.matches(pod.metadata.labels):
                continue
            healthy = sum(
                _is_ready(p) and not p.metadata.deletion_timestamp and selector.matches(p.metadata.labels)
                for p in self._store.all("Pod").values()
                if (p.metadata.namespace or "default") == namespace
            )
            desired = budget.status.desired_healthy
            if desired is not None and healthy < desired:
                name = budget.metadata.name
                self._violated(f"evicting {key} leaves budget {name} {healthy} healthy pods of {desired}")

    def check_bill(self, billed: dict[str, int], now: Millis, *, flat: bool) -> None:
        """At the end: each instance's bill against its seconds and its price at the launch, where prices never move.

        billed: nano-USD by provider id.
        """
        for provider_id in sorted(set(billed) - set(self._ran)):
            if billed[provider_id]:
                self._violated(f"instance {provider_id} is on the bill and never ran")
        for provider_id, run in self._ran.items():
            ended = now if run.ended is None else run.ended
            seconds = max(-(-(ended - run.since) // SECOND), 60)
            expected = seconds / 3600 * run.price
            if flat and not run.rebought and abs(billed.get(provider_id, 0) / 1e9 - expected) > 1e-6:
                self._violated(
                    f"instance {provider_id} is billed {billed.get(provider_id, 0) / 1e9} USD, not {expected}"
                )


class _Run(msgspec.Struct):
    """An instance by the journal."""

    since: Millis
    price: float
    ended: Millis | None = None
    rebought: bool = False


def _is_ready(pod: Pod) -> bool:
    return any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions)


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
