"""Volumes: where a pod's claims let it go, and what binding it makes of them.

Source: kube-scheduler v1.36 volumebinding, volumezone, volumerestrictions, nodevolumelimits; kubernetes.io, Storage
Classes, "Volume binding mode".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

import msgspec
import numpy as np
from msgspec.structs import replace

from fretsaw.api.affinity import NodeSelector, NodeSelectorRequirement, NodeSelectorTerm
from fretsaw.api.labels import ZONE
from fretsaw.api.meta import ObjectMeta, TypedReference
from fretsaw.api.node import CSINode, Node
from fretsaw.api.resources import units
from fretsaw.api.storage import (
    BIND_COMPLETED,
    CSIVolumeSource,
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeSpec,
    StorageClass,
    VolumeNodeAffinity,
)
from fretsaw.sim.scheduler.census import Census, Delta
from fretsaw.sim.scheduler.columns import Columns, Ints, Mask, Placed, longer
from fretsaw.sim.scheduler.mold import Mold
from fretsaw.sim.scheduler.views import AffinityView
from fretsaw.sim.store import Store

SELECTED_NODE: Final = "volume.kubernetes.io/selected-node"
NO_PROVISIONER: Final = "kubernetes.io/no-provisioner"
ZONAL: Final = (
    ZONE,
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
)
SHARED: Final = ("ReadWriteMany", "ReadOnlyMany")
ONE_POD: Final = "ReadWriteOncePod"


class Wanted(msgspec.Struct, eq=False):
    """The claims of a pod as they stand."""

    refusal: str = ""
    """Why no node at all will do."""
    bound: list[PersistentVolume] = []
    open: list[tuple[PersistentVolumeClaim, StorageClass]] = []
    """Claims that wait for their first consumer."""
    exclusive: list[str] = []
    """Keys of claims that one pod at a time may use."""


class Volumes:
    """The four plugins on volumes, and the binding of claims."""

    def __init__(self, store: Store, columns: Columns, census: Census) -> None:
        self._store = store
        self._columns = columns
        self._census = census
        self._views: dict[bytes, AffinityView] = {}
        self._limits: dict[str, Ints] = {}
        """Most volumes of a driver by slot, -1 for no limit."""
        self._attached: dict[int, dict[tuple[str, str], int]] = defaultdict(dict)
        """(driver, volume) by slot, with the number of pods that use it."""
        columns.on_growth(self)

    def grow(self, size: int) -> None:
        """Follow the columns."""
        self._limits = {driver: longer(limit, size, -1) for driver, limit in self._limits.items()}

    # What is known of nodes

    def limits(self, name: str, node: CSINode | None) -> None:
        """Take in how many volumes a node can attach."""
        row = self._columns.by_name.get(name)
        if row is None:
            return
        for limit in self._limits.values():
            limit[row.slot] = -1
        for driver in node.spec.drivers if node is not None else ():
            if driver.allocatable is not None and driver.allocatable.count is not None:
                limit = self._limits.setdefault(driver.name, np.full(self._columns.size, -1, np.int64))
                limit[row.slot] = driver.allocatable.count

    def attach(self, placed: Placed) -> None:
        """Count the volumes of a pod that is on a node now."""
        placed.volumes = tuple(self._of(placed.mold))
        on_node = self._attached[placed.slot]
        for volume in placed.volumes:
            on_node[volume] = on_node.get(volume, 0) + 1

    def detach(self, placed: Placed) -> None:
        """Take back what `attach` counted."""
        on_node = self._attached[placed.slot]
        for volume in placed.volumes:
            on_node[volume] -= 1
            if not on_node[volume]:
                del on_node[volume]

    def _of(self, mold: Mold) -> Iterator[tuple[str, str]]:
        """(driver, volume) of each claim of a CSI driver; an unbound claim counts by its own key."""
        for key in mold.claims:
            claim = self._store.get("PersistentVolumeClaim", key)
            if claim is None:
                continue
            volume = self._store.get("PersistentVolume", claim.spec.volume_name)
            if volume is not None:
                if volume.spec.csi is not None:
                    yield volume.spec.csi.driver, volume.spec.csi.volume_handle or volume.name
            elif (storage := self._class_of(claim)) is not None:
                yield storage.provisioner, key

    # Where they let a pod go

    def wanted(self, mold: Mold) -> Wanted:
        """The mold's claims as they stand now."""
        found = Wanted()
        for key in mold.claims:
            claim = self._store.get("PersistentVolumeClaim", key)
            refusal = self._missing(claim, key)
            if not refusal and claim.spec.volume_name:
                volume = self._store.get("PersistentVolume", claim.spec.volume_name)
                if volume is None:
                    refusal = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
                else:
                    found.bound.append(volume)
            elif not refusal:
                storage = self._class_of(claim)
                if storage is None or storage.volume_binding_mode != "WaitForFirstConsumer":
                    refusal = "pod has unbound immediate PersistentVolumeClaims"
                else:
                    found.open.append((claim, storage))
            if refusal:
                found.refusal = refusal
                return found
            if ONE_POD in claim.spec.access_modes:
                found.exclusive.append(key)
        return found

    def _missing(self, claim: PersistentVolumeClaim | None, key: str) -> str:
        name = key.partition("/")[2]
        if claim is None:
            return f'persistentvolumeclaim "{name}" not found'
        if claim.metadata.deletion_timestamp:
            return f'persistentvolumeclaim "{name}" is being deleted'
        if claim.status.phase == "Lost":
            return f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{claim.spec.volume_name}"'
        return ""

    def _class_of(self, claim: PersistentVolumeClaim) -> StorageClass | None:
        """The claim's class; the default one where it names none, None where it wants none."""
        name = claim.spec.storage_class_name
        if name is not None:
            found: StorageClass | None = self._store.get("StorageClass", name) if name else None
            return found
        return next((c for _, c in sorted(self._store.all("StorageClass").items()) if c.is_default), None)

    def taken(self, wanted: Wanted, delta: Delta) -> bool:
        """Whether another pod uses a claim that only one may use."""
        gone = {placed.pod.key for placed in delta.minus}
        return any(self._census.users.get(key, {}).keys() - gone for key in wanted.exclusive)

    def full(self, mold: Mold) -> Mask | None:
        """Slots whose driver can attach no more; None where no limit is known."""
        if not self._limits or not mold.claims:
            return None
        out = np.zeros(self._columns.size, np.bool_)
        drivers = {driver for driver, _ in self._of(mold)} & self._limits.keys()
        for slot in np.flatnonzero(self._columns.valid) if drivers else ():
            out[slot] = self.is_full(mold, int(slot), Delta())
        return out

    def is_full(self, mold: Mold, slot: int, delta: Delta) -> bool:
        """Whether a slot's driver can attach no more with some pods imagined away or added."""
        there = dict(self._attached[slot])
        for sign, pods in ((-1, delta.minus), (1, delta.plus)):
            for placed in pods:
                for volume in placed.volumes or tuple(self._of(placed.mold)):
                    there[volume] = there.get(volume, 0) + sign
        have = {volume for volume, users in there.items() if users > 0}
        fresh = set(self._of(mold)) - have
        for driver in {driver for driver, _ in fresh}:
            limit = int(self._limits[driver][slot]) if driver in self._limits else -1
            if limit >= 0 and sum(d == driver for d, _ in have) + sum(d == driver for d, _ in fresh) > limit:
                return True
        return False

    def reaches_bound(self, wanted: Wanted) -> Mask:
        """Slots that every bound volume can be used from."""
        passes = self._columns.valid
        for volume in wanted.bound:
            if (view := self._view(volume)) is not None:
                passes = passes & view.passes
        return passes

    def _view(self, volume: PersistentVolume) -> AffinityView | None:
        affinity = volume.spec.node_affinity
        if affinity is None or affinity.required is None:
            return None
        return self._refreshed(msgspec.msgpack.encode(affinity.required), affinity.required.node_selector_terms)

    def _refreshed(self, key: bytes, terms: tuple[NodeSelectorTerm, ...]) -> AffinityView:
        view = self._views.get(key)
        if view is None:
            view = self._views[key] = AffinityView(self._columns, {}, terms)
        view.refresh()
        return view

    def reaches_open(self, wanted: Wanted) -> Mask:
        """Slots where each unbound claim finds a volume or can have one made."""
        passes = self._columns.valid
        for claim, storage in wanted.open:
            here = self._makes(storage)
            for volume in self._matching(claim, storage):
                view = self._view(volume)
                here = here | (view.passes if view is not None else self._columns.valid)
            passes = passes & here
        return passes

    def _makes(self, storage: StorageClass) -> Mask:
        """Slots where the class makes volumes."""
        if storage.provisioner == NO_PROVISIONER:
            return np.zeros(self._columns.size, np.bool_)
        if not storage.allowed_topologies:
            return self._columns.valid
        terms = tuple(
            NodeSelectorTerm(
                tuple(NodeSelectorRequirement(e.key, "In", e.values) for e in term.match_label_expressions)
            )
            for term in storage.allowed_topologies
        )
        return self._refreshed(msgspec.msgpack.encode(terms), terms).passes

    def _matching(self, claim: PersistentVolumeClaim, storage: StorageClass) -> list[PersistentVolume]:
        """Volumes without a claim that would do, the smallest first."""
        asked = units("storage", claim.spec.resources.requests.get("storage", 0))
        modes = set(claim.spec.access_modes)
        found = []
        for volume in self._store.all("PersistentVolume").values():
            spec = volume.spec
            held = spec.claim_ref is not None and (spec.claim_ref.namespace, spec.claim_ref.name) != (
                claim.metadata.namespace,
                claim.metadata.name,
            )
            size = units("storage", spec.capacity.get("storage", 0))
            if not held and spec.storage_class_name == storage.name and size >= asked and modes <= {*spec.access_modes}:
                found.append((size, volume.name, volume))
        return [volume for _, _, volume in sorted(found, key=lambda item: item[:2])]

    def in_zone(self, wanted: Wanted) -> Mask:
        """Slots whose zone and region are those that the bound volumes' labels name; nodes without any pass."""
        passes = self._columns.valid
        asked = [
            (key, frozenset(volume.metadata.labels[key].split("__")))
            for volume in wanted.bound
            for key in ZONAL
            if key in volume.metadata.labels
        ]
        if not asked:
            return passes
        passes = passes.copy()
        for row in self._columns.by_name.values():
            labels = row.node.metadata.labels
            if any(key in labels for key in ZONAL):
                passes[row.slot] = all(labels.get(key) in values for key, values in asked)
        return passes

    # Binding

    def bind(self, mold: Mold, node: Node) -> bool:
        """Give each unbound claim a volume on the node's zone; False where one finds none any more."""
        wanted = self.wanted(mold)
        if wanted.refusal:
            return False
        for claim, storage in wanted.open:
            row = self._columns.by_name[node.name]
            volume = next((v for v in self._matching(claim, storage) if self._usable(v, row.slot)), None)
            if volume is None:
                if not self._makes(storage)[row.slot]:
                    return False
                volume = made(claim, storage, node)
            self._tie(claim, volume, node)
        return True

    def _usable(self, volume: PersistentVolume, slot: int) -> bool:
        view = self._view(volume)
        return view is None or bool(view.passes[slot])

    def _tie(self, claim: PersistentVolumeClaim, volume: PersistentVolume, node: Node) -> None:
        reference = TypedReference(
            name=claim.metadata.name, namespace=claim.metadata.namespace, kind="PersistentVolumeClaim"
        )
        stored = self._store.put(replace(volume, spec=replace(volume.spec, claim_ref=reference)))
        notes = {**claim.metadata.annotations, SELECTED_NODE: node.name, BIND_COMPLETED: "yes"}
        self._store.put(
            replace(
                claim,
                metadata=replace(claim.metadata, annotations=notes),
                spec=replace(claim.spec, volume_name=stored.name),
                status=replace(claim.status, phase="Bound"),
            )
        )


def made(claim: PersistentVolumeClaim, storage: StorageClass, node: Node) -> PersistentVolume:
    """The volume that a class makes for a claim whose pod goes to `node`: in its zone, unless many nodes may use it."""
    name = f"pvc-{claim.metadata.uid}"
    zone = node.metadata.labels.get(ZONE)
    affinity = None
    if zone is not None and not any(mode in SHARED for mode in claim.spec.access_modes):
        term = NodeSelectorTerm((NodeSelectorRequirement(ZONE, "In", (zone,)),))
        affinity = VolumeNodeAffinity(required=NodeSelector((term,)))
    return PersistentVolume(
        metadata=ObjectMeta(name=name),
        spec=PersistentVolumeSpec(
            csi=CSIVolumeSource(driver=storage.provisioner, volume_handle=name),
            node_affinity=affinity,
            storage_class_name=storage.name,
            capacity={"storage": claim.spec.resources.requests.get("storage", 0)},
            access_modes=claim.spec.access_modes,
        ),
    )
