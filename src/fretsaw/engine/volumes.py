"""What a pod's volumes demand of its node: zones, as alternatives, and room on the node's volume drivers.

Source: Karpenter v1.14 volumetopology.go, pkg/scheduling/volumeusage.go; kube-scheduler's VolumeBinding plugin.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from fretsaw.api.labels import HOSTNAME, normalize
from fretsaw.api.pod import Pod, PodSpec, Volume
from fretsaw.api.storage import BIND_COMPLETED, PersistentVolume, PersistentVolumeClaim, StorageClass
from fretsaw.engine.requirement import Requirement
from fretsaw.engine.requirements import EMPTY, Requirements
from fretsaw.engine.wishes import expressions

IN_TREE = {
    "kubernetes.io/aws-ebs": "ebs.csi.aws.com",
    "kubernetes.io/gce-pd": "pd.csi.storage.gke.io",
    "kubernetes.io/azure-disk": "disk.csi.azure.com",
    "kubernetes.io/azure-file": "file.csi.azure.com",
    "kubernetes.io/cinder": "cinder.csi.openstack.org",
    "kubernetes.io/vsphere-volume": "csi.vsphere.vmware.com",
    "kubernetes.io/portworx-volume": "pxd.portworx.com",
}
"""Provisioners of the old in-tree plugins, and the CSI drivers that took over from them."""


class Storage(msgspec.Struct, frozen=True):
    """The cluster's claims, volumes and classes by name."""

    claims: Mapping[str, PersistentVolumeClaim]
    """By `namespace/name`."""
    volumes: Mapping[str, PersistentVolume]
    classes: Mapping[str, StorageClass]

    @classmethod
    def of(
        cls,
        claims: Iterable[PersistentVolumeClaim],
        volumes: Iterable[PersistentVolume],
        classes: Iterable[StorageClass],
    ) -> Storage:
        """Index the objects."""
        return cls(
            {c.metadata.key: c for c in claims},
            {v.metadata.name: v for v in volumes},
            {c.metadata.name: c for c in classes},
        )

    def refusal(self, pod: Pod) -> tuple[str, str] | None:
        """(reason, field) why a pod's claims make it unschedulable, None when they are fine."""
        for index, volume in enumerate(pod.spec.volumes):
            name = claim_name(pod.metadata.name, volume)
            if name is None:
                continue
            why = self._claim_refusal(pod.metadata.home, name)
            if why is not None:
                return why, f"pod spec.volumes[{index}]"
        return None

    def _claim_refusal(self, namespace: str, name: str) -> str | None:
        claim = self.claims.get(f"{namespace}/{name}")
        if claim is None:
            return f'PersistentVolumeClaim "{namespace}/{name}" does not exist'
        if claim.metadata.deletion_timestamp:
            return f'PersistentVolumeClaim "{namespace}/{name}" is being deleted'
        if claim.status.phase == "Lost":
            return f'PersistentVolumeClaim "{namespace}/{name}" has lost its volume'
        if claim.spec.volume_name:
            return self._volume_refusal(claim, f"{namespace}/{name}")
        return self._class_refusal(claim, f"{namespace}/{name}")

    def _volume_refusal(self, claim: PersistentVolumeClaim, name: str) -> str | None:
        volume = self.volumes.get(claim.spec.volume_name)
        if volume is None:
            return f'PersistentVolumeClaim "{name}" is bound to "{claim.spec.volume_name}", which does not exist'
        if volume.metadata.deletion_timestamp:
            return f'PersistentVolume "{claim.spec.volume_name}" is being deleted'
        if BIND_COMPLETED not in claim.metadata.annotations:
            return f'PersistentVolumeClaim "{name}" is not bound yet: it lacks the annotation {BIND_COMPLETED}'
        return None

    def _class_refusal(self, claim: PersistentVolumeClaim, name: str) -> str | None:
        storage_class = self.class_of(claim)
        if not storage_class:
            return f'PersistentVolumeClaim "{name}" is not bound and names no storage class'
        found = self.classes.get(storage_class)
        if found is None:
            return f'StorageClass "{storage_class}" of PersistentVolumeClaim "{name}" does not exist'
        if found.volume_binding_mode != "WaitForFirstConsumer":
            return (
                f'PersistentVolumeClaim "{name}" is not bound, and its StorageClass "{storage_class}" binds Immediate '
                "(use WaitForFirstConsumer, or wait until it is bound)"
            )
        return None

    def class_of(self, claim: PersistentVolumeClaim) -> str:
        """The claim's storage class; empty for none."""
        return claim.spec.storage_class_name or ""

    def alternatives(self, pod: str, namespace: str, spec: PodSpec) -> tuple[Requirements, ...]:
        """The ways in which a node can reach all of a pod's volumes; one empty set where volumes do not matter.

        pod: its name, for ephemeral volumes. Where no combination is possible, all the impossible ones are kept, so
        that the pod is refused with the conflict.
        """
        found: tuple[Requirements, ...] = (EMPTY,)
        for volume in spec.volumes:
            choices = self._choices(namespace, claim_name(pod, volume))
            if choices:
                pairs = [(a, b) for a in found for b in choices]
                possible = [(a, b) for a, b in pairs if a.conflict(b, None) is None]
                found = tuple(a.merged(b) for a, b in possible or pairs)
        return found

    def _choices(self, namespace: str, name: str | None) -> list[Requirements]:
        claim = self.claims.get(f"{namespace}/{name}") if name else None
        if claim is None:
            return []
        if claim.spec.volume_name:
            volume = self.volumes.get(claim.spec.volume_name)
            return _volume_choices(volume) if volume is not None else []
        found = self.classes.get(self.class_of(claim))
        terms = found.allowed_topologies if found is not None else ()
        return [
            Requirements(Requirement(normalize(e.key), e.values) for e in term.match_label_expressions)
            for term in terms
            if term.match_label_expressions
        ]

    def attachments(self, pod: str, namespace: str, spec: PodSpec) -> tuple[tuple[str, str], ...]:
        """(driver, claim) of each volume that takes a slot of its driver on the node, sorted."""
        found = set()
        for volume in spec.volumes:
            name = claim_name(pod, volume)
            claim = self.claims.get(f"{namespace}/{name}") if name else None
            if claim is not None and (driver := self._driver(claim)):
                found.add((driver, f"{namespace}/{name}"))
        return tuple(sorted(found))

    def _driver(self, claim: PersistentVolumeClaim) -> str:
        if claim.spec.volume_name:
            volume = self.volumes.get(claim.spec.volume_name)
            if volume is None:
                return ""
            if volume.spec.csi is not None:
                return volume.spec.csi.driver
            return IN_TREE["kubernetes.io/aws-ebs"] if volume.spec.aws_elastic_block_store is not None else ""
        found = self.classes.get(self.class_of(claim))
        return IN_TREE.get(found.provisioner, found.provisioner) if found is not None else ""


def claim_name(pod: str, volume: Volume) -> str | None:
    """The name of the claim behind a pod's volume, None for volumes without one."""
    if volume.persistent_volume_claim is not None:
        return volume.persistent_volume_claim.claim_name
    if volume.ephemeral is not None:
        return f"{pod}-{volume.name}"
    return None


def _volume_choices(volume: PersistentVolume) -> list[Requirements]:
    affinity = volume.spec.node_affinity
    if affinity is None or affinity.required is None:
        return []
    tied = volume.spec.local is not None or volume.spec.host_path is not None
    choices = []
    for term in affinity.required.node_selector_terms:
        wanted = [r for r in expressions(term) if not (tied and r.key == HOSTNAME)]
        if wanted or (tied and term.match_expressions):
            choices.append(Requirements(wanted))
    return choices
