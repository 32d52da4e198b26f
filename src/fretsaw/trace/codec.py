"""Events, turns and facts as JSON lines, and back.

    {"trace": 1, "options": {…}, "about": {…}}                      the first line
    {"spec": 3, "is": {…}}                                          a pod's spec, named by number from here on
    {"catalog": 1, "is": {…}}                                       a catalog, likewise
    {"at": 1767571200000, "event": "Changed", "kind": "Pod", "obj": {…}}
    {"at": …, "event": "Interrupted", "providerID": …}
    {"at": …, "turn": {"actions": [{"do": "CreateClaim", …}], "notes": [{"event": …}], "wake": …}}
    {"at": …, "fact": "instance-running", "about": "Instance/…", …}

Pods of a workload share their spec, so that it is written once: a trace of a week stays small, and a reader gets one
object for equal specs again, by which the engine recognises equal pods.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from fretsaw.api.catalog import Catalog
from fretsaw.api.kinds import KINDS
from fretsaw.api.meta import Object
from fretsaw.api.pod import Pod, PodSpec
from fretsaw.api.times import Millis
from fretsaw.engine import actions, events
from fretsaw.engine.options import Options
from fretsaw.engine.turn import Turn
from fretsaw.errors import UserError

VERSION = 1
_STRUCTS = {kind.name: kind for kind in KINDS.values()}
_EVENTS = {cls.__name__: cls for cls in events.AnyEvent.__args__}
_ACTIONS = {cls.__name__: cls for cls in actions.AnyAction.__args__}


def plain(value: Any) -> Any:
    """A value as JSON has it; sets become sorted lists, so that equal values give equal text."""
    return msgspec.to_builtins(value, order="deterministic")


class Writer:
    """Turns what happens into lines."""

    def __init__(self, write: Callable[[str], object], options: Options, about: dict[str, Any]) -> None:
        """write: takes one line with its end. about: what a reader may want to know, such as the scenario's name."""
        self._write = write
        self._specs: dict[int, tuple[int, PodSpec]] = {}
        self._texts: dict[bytes, int] = {}
        self._catalogs: dict[int, tuple[int, Catalog]] = {}
        self._line({"trace": VERSION, "options": plain(options), "about": about})

    def event(self, at: Millis, event: events.Event) -> None:
        """The engine was told something."""
        self._line({"at": at, **self._event(event)})

    def turn(self, at: Millis, turn: Turn) -> None:
        """The engine wants something."""
        self._line({"at": at, "turn": self._turn(turn)})

    def fact(self, at: Millis, what: str, about: str, data: dict[str, Any]) -> None:
        """Something else happened."""
        self._line({"at": at, "fact": what, "about": about, **data})

    def _turn(self, turn: Turn) -> dict[str, Any]:
        return {
            "actions": [self._action(action) for action in turn.actions],
            "notes": [self._event(note) for note in turn.notes],
            "wake": turn.wake,
        }

    def _event(self, event: events.Event) -> dict[str, Any]:
        match event:
            case events.Changed(obj):
                return {"event": "Changed", **self._object(obj)}
            case events.CatalogRead(pools, catalog, why):
                number = self._catalog(catalog) if catalog is not None else None
                return {"event": "CatalogRead", "pools": list(pools), "catalog": number, "why": why}
        found: dict[str, Any] = plain(event)
        return {"event": found.pop("type"), **found}

    def _action(self, action: actions.Action) -> dict[str, Any]:
        return _told(action)

    def _object(self, obj: Object) -> dict[str, Any]:
        kind = type(obj).__name__
        if not isinstance(obj, Pod):
            return {"kind": kind, "obj": plain(obj)}
        bare = msgspec.structs.replace(obj, spec=PodSpec())
        return {"kind": kind, "obj": plain(bare), "spec": self._spec(obj.spec), "nodeName": obj.spec.node_name}

    def _spec(self, spec: PodSpec) -> int:
        known = self._specs.get(id(spec))
        if known is not None:
            return known[0]
        unbound = msgspec.structs.replace(spec, node_name="") if spec.node_name else spec
        text = msgspec.json.encode(unbound)
        number = self._texts.get(text)
        if number is None:
            number = self._texts[text] = len(self._texts)
            self._line({"spec": number, "is": plain(unbound)})
        self._specs[id(spec)] = (number, spec)
        return number

    def _catalog(self, catalog: Catalog) -> int:
        known = self._catalogs.get(id(catalog))
        if known is None:
            known = self._catalogs[id(catalog)] = (len(self._catalogs), catalog)
            self._line({"catalog": known[0], "is": plain(catalog)})
        return known[0]

    def _line(self, value: dict[str, Any]) -> None:
        self._write(json.dumps(value, separators=(",", ":"), ensure_ascii=False) + "\n")


