"""The claims of a StatefulSet's pods: one for each template and pod, kept or deleted as the set says.

Source: kubernetes.io, StatefulSets, "PersistentVolumeClaim retention".
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from fretsaw.api.meta import OwnerReference
from fretsaw.api.pod import ClaimVolume, Pod, PodSpec, Volume
from fretsaw.api.storage import PersistentVolumeClaim, PersistentVolumeClaimStatus
from fretsaw.api.workload import StatefulSet
from fretsaw.sim.store import Store
from fretsaw.sim.workloads.making import owner_reference


def with_claims(spec: PodSpec, found: StatefulSet, pod: str) -> PodSpec:
    """The spec with a volume for each claim template, in the place of volumes of the same names."""
    templates = found.spec.volume_claim_templates
    if not templates:
        return spec
    own = {template.name: Volume(template.name, ClaimVolume(f"{template.name}-{pod}")) for template in templates}
    others = (volume for volume in spec.volumes if volume.name not in own)
    return replace(spec, volumes=(*own.values(), *others))


def make_claims(store: Store, found: StatefulSet, pod: str) -> None:
    """Make those claims of a pod that are not there."""
    namespace = found.metadata.home
    owners = (
        (owner_reference(found),)
        if found.spec.persistent_volume_claim_retention_policy.when_deleted == "Delete"
        else ()
    )
    selected = found.spec.selector.match_labels if found.spec.selector is not None else {}
    for template in found.spec.volume_claim_templates:
        name = f"{template.name}-{pod}"
        if store.get("PersistentVolumeClaim", f"{namespace}/{name}") is None:
            labels = template.metadata.labels | selected
            metadata = replace(
                template.metadata, name=name, namespace=namespace, labels=labels, owner_references=owners
            )
            store.put(PersistentVolumeClaim(metadata, template.spec, PersistentVolumeClaimStatus("Pending")))


def own_claims(store: Store, found: StatefulSet, pod: Pod, *, condemned: bool) -> None:
    """Let the claims of a pod go with it (scaled down, `whenScaled: Delete`), with the set, or with neither."""
    for claim in _claims(store, found, pod.name):
        others = [o for o in claim.metadata.owner_references if o.uid not in (found.metadata.uid, pod.metadata.uid)]
        owners = (*others, *_owners(found, pod, condemned=condemned))
        if owners != claim.metadata.owner_references:
            store.put(replace(claim, metadata=replace(claim.metadata, owner_references=owners)))


def _owners(found: StatefulSet, pod: Pod, *, condemned: bool) -> tuple[OwnerReference, ...]:
    retention = found.spec.persistent_volume_claim_retention_policy
    if condemned and retention.when_scaled == "Delete":
        return (OwnerReference("Pod", pod.name, pod.metadata.uid, "v1"),)
    return (owner_reference(found),) if retention.when_deleted == "Delete" else ()


def _claims(store: Store, found: StatefulSet, pod: str) -> Iterator[PersistentVolumeClaim]:
    namespace = found.metadata.home
    for template in found.spec.volume_claim_templates:
        claim = store.get("PersistentVolumeClaim", f"{namespace}/{template.name}-{pod}")
        if claim is not None:
            yield claim
