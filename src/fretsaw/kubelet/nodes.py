"""All machines of the fake cloud and their Nodes: each joins, reports, and renews its lease, until its instance ends.

A Node is never deleted here: that is the autoscaler's to do, or the node lifecycle controller's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import count

from fretsaw.api.labels import NODEPOOL
from fretsaw.api.node import Node, Taint
from fretsaw.api.times import Millis
from fretsaw.errors import UserError
from fretsaw.kube.client import Client
from fretsaw.kube.errors import AlreadyExists, Conflict, KubeError, NotFound
from fretsaw.kubelet import writes
from fretsaw.kubelet.machine import Machine
from fretsaw.kubelet.queue import Failed, WorkQueue
from fretsaw.kubelet.settings import KubeletSettings
from fretsaw.providers.fake.cloud import FakeCloud
from fretsaw.providers.fake.faults import FAULTS, NodeFault, node_faults
from fretsaw.providers.fake.instance import Instance
from fretsaw.sim.kubelet.node_object import node_name

CONFLICT_WAIT: Millis = 50
BEAT_S = 1.0
"""Leases that are due are renewed so often, all at once."""


class Nodes:
    """The kubelets' own part. look: called with a machine whose pods are to be looked at."""

    def __init__(
        self,
        client: Client,
        cloud: FakeCloud,
        settings: KubeletSettings,
        *,
        look: Callable[[Machine], None],
        ended: Callable[[Machine], None],
        failed: Failed,
    ) -> None:
        self._client, self._cloud, self._settings = client, cloud, settings
        self._look, self._ended, self._failed = look, ended, failed
        self._machines: dict[str, Machine] = {}
        """By provider id."""
        self._of_node: dict[str, Machine] = {}
        self._seen: dict[str, Node] = {}
        """All Nodes that there are, whoever made them."""
        self._numbers = count()
        self._suffered: dict[str, str] = {}
        """The annotation of each Node that was last acted upon."""
        self.queue = WorkQueue(self._sync, cloud.now, failed, settings.workers)

    def machine(self, node: str) -> Machine | None:
        """The machine of a Node; None for one that is not ours."""
        return self._of_node.get(node)

    def taints(self, node: str) -> tuple[Taint, ...]:
        """A Node's taints as they are now."""
        seen = self._seen.get(node)
        return seen.spec.taints if seen is not None else ()

    def __iter__(self) -> Iterator[Machine]:
        return iter(self._machines.values())

    def start(self) -> None:
        """Begin to listen to the cloud. The Nodes that there are have to be known by now."""
        self._cloud.on_running.append(self._running)
        self._cloud.on_ended.append(self._over)
        self._cloud.on_node_fault.append(self._suffer)
        for instance in self._cloud.instances():
            if instance.state == "running":
                self._running(instance)

    def stop(self) -> None:
        """Listen no longer."""
        if self._running in self._cloud.on_running:
            self._cloud.on_running.remove(self._running)
            self._cloud.on_ended.remove(self._over)
            self._cloud.on_node_fault.remove(self._suffer)

    # What the cloud says

    def _running(self, instance: Instance) -> None:
        metadata = instance.claim.metadata
        faults = self._cloud.node_faults.take(metadata.name, metadata.labels.get(NODEPOOL, ""))
        faults.extend(self._read(metadata.annotations.get(FAULTS, ""), f"nodeclaim/{metadata.name}"))
        machine = Machine(instance, faults, self._settings, self._cloud.now())
        self._machines[instance.provider_id] = machine
        known = next((node for node in self._seen.values() if node.spec.provider_id == instance.provider_id), None)
        if known is not None:
            machine.adopt(known, self._cloud.now())
            self._of_node[machine.name] = machine
        self.queue.add(instance.provider_id)

    def _over(self, instance: Instance) -> None:
        machine = self._machines.pop(instance.provider_id, None)
        if machine is not None:
            machine.alive = False
            self._ended(machine)
            self._of_node.pop(machine.name, None)

    def _suffer(self, fault: NodeFault) -> None:
        machine = self._of_node.get(fault.node)
        if machine is not None:
            machine.suffer(fault, self._cloud.now())
            self.queue.add(machine.instance.provider_id)

    def _read(self, text: str, where: str) -> tuple[NodeFault, ...]:
        try:
            return node_faults(text) if text else ()
        except UserError as error:
            self._failed(where, error)
            return ()

    # What the API server says

    def changed(self, name: str, node: Node | None) -> None:
        """A Node was made, changed, or is gone."""
        if node is None:
            self._seen.pop(name, None)
            self._suffered.pop(name, None)
            return
        self._seen[name] = node
        machine = self._of_node.get(name)
        if machine is None or node.spec.provider_id != machine.instance.provider_id:
            return
        text = node.metadata.annotations.get(FAULTS, "")
        if text != self._suffered.get(name, ""):
            self._suffered[name] = text
            for fault in self._read(text, f"node/{name}"):
                machine.suffer(fault, self._cloud.now())
            self.queue.add(machine.instance.provider_id)
        elif machine.startup_taints(node, self._cloud.now()):
            self.queue.add(machine.instance.provider_id)

    # What a kubelet does

    async def _sync(self, provider_id: str) -> Millis | None:
        machine = self._machines.get(provider_id)
        if machine is None or not machine.alive:
            return None
        now = self._cloud.now()
        if not machine.joined:
            if machine.joins is None or now < machine.joins:
                return machine.joins
            if not await self._join(machine):
                return self._cloud.now()
        was_ready = machine.ready(now)
        again = await self._report(machine, now)
        if was_ready:
            self._look(machine)
        return again if again is not None else machine.next(now)

    async def _join(self, machine: Machine) -> bool:
        """Make the Node; False where another one has its name. Asked again after a failure, it is the same Node."""
        name = machine.wanted or node_name(next(self._numbers), machine.instance.created.labels)
        if name in self._seen and self._seen[name].spec.provider_id != machine.instance.provider_id:
            machine.wanted = ""
            return False
        machine.wanted = name
        now = self._cloud.now()
        tree = machine.draft(name, now)
        try:
            made: Node = await self._client.create("Node", tree)
        except AlreadyExists:
            made = await self._client.get("Node", name)
            if made.spec.provider_id != machine.instance.provider_id:
                machine.wanted = ""
                return False
        machine.join(made, now)
        self._seen.setdefault(name, made)
        self._of_node[name] = machine
        await self._first_beat(machine, now)
        return True

    async def _report(self, machine: Machine, now: Millis) -> Millis | None:
        """Write what is new; when to try again, None where all is written."""
        before = machine.node
        status = machine.report(now)
        if status is not None:
            try:
                there = await writes.patch_status(self._client, "Node", machine.name, status)
            except KubeError:
                machine.node = before  # it is news the next time, too
                raise
            if not there:
                return None
        if labels := machine.found_labels(now):
            await writes.patch_labels(self._client, machine.name, labels)
            machine.labelled = True
        node = self._seen.get(machine.name)
        if node is not None and machine.startup_taints(node, now):
            return await self._untaint(machine, node, now)
        return None

    async def _untaint(self, machine: Machine, node: Node, now: Millis) -> Millis | None:
        taints = machine.without_startup_taints(node).spec.taints
        try:
            await writes.put_taints(self._client, machine.name, taints, node.metadata.resource_version)
        except Conflict:
            return now + CONFLICT_WAIT  # by then the watch has told of the change
        except NotFound:
            return None
        return None

    async def heartbeats(self) -> None:
        """Renew leases for ever."""
        while True:
            await asyncio.sleep(BEAT_S)
            now = self._cloud.now()
            due = [m for m in self._of_node.values() if m.alive and m.beats <= now and m.name in self._seen]
            for machine in due:
                machine.beats = now + round(self._settings.heartbeat_s * 1000)
            await asyncio.gather(*(self._beat(machine, now) for machine in due))

    async def _beat(self, machine: Machine, now: Millis) -> None:
        try:
            await writes.renew_lease(self._client, machine.name, machine.uid, now, first=False)
        except NotFound:
            machine.beats = 0
            await self._first_beat(machine, now)
        except KubeError as error:
            self._failed(f"lease/{machine.name}", error)

    async def _first_beat(self, machine: Machine, now: Millis) -> None:
        """The lease is gone, or was never made."""
        try:
            await writes.renew_lease(self._client, machine.name, machine.uid, now, first=True)
        except KubeError as error:
            self._failed(f"lease/{machine.name}", error)
        machine.beats = now + round(self._settings.heartbeat_s * 1000)
