"""A world of objects around the lifecycle: it carries actions out, and tells the state what came of them.

Objects live in the simulator's store, which knows finalizers, owners and grace periods. The cloud answers launches as
the script says, one second later; kubelets stop pods when their grace is over. Actions can be lost on the way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from fretsaw.api.meta import Condition, Object, ObjectMeta
from fretsaw.api.node import Node, NodeSpec, NodeStatus
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.pod import Pod
from fretsaw.api.times import SECOND, Millis, millis, rfc3339
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.claims import look, strays
from fretsaw.engine.lifecycle import walk
from fretsaw.engine.options import Options
from fretsaw.engine.sight import Look
from fretsaw.engine.state import ClusterState, key_of
from fretsaw.engine.taints import UNREGISTERED
from fretsaw.sim.loop import Loop
from fretsaw.sim.store import Store

START = millis("2026-01-05T00:00:00Z")
CAPACITY = {"cpu": "4", "memory": "16Gi", "pods": "20", "nvidia.com/gpu": "1"}


class Performer:
    """Objects, a cloud, and a state that is told of both."""

    def __init__(self, options: Options | None = None, start: Millis = START) -> None:
        self.options = options if options is not None else Options()
        self.loop = Loop(start)
        self.store = Store(self.loop)
        self.state = ClusterState()
        self.done: list[a.Action] = []
        """What was carried out, lost actions left out."""
        self.instances: dict[str, str] = {}
        """Live instances: provider id → claim."""
        self.launched: dict[str, int] = {}
        """How many instances each claim ever had."""
        self.refusals: dict[str, list[e.LaunchRefused]] = {}
        """What the cloud says to the next orders of a claim before it gives in."""
        self.guarded: set[str] = set()
        """Pods whose eviction a budget refuses."""
        self.lose: Callable[[a.Action], bool] = lambda action: False
        self.wakes: dict[str, Millis] = {}
        self._answers: dict[str, e.InstanceCreated] = {}
        self.store.watch_all(self._changed)

    @property
    def now(self) -> Millis:
        """The time in the world."""
        return self.loop.now

    def _changed(self, old: Object | None, new: Object | None) -> None:
        if isinstance(old, NodeClaim):
            walk(old, new if isinstance(new, NodeClaim) else None)
        obj = new if new is not None else old
        assert obj is not None
        self.state.apply(e.Changed(obj) if new is not None else e.Gone(type(obj).__name__, key_of(obj)))

    # Looking

    def turn(self) -> list[a.Action]:
        """Look at every machine that was touched or is due, and carry out what that asks for."""
        due = {name for name, when in self.wakes.items() if when <= self.now} | self.state.touched
        self.state.touched.clear()
        wanted: list[a.Action] = []
        for name in sorted(due):
            self.wakes.pop(name, None)
            machine = self.state.machines.get(name)
            if machine is not None:
                wanted += self._take(look(self.state, machine, self.options, self.now), name)
        wanted += self._take(strays(self.state, self.now), "strays")
        for action in wanted:
            if not self.lose(action):
                self.perform(action)
        return wanted

    def _take(self, found: Look, name: str) -> tuple[a.Action, ...]:
        for note in found.notes:
            self.state.apply(note)
        if found.wake is not None:
            assert found.wake > self.now, "a look must not ask to be repeated at once"
            self.wakes[name] = found.wake
        return found.actions

    def settle(self, most: int = 60) -> None:
        """Take turns at this moment until nothing is left to do."""
        for _ in range(most):
            if not self.turn() and not self.state.touched:
                return
        raise AssertionError(f"no rest after {most} turns at one moment: {self.done[-6:]}")

    def run(self, span: Millis, step: Millis = SECOND) -> None:
        """Let time go by, settling at every step."""
        until = self.now + span
        self.settle()
        while self.now < until:
            self.loop.run(min(self.now + step, until))
            self.settle()

    def jump(self, span: Millis) -> None:
        """Let time go by in which nothing looks."""
        self.loop.run(self.now + span)

    # Carrying out

    def perform(self, action: a.Action) -> None:
        """Carry one action out."""
        self.done.append(action)
        match action:
            case a.CreateClaim(claim):
                if self.store.get("NodeClaim", claim.metadata.name) is None:
                    self.store.put(claim)
            case a.UpdateClaim(obj) | a.UpdateNode(obj) | a.UpdatePool(obj):
                if self.store.get(type(obj).__name__, obj.metadata.name) is not None:
                    self.store.put(obj)
            case a.DeleteClaim(name):
                self.store.delete("NodeClaim", name)
            case a.DeleteNode(name):
                self.store.delete("Node", name)
            case a.LaunchInstance(claim):
                self.loop.after(SECOND, self._launch, claim)
            case a.TerminateInstance(provider_id):
                self.loop.after(2 * SECOND, self.end_instance, provider_id)
            case a.Evict(pod):
                self._evict(pod)
            case a.DeletePod(pod, _, grace_s):
                self.stop_pod(pod, grace_s)
            case _:
                pass

    def _launch(self, claim: NodeClaim) -> None:
        name = claim.metadata.name
        if name in self._answers:
            self.state.apply(self._answers[name])
        elif self.refusals.get(name):
            self.state.apply(self.refusals[name].pop(0))
        else:
            provider_id = f"aws:///z-a/i-{name}-{self.launched.get(name, 0)}"
            self.launched[name] = self.launched.get(name, 0) + 1
            self.instances[provider_id] = name
            labels = {"topology.kubernetes.io/zone": "z-a"}
            self._answers[name] = e.InstanceCreated(name, provider_id, labels, dict(CAPACITY), dict(CAPACITY))
            self.state.apply(self._answers[name])

    def end_instance(self, provider_id: str) -> None:
        """The instance is there no longer; its kubelet says nothing more."""
        self.instances.pop(provider_id, None)
        for node in list(self.store.all("Node").values()):
            if node.spec.provider_id == provider_id:
                self.ready(node.metadata.name, "Unknown")
        self.state.apply(e.InstanceGone(provider_id))

    def _evict(self, key: str) -> None:
        if self.store.get("Pod", key) is None:
            return
        refused = "evicting pod violates a PDB" if key in self.guarded else ""
        if not refused:
            self.stop_pod(key, None)
        self.state.apply(e.EvictionAnswered(key, refused))

    def stop_pod(self, key: str, grace_s: int | None) -> None:
        """Delete a pod; its kubelet needs all of the grace."""
        self.store.delete("Pod", key, grace_s=grace_s)
        pod = self.store.get("Pod", key)
        if pod is not None and pod.metadata.deletion_timestamp:
            self.loop.at(millis(pod.metadata.deletion_timestamp), self._stopped, key, pod.metadata.uid)

    def _stopped(self, key: str, uid: str) -> None:
        pod = self.store.get("Pod", key)
        if pod is None or pod.metadata.uid != uid:
            return
        if millis(pod.metadata.deletion_timestamp) <= self.now:
            self.store.remove("Pod", key)

    # What others do

    def join(self, claim: str, name: str = "", *, tainted: bool = True, ready: bool = True) -> str:
        """The claim's instance boots and makes a node; its name, empty where there is no instance."""
        found = self.store.get("NodeClaim", claim)
        if found is None or not found.status.provider_id or found.status.provider_id not in self.instances:
            return ""
        name = name or f"node-of-{claim}"
        if self.store.get("Node", name) is not None:
            return ""
        spec = NodeSpec((UNREGISTERED,) if tainted else (), found.status.provider_id)
        self.store.put(
            Node(
                ObjectMeta(name=name),
                spec,
                NodeStatus(dict(CAPACITY), dict(CAPACITY), _ready("True" if ready else "False", self.now)),
            )
        )
        return name

    def ready(self, node: str, status: str) -> None:
        """The node's Ready condition."""
        found = self.store.get("Node", node)
        if found is not None:
            self.store.put(replace(found, status=replace(found.status, conditions=_ready(status, self.now))))

    def bind(self, pod: Pod, node: str) -> None:
        """A pod lands on a node."""
        if self.store.get("Node", node) is not None:
            self.store.put(replace(pod, spec=replace(pod.spec, node_name=node)))

    def list_instances(self) -> None:
        """The provider lists what it has."""
        self.state.apply(e.InstancesListed(frozenset(self.instances)))

    def get(self, kind: str, name: str) -> Any:
        """An object of the store."""
        return self.store.get(kind, name)


def _ready(status: str, now: Millis) -> tuple[Condition, ...]:
    return (Condition("Ready", status, last_transition_time=rfc3339(now)),)
