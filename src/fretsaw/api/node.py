"""Nodes as the cluster has them, with their taints and what their volume drivers can take."""

# ruff: noqa: RUF012 (msgspec copies an empty default for every object)

from __future__ import annotations

from msgspec import field

from fretsaw.api.meta import Condition, Object, Value
from fretsaw.api.resources import Quantities


class Taint(Value, frozen=True):
    """Keeps pods away that do not tolerate it."""

    key: str
    effect: str = ""
    value: str = ""
    time_added: str | None = None

    def __str__(self) -> str:
        return f"{self.key}={self.value}:{self.effect}" if self.value else f"{self.key}:{self.effect}"


class NodeSpec(Value, frozen=True):
    """Taints, the cloud's id, and whether the node is cordoned."""

    taints: tuple[Taint, ...] = ()
    provider_id: str = field(default="", name="providerID")
    unschedulable: bool = False


class AttachedVolume(Value, frozen=True):
    """A volume that the node has attached."""

    name: str = ""
    device_path: str = ""


class ContainerImage(Value, frozen=True):
    """An image that the node has, under all its names."""

    names: tuple[str, ...] = ()
    size_bytes: int = 0


class NodeStatus(Value, frozen=True):
    """Capacity, what of it pods may use, and conditions."""

    capacity: Quantities = {}
    allocatable: Quantities = {}
    conditions: tuple[Condition, ...] = ()
    volumes_attached: tuple[AttachedVolume, ...] = ()
    images: tuple[ContainerImage, ...] = ()


class Node(Object, frozen=True):
    """A machine of the cluster."""

    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()

    def condition(self, type_: str) -> Condition | None:
        """The condition of that type, if the node reports it."""
        return next((condition for condition in self.status.conditions if condition.type == type_), None)


class VolumeNodeResources(Value, frozen=True):
    """How many volumes of a driver fit on a node; None means no limit is known."""

    count: int | None = None


class CSINodeDriver(Value, frozen=True):
    """A volume driver on one node."""

    name: str = ""
    node_id: str = field(default="", name="nodeID")
    topology_keys: tuple[str, ...] = ()
    allocatable: VolumeNodeResources | None = None


class CSINodeSpec(Value, frozen=True):
    """All volume drivers of one node."""

    drivers: tuple[CSINodeDriver, ...] = ()


class CSINode(Object, frozen=True):
    """The volume drivers of the node of the same name."""

    spec: CSINodeSpec = CSINodeSpec()


class VolumeAttachmentSource(Value, frozen=True):
    """Which volume is attached."""

    persistent_volume_name: str | None = None


class VolumeAttachmentSpec(Value, frozen=True):
    """A volume of a driver that belongs on a node."""

    attacher: str = ""
    node_name: str = ""
    source: VolumeAttachmentSource = VolumeAttachmentSource()


class VolumeAttachmentStatus(Value, frozen=True):
    """Whether the attachment has happened."""

    attached: bool = False


class VolumeAttachment(Object, frozen=True):
    """A volume that is, or shall be, attached to a node."""

    spec: VolumeAttachmentSpec = VolumeAttachmentSpec()
    status: VolumeAttachmentStatus = VolumeAttachmentStatus()
