"""Metrics of conditions: how long objects stay in each, how often those change, and how long deletions take.

Each kind has metrics of its own name; all but Node have them a second time, under one name with the kind as a label,
which Karpenter calls deprecated.

Source: operatorpkg status package, as Karpenter v1.14 uses it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec

from fretsaw.api.kinds import BUFFERS, KARPENTER
from fretsaw.api.labels import NODEPOOL
from fretsaw.api.meta import Object
from fretsaw.api.times import Millis
from fretsaw.controllers.telemetry.changes import Conditioned, lost_finalizers, since, transitions
from fretsaw.controllers.telemetry.families import Counter, Family, Histogram, doubling, inner, line, number, seconds
from fretsaw.controllers.telemetry.group import Group, Told
from fretsaw.controllers.telemetry.words import label_name
from fretsaw.engine.managed import MANAGED
from fretsaw.engine.nodes import INITIALIZED
from fretsaw.engine.state import ClusterState

BUCKETS = doubling(0.5, 15)
NAMED = ("namespace", "name")
STATUS = ("type", "status", "reason")
EXTRA = {
    "NodeClaim": (*sorted(MANAGED), NODEPOOL),
    "NodePool": (),
    "Node": (*sorted(MANAGED), NODEPOOL, INITIALIZED),
    "CapacityBuffer": (),
}
"""Labels of each kind's objects that its series have, too."""
GROUPS = {"NodeClaim": KARPENTER, "NodePool": KARPENTER, "CapacityBuffer": BUFFERS}
"""API groups of the kinds that are told a second time."""


class Six(msgspec.Struct, frozen=True):
    """The metrics of a kind."""

    transition: Family
    count: Family
    current: Family
    transitions: Family
    terminating: Family
    termination: Family

    @classmethod
    def of(cls, prefix: str, whose: str, extra: tuple[str, ...]) -> Six:
        """prefix: `operator_nodeclaim`. whose: `a NodeClaim`."""
        stay = f"{prefix}_status_condition"
        return cls(
            Family(
                f"{stay}_transition_seconds",
                "histogram",
                (*extra, "type", "status"),
                f"How long a condition of {whose} had a status before it changed.",
                BUCKETS,
            ),
            Family(f"{stay}_count", "gauge", (*extra, *NAMED, *STATUS), f"The conditions of {whose}; always 1."),
            Family(
                f"{stay}_current_status_seconds",
                "gauge",
                (*extra, *NAMED, *STATUS),
                f"For how long a condition of {whose} has had its status.",
            ),
            Family(
                f"{stay}_transitions_total",
                "counter",
                (*extra, *STATUS),
                f"Changes of a condition of {whose}, by what it became.",
            ),
            Family(
                f"{prefix}_termination_current_time_seconds",
                "gauge",
                (*extra, *NAMED),
                f"For how long {whose} has been going.",
            ),
            Family(
                f"{prefix}_termination_duration_seconds",
                "histogram",
                extra,
                f"From the deletion of {whose} until it was gone.",
                BUCKETS,
            ),
        )

    @property
    def all(self) -> tuple[Family, ...]:
        """All six."""
        return (self.transition, self.count, self.current, self.transitions, self.terminating, self.termination)


OWN = {
    kind: Six.of(f"operator_{kind.lower()}", f"a {kind}", tuple(label_name(key) for key in keys))
    for kind, keys in EXTRA.items()
}
TWIN = Six.of("operator", "an object", ("group", "kind"))


class _Tale:
    """What is counted for one kind, or for its twin."""

    def __init__(self, six: Six) -> None:
        self.six = six
        self.transition = Histogram(six.transition)
        self.transitions = Counter(six.transitions)
        self.termination = Histogram(six.termination)
        self.stores = (self.transition, self.transitions, self.termination)


class _Lines(msgspec.Struct):
    """What is told of one object until it changes: lines, and beginnings of lines with the time since which."""

    obj: Object
    count: list[str]
    current: list[tuple[str, Millis]]
    terminating: list[tuple[str, Millis]]


