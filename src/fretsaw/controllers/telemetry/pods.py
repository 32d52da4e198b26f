"""Metrics of pods: what state they are in, how long they waited for a node and for their start, and evictions.

A pod counts as waiting from its creation until it is bound, and until it is ready, if it was seen Pending first.
`provisioning` times begin when a pass first knew a place for the pod.

Source: Karpenter v1.14 pkg/controllers/metrics/pod, pkg/controllers/state, terminator.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from fretsaw.api.labels import ARCH, CAPACITY_TYPE, INSTANCE_TYPE, NODEPOOL, ZONE
from fretsaw.api.meta import Object
from fretsaw.api.node import Node
from fretsaw.api.pod import Pod
from fretsaw.api.times import Millis
from fretsaw.controllers.telemetry.changes import since
from fretsaw.controllers.telemetry.families import DURATIONS, Counter, Family, Histogram, Summary, inner, line, seconds
from fretsaw.controllers.telemetry.group import Group, Told
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.state import ClusterState
from fretsaw.engine.turn import Turn

_NAMED = ("name", "namespace")

STATE = Family(
    "karpenter_pods_state",
    "gauge",
    (
        "name", "namespace", "owner", "node", "scheduled", "nodepool", "zone", "arch", "capacity_type",
        "instance_type", "phase", "ready", "managed",
    ),
    "Each pod as it is now; always 1.",
)  # fmt: skip
STARTUP = Family("karpenter_pods_startup_duration_seconds", "summary", (), "From a pod's creation until it was ready.")
UNSTARTED = Family("karpenter_pods_unstarted_time_seconds", "gauge", _NAMED, "Age of a pod that is not ready yet.")
BOUND = Family(
    "karpenter_pods_bound_duration_seconds", "histogram", (), "From a pod's creation until it was bound.", DURATIONS
)
UNBOUND = Family("karpenter_pods_unbound_time_seconds", "gauge", _NAMED, "Age of a pod that is not bound yet.")
PLACED_BOUND = Family(
    "karpenter_pods_provisioning_bound_duration_seconds",
    "histogram",
    (),
    "From the first pass that found a place for a pod until it was bound.",
    DURATIONS,
)
PLACED_UNBOUND = Family(
    "karpenter_pods_provisioning_unbound_time_seconds",
    "gauge",
    _NAMED,
    "Time since a pass first found a place for a pod that is not bound yet.",
)
PLACED_STARTUP = Family(
    "karpenter_pods_provisioning_startup_duration_seconds",
    "histogram",
    (),
    "From the first pass that found a place for a pod until it was ready.",
    DURATIONS,
)
PLACED_UNSTARTED = Family(
    "karpenter_pods_provisioning_unstarted_time_seconds",
    "gauge",
    _NAMED,
    "Time since a pass first found a place for a pod that is not ready yet.",
)
UNDECIDED = Family(
    "karpenter_pods_provisioning_scheduling_undecided_time_seconds",
    "gauge",
    _NAMED,
    "Time since a pod was taken note of that no pass has looked at yet.",
)
DECISION = Family(
    "karpenter_pods_scheduling_decision_duration_seconds",
    "histogram",
    (),
    "From taking note of a pod until the first pass had looked at it.",
    DURATIONS,
)
EVICTIONS = Family(
    "karpenter_pods_eviction_requests_total", "counter", ("code",), "Answers of the eviction API by HTTP code."
)
DRAINED = Family(
    "karpenter_pods_drained_total",
    "counter",
    ("reason",),
    "Pods that were evicted or deleted to empty a node, by the disruption's reason.",
)
_CODE = re.compile(r"\d{3}\b")


class Pods(Group):
    """Follows pods from their creation to their start, and counts how they are sent away."""

    title = "Pods"
    families = (
        STATE, STARTUP, UNSTARTED, BOUND, UNBOUND, PLACED_BOUND, PLACED_UNBOUND, PLACED_STARTUP, PLACED_UNSTARTED,
        UNDECIDED, DECISION, EVICTIONS, DRAINED,
    )  # fmt: skip

    def __init__(self) -> None:
        self.startup = Summary(STARTUP)
        self.bound = Histogram(BOUND)
        self.placed_bound = Histogram(PLACED_BOUND)
        self.placed_startup = Histogram(PLACED_STARTUP)
        self.decision = Histogram(DECISION)
        self.evictions = Counter(EVICTIONS)
        self.drained = Counter(DRAINED)
        self.stores = (
            self.startup,
            self.bound,
            self.placed_bound,
            self.placed_startup,
            self.decision,
            self.evictions,
            self.drained,
        )
        self._unstarted: dict[str, Millis] = {}
        """Creation of each pod that is not ready yet."""
        self._unbound: dict[str, Millis] = {}
        """Creation of each pod that is not bound yet."""
        self._noted: dict[str, Millis] = {}
        """When a pod was first taken note of."""
        self._decided: set[str] = set()
        """Pods that a pass has looked at."""
        self._placed: dict[str, Millis] = {}
        """When a pass first found a place for a pod; forgotten when a later one finds none."""
        self._reasons: dict[str, str] = {}
        """Why the eviction of a pod was asked for."""
        self._deleted: set[str] = set()
        """Pods whose deletion was ordered, by uid."""
        self._lines: dict[str, tuple[Pod, Node | None, str]] = {}

    # Counting

    def changed(self, at: Millis, old: Object | None, new: Object | None, state: ClusterState) -> None:
        """Take note of a pod that came, was bound, became ready, or went."""
        if new is None:
            if isinstance(old, Pod):
                self._forget(old.key)
                self._deleted.discard(old.metadata.uid)
            return
        if not isinstance(new, Pod):
            return
        key = new.key
        if old is None and new.status.phase in ("", "Pending"):
            created = since(new.metadata.creation_timestamp, at)
            self._unstarted[key] = created
            self._unbound[key] = created
        if new.is_terminal:
            self._forget(key)
            return
        if key in self._unbound and new.spec.node_name:
            self._was_bound(key, _time(new, "PodScheduled", at))
        if key in self._unstarted and _is(new, "Ready"):
            self._has_started(at, key, _time(new, "Ready", at))

    def _was_bound(self, key: str, when: Millis) -> None:
        self.bound.observe(seconds(self._unbound.pop(key), when))
        if key in self._placed:
            self.placed_bound.observe(seconds(self._placed[key], when))

    def _has_started(self, at: Millis, key: str, when: Millis) -> None:
        self.startup.observe(at, seconds(self._unstarted[key], when))
        if key in self._placed:
            self.placed_startup.observe(seconds(self._placed[key], when))
        self._forget(key)

    def _forget(self, key: str) -> None:
        for known in (self._unstarted, self._unbound, self._noted, self._placed, self._reasons, self._lines):
            known.pop(key, None)
        self._decided.discard(key)

    def told(self, at: Millis, event: e.Event, state: ClusterState) -> None:
        """Count the answers of the eviction API."""
        if isinstance(event, e.EvictionAnswered):
            self.evictions.add(code_of(event.refused))
            reason = self._reasons.pop(event.pod, "")
            if not event.refused:
                self.drained.add(reason)

    def turned(self, at: Millis, turn: Turn, state: ClusterState) -> None:
        """Take note of what passes looked at and found, and of who is sent away."""
        for note in turn.notes:
            match note:
                case e.BatchOpened(_, _, pods):
                    self._note(at, pods)
                case e.BatchDone(_, seen, unplaced):
                    self._note(at, seen)
                    self._decide(at, seen, unplaced)
                case e.Planned(placements):
                    for pod, _ in placements:
                        if pod in self._unstarted:
                            self._placed.setdefault(pod, at)
        for action in turn.actions:
            match action:
                case a.Evict(pod, _, _, reason):
                    self._reasons[pod] = reason
                case a.DeletePod(_, uid, _, reason) if uid not in self._deleted:
                    self._deleted.add(uid)
                    self.drained.add(reason)

    def _note(self, at: Millis, pods: frozenset[str]) -> None:
        for pod in pods - self._noted.keys():
            if pod in self._unstarted:
                self._noted[pod] = at

    def _decide(self, at: Millis, seen: frozenset[str], unplaced: frozenset[str]) -> None:
        for pod in seen - self._decided:
            if pod in self._noted:
                self.decision.observe(seconds(self._noted[pod], at))
                self._decided.add(pod)
        for pod in unplaced:
            self._placed.pop(pod, None)

    # Gauges

    def gauges(self, now: Millis, state: ClusterState) -> Iterator[Told]:
        """Every pod, and those that wait."""
        yield STATE, self._states(state)
        yield UNSTARTED, _waits(UNSTARTED, now, self._unstarted, self._unstarted)
        yield UNBOUND, _waits(UNBOUND, now, self._unbound, self._unbound)
        yield PLACED_UNBOUND, _waits(PLACED_UNBOUND, now, self._placed, self._placed.keys() & self._unbound.keys())
        yield PLACED_UNSTARTED, _waits(PLACED_UNSTARTED, now, self._placed, self._placed)
        yield UNDECIDED, _waits(UNDECIDED, now, self._noted, self._noted.keys() - self._decided)

    def _states(self, state: ClusterState) -> Iterator[str]:
        known, nodes = self._lines, state.nodes
        for key, pod in state.pods.items():
            node = nodes.get(pod.spec.node_name)
            seen = known.get(key)
            if seen is None or seen[0] is not pod or seen[1] is not node:
                text = line(STATE.name, inner(STATE.labels, _state(pod, node)), 1)
                seen = known[key] = (pod, node, text)
            yield seen[2]


def code_of(refused: str) -> str:
    """The HTTP code of an eviction's answer: a refusal begins with it, as in `429 TooManyRequests: …`."""
    if not refused:
        return "200"
    found = _CODE.match(refused)
    return found.group() if found else "unknown"


