"""The kubelets' side of all pods: takes those that are bound to a node of ours, and ends those that are told to go."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from itertools import count
from random import Random
from typing import Any

import msgspec

from fretsaw.api.node import Taint
from fretsaw.api.pod import Pod
from fretsaw.api.resources import units
from fretsaw.api.times import Millis
from fretsaw.engine.requests import Amounts, pod_requests
from fretsaw.errors import UserError
from fretsaw.kube.client import Client
from fretsaw.kubelet import writes
from fretsaw.kubelet.life import Life
from fretsaw.kubelet.machine import Machine
from fretsaw.kubelet.queue import Failed, WorkQueue
from fretsaw.kubelet.settings import KubeletSettings, Told, told
from fretsaw.sim.gpu_sharing import Sharing
from fretsaw.sim.kubelet.admission import Rejection, devices_refused, predicates_refused
from fretsaw.sim.kubelet.devices import devices_of
from fretsaw.sim.kubelet.pod_status import CREATING, Look, status


class Pods:
    """All pods on our machines."""

    def __init__(
        self,
        client: Client,
        settings: KubeletSettings,
        *,
        machine_of: Callable[[str], Machine | None],
        taints_of: Callable[[str], tuple[Taint, ...]],
        now: Callable[[], Millis],
        failed: Failed,
    ) -> None:
        """machine_of: by a Node's name, None where it is not ours. taints_of: the Node's taints as they are."""
        self._client, self._settings, self._now, self._failed = client, settings, now, failed
        self._machine_of, self._taints_of = machine_of, taints_of
        self._pods: dict[str, Pod] = {}
        """All that are bound to any node, by key."""
        self._on: dict[str, set[str]] = defaultdict(set)
        """Keys by node."""
        self._lives: dict[str, Life] = {}
        self._ended: dict[str, str] = {}
        """Uid by key of pods that were taken away and are still heard of: their grace changes once more."""
        self._addresses = count(1)
        self.queue = WorkQueue(self._sync, now, failed, settings.workers)

    def changed(self, key: str, pod: Pod | None) -> None:
        """A pod was made, changed, or is gone. What a kubelet wrote itself gives it nothing to do."""
        old = self._pods.get(key)
        if pod is None or not pod.spec.node_name:
            if old is not None:
                del self._pods[key]
                self._on[old.spec.node_name].discard(key)
                self.queue.add(key)
            return
        self._pods[key] = pod
        self._on[pod.spec.node_name].add(key)
        if self._machine_of(pod.spec.node_name) is not None and (old is None or _asked(old) != _asked(pod)):
            self.queue.add(key)

    def look(self, machine: Machine) -> None:
        """A machine is ready: look at the pods that wait for it."""
        for key in self._on[machine.name]:
            if key not in self._lives:
                self.queue.add(key)

    def forget(self, machine: Machine) -> None:
        """A machine is gone, this instant, with all that ran on it; nobody writes anything about that."""
        for key in self._on[machine.name]:
            self._lives.pop(key, None)

    async def _sync(self, key: str) -> Millis | None:
        pod, life = self._pods.get(key), self._lives.get(key)
        if life is not None and (pod is None or pod.metadata.uid != life.uid):
            self._release(key, life)
            del self._lives[key]
            life = None
        if pod is None:
            self._ended.pop(key, None)
            return None
        machine = self._machine_of(pod.spec.node_name)
        if machine is None or not machine.alive:
            return None
        now = self._now()
        if pod.metadata.deletion_timestamp:
            return None if self._ended.get(key) == pod.metadata.uid else await self._end(key, pod, life, now)
        if life is None:
            if pod.is_terminal or not machine.ready(now):
                return None
            life = self._lives[key] = self._take(key, pod, machine, now)
        again = life.advance(now)
        if not life.holds:
            self._release(key, life)
        await self._publish(key, pod, life, now)
        return again

    # Start

    def _take(self, key: str, pod: Pod, machine: Machine, now: Millis) -> Life:
        requests = pod_requests(pod.spec)
        number = next(self._addresses)
        address = machine.address if pod.spec.host_network else _address(number)
        life = Life(pod, machine, requests, self._told(key, pod), now, address)
        refused = self._refused(pod, requests, machine)
        if refused is not None:
            life.reject(refused)
            return life
        machine.devices.take(key, devices_of(requests))
        for resource, amount in requests.items():
            machine.used[resource] = machine.used.get(resource, 0) + amount
        running = pod.status.phase == "Running"  # from another life of its kubelet
        life.begin(now if running else now + self._settings.pod_start.draw(Random(f"{self._settings.seed}/{life.uid}")))
        return life

    def _refused(self, pod: Pod, requests: Amounts, machine: Machine) -> Rejection | None:
        why = devices_refused(requests, machine.devices, Sharing())
        if why is not None:
            return why
        allocatable = {name: units(name, amount, up=False) for name, amount in machine.node.status.allocatable.items()}
        return predicates_refused(pod, requests, machine.used, allocatable, self._taints_of(machine.name))

    def _told(self, key: str, pod: Pod) -> Told:
        try:
            return told(pod)
        except UserError as error:
            self._failed(f"pod/{key}", error)
            return Told()

    def _release(self, key: str, life: Life) -> None:
        """Give back what a pod held, once."""
        requests, life.requests = life.requests, {}
        life.machine.devices.release(key)
        for resource, amount in requests.items():
            life.machine.used[resource] -= amount

    # End

    async def _end(self, key: str, pod: Pod, life: Life | None, now: Millis) -> Millis | None:
        if life is not None:
            stops_in = self._settings.pod_stop.draw(Random(f"{self._settings.seed}/stop/{life.uid}"))
            until = life.stop(pod.metadata.deletion_grace_period_seconds, stops_in, now)
            if until is not None:
                return until
            self._release(key, life)
            # Somebody counts how it ended before it goes; else nobody would see what is written here.
            if pod.metadata.finalizers and not pod.is_terminal:
                await self._publish(key, pod, life, now)
        await writes.end_pod(self._client, key, pod.metadata.uid)
        self._ended[key] = pod.metadata.uid
        return None

    # Telling

    async def _publish(self, key: str, pod: Pod, life: Life, now: Millis) -> None:
        look = life.look()
        # That it was taken is not told: a moment later it runs, and thousands of pods are told of at once.
        if look == life.published or (life.published is None and _is_new(look)):
            return
        if await writes.patch_status(self._client, "Pod", key, _status(pod, look, life, now), pod.metadata.uid):
            life.published = look


def _is_new(look: Look) -> bool:
    return look.phase == "Pending" and look.waits == CREATING


def _asked(pod: Pod) -> tuple[str, str | None, int | None]:
    """What a kubelet acts upon."""
    metadata = pod.metadata
    return metadata.uid, metadata.deletion_timestamp, metadata.deletion_grace_period_seconds


def _address(number: int) -> str:
    """The address of the `number`-th pod; each once for eight million pods."""
    return f"10.{128 + (number >> 16) % 128}.{number >> 8 & 255}.{number & 255}"


def _status(pod: Pod, look: Look, life: Life, now: Millis) -> dict[str, Any]:
    told_now = status(pod, look, now)
    tree: dict[str, Any] = {
        "phase": told_now.phase,
        "reason": told_now.reason,
        "message": told_now.message,
        "startTime": told_now.start_time,
        "conditions": writes.conditions(told_now.conditions),
        "hostIP": life.machine.address,
        "hostIPs": [{"ip": life.machine.address}],
    }
    if look.reason:
        return tree
    images = {one.name: one.image for one in pod.spec.containers}
    containers: list[dict[str, Any]] = msgspec.to_builtins(told_now.container_statuses)
    tree["containerStatuses"] = [
        {
            "ready": False,
            "restartCount": 0,
            "imageID": "",
            "image": images.get(one["name"], ""),
            "containerID": f"fake://{life.uid}/{one['name']}",
            **one,
        }
        for one in containers
    ]
    return tree | {"podIP": life.address, "podIPs": [{"ip": life.address}]}
