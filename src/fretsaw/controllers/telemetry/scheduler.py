"""Metrics of scheduling passes and of the cluster state.

A pass does not report how far it is, so that what the peer tells of one that is under way (`queue_depth`,
`unfinished_work_seconds`) is not told.

Source: Karpenter v1.14 pkg/controllers/provisioning/scheduling, pkg/controllers/state.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterator, Mapping

from fretsaw.api.labels import WELL_KNOWN, ZONE
from fretsaw.api.pod import Pod
from fretsaw.api.times import Millis
from fretsaw.controllers.telemetry.families import DURATIONS, Family, Histogram, inner, line, seconds
from fretsaw.controllers.telemetry.group import Group, Told
from fretsaw.engine import events as e
from fretsaw.engine.pending import refusal
from fretsaw.engine.requirement import Requirement
from fretsaw.engine.state import ClusterState
from fretsaw.engine.turn import Turn
from fretsaw.engine.volumes import Storage
from fretsaw.engine.wishes import Wishes

PROVISIONER = "provisioner"
DISRUPTION = "disruption"
FLEXIBLE = "flexible"
NONE = "none"

DURATION = Family(
    "karpenter_scheduler_scheduling_duration_seconds",
    "histogram",
    ("controller",),
    "How long turns took that made a pass for waiting pods (provisioner) or looked for disruptions (disruption).",
    DURATIONS,
)
IGNORED = Family(
    "karpenter_scheduler_ignored_pods_count",
    "gauge",
    (),
    "Waiting pods that no pool could help, whatever it is like: scheduling gates, volumes that do not exist.",
)
UNSCHEDULABLE = Family(
    "karpenter_scheduler_unschedulable_pods_count",
    "gauge",
    ("controller",),
    "Pods for which the last pass found no place.",
)
BY_ZONE = Family(
    "karpenter_scheduler_pending_pods_by_effective_zone_count",
    "gauge",
    ("controller", "zone"),
    "Waiting pods by the zone that they are bound to by selector, affinity or volume; flexible, or none that is left.",
)
NODE_COUNT = Family("karpenter_cluster_state_node_count", "gauge", (), "Nodes, and NodeClaims without one yet.")
SYNCED = Family("karpenter_cluster_state_synced", "gauge", (), "1 when all that is watched was read, else 0.")
UNSYNCED = Family(
    "karpenter_cluster_state_unsynced_time_seconds", "gauge", (), "For how long not all that is watched was read."
)


class Scheduler(Group):
    """Times passes, and tells what they left over."""

    title = "Scheduler and cluster state"
    families = (DURATION, IGNORED, UNSCHEDULABLE, BY_ZONE, NODE_COUNT, SYNCED, UNSYNCED)

    def __init__(self) -> None:
        self.duration = Histogram(DURATION)
        self.stores = (self.duration,)
        self._unsynced_since: Millis | None = None
        self._synced: bool | None = None

    def took(self, took_s: float, turn: Turn, phases: Mapping[str, float]) -> None:
        """A turn took so long; phases: seconds by controller where they are known, else the turn counts as a whole."""
        for controller, span in (phases or dict.fromkeys(controllers(turn), took_s)).items():
            self.duration.observe(span, controller)

    def synced(self, at: Millis, truth: bool) -> None:
        """Whether all that is watched was read."""
        if truth:
            self._unsynced_since = None
        elif self._unsynced_since is None:
            self._unsynced_since = at
        self._synced = truth

    def gauges(self, now: Millis, state: ClusterState) -> Iterator[Told]:
        """What waits, and how much is known."""
        storage = _storage(state) if state.waiting else Storage({}, {}, {})
        last = state.last_batch
        if last is not None:
            yield IGNORED, (line(IGNORED.name, "", _ignored(state, last, storage)),)
            labels = inner(UNSCHEDULABLE.labels, (PROVISIONER,))
            yield UNSCHEDULABLE, (line(UNSCHEDULABLE.name, labels, len(last.unplaced)),)
        zones = Tally(effective_zone(pod, storage) for pod in state.waiting.values())
        yield (
            BY_ZONE,
            (
                line(BY_ZONE.name, inner(BY_ZONE.labels, (PROVISIONER, zone)), count)
                for zone, count in sorted(zones.items())
            ),
        )
        yield NODE_COUNT, (line(NODE_COUNT.name, "", len(state.machines)),)
        if self._synced is not None:
            since = self._unsynced_since
            yield SYNCED, (line(SYNCED.name, "", int(self._synced)),)
            yield UNSYNCED, (line(UNSYNCED.name, "", seconds(since, now) if since is not None else 0),)


def controllers(turn: Turn) -> tuple[str, ...]:
    """Whose work was done in a turn."""
    passed = any(isinstance(note, e.BatchDone) for note in turn.notes)
    looked = any(isinstance(note, e.Looked | e.CommandProposed | e.CommandStarted) for note in turn.notes)
    return tuple(name for name, done in ((PROVISIONER, passed), (DISRUPTION, looked)) if done)


def effective_zone(pod: Pod, storage: Storage) -> str:
    """The one zone that a pod can go to, `flexible` for several, `none` for none.

    Differs: zones that spreads and pod affinity leave are not counted; that takes a pass.
    """
    wanted = Wishes.of(pod.spec, respect_preferences=False).strict().get(ZONE)
    ways = storage.alternatives(pod.metadata.name, pod.metadata.home, pod.spec)
    zones: set[str] = set()
    for way in ways:
        reached = _both(wanted, way.get(ZONE))
        if reached is None or reached.complement:
            return FLEXIBLE
        zones |= reached.values
    if not zones:
        return NONE
    return next(iter(zones)) if len(zones) == 1 else FLEXIBLE


def _both(one: Requirement | None, other: Requirement | None) -> Requirement | None:
    if one is None:
        return other
    return one if other is None else one & other


def _ignored(state: ClusterState, last: e.BatchDone, storage: Storage) -> int:
    classes = {pool.spec.template.spec.node_class_ref.label for pool in state.pools.values()}
    known = WELL_KNOWN | classes
    waiting = (state.waiting.get(pod) for pod in last.seen if pod not in state.planned)
    return sum(1 for pod in waiting if pod is not None and refusal(pod, storage, known) is not None)


def _storage(state: ClusterState) -> Storage:
    objects = state.objects
    kinds = ("PersistentVolumeClaim", "PersistentVolume", "StorageClass")
    return Storage.of(*(objects.get(kind, {}).values() for kind in kinds))