def _waits(family: Family, now: Millis, begins: Mapping[str, Millis], pods: Iterable[str]) -> Iterator[str]:
    for pod in sorted(pods):
        namespace, _, name = pod.partition("/")
        yield line(family.name, inner(family.labels, (name, namespace)), seconds(begins[pod], now))


def _is(pod: Pod, type_: str) -> bool:
    return any(c.type == type_ and c.status == "True" for c in pod.status.conditions)


def _time(pod: Pod, type_: str, otherwise: Millis) -> Millis:
    found = next((c for c in pod.status.conditions if c.type == type_ and c.status == "True"), None)
    return since(found.last_transition_time, otherwise) if found is not None else otherwise


def _state(pod: Pod, node: Node | None) -> Iterator[str]:
    own = node.metadata.labels if node is not None else {}
    yield from (pod.metadata.name, pod.metadata.home, owner_path(pod), pod.spec.node_name)
    yield _text(_is(pod, "PodScheduled"))
    yield from (own.get(key, "") for key in (NODEPOOL, ZONE, ARCH, CAPACITY_TYPE, INSTANCE_TYPE))
    yield from (pod.status.phase, _text(_is(pod, "Ready")), _text(NODEPOOL in own))


def owner_path(pod: Pod) -> str:
    """The address of a pod's first owner in the API, empty for none."""
    if not pod.metadata.owner_references:
        return ""
    owner = pod.metadata.owner_references[0]
    return f"/apis/{owner.api_version}/namespaces/{pod.metadata.home}/{owner.kind.lower()}s/{owner.name}"


def _text(truth: bool) -> str:
    return "true" if truth else "false"
