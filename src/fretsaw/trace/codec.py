"""Events, turns and facts as JSON lines, and back.

    {"trace": 1, "options": {…}, "about": {…}}                      the first line
    {"time": 1767571200000, "event": "Changed", "obj": {"kind": "Pod", "key": "ml/train-0", "is": {…}, "spec": 3}}
    {"time": …, "event": "Interrupted", "providerId": …, "kind": "spot_interrupted"}
    {"time": …, "turn": {"actions": [{"action": "CreateClaim", …}], "notes": [{"event": "BatchDone", …}], "wake": …}}
    {"time": …, "fact": "instance-running", "about": "Instance/…", "data": {…}}

`objects` says how objects are told, `tables` what is written once and named by a number; `docs/trace.md` is the page
for users. Equal runs give equal bytes: sets are sorted, maps keep their order, which decisions may depend on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from fretsaw.api.times import Millis
from fretsaw.engine import actions, events
from fretsaw.engine.options import Options
from fretsaw.engine.turn import Turn
from fretsaw.errors import UserError
from fretsaw.trace.objects import ReadObjects, WriteObjects
from fretsaw.trace.tables import ENCODER, ReadTables, WriteTables

VERSION = 1
_SORTING = msgspec.json.Encoder(order="deterministic")
_EVENTS: dict[str, type[events.Event]] = {cls.__name__: cls for cls in events.AnyEvent.__args__}
_ACTIONS: dict[str, type[actions.Action]] = {cls.__name__: cls for cls in actions.AnyAction.__args__}
_ALL = (*_EVENTS.values(), *_ACTIONS.values())
_WITH_SETS = frozenset(cls for cls in _ALL if any("frozenset" in str(t) for t in cls.__annotations__.values()))
_OBJECTS: dict[type[msgspec.Struct], tuple[str, ...]] = {
    cls: tuple(n for n, t in cls.__annotations__.items() if t in ("Object", "NodeClaim", "Node", "NodePool"))
    for cls in _ALL
}
"""Fields that hold a Kubernetes object."""
AnyStruct = TypeVar("AnyStruct", bound=msgspec.Struct)


class Fact(msgspec.Struct, frozen=True):
    """Something that happened beside what the engine is told: see `docs/trace.md` for the words."""

    what: str = msgspec.field(name="fact")
    about: str
    """`Kind/name` or `Kind/namespace/name`."""
    data: dict[str, Any] = {}


class Line(msgspec.Struct, frozen=True):
    """One thing that happened. Exactly one of `event`, `turn` and `fact` is there."""

    number: int
    """In the file, from 1."""
    at: Millis
    event: events.Event | None = None
    turn: Turn | None = None
    fact: Fact | None = None


class Writer:
    """Turns what happens into lines."""

    def __init__(self, write: Callable[[bytes], object], options: Options, about: dict[str, Any]) -> None:
        """write: takes a line with its end. about: what a reader may want to know, such as the scenario's name."""
        self._write = write
        self._tables = WriteTables(self._line)
        self._objects = WriteObjects(self._tables)
        self._line(ENCODER.encode({"trace": VERSION, "options": options, "about": about}))

    def event(self, at: Millis, event: events.Event) -> None:
        """The engine was told something."""
        self._line(b'{"time":%d,%b' % (at, self._event(event)[1:]))

    def turn(self, at: Millis, turn: Turn) -> None:
        """The engine was asked what to do; this is what it wants, which may be nothing."""
        parts = []
        if turn.actions:
            parts.append(b'"actions":[%b]' % b",".join([self._encoded(action) for action in turn.actions]))
        if turn.notes:
            parts.append(b'"notes":[%b]' % b",".join([self._event(note) for note in turn.notes]))
        if turn.wake is not None:
            parts.append(b'"wake":%d' % turn.wake)
        self._line(b'{"time":%d,"turn":{%b}}' % (at, b",".join(parts)))

    def fact(self, at: Millis, what: str, about: str, data: dict[str, Any]) -> None:
        """Something else happened."""
        self._line(ENCODER.encode({"time": at, "fact": what, "about": about, "data": data}))

    def _event(self, event: events.Event) -> bytes:
        match event:
            case events.CatalogRead(_, catalog) if catalog is not None:
                number: Any = self._tables.catalog(catalog)
                return ENCODER.encode(replace(event, catalog=number))
            case events.Gone(kind, key):
                self._objects.forget(kind, key)
        return self._encoded(event)

    def _encoded(self, value: events.Event | actions.Action) -> bytes:
        objects = {name: self._objects.told(getattr(value, name)) for name in _OBJECTS[type(value)]}
        encoder = _SORTING if type(value) in _WITH_SETS else ENCODER
        return encoder.encode(replace(value, **objects) if objects else value)

    def _line(self, text: bytes) -> None:
        self._write(text + b"\n")


