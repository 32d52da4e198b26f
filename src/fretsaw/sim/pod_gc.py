"""Pods that nobody else takes away: of nodes that are gone, of dead nodes out of service, never scheduled, long done.

It looks every 20 seconds; no event is spent on a look that would find nothing.
Source: Kubernetes v1.36 pkg/controller/podgc/gc_controller.go; kubernetes.io, Pod Lifecycle, "Garbage collection of
Pods".
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec.structs import replace

from fretsaw.api.node import Node
from fretsaw.api.pod import Pod
from fretsaw.api.times import SECOND, Millis
from fretsaw.sim.conditions import disrupted
from fretsaw.sim.loop import Timer
from fretsaw.sim.world import World

OUT_OF_SERVICE: Final = "node.kubernetes.io/out-of-service"


class Settings(msgspec.Struct, frozen=True):
    """The controller's flags."""

    period: Millis = 20 * SECOND
    quarantine: Millis = 40 * SECOND
    """How long a node has to be missing before its pods go: it may just not have been seen yet."""
    most_finished: int = 12500
    """Finished pods that are kept."""


class PodGC:
    """The controller."""

    def __init__(self, world: World, settings: Settings | None = None) -> None:
        self._world = world
        self._store = world.store
        self._settings = settings or Settings()
        self._timer: Timer | None = None
        self._missing: dict[str, Millis] = {}
        """Nodes that pods name and that are not there, with the look that first noticed; -1 before."""
        self._finished = 0
        self._unscheduled: dict[str, None] = {}
        """Pods that were deleted before they got a node."""
        self._stuck: dict[str, None] = {}
        """Pods that are being deleted on a node that is out of service."""
        self._store.watch("Node", self._node_changed)
        self._store.watch("Pod", self._pod_changed)
        for pod in list(self._store.all("Pod").values()):
            self._pod_changed(None, pod)

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        node = new if new is not None else old
        assert node is not None
        name = node.metadata.name
        if new is not None:
            self._missing.pop(name, None)
            if _out_of_service(new) and not (old is not None and _out_of_service(old)):
                for pod in self._store.pods_on(name).values():
                    self._note_stuck(pod, new)
        elif self._store.pods_on(name):
            self._miss(name)

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        self._finished += (new is not None and new.is_terminal) - (old is not None and old.is_terminal)
        if self._finished > self._settings.most_finished:
            self._plan()
        if new is None or _only_waits(new):
            return
        name = new.spec.node_name
        if not name:
            if new.metadata.deletion_timestamp:
                self._unscheduled[new.key] = None
                self._plan()
            return
        node = self._store.get("Node", name)
        if node is None:
            self._miss(name)
        elif new.metadata.deletion_timestamp:
            self._note_stuck(new, node)

    def _miss(self, name: str) -> None:
        self._missing.setdefault(name, -1)
        self._plan()

    def _note_stuck(self, pod: Pod, node: Node) -> None:
        if pod.metadata.deletion_timestamp and _out_of_service(node):
            self._stuck[pod.key] = None
            self._plan()

    def _plan(self) -> None:
        if self._timer is None:
            loop = self._world.loop
            self._timer = loop.at(loop.next_round(self._settings.period), self._look)

    def _look(self) -> None:
        self._timer = None
        self._too_many_finished()
        self._out_of_service()
        self._orphans()
        self._never_scheduled()
        if self._missing or self._stuck:
            self._plan()

    def _too_many_finished(self) -> None:
        """The oldest finished pods go, those that were evicted first."""
        excess = self._finished - self._settings.most_finished
        if excess <= 0:
            return
        done = [pod for pod in self._store.all("Pod").values() if pod.is_terminal]
        done.sort(key=lambda p: (p.status.reason != "Evicted", p.metadata.creation_timestamp or "", p.key))
        for pod in done[:excess]:
            self._collect(pod, "")

    def _out_of_service(self) -> None:
        """Pods that nobody will finish stopping, as somebody has said that their node is off."""
        for key in list(self._stuck):
            pod = self._store.get("Pod", key)
            node = self._store.get("Node", pod.spec.node_name) if pod is not None else None
            if node is None or not _out_of_service(node):
                del self._stuck[key]
            elif (ready := node.condition("Ready")) is not None and ready.status != "True":
                del self._stuck[key]
                self._collect(pod, "")

    def _orphans(self) -> None:
        now = self._world.loop.now
        for name, noticed in list(self._missing.items()):
            pods = [pod for pod in self._store.pods_on(name).values() if not _only_waits(pod)]
            if not pods:
                del self._missing[name]
            elif noticed < 0:
                self._missing[name] = now
            elif now - noticed >= self._settings.quarantine:
                del self._missing[name]
                for pod in pods:
                    self._collect(pod, "PodGC: node no longer exists")

    def _never_scheduled(self) -> None:
        for key in list(self._unscheduled):
            del self._unscheduled[key]
            pod = self._store.get("Pod", key)
            if pod is not None and not pod.spec.node_name:
                self._collect(pod, "")

    def _collect(self, pod: Pod, why: str) -> None:
        """Fail a pod, unless it has ended, and delete it without waiting for a kubelet. why: for the condition."""
        if why:
            pod = disrupted(pod, "DeletionByPodGC", why, self._world.loop.now)
        if not pod.is_terminal:
            pod = replace(pod, status=replace(pod.status, phase="Failed"))
        self._store.put(pod)
        self._world.journal.note("pod-collected", f"Pod/{pod.key}", node=pod.spec.node_name)
        self._store.delete("Pod", pod.key, grace_s=0)


def _only_waits(pod: Pod) -> bool:
    """Whether nothing but finalizers keeps a pod."""
    return pod.is_terminal and bool(pod.metadata.deletion_timestamp)


def _out_of_service(node: Node) -> bool:
    return any(taint.key == OUT_OF_SERVICE for taint in node.spec.taints)
