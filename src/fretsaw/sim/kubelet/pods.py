"""The kubelets' side of all pods: takes those that are bound to a node, and ends those that are told to go."""

from __future__ import annotations

from collections.abc import Callable

from fretsaw.api.node import Node
from fretsaw.api.pod import Pod
from fretsaw.api.resources import units
from fretsaw.engine.requests import Amounts, pod_requests
from fretsaw.sim.controller import WorkQueue
from fretsaw.sim.kubelet.admission import Rejection, devices_refused, predicates_refused
from fretsaw.sim.kubelet.devices import devices_of
from fretsaw.sim.kubelet.host import Ground, Host
from fretsaw.sim.kubelet.pod_life import PodLife
from fretsaw.sim.store import DEFAULT_GRACE_S


class Pods:
    """Watches all pods and leads each to its host."""

    def __init__(self, ground: Ground, host_of: Callable[[str], Host | None]) -> None:
        """host_of: the machine of a node name; None where there is none, or none yet."""
        self._ground = ground
        self._store = ground.world.store
        self._host_of = host_of
        self._queue = WorkQueue(ground.world.loop, self._sync)
        self.lives: dict[str, PodLife] = {}
        """Lives that go on, by key."""
        self._store.watch("Pod", self._changed)
        for pod in list(self._store.all("Pod").values()):
            self._changed(None, pod)

    def look(self, host: Host) -> None:
        """Look at all pods of a host: it is ready, or speaks again."""
        for key in sorted(self._store.pods_on(host.name)):
            self._queue.add(key)

    def _changed(self, old: Pod | None, new: Pod | None) -> None:
        """Only what a kubelet has to act upon: bound, told to go, gone. What it wrote itself is none of these."""
        if new is None:
            if old is not None and old.key in self.lives:
                self._queue.add(old.key, 0)
        elif new.spec.node_name and (old is None or not old.spec.node_name or _grace(old) != _grace(new)):
            self._queue.add(new.key)

    def _sync(self, key: str) -> None:
        pod: Pod | None = self._store.get("Pod", key)
        life = self.lives.get(key)
        if life is not None and (pod is None or pod.metadata.uid != life.uid):
            life.kill("removed")
            life = None
        self._forget(key)
        if pod is None or pod.is_terminal:
            return
        host = self._host_of(pod.spec.node_name)
        if host is None or not host.alive or host.silent:
            return
        if pod.metadata.deletion_timestamp:
            self._end(pod, life)
        elif life is None and host.ready:
            self._take(pod, host)
        self._forget(key)

    def _forget(self, key: str) -> None:
        if key in self.lives and self.lives[key].stage == "over":
            del self.lives[key]

    def _end(self, pod: Pod, life: PodLife | None) -> None:
        if life is None:
            self._store.remove("Pod", pod.key)
        elif life.stage != "over":
            grace = pod.metadata.deletion_grace_period_seconds
            life.stop(DEFAULT_GRACE_S if grace is None else grace)

    def _take(self, pod: Pod, host: Host) -> None:
        requests = pod_requests(pod.spec)
        life = self.lives[pod.key] = PodLife(self._ground, host, pod, requests)
        refused = self._refused(pod, requests, host)
        if refused is not None:
            life.reject(refused)
            return
        host.devices.take(pod.key, devices_of(requests))
        host.take(life, requests)
        life.begin()

    def _refused(self, pod: Pod, requests: Amounts, host: Host) -> Rejection | None:
        node: Node | None = self._store.get("Node", host.name)
        if node is None:
            return None
        why = devices_refused(requests, host.devices, host.sharing)
        if why is not None:
            return why
        allocatable = {name: units(name, amount, up=False) for name, amount in node.status.allocatable.items()}
        return predicates_refused(pod, requests, host.used, allocatable, node.spec.taints)


def _grace(pod: Pod) -> tuple[str | None, int | None]:
    return pod.metadata.deletion_timestamp, pod.metadata.deletion_grace_period_seconds
