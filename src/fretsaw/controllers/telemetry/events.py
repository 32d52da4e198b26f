"""Kubernetes Events: what the engine tells, and what follows from its notes and from objects' conditions.

The engine keeps its own events apart in time. Added here are those that it leaves to its surroundings: Nominated for a
pass's plan, FailedScheduling again for a pod that still waits, transitions of conditions, and finalizers that went.
An event that comes again within a while is the same object with a higher count.

Not told: NoCompatibleInstanceTypes, whose reason is in FailedScheduling; DoNotDisruptUntil and
DoNotDisruptGracePeriodElapsed, since nothing says when a protection that ends was looked at.

Source: Karpenter v1.14 pkg/events; operatorpkg status package; Kubernetes client-go tools/record.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

from fretsaw.api.kinds import KINDS
from fretsaw.api.meta import Condition, Object
from fretsaw.api.pod import Pod
from fretsaw.api.resources import duration_ns
from fretsaw.api.times import MINUTE, SECOND, Millis, rfc3339
from fretsaw.controllers.telemetry.changes import Changes, Conditioned, lost_finalizers, transitions
from fretsaw.engine import events as e
from fretsaw.engine.actions import Tell
from fretsaw.engine.pdbs import DO_NOT_DISRUPT
from fretsaw.engine.state import ClusterState, key_of
from fretsaw.engine.turn import Turn

COMPONENT = "karpenter"
"""The source of all events: searches and alerts by that name go on to work."""
LONGEST = 1024
"""Characters of a message; the API takes no longer ones for events of its newer version."""
AGAIN: Millis = 2 * MINUTE
"""An event is not told again sooner, unless its reason has a time of its own."""
FAILED_AGAIN: Millis = 5 * MINUTE
"""The same for FailedScheduling, which is told again as long as the pod waits."""
SAME: Millis = 10 * MINUTE
"""An event that comes again within this time of its last is counted and not made anew."""
PER_SECOND, BURST = 5, 10
"""Nominations that are told; those beyond are left out, since a plan for thousands of pods would flood the API."""
_NAMESPACE = "default"
"""Where events about kinds without namespaces are."""
_API_VERSIONS = {kind.name: kind.api_version for kind in KINDS.values()}


def event_of(
    tell: Tell, about: Object | None, at: Millis, *, first: Millis | None = None, count: int = 1
) -> dict[str, Any]:
    """A core/v1 Event as a document. about: the object as it is, or was; None where it was never seen.

    first: when it was told first. The name says what is told, and when that was, so that equal events have one name.
    """
    kind, _, key = tell.about.partition("/")
    namespace, _, name = key.rpartition("/")
    involved = {"apiVersion": _API_VERSIONS.get(kind, ""), "kind": kind, "name": name}
    if namespace:
        involved["namespace"] = namespace
    if about is not None:
        involved |= {"uid": about.metadata.uid, "resourceVersion": about.metadata.resource_version}
    begin = at if first is None else first
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{name}.{_digest(tell, involved, begin)}", "namespace": namespace or _NAMESPACE},
        "involvedObject": {key: value for key, value in involved.items() if value},
        "reason": tell.reason,
        "message": _short(tell.message),
        "type": tell.type,
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": "",
        "firstTimestamp": rfc3339(begin),
        "lastTimestamp": rfc3339(at),
        "count": count,
    }


def _digest(tell: Tell, involved: dict[str, str], begin: Millis) -> str:
    text = "\0".join((tell.about, involved.get("uid", ""), tell.reason, tell.message, tell.type, str(begin)))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _short(message: str) -> str:
    return message if len(message) <= LONGEST else message[: LONGEST - 1] + "…"


class Recorder:
    """Makes events of what is told, and of what happens."""

    def __init__(self, *, observability: bool = True) -> None:
        """observability: False leaves out what objects' conditions and finalizers tell."""
        self._observability = observability
        self._changes = Changes()
        self._told: dict[tuple[str, str, str], Millis] = {}
        """When something was last told, by (object, reason, what else has to be equal)."""
        self._series: dict[tuple[str, str, str], tuple[Millis, Millis, int]] = {}
        """(first, last, count) of each event by (object, reason, message)."""
        self._failed: dict[str, Tell] = {}
        """What was last said of a pod that found no place."""
        self._tokens = _Tokens()
        self._swept: Millis = 0

    def heard(self, at: Millis, what: e.Event | Turn, state: ClusterState) -> list[dict[str, Any]]:
        """The events to write now: a `count` of 1 is a new one, a higher one takes the place of that of its name."""
        self._sweep(at)
        match what:
            case Turn():
                return [self._event(at, tell, _object(tell, state)) for tell in self._of_turn(at, what, state)]
            case e.Changed() | e.Gone():
                found: list[dict[str, Any]] = []
                for old, new in self._changes.of(what):
                    about = new if new is not None else old
                    found += [self._event(at, tell, about) for tell in self._of_change(at, old, new)]
                return found
        return []

    # What a turn tells

    def _of_turn(self, at: Millis, turn: Turn, state: ClusterState) -> Iterator[Tell]:
        told = [action for action in turn.actions if isinstance(action, Tell)]
        for tell in told:
            if self._may(at, tell):
                yield tell
        for note in turn.notes:
            match note:
                case e.Planned(placements):
                    yield from self._nominated(at, placements, state)
                case e.BatchDone(_, _, unplaced):
                    yield from self._still_failing(at, unplaced)

    def _may(self, at: Millis, tell: Tell) -> bool:
        """Whether to pass on what the engine tells: it keeps most of its events apart in time itself."""
        if tell.reason == "FailedScheduling":
            self._failed[tell.about] = tell
            return self._is_news(at, tell, FAILED_AGAIN)
        if tell.reason == "Nominated":
            return self._is_news(at, tell, AGAIN) and self._tokens.take(at)
        return True

    def _nominated(self, at: Millis, placements: Iterable[tuple[str, str]], state: ClusterState) -> Iterator[Tell]:
        """Where a pass wants pods to go. Of the room for buffers, whose pods do not exist, nothing is told."""
        for pod, name in placements:
            if pod in state.waiting:
                tell = Tell(f"Pod/{pod}", "Nominated", f"Pod should schedule on: {_place(name, state)}")
                if self._may(at, tell):
                    yield tell

    def _still_failing(self, at: Millis, unplaced: frozenset[str]) -> Iterator[Tell]:
        """The engine tells once why a pod waits; it is told again while that is so."""
        for about in [about for about in self._failed if about.removeprefix("Pod/") not in unplaced]:
            del self._failed[about]
        for tell in self._failed.values():
            if self._is_news(at, tell, FAILED_AGAIN):
                yield tell

    def _is_news(self, at: Millis, tell: Tell, every: Millis, besides: str = "") -> bool:
        what = (tell.about, tell.reason, besides)
        last = self._told.get(what)
        if last is not None and at - last < every:
            return False
        self._told[what] = at
        return True

    # What a change tells

    def _of_change(self, at: Millis, old: Object | None, new: Object | None) -> Iterator[Tell]:
        obj = new if new is not None else old
        if isinstance(obj, Pod):
            if new is not None and DO_NOT_DISRUPT in obj.metadata.annotations:
                yield from self._annotated(at, obj)
        elif isinstance(obj, Conditioned) and self._observability:
            about = f"{type(obj).__name__}/{key_of(obj)}"
            for before, after in transitions(old, new):
                if before is not None:
                    yield Tell(about, after.type, _transition(before, after))
            for finalizer in lost_finalizers(old, new):
                yield Tell(about, "Finalized", f"Finalized {finalizer}")

    def _annotated(self, at: Millis, pod: Pod) -> Iterator[Tell]:
        """A do-not-disrupt that cannot be read protects nothing, which its writer should know."""
        text = pod.metadata.annotations[DO_NOT_DISRUPT]
        why = _unreadable(text)
        if why:
            message = f'Annotation {DO_NOT_DISRUPT}="{text}" is ignored: {why}'
            tell = Tell(f"Pod/{pod.key}", "InvalidDoNotDisruptAnnotation", message, "Warning")
            if self._is_news(at, tell, AGAIN, message):
                yield tell

    # The document

    def _event(self, at: Millis, tell: Tell, about: Object | None) -> dict[str, Any]:
        what = (tell.about, tell.reason, tell.message)
        known = self._series.get(what)
        first, count = (known[0], known[2] + 1) if known is not None and at - known[1] < SAME else (at, 1)
        self._series[what] = (first, at, count)
        return event_of(tell, about, at, first=first, count=count)

    def _sweep(self, at: Millis) -> None:
        """Forget now and then what is too old to matter."""
        if at - self._swept < SAME:
            return
        self._swept = at
        self._told = {what: last for what, last in self._told.items() if at - last < FAILED_AGAIN}
        self._series = {what: known for what, known in self._series.items() if at - known[1] < SAME}