class Conditions(Group):
    """Follows the conditions of NodeClaims, NodePools, nodes and CapacityBuffers."""

    title = "Status conditions"
    families: ClassVar[tuple[Family, ...]] = (*(f for six in OWN.values() for f in six.all), *TWIN.all)

    def __init__(self) -> None:
        self.twin = _Tale(TWIN)
        self.by_kind = {kind: _Tale(six) for kind, six in OWN.items()}
        tales = (*self.by_kind.values(), self.twin)
        self.stores = tuple(store for tale in tales for store in tale.stores)
        self._lines: dict[tuple[str, str], _Lines] = {}

    def changed(self, at: Millis, old: Object | None, new: Object | None, state: ClusterState) -> None:
        """Count transitions, and ends."""
        obj = new if new is not None else old
        if not isinstance(obj, Conditioned):
            return
        for before, after in transitions(old, new):
            for tale, extra in self._tales(obj):
                tale.transitions.add(*extra, after.type, after.status, after.reason)
                if before is not None and before.last_transition_time and after.last_transition_time:
                    stay = seconds(since(before.last_transition_time, at), since(after.last_transition_time, at))
                    tale.transition.observe(stay, *extra, before.type, before.status)
        if lost_finalizers(old, new) and (new is None or not new.metadata.finalizers):
            for tale, extra in self._tales(obj):
                tale.termination.observe(seconds(since(obj.metadata.deletion_timestamp, at), at), *extra)

    def _tales(self, obj: Object) -> Iterator[tuple[_Tale, tuple[str, ...]]]:
        kind = type(obj).__name__
        yield self.by_kind[kind], tuple(obj.metadata.labels.get(key, "") for key in EXTRA[kind])
        if kind in GROUPS:
            yield self.twin, (GROUPS[kind], kind)

    # Gauges

    def gauges(self, now: Millis, state: ClusterState) -> Iterator[Told]:
        """The conditions of every object."""
        known, self._lines = self._lines, {}
        twins: list[_Lines] = []
        for kind, six in OWN.items():
            own: list[_Lines] = []
            for key, obj in _objects(state, kind).items():
                extra = tuple(obj.metadata.labels.get(label, "") for label in EXTRA[kind])
                own.append(self._page(known, (kind, key), obj, six, extra, now))
                if kind in GROUPS:
                    twins.append(self._page(known, (f"twin of {kind}", key), obj, TWIN, (GROUPS[kind], kind), now))
            yield from _told(six, own, now)
        yield from _told(TWIN, twins, now)

    def _page(
        self,
        known: dict[tuple[str, str], _Lines],
        where: tuple[str, str],
        obj: Object,
        six: Six,
        extra: tuple[str, ...],
        now: Millis,
    ) -> _Lines:
        """What was told before, where the object is still the same; else anew."""
        page = known.get(where)
        if page is None or page.obj is not obj:
            page = _lines(obj, six, extra, now)
        self._lines[where] = page
        return page


def _objects(state: ClusterState, kind: str) -> dict[str, Any]:
    return state.objects.get(kind, {})


def _lines(obj: Any, six: Six, extra: tuple[str, ...], now: Millis) -> _Lines:
    page = _Lines(obj, [], [], [])
    metadata = obj.metadata
    named = (*extra, metadata.namespace, metadata.name)
    for c in obj.status.conditions:
        labels = inner(six.count.labels, (*named, c.type, c.status, c.reason))
        page.count.append(line(six.count.name, labels, 1))
        page.current.append((f"{six.current.name}{{{labels}}} ", since(c.last_transition_time, now)))
    if metadata.deletion_timestamp:
        labels = inner(six.terminating.labels, named)
        page.terminating.append((f"{six.terminating.name}{{{labels}}} ", since(metadata.deletion_timestamp, now)))
    return page


def _told(six: Six, pages: list[_Lines], now: Millis) -> Iterator[Told]:
    yield six.count, (text for page in pages for text in page.count)
    yield six.current, (head + number(seconds(at, now)) for page in pages for head, at in page.current)
    yield six.terminating, (head + number(seconds(at, now)) for page in pages for head, at in page.terminating)
