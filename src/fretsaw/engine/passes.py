"""Scheduling passes over a cluster that changes: for the pods that wait, and what-if without some machines.

Keeps the ground between passes, so that a pass costs what changed and what it places, not the size of the cluster.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from fretsaw.api.nodepool import NodePool
from fretsaw.api.pod import Pod
from fretsaw.api.times import Millis
from fretsaw.engine.cluster import Cluster
from fretsaw.engine.cost import pack
from fretsaw.engine.finish import Node, finished
from fretsaw.engine.firstfit import FirstFit
from fretsaw.engine.ground import Ground
from fretsaw.engine.places import ExistingNode, OpenNode
from fretsaw.engine.plan import Refusal
from fretsaw.engine.planned import held, held_by_machine
from fretsaw.engine.prepare import Prepared
from fretsaw.engine.settings import Settings
from fretsaw.engine.shape import Kind
from fretsaw.engine.state import ClusterState
from fretsaw.engine.supply import Supply
from fretsaw.engine.tenants import Held, Tenants, on_nodes
from fretsaw.engine.universe import Universe
from fretsaw.engine.why import refusals

REPACKED = 2
"""Pods on new nodes from which on other packings than first-fit's are looked for: one pod alone is on its cheapest."""


class Pass(msgspec.Struct, frozen=True, eq=False):
    """What a pass decided."""

    nodes: tuple[Node, ...]
    """New nodes."""
    failed: tuple[OpenNode, ...]
    """New nodes that cannot be ordered, since `minValues` fails among the types that an order may carry."""
    filled: tuple[tuple[str, tuple[str, ...]], ...]
    """(machine, pods) for machines that are there and take pods."""
    placed: FirstFit

    @property
    def unplaced(self) -> Mapping[str, Kind]:
        """Pods without a place, buffers' virtual ones left out."""
        virtual = self.placed.prepared.virtual
        return {pod: kind for pod, kind in self.placed.unplaced.items() if pod not in virtual}

    @property
    def price_usd(self) -> float:
        """What the new nodes cost an hour."""
        return math.fsum(node.price_usd for node in self.nodes)

    def why(self, pod: str) -> tuple[Refusal, ...]:
        """Why a pod has no place, the nearest miss first."""
        known = next((u.refusals for u in self.placed.prepared.refused if u.pod == pod), None)
        if known is not None:
            return known
        kind = self.placed.unplaced.get(pod)
        return refusals(self.placed, kind) if kind is not None else ()