class _Tokens:
    """A bucket of permissions that fills with time."""

    def __init__(self) -> None:
        self._left = float(BURST)
        self._last: Millis | None = None

    def take(self, at: Millis) -> bool:
        """Take one, if there is one."""
        if self._last is not None:
            self._left = min(BURST, self._left + (at - self._last) / SECOND * PER_SECOND)
        self._last = at
        if self._left < 1:
            return False
        self._left -= 1
        return True


def _object(tell: Tell, state: ClusterState) -> Object | None:
    kind, _, key = tell.about.partition("/")
    found: Object | None = state.get(kind, key)
    return found


def _place(name: str, state: ClusterState) -> str:
    machine = state.machines.get(name)
    if machine is None:
        return f"nodeclaim/{name}"
    parts = [f"nodeclaim/{name}"] if machine.claim is not None else []
    parts += [f"node/{machine.node_name}"] if machine.node is not None else []
    return ", ".join(parts)


def _transition(before: Condition, after: Condition) -> str:
    text = f"Status condition transitioned, Type: {after.type}, Status: {before.status} -> {after.status}"
    text += f", Reason: {after.reason}"
    return f"{text}, Message: {after.message}" if after.message else text


def _unreadable(text: str) -> str:
    if text in ("true", "false", ""):
        return ""
    try:
        length = duration_ns(text)
    except ValueError as error:
        return str(error)
    return "" if length > 0 else "a duration has to be longer than nothing"
