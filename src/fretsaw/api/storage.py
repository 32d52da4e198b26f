"""Volumes: claims, volumes and storage classes, with what ties them to zones and nodes."""

# ruff: noqa: RUF012 (msgspec copies an empty default for every object)

from __future__ import annotations

from fretsaw.api.affinity import NodeSelector
from fretsaw.api.meta import Object, TypedReference, Value
from fretsaw.api.pod import VolumeClaimSpec
from fretsaw.api.resources import Quantities

BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
DEFAULT_CLASS = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")


class PersistentVolumeClaimStatus(Value, frozen=True):
    """Pending, Bound or Lost."""

    phase: str = ""


class PersistentVolumeClaim(Object, frozen=True):
    """A claim for a volume."""

    spec: VolumeClaimSpec = VolumeClaimSpec()
    status: PersistentVolumeClaimStatus = PersistentVolumeClaimStatus()


class CSIVolumeSource(Value, frozen=True):
    """A volume of a CSI driver."""

    driver: str = ""
    volume_handle: str = ""


class EBSVolumeSource(Value, frozen=True):
    """A volume of the old in-tree EBS driver."""

    volume_id: str = ""


class PathVolumeSource(Value, frozen=True):
    """A path on one node (`local` and `hostPath`)."""

    path: str = ""


class VolumeNodeAffinity(Value, frozen=True):
    """The nodes that can reach a volume; its required terms are not under the usual long name."""

    required: NodeSelector | None = None


class PersistentVolumeSpec(Value, frozen=True):
    """Where the volume lives and who may use it."""

    csi: CSIVolumeSource | None = None
    aws_elastic_block_store: EBSVolumeSource | None = None
    local: PathVolumeSource | None = None
    host_path: PathVolumeSource | None = None
    node_affinity: VolumeNodeAffinity | None = None
    storage_class_name: str = ""
    capacity: Quantities = {}
    claim_ref: TypedReference | None = None
    access_modes: tuple[str, ...] = ()


class PersistentVolume(Object, frozen=True):
    """A volume that exists."""

    spec: PersistentVolumeSpec = PersistentVolumeSpec()


class TopologySelectorExpression(Value, frozen=True):
    """A label with the values that a class makes volumes in."""

    key: str = ""
    values: tuple[str, ...] = ()


class TopologySelectorTerm(Value, frozen=True):
    """Labels that all have to hold."""

    match_label_expressions: tuple[TopologySelectorExpression, ...] = ()


class StorageClass(Object, frozen=True):
    """How volumes are made."""

    provisioner: str = ""
    volume_binding_mode: str = "Immediate"
    allowed_topologies: tuple[TopologySelectorTerm, ...] = ()
    reclaim_policy: str = "Delete"
    parameters: dict[str, str] = {}

    @property
    def is_default(self) -> bool:
        """Whether claims without a class get this one."""
        return any(self.metadata.annotations.get(key) == "true" for key in DEFAULT_CLASS)