class TraceError(UserError):
    """A line that is none of a trace."""

    def __init__(self, file: str, number: int, wrong: str, seen: str = "") -> None:
        super().__init__(f"{file}:{number}", wrong, seen, "a file that `fretsaw simulate --trace` has written")


class Reader:
    """Turns lines into what happened. Reading stops at the first line that is wrong."""

    def __init__(self, lines: Iterable[bytes], file: str = "<trace>") -> None:
        """file: how messages call it. Raises TraceError where the first line is no trace's."""
        self.file = file
        self._lines = enumerate(lines, 1)
        head = self._head()
        try:
            self.options = msgspec.convert(head["options"], Options)
            self.about: dict[str, Any] = msgspec.convert(head.get("about", {}), dict[str, Any])
        except (KeyError, ValueError) as error:
            raise TraceError(file, 1, _wrong(error)) from error
        self._tables = ReadTables()
        self._objects = ReadObjects(self._tables)

    def _head(self) -> dict[str, Any]:
        number, text = next(self._lines, (1, b""))
        if not text.strip():
            raise TraceError(self.file, number, "no trace", "the file is empty" if not text else "an empty line")
        head = self._parsed(number, text)
        if "trace" not in head:
            raise TraceError(self.file, number, "no trace", "its first line does not say so")
        if head["trace"] != VERSION:
            raise TraceError(self.file, number, f"a trace of another version than {VERSION}", str(head["trace"]))
        return head

    def __iter__(self) -> Iterator[Line]:
        """What happened, in order. Raises TraceError with the line's number."""
        for number, text in self._lines:
            if not text.strip():
                continue
            value = self._parsed(number, text)
            try:
                line = self._read(number, value)
            except (LookupError, TypeError, ValueError, AttributeError) as error:
                raise TraceError(self.file, number, _wrong(error)) from error
            if line is not None:
                yield line

    def _parsed(self, number: int, text: bytes) -> dict[str, Any]:
        try:
            return _DECODER.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            what = "not a JSON object" if isinstance(error, msgspec.ValidationError) else f"not JSON: {error}"
            raise TraceError(self.file, number, what, _shown(text)) from error

    def _read(self, number: int, value: dict[str, Any]) -> Line | None:
        if "time" not in value:
            self._tables.define(value)
            return None
        at = msgspec.convert(value["time"], int)
        if "event" in value:
            return Line(number, at, event=self._event(value))
        if "turn" in value:
            return Line(number, at, turn=self._turn(value["turn"]))
        return Line(number, at, fact=msgspec.convert(value, Fact))

    def _turn(self, value: dict[str, Any]) -> Turn:
        found = tuple([self._built(_named(_ACTIONS, one, "action"), one) for one in value.get("actions", ())])
        notes = tuple([self._event(one) for one in value.get("notes", ())])
        return Turn(found, notes, msgspec.convert(value.get("wake"), int | None))

    def _event(self, value: dict[str, Any]) -> events.Event:
        if value["event"] == "CatalogRead" and value["catalog"] is not None:
            catalog = self._tables.catalog(value["catalog"])
            return replace(msgspec.convert({**value, "catalog": None}, events.CatalogRead), catalog=catalog)
        event = self._built(_named(_EVENTS, value, "event"), value)
        if isinstance(event, events.Gone):
            self._objects.forget(event.kind, event.key)
        return event

    def _built(self, cls: type[AnyStruct], value: dict[str, Any]) -> AnyStruct:
        objects = _OBJECTS[cls]
        if not objects:
            return msgspec.convert(value, cls)
        given: dict[str, Any] = {}
        for name, encoded, type_ in _fields(cls):
            if encoded in value:
                told = value[encoded]
                given[name] = self._objects.read(told) if name in objects else msgspec.convert(told, type_)
        return cls(**given)


@cache
def _fields(cls: type[msgspec.Struct]) -> tuple[tuple[str, str, Any], ...]:
    return tuple((field.name, field.encode_name, field.type) for field in msgspec.structs.fields(cls))


_DECODER = msgspec.json.Decoder(dict[str, Any])


def _named(known: dict[str, type[AnyStruct]], value: dict[str, Any], tag: str) -> type[AnyStruct]:
    """The class of an event or action. Raises ValueError for an unknown one."""
    name = value[tag]
    if name not in known:
        raise ValueError(f"no such {tag}: {name}")
    return known[name]


def _wrong(error: Exception) -> str:
    """An exception as what is wrong with the line."""
    if isinstance(error, LookupError):
        return f"it lacks {error}"
    return str(error)


def _shown(text: bytes) -> str:
    """The start of a line, fit for a terminal."""
    start = text[:40].decode("utf-8", "replace").strip()
    return "".join(c if c.isprintable() else "?" for c in start) + (" …" if len(text) > 40 else "")
