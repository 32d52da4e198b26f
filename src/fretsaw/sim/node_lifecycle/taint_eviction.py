"""Pods leave nodes with NoExecute taints: at once, after the time that they tolerate, or never.

Neither budgets nor `do-not-disrupt` have a say in it.
Source: Kubernetes v1.36 pkg/controller/tainteviction/taint_eviction.go, plugin/pkg/admission/defaulttolerationseconds;
kubernetes.io, Taints and Tolerations.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fretsaw.api.affinity import Toleration
from fretsaw.api.node import Node, Taint
from fretsaw.api.pod import Pod
from fretsaw.api.times import SECOND, Millis
from fretsaw.engine.taints import tolerates
from fretsaw.sim.conditions import disrupted
from fretsaw.sim.controller import WorkQueue
from fretsaw.sim.loop import Timer
from fretsaw.sim.node_lifecycle.taints import NOT_READY, UNREACHABLE
from fretsaw.sim.world import World

DEFAULT_SECONDS: Final = 300
"""How long admission lets every pod stay on a node that is not ready or unreachable."""


def tolerations_of(pod: Pod) -> tuple[Toleration, ...]:
    """A pod's tolerations with those that admission adds where it has none of its own for a node that is down."""
    own = pod.spec.tolerations
    added = tuple(
        Toleration(key=key, operator="Exists", effect="NoExecute", toleration_seconds=DEFAULT_SECONDS)
        for key in (NOT_READY, UNREACHABLE)
        if not any(t.key in ("", key) and t.effect in ("", "NoExecute") for t in own)
    )
    return (*own, *added)


def stays(taints: Iterable[Taint], tolerations: tuple[Toleration, ...]) -> Millis | None:
    """How long a pod may stay on a node with these NoExecute taints: 0 not at all, None for ever.

    For each taint the first toleration that covers it counts; the shortest of their times is the answer.
    """
    used: list[Toleration] = []
    for taint in taints:
        found = next((toleration for toleration in tolerations if tolerates(toleration, taint)), None)
        if found is None:
            return 0
        used.append(found)
    times = [max(0, t.toleration_seconds) * SECOND for t in used if t.toleration_seconds is not None]
    return min(times, default=None)


class TaintEviction:
    """The controller: looks at a node when its NoExecute taints change, and at a pod when it comes to such a node."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._store = world.store
        self._nodes = WorkQueue(world.loop, self._sync_node)
        self._pods = WorkQueue(world.loop, self._sync_pod)
        self._planned: dict[str, Timer] = {}
        self._tainted: dict[str, tuple[Taint, ...]] = {}
        self._store.watch("Node", self._node_changed)
        self._store.watch("Pod", self._pod_changed)
        for node in list(self._store.all("Node").values()):
            self._node_changed(None, node)

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        if new is None:
            assert old is not None
            self._tainted.pop(old.metadata.name, None)
        elif _executing(old) != _executing(new):
            self._nodes.add(new.metadata.name)

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        if new is None:
            assert old is not None
            self._cancel(old.key)
        elif new.spec.node_name and _executing(self._store.get("Node", new.spec.node_name)):
            before = old.spec if old is not None else None
            if before is None or (before.node_name, before.tolerations) != (new.spec.node_name, new.spec.tolerations):
                self._pods.add(new.key)

    def _sync_node(self, name: str) -> None:
        taints = _executing(self._store.get("Node", name))
        if taints:
            self._tainted[name] = taints
        else:
            self._tainted.pop(name, None)
        for pod in list(self._store.pods_on(name).values()):
            self._judge(pod, taints)

    def _sync_pod(self, key: str) -> None:
        pod = self._store.get("Pod", key)
        taints = self._tainted.get(pod.spec.node_name) if pod is not None else None
        if taints:
            self._judge(pod, taints)

    def _judge(self, pod: Pod, taints: tuple[Taint, ...]) -> None:
        time = stays(taints, tolerations_of(pod))
        if time is None:
            self._cancel(pod.key)
        elif time == 0:
            self._cancel(pod.key)
            self._evict(pod.key)
        elif pod.key not in self._planned:
            # An eviction that is planned already keeps its time: the clock does not start anew with each taint.
            self._planned[pod.key] = self._world.loop.after(time, self._evict, pod.key)

    def _cancel(self, key: str) -> None:
        timer = self._planned.pop(key, None)
        if timer is not None:
            timer.cancel()

    def _evict(self, key: str) -> None:
        self._planned.pop(key, None)
        pod: Pod | None = self._store.get("Pod", key)
        if pod is None or pod.metadata.deletion_timestamp:
            return
        message = "Taint manager: deleting due to NoExecute taint"
        self._store.put(disrupted(pod, "DeletionByTaintManager", message, self._world.loop.now))
        self._world.journal.note("taint-eviction", f"Pod/{key}", node=pod.spec.node_name)
        self._store.delete("Pod", key)


def _executing(node: Node | None) -> tuple[Taint, ...]:
    return tuple(taint for taint in node.spec.taints if taint.effect == "NoExecute") if node is not None else ()