def _told(action: actions.Action) -> dict[str, Any]:
    found: dict[str, Any] = plain(action)
    return {"do": found.pop("type"), **found}


class Line(msgspec.Struct, frozen=True):
    """One thing that happened. Exactly one of `event`, `turn` and `fact` is there."""

    at: Millis
    event: events.Event | None = None
    turn: dict[str, Any] | None = None
    """As it was written: compare it with `encoded` of another turn."""
    notes: tuple[events.Event, ...] = ()
    """The turn's notes."""
    fact: dict[str, Any] | None = None


class TraceError(UserError):
    """A line that is none of a trace."""

    def __init__(self, number: int, wrong: str) -> None:
        super().__init__(f"line {number}", wrong, right="a file that `fretsaw simulate --trace` has written")


class Reader:
    """Turns lines into what happened."""

    def __init__(self, lines: Iterator[str]) -> None:
        """Raises TraceError where the first line is no trace's."""
        self._lines = enumerate(lines, 1)
        head = self._parsed(*next(self._lines, (1, "")))
        if head.get("trace") != VERSION:
            raise TraceError(1, f"no trace of version {VERSION} begins so")
        self.options = msgspec.convert(head["options"], Options)
        self.about: dict[str, Any] = head.get("about", {})
        self._specs: dict[int, PodSpec] = {}
        self._bound: dict[tuple[int, str], PodSpec] = {}
        self._catalogs: dict[int, Catalog] = {}

    def __iter__(self) -> Iterator[Line]:
        """What happened, in order. Raises TraceError with the line's number."""
        for number, text in self._lines:
            if not text.strip():
                continue
            value = self._parsed(number, text)
            try:
                line = self._read(value)
            except (KeyError, TypeError, ValueError, msgspec.ValidationError) as error:
                raise TraceError(number, str(error)) from error
            if line is not None:
                yield line

    @staticmethod
    def _parsed(number: int, text: str) -> dict[str, Any]:
        try:
            value = json.loads(text)
        except ValueError as error:
            raise TraceError(number, f"not JSON: {error}") from error
        if not isinstance(value, dict):
            raise TraceError(number, "not a JSON object")
        return value

    def _read(self, value: dict[str, Any]) -> Line | None:
        if "is" in value:
            if "spec" in value:
                self._specs[value["spec"]] = msgspec.convert(value["is"], PodSpec)
            else:
                self._catalogs[value["catalog"]] = msgspec.convert(value["is"], Catalog)
            return None
        at = int(value.pop("at"))
        if "event" in value:
            return Line(at, event=self._event(value))
        if "turn" in value:
            return Line(at, turn=value["turn"], notes=tuple(self._event(dict(n)) for n in value["turn"]["notes"]))
        return Line(at, fact=value)

    def _event(self, value: dict[str, Any]) -> events.Event:
        name = value.pop("event")
        if name == "Changed":
            return events.Changed(self._object(value))
        if name == "CatalogRead":
            number = value["catalog"]
            catalog = self._catalogs[number] if number is not None else None
            return events.CatalogRead(tuple(value["pools"]), catalog, value["why"])
        found: events.Event = msgspec.convert({"type": name, **value}, _EVENTS[name])
        return found

    def _object(self, value: dict[str, Any]) -> Object:
        obj = msgspec.convert(value["obj"], _STRUCTS[value["kind"]].load_struct())
        if not isinstance(obj, Pod):
            return obj
        return msgspec.structs.replace(obj, spec=self._spec(value["spec"], value["nodeName"]))

    def _spec(self, number: int, node: str) -> PodSpec:
        if not node:
            return self._specs[number]
        known = self._bound.get((number, node))
        if known is None:
            known = msgspec.structs.replace(self._specs[number], node_name=node)
            self._bound[number, node] = known
        return known


def encoded(turn: Turn) -> dict[str, Any]:
    """A turn as the trace holds it, so that two can be compared."""
    writer = Writer(lambda _: None, Options(), {})
    found: dict[str, Any] = json.loads(json.dumps(writer._turn(turn)))
    return found
