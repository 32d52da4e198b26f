"""What a pass is given: the objects of the cluster, each kind in its own tuple.

Immutable. The planner fills it from files; a live cluster's watches will fill the same shape.
"""

from __future__ import annotations

from collections.abc import Mapping

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
from fretsaw.api.workload import DaemonSet, Deployment, PodTemplate, ReplicaSet, StatefulSet


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """The objects that a pass reads."""

    pools: tuple[NodePool, ...] = ()
    catalogs: Mapping[str, Catalog] = {}
    """The catalog of each pool, by the pool's name; pools of one node class share one object."""
    unready: Mapping[str, str] = {}
    """Pools that cannot be used, by name, with the reason."""
    overlays: tuple[NodeOverlay, ...] = ()
    buffers: tuple[CapacityBuffer, ...] = ()
    pods: tuple[Pod, ...] = ()
    nodes: tuple[Node, ...] = ()
    node_claims: tuple[NodeClaim, ...] = ()
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
