"""The lives of all pods and nodes of a run, taken down as they happen. `sim.result` makes figures of them.

Listens to the store and the journal and never writes to either.
"""

from __future__ import annotations

from typing import Any

import msgspec

from fretsaw.api.node import Node
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.pod import Pod
from fretsaw.api.times import Millis
from fretsaw.engine.nodes import INITIALIZED, REGISTERED
from fretsaw.engine.requests import Amounts, pod_requests
from fretsaw.engine.shape import gpu_count
from fretsaw.sim.conditions import DISRUPTION_TARGET
from fretsaw.sim.journal import Fact
from fretsaw.sim.store import Store
from fretsaw.sim.world import World


class PodLife(msgspec.Struct, eq=False):
    """One pod, from its making to its end; times are None until they come."""

    key: str
    workload: str
    """`kind/namespace/name` of the topmost owner, in lower case; the pod's own where it has none."""
    created: Millis
    requests: Amounts
    gpus: int
    daemon: bool
    node: str = ""
    bound: Millis | None = None
    running: Millis | None = None
    ended: Millis | None = None
    """When it stopped holding its node's resources."""
    result: str = ""
    """`Succeeded`, `Failed`, `Killed` where it was stopped because its node or a stronger pod needed it, or `Deleted`
    where somebody who owns it took it away."""
    disrupted: bool = False
    """It is being stopped for another reason than its owner's wish."""
    used_gpu_ms: float = 0.0
    """GPU-milliseconds in which its GPUs were busy."""
    lost_ms: Millis = 0
    """Work that was done and not saved when it was stopped."""


class NodeLife(msgspec.Struct, eq=False):
    """One claim with its instance and node."""

    claim: str
    pool: str
    created: Millis
    why: str = ""
    """The reason of the order, such as `provisioned`."""
    why_gone: str = ""
    """The reason of the deletion, or what the cloud did."""
    provider_id: str = ""
    node: str = ""
    instance_type: str = ""
    zone: str = ""
    capacity_type: str = ""
    price_usd_per_hour: float = 0.0
    gpus: int = 0
    running: Millis | None = None
    registered: Millis | None = None
    initialized: Millis | None = None
    deleted: Millis | None = None
    """When its deletion was asked for."""
    ended: Millis | None = None
    """When its instance ended."""
    pods: list[PodLife] = msgspec.field(default_factory=list)
    """In the order in which they were bound."""