class Passes:
    """Makes passes, and remembers between them what did not change."""

    def __init__(self, settings: Settings, patience: Millis = 0) -> None:
        """patience: how long a place is kept on a machine that is ready, see `engine.planned`."""
        self.settings = settings
        self._patience = patience
        self.simulated = msgspec.structs.replace(settings, strict_reservations=False)
        """Settings of a what-if: a pod that could use a reservation falls back rather than wait for it."""
        self._state: ClusterState | None = None
        self._when = (-1, 0)
        """The state that was last prepared, by how much had happened, and the time."""
        self._revision = -1
        self._cluster: Cluster | None = None
        self._ground: Ground | None = None
        self._supply: Supply | None = None
        self._supply_version = -1
        self._provisioned = -1
        self._tenants = Tenants()

    def provision(self, state: ClusterState, now: Millis) -> Pass:
        """Places for the pods that wait, and for those on machines that go."""
        cluster, ground = self._at(state, now)
        self._provisioned = state.revision
        return self._run(Prepared(cluster, self.settings, ground))

    def without(
        self,
        state: ClusterState,
        now: Millis,
        machines: frozenset[str],
        moving: Sequence[Pod],
        closed: Iterable[str] = (),
        *,
        packing: str | None = None,
    ) -> Pass:
        """Places for `moving`, the pods of `machines` that need one, and for the pods that wait, if the machines go.

        closed: machines that take no pod of `moving`. packing: None for the settings' own.
        """
        cluster, ground = self._at(state, now)
        settings = self.simulated
        if packing is not None and packing != settings.packing:
            settings = msgspec.structs.replace(settings, packing=packing)
        return self._run(
            Prepared(cluster, settings, ground, without=machines, moving=moving, closed=ground.mask(closed))
        )

    def ground(self, state: ClusterState, now: Millis) -> Ground:
        """The places of the cluster as it is."""
        return self._at(state, now)[1]

    def knows(self, state: ClusterState) -> bool:
        """Whether another pass for the pods that wait would see nothing new."""
        return self._provisioned == state.revision

    def waits(self, state: ClusterState, now: Millis) -> bool:
        """Whether pods wait that have no place."""
        if state.objects["CapacityBuffer"]:
            return True
        placed = {pod.key for pod, _, _ in held(state, now, self._patience)} if state.waiting else frozenset[str]()
        return any(key not in placed for key in state.waiting)

    def universe(self, state: ClusterState, pool: str) -> Universe | None:
        """What a pool can launch; None where it is not known. Does not look at the nodes."""
        if self._supply is None or self._supply_version != state.supply_version:
            ground = self._ground
            before = self._supply or (ground.supply if ground is not None else None)
            cluster = cluster_of(state)
            same = before is not None and before.serves(cluster, self.settings)
            self._supply = before if before is not None and same else Supply(cluster, self.settings, before)
            self._supply_version = state.supply_version
        return self._supply.universes.get(pool)

    def _at(self, state: ClusterState, now: Millis) -> tuple[Cluster, Ground]:
        when = (state.events, now)
        if self._cluster is not None and self._ground is not None and self._state is state and self._when == when:
            return self._cluster, self._ground
        kept = held_by_machine(state, now, self._patience)
        stale = self._cluster is None or self._revision != state.revision or self._cluster.held != kept
        if stale or self._cluster is None or self._ground is None:
            pods, changed = self._tenants.renew(state, kept)
            self._cluster = cluster_of(state, kept, pods)
            self.universe(state, "")
            self._ground = Ground(self._cluster, self.settings, self._ground, self._supply, changed)
            self._revision = state.revision
        if self._cluster.now != now:
            self._cluster = msgspec.structs.replace(self._cluster, now=now)
        self._state, self._when = state, when
        return self._cluster, self._ground

    def _run(self, prepared: Prepared) -> Pass:
        placed = FirstFit(prepared)
        placed.run()
        opened = placed.open
        if prepared.settings.packing == "cost" and sum(len(n.pods) for n in opened) >= REPACKED:
            packed = pack(placed, None, prove=False)
            placed, opened = packed.placed, packed.nodes
        good, failed = finished(opened, prepared.settings)
        filled = tuple((_machine(placed, place), tuple(place.pods)) for place in placed.filled)
        return Pass(tuple(good), tuple(failed), filled, placed)


def _machine(placed: FirstFit, place: ExistingNode) -> str:
    return placed.prepared.ground.machine_of(place.bit)


def cluster_of(
    state: ClusterState, held: Held | None = None, pods_on_nodes: Mapping[str, Sequence[Pod]] | None = None
) -> Cluster:
    """What a pass reads, from what is known.

    held: pods that have a place already, by machine. pods_on_nodes: as `tenants.on_nodes` has it, where it is known.
    """
    held = held or {}
    placed = {pod.key for pods in held.values() for pod in pods}
    objects = state.objects
    return Cluster(
        pools=tuple(state.pools.values()),
        catalogs=state.catalogs,
        unready={**state.unusable, **{p.metadata.name: why for p in state.pools.values() if (why := _unready(p))}},
        offerings_out=state.offerings_out,
        leaving=state.marked,
        overlays=tuple(objects["NodeOverlay"].values()),
        buffers=tuple(objects["CapacityBuffer"].values()),
        pods=state.pods.values(),
        waiting=tuple(pod for key, pod in state.waiting.items() if key not in placed),
        held=held,
        guards=tuple(state.guards.values()),
        on_nodes=on_nodes(state, placed) if pods_on_nodes is None else pods_on_nodes,
        nodes=state.nodes.values(),
        node_claims=state.claims.values(),
        csi_nodes=tuple(objects["CSINode"].values()),
        daemon_sets=tuple(objects["DaemonSet"].values()),
        claims=tuple(objects["PersistentVolumeClaim"].values()),
        volumes=tuple(objects["PersistentVolume"].values()),
        storage_classes=tuple(objects["StorageClass"].values()),
        namespaces=tuple(objects["Namespace"].values()),
        disruption_budgets=tuple(objects["PodDisruptionBudget"].values()),
        deployments=tuple(objects["Deployment"].values()),
        replica_sets=tuple(objects["ReplicaSet"].values()),
        stateful_sets=tuple(objects["StatefulSet"].values()),
        pod_templates=tuple(objects["PodTemplate"].values()),
    )


def _unready(pool: NodePool) -> str:
    """Why a pool makes no nodes although its catalog is there."""
    if pool.metadata.deletion_timestamp:
        return "it is being deleted"
    ready = pool.condition("Ready")
    return "" if ready is None or ready.status == "True" else f"it is not ready: {ready.message or ready.reason}"
