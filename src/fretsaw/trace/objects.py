"""Objects in a trace: whole the first time, then what is different from the last time they were written.

    {"kind": "Pod", "key": "ml/train-0", "is": {"metadata": {…}}, "spec": 3}
    {"kind": "Pod", "key": "ml/train-0", "set": {"status": {"phase": "Running"}}}
    {"kind": "Pod", "key": "ml/train-0", "set": {}, "spec": 3, "node": "ip-10-0-1-7"}

Writer and reader keep the last version of each object that is there, and so agree on what "the last time" was.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from fretsaw.api.kinds import KINDS
from fretsaw.api.meta import Object
from fretsaw.api.pod import Pod, PodSpec
from fretsaw.engine.state import key_of
from fretsaw.trace.patch import difference, patched
from fretsaw.trace.tables import ReadTables, WriteTables

_KINDS = {kind.name: kind for kind in KINDS.values()}
_NO_SPEC = PodSpec()


class WriteObjects:
    """Objects as the trace has them."""

    def __init__(self, tables: WriteTables) -> None:
        self._tables = tables
        self._known: dict[tuple[str, str], Object] = {}

    def told(self, obj: Object) -> dict[str, Any]:
        """The object, or what is new about it, ready to be encoded."""
        kind, key = type(obj).__name__, key_of(obj)
        old = self._known.get((kind, key))
        self._known[kind, key] = obj
        spec: dict[str, Any] = {}
        if isinstance(obj, Pod):
            before = old.spec if isinstance(old, Pod) else None
            if before is None or (before is not obj.spec and before != obj.spec):
                spec = {"spec": self._tables.spec(obj.spec)}
                spec |= {"node": obj.spec.node_name} if obj.spec.node_name else {}
            obj = replace(obj, spec=_NO_SPEC)
            old = replace(old, spec=_NO_SPEC) if isinstance(old, Pod) else None
        if old is None:
            return {"kind": kind, "key": key, "is": obj, **spec}
        return {"kind": kind, "key": key, "set": difference(old, obj), **spec}

    def forget(self, kind: str, key: str) -> None:
        """The object is gone: another one of its name is written whole."""
        self._known.pop((kind, key), None)


class ReadObjects:
    """Objects out of a trace."""

    def __init__(self, tables: ReadTables) -> None:
        self._tables = tables
        self._known: dict[tuple[str, str], Object] = {}

    def read(self, told: dict[str, Any]) -> Object:
        """The object as it was. Raises KeyError, TypeError or ValueError where it cannot be told."""
        kind, key = told["kind"], told["key"]
        if "is" in told:
            obj = msgspec.convert(told["is"], _KINDS[kind].load_struct())
        else:
            obj = patched(self._known[kind, key], told["set"])
        if isinstance(obj, Pod) and "spec" in told:
            spec, node = self._tables.spec(told["spec"]), told.get("node", "")
            obj = replace(obj, spec=replace(spec, node_name=node) if node else spec)
        self._known[kind, key] = obj
        return obj

    def forget(self, kind: str, key: str) -> None:
        """The object is gone."""
        self._known.pop((kind, key), None)