class Ledger:
    """All lives of a run."""

    def __init__(self, world: World) -> None:
        self._loop = world.loop
        self._store: Store = world.store
        self.pods: dict[str, PodLife] = {}
        """By uid."""
        self.nodes: dict[str, NodeLife] = {}
        """By claim."""
        self._by_provider: dict[str, NodeLife] = {}
        self._by_node: dict[str, NodeLife] = {}
        self._requests: dict[int, tuple[Any, Amounts]] = {}
        self._holding: dict[str, PodLife] = {}
        self.peak = 0
        """Most instances that ran at once."""
        self.alive = 0
        self.counts: dict[str, int] = {}
        """How often each kind of fact was noted."""
        self.landed = self.handed_over = 0
        """Pods that were told their node before they were bound, and those of them that went there."""
        world.store.watch("Pod", self._pod)
        world.store.watch("NodeClaim", self._claim)
        world.store.watch("Node", self._node)
        world.journal.listen(self._fact)

    def open_pods(self) -> list[PodLife]:
        """The pods that hold GPUs now."""
        return list(self._holding.values())

    # Pods

    def _pod(self, old: Pod | None, new: Pod | None) -> None:
        pod = new or old
        if pod is None:
            return
        life = self.pods.get(pod.metadata.uid)
        if life is None:
            if new is None:
                return
            life = self.pods[pod.metadata.uid] = self._born(pod)
        now = self._loop.now
        if pod.spec.node_name and life.bound is None:
            self._bound(life, pod.spec.node_name, now)
            if life.gpus:
                self._holding[pod.metadata.uid] = life
        if pod.status.phase == "Running" and life.running is None:
            life.running = now
        life.disrupted = life.disrupted or any(c.type == DISRUPTION_TARGET for c in pod.status.conditions)
        if life.ended is None and (pod.is_terminal or new is None):
            self._over(pod.metadata.uid, _result(pod, life.disrupted))

    def _over(self, uid: str, result: str) -> None:
        life = self.pods[uid]
        life.ended, life.result = self._loop.now, result
        self._holding.pop(uid, None)

    def _born(self, pod: Pod) -> PodLife:
        known = self._requests.get(id(pod.spec))
        if known is None:
            known = self._requests[id(pod.spec)] = (pod.spec, pod_requests(pod.spec))
        requests = known[1]
        owners = pod.metadata.owner_references
        return PodLife(
            pod.key,
            self._workload(pod),
            self._loop.now,
            requests,
            gpu_count(requests),
            any(owner.kind == "DaemonSet" for owner in owners),
        )

    def _workload(self, pod: Pod) -> str:
        """The topmost owner that the store still has."""
        kind, obj = "Pod", pod
        while (owner := obj.metadata.controller) is not None:
            above = self._store.get(owner.kind, f"{pod.metadata.home}/{owner.name}")
            if above is None:
                break
            kind, obj = owner.kind, above
        return f"{kind.lower()}/{pod.metadata.home}/{obj.metadata.name}"

    def _bound(self, life: PodLife, node: str, now: Millis) -> None:
        life.node, life.bound = node, now
        if node in self._by_node:
            self._by_node[node].pods.append(life)

    # Nodes

    def _claim(self, old: NodeClaim | None, new: NodeClaim | None) -> None:
        claim = new or old
        if claim is None:
            return
        name = claim.metadata.name
        life = self.nodes.get(name)
        if life is None:
            pool = claim.metadata.labels.get("karpenter.sh/nodepool", "")
            life = self.nodes[name] = NodeLife(name, pool, self._loop.now)
        if claim.metadata.deletion_timestamp and life.deleted is None:
            life.deleted = self._loop.now
        if claim.status.provider_id and not life.provider_id:
            life.provider_id = claim.status.provider_id
            self._by_provider[claim.status.provider_id] = life

    def _node(self, old: Node | None, new: Node | None) -> None:
        if new is None:
            return
        life = self._by_provider.get(new.spec.provider_id)
        if life is None:
            return
        if not life.node:
            life.node = new.metadata.name
            self._by_node[life.node] = life
        labels = new.metadata.labels
        if life.registered is None and labels.get(REGISTERED) == "true":
            life.registered = self._loop.now
        if life.initialized is None and labels.get(INITIALIZED) == "true":
            life.initialized = self._loop.now

    # Facts

    def _fact(self, fact: Fact) -> None:
        self.counts[fact.what] = self.counts.get(fact.what, 0) + 1
        _, _, name = fact.about.partition("/")
        match fact.what:
            case "claim-created" if name in self.nodes:
                self.nodes[name].why = fact.data["reason"]
            case "claim-deleted" if name in self.nodes:
                self.nodes[name].why_gone = self.nodes[name].why_gone or fact.data["reason"]
            case "instance-running":
                self._instance(fact)
            case "instance-ended":
                self._ended(fact)
            case "work-lost":
                self._lost(fact, name)
            case "pod-deleted":
                self._pod_deleted(name)
            case "pod-ended" if fact.data["result"] == "killed" and fact.data["why"] != "removed":
                self._machine_gone(fact.data["uid"])
            case "planned-landing":
                self.handed_over += 1
                self.landed += fact.data["planned"] == fact.data["actual"]

    def _instance(self, fact: Fact) -> None:
        self.alive += 1
        self.peak = max(self.peak, self.alive)
        life = self.nodes.get(fact.data["claim"])
        if life is None:
            return
        # A claim that went while its instance was on its way never said which one that is; it costs all the same.
        life.provider_id = life.provider_id or fact.about.removeprefix("Instance/")
        life.running = fact.at
        life.instance_type, life.zone = fact.data["type"], fact.data["zone"]
        life.capacity_type, life.price_usd_per_hour = fact.data["capacity_type"], fact.data["price"]

    def _ended(self, fact: Fact) -> None:
        life = self.nodes.get(fact.data["claim"])
        if life is None or life.running is None:
            return
        self.alive -= 1
        life.ended = fact.at
        if fact.data["why"] != "terminated":
            life.why_gone = fact.data["why"]

    def _pod_deleted(self, key: str) -> None:
        """The autoscaler deletes a pod of a node that has to go: without the eviction API, so without a condition."""
        pod = self._store.get("Pod", key)
        if pod is not None and pod.metadata.uid in self.pods:
            self.pods[pod.metadata.uid].disrupted = True

    def _machine_gone(self, uid: str) -> None:
        """The pod is no more, although the API server still has it until somebody collects it."""
        if uid in self.pods and self.pods[uid].ended is None:
            self._over(uid, "Killed")

    def _lost(self, fact: Fact, key: str) -> None:
        uid = fact.data.get("uid", "")
        if uid in self.pods:
            self.pods[uid].lost_ms += round(fact.data["seconds"] * 1000)


def _result(pod: Pod, disrupted: bool) -> str:
    """How a pod ended. One that is told to stop ends as Failed too, whoever wanted it."""
    if pod.status.phase == "Succeeded":
        return "Succeeded"
    if disrupted:
        return "Killed"
    return "Failed" if pod.status.phase == "Failed" and not pod.metadata.deletion_timestamp else "Deleted"
