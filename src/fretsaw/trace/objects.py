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
        self._known: dict[tuple[str, str], tuple[Object, dict[str, Any]]] = {}
        """(the object, what was told of its spec), by kind and key."""

    def told(self, obj: Object) -> dict[str, Any]:
        """The object, or what is new about it, ready to be encoded."""
        kind, key = type(obj).__name__, key_of(obj)
        old, old_spec = self._known.get((kind, key), (None, {}))
        spec: dict[str, Any] = {}
        if isinstance(obj, Pod):
            spec = old_spec if isinstance(old, Pod) and old.spec is obj.spec else self._spec(obj.spec)
        self._known[kind, key] = obj, spec
        new = spec if spec != old_spec else {}
        if old is None:
            return {"kind": kind, "key": key, "is": _bare(obj), **new}
        return {"kind": kind, "key": key, "set": difference(_bare(old), _bare(obj)), **new}

    def _spec(self, spec: PodSpec) -> dict[str, Any]:
        """A pod's spec by its number, and its node."""
        number = self._tables.spec(spec)
        return {"spec": number, "node": spec.node_name} if spec.node_name else {"spec": number}

    def forget(self, kind: str, key: str) -> None:
        """The object is gone: another one of its name is written whole."""
        self._known.pop((kind, key), None)


def _bare(obj: Object) -> Object:
    return replace(obj, spec=_NO_SPEC) if isinstance(obj, Pod) else obj


class ReadObjects:
    """Objects out of a trace."""

    def __init__(self, tables: ReadTables) -> None:
        self._tables = tables
        self._known: dict[tuple[str, str], Object] = {}

    def read(self, told: dict[str, Any]) -> Object:
        """The object as it was. Raises KeyError, TypeError or ValueError where it cannot be told."""
        kind, key = told["kind"], told["key"]
        if "is" in told:
            if kind not in _KINDS:
                raise ValueError(f"no such kind: {kind}")
            obj = msgspec.convert(told["is"], _KINDS[kind].load_struct())
        elif (kind, key) in self._known:
            obj = patched(self._known[kind, key], told["set"])
        else:
            raise ValueError(f"{kind} {key} is changed, and no line before has told it whole")
        if isinstance(obj, Pod) and "spec" in told:
            spec, node = self._tables.spec(told["spec"]), told.get("node", "")
            obj = replace(obj, spec=replace(spec, node_name=node) if node else spec)
        self._known[kind, key] = obj
        return obj

    def forget(self, kind: str, key: str) -> None:
        """The object is gone."""
        self._known.pop((kind, key), None)
