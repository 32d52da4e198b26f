"""Volumes of pods: attached to one node at a time where the volume says so, mounted before the containers start.

Source: kubernetes.io, Persistent Volumes (ReadWriteOnce); EBS CSI driver; kube-controller-manager attach-detach (a
second node waits with a Multi-Attach error; six minutes for a node that vanished).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from random import Random

import msgspec
from msgspec.structs import replace

from fretsaw.api.meta import ObjectMeta
from fretsaw.api.node import VolumeAttachment, VolumeAttachmentSource, VolumeAttachmentSpec, VolumeAttachmentStatus
from fretsaw.api.pod import Pod
from fretsaw.engine.volumes import Storage
from fretsaw.sim.durations import Durations
from fretsaw.sim.world import World

EBS = "ebs.csi.aws.com"


class VolumeUse(msgspec.Struct, frozen=True):
    """A volume that a pod needs."""

    name: str
    """The PersistentVolume's name, or the claim's key where it is not bound."""
    driver: str

    @property
    def exclusive(self) -> bool:
        """Whether one node at a time can have it."""
        return self.driver == EBS


class _Ask(msgspec.Struct, eq=False):
    """A pod that waits for `left` volumes."""

    pod: str
    node: str
    left: int
    then: Callable[[], None]


class _Disk(msgspec.Struct, eq=False):
    """An exclusive volume."""

    use: VolumeUse
    node: str = ""
    """Where it is, or is on its way to; it stays so until it is detached."""
    attached: bool = False
    users: dict[str, _Ask] = {}
    waiting: list[_Ask] = []


class Attachments:
    """All volumes that pods use."""

    def __init__(self, world: World, durations: Durations) -> None:
        self._world = world
        self._durations = durations
        self._disks: dict[str, _Disk] = {}

    def of_pod(self, pod: Pod) -> list[VolumeUse]:
        """The volumes of a pod's claims. Claims that do not exist are left out."""
        if not pod.spec.volumes:
            return []
        store = self._world.store
        claims = store.all("PersistentVolumeClaim")
        storage = Storage(claims, store.all("PersistentVolume"), store.all("StorageClass"))
        namespace = pod.metadata.home
        found = storage.attachments(pod.metadata.name, namespace, pod.spec)
        return [VolumeUse(claims[claim].spec.volume_name or claim, driver) for driver, claim in found]

    def where(self, volume: str) -> str:
        """The node that has an exclusive volume; empty for none."""
        disk = self._disks.get(volume)
        return disk.node if disk is not None else ""

    def mount(self, pod: str, node: str, volumes: list[VolumeUse], then: Callable[[], None]) -> None:
        """Call `then` once all volumes are attached and mounted; at once where there are none."""
        if not volumes:
            then()
            return
        ask = _Ask(pod, node, len(volumes), then)
        for use in volumes:
            if use.exclusive:
                self._ask(self._disks.setdefault(use.name, _Disk(use)), ask)
            else:
                self._later(self._durations.mount.draw(self._random("mount", use.name, pod)), ask)

    def release(self, pod: str, *, lost: bool = False) -> None:
        """A pod has ended, or waits no longer. lost: its node vanished, and the volume is only freed by force."""
        for disk in list(self._disks.values()):
            disk.waiting = [ask for ask in disk.waiting if ask.pod != pod]
            if disk.users.pop(pod, None) is not None and not disk.users:
                spread = self._durations.forced_detach if lost else self._durations.detach
                wait = spread.draw(self._random("detach", disk.use.name, pod))
                self._world.loop.after(wait, self._detach, disk, disk.node)

    def _random(self, *name: str) -> Random:
        return self._world.dice.once(*name)

    def _later(self, wait: int, ask: _Ask) -> None:
        self._world.loop.after(wait, self._arrived, ask)

    def _arrived(self, ask: _Ask) -> None:
        ask.left -= 1
        if not ask.left:
            ask.then()

    def _ask(self, disk: _Disk, ask: _Ask) -> None:
        if disk.node not in ("", ask.node):
            disk.waiting.append(ask)
            about = f"Pod/{ask.pod}"
            self._world.journal.note("multi-attach", about, volume=disk.use.name, has=disk.node, wants=ask.node)
            return
        disk.users[ask.pod] = ask
        if disk.attached:
            self._later(self._durations.mount.draw(self._random("mount", disk.use.name, ask.pod)), ask)
        elif not disk.node:
            disk.node = ask.node
            self._record(disk, attached=False)
            wait = self._durations.attach.draw(self._random("attach", disk.use.name, ask.pod))
            self._world.loop.after(wait, self._attached, disk, ask.node)

    def _attached(self, disk: _Disk, node: str) -> None:
        if disk.node != node or self._disks.get(disk.use.name) is not disk:
            return
        disk.attached = True
        self._record(disk, attached=True)
        for ask in list(disk.users.values()):
            self._arrived(ask)

    def _detach(self, disk: _Disk, node: str) -> None:
        """Free a volume that nobody on its node wanted back in the meantime."""
        if disk.node != node or disk.users:
            return
        self._world.store.remove("VolumeAttachment", _name(disk.use, node))
        disk.node, disk.attached = "", False
        waiting, disk.waiting = disk.waiting, []
        for ask in waiting:
            self._ask(disk, ask)
        if not disk.node:
            self._disks.pop(disk.use.name, None)

    def _record(self, disk: _Disk, *, attached: bool) -> None:
        """Write the VolumeAttachment that a node's termination waits for; a claim without a volume has none."""
        if "/" in disk.use.name:
            return
        name = _name(disk.use, disk.node)
        old = self._world.store.get("VolumeAttachment", name)
        source = VolumeAttachmentSource(disk.use.name)
        made = VolumeAttachment(ObjectMeta(name=name), VolumeAttachmentSpec(disk.use.driver, disk.node, source))
        self._world.store.put(replace(old or made, status=VolumeAttachmentStatus(attached)))


def _name(use: VolumeUse, node: str) -> str:
    """As the external attacher calls it: a digest of volume, driver and node."""
    text = f"{use.name}{use.driver}{node}"
    return f"csi-{hashlib.sha256(text.encode()).hexdigest()}"
