"""What a pass is given: the objects of the cluster, each kind in its own tuple.

Immutable. The planner fills it from files; a live cluster's watches will fill the same shape.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

from fretsaw.api.capacitybuffer import CapacityBuffer
from fretsaw.api.catalog import Catalog
from fretsaw.api.node import CSINode, Node
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.nodeoverlay import NodeOverlay
from fretsaw.api.nodepool import NodePool
from fretsaw.api.pod import Pod
from fretsaw.api.policy import Namespace, PodDisruptionBudget
from fretsaw.api.storage import PersistentVolume, PersistentVolumeClaim, StorageClass
from fretsaw.api.times import Millis
from fretsaw.api.workload import DaemonSet, Deployment, PodTemplate, ReplicaSet, StatefulSet


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """The objects that a pass reads. Kinds with many objects may be views of a state, and so show what comes later."""

    now: Millis | None = None
    """The time, where there is one: some protections of pods end."""
    pools: tuple[NodePool, ...] = ()
    catalogs: Mapping[str, Catalog] = {}
    """The catalog of each pool, by the pool's name; pools of one node class share one object."""
    unready: Mapping[str, str] = {}
    """Pools that cannot be used, by name, with the reason."""
    offerings_out: frozenset[tuple[str, str, str]] = frozenset()
    """(type, zone, capacity type) that the catalogs sell and the cloud has not, for now; `*` stands for any."""
    leaving: frozenset[str] = frozenset()
    """Machines (claims, or nodes without one) that are to go although nobody has deleted them yet."""
    overlays: tuple[NodeOverlay, ...] = ()
    buffers: tuple[CapacityBuffer, ...] = ()
    pods: Collection[Pod] = ()
    waiting: tuple[Pod, ...] | None = None
    """Those of `pods` without a node, where the caller keeps them apart."""
    on_nodes: Mapping[str, Sequence[Pod]] | None = None
    """Those with one, by node, likewise; finished pods may be among them."""
    guards: tuple[Pod, ...] | None = None
    """Those of `pods` that keep others away by a required anti-affinity, where the caller keeps them apart."""
    held: Mapping[str, tuple[Pod, ...]] = {}
    """Waiting pods that have a place already, by machine; they are not among `waiting`."""
    nodes: Collection[Node] = ()
    node_claims: Collection[NodeClaim] = ()
    csi_nodes: tuple[CSINode, ...] = ()
    daemon_sets: tuple[DaemonSet, ...] = ()
    claims: tuple[PersistentVolumeClaim, ...] = ()
    volumes: tuple[PersistentVolume, ...] = ()
    storage_classes: tuple[StorageClass, ...] = ()
    namespaces: tuple[Namespace, ...] = ()
    disruption_budgets: tuple[PodDisruptionBudget, ...] = ()
    deployments: tuple[Deployment, ...] = ()
    replica_sets: tuple[ReplicaSet, ...] = ()
    stateful_sets: tuple[StatefulSet, ...] = ()
    pod_templates: tuple[PodTemplate, ...] = ()
