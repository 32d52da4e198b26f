"""A control plane as the tables of this folder see it: objects in, time, objects out. Objects are plain YAML trees.

`Driver` is the port: a real API server could stand behind it. `VirtualDriver` is the virtual cluster in virtual time,
with only those parts that a table is about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import msgspec
from msgspec.structs import replace

from fretsaw.api.defaults import Defaults
from fretsaw.api.kinds import find
from fretsaw.api.meta import Object
from fretsaw.api.pod import Pod, PodTemplateSpec
from fretsaw.planner import from_objects
from fretsaw.sim.world import World

Obj = dict[str, Any]
Part = Callable[[World], Any]
"""Something that registers itself with a World, such as `Scheduler` or a controller."""
START = 1_767_225_600_000
"""2026-01-01T00:00:00Z."""


class Driver(Protocol):
    """A control plane. key: `namespace/name`, or the name of a kind without namespaces."""

    def apply(self, objects: Iterable[Obj]) -> None:
        """Make objects, or merge these fields into those that exist: maps by key, lists as a whole, null removes."""

    def delete(self, kind: str, key: str, *, force: bool = False) -> None:
        """Ask for a deletion; force: do not wait for finalizers and kubelets."""

    def advance(self, seconds: float) -> None:
        """Let time pass."""

    def get(self, kind: str, key: str) -> Obj | None:
        """One object as it is now."""

    def list(self, kind: str) -> list[Obj]:
        """All objects of a kind by key."""


class VirtualDriver:
    """The virtual cluster. Objects go through the same checks and defaults as manifests, and must have no errors."""

    def __init__(self, parts: Iterable[Part], *, start: int = START, seed: int = 0) -> None:
        self.world = World(start, seed)
        self.parts = [part(self.world) for part in parts]

    def apply(self, objects: Iterable[Obj]) -> None:
        """See Driver."""
        for raw in objects:
            self.world.store.put(self._defaulted(decode(self._merged(raw))))

    def delete(self, kind: str, key: str, *, force: bool = False) -> None:
        """See Driver."""
        self.world.store.delete(kind, key, now=force)

    def advance(self, seconds: float) -> None:
        """See Driver."""
        self.world.loop.run(self.world.loop.now + round(seconds * 1000))

    def get(self, kind: str, key: str) -> Obj | None:
        """See Driver."""
        found = self.world.store.get(kind, key)
        return None if found is None else raw_of(found)

    def list(self, kind: str) -> list[Obj]:
        """See Driver."""
        return [raw_of(obj) for _, obj in sorted(self.world.store.all(kind).items())]

    def _merged(self, raw: Obj) -> Obj:
        known = find(raw["apiVersion"], raw["kind"])
        assert known is not None, f"{raw['apiVersion']} {raw['kind']} is not read"
        metadata = raw["metadata"]
        key = f"{metadata.get('namespace') or 'default'}/{metadata['name']}" if known.namespaced else metadata["name"]
        stored = self.world.store.get(raw["kind"], key)
        return raw if stored is None else merged(raw_of(stored) | {"apiVersion": raw["apiVersion"]}, raw)

    def _defaulted(self, obj: Any) -> Any:
        """What the API server and its admission fill into pods and pod templates."""
        store = self.world.store
        fill = Defaults(store.all("PriorityClass"), store.all("RuntimeClass"))
        if isinstance(obj, Pod):
            return replace(obj, spec=fill.spec(obj.spec))
        template = getattr(getattr(obj, "spec", None), "template", None)
        if isinstance(template, PodTemplateSpec):
            return replace(obj, spec=replace(obj.spec, template=fill.template(template)))
        return obj


def decode(raw: Obj) -> Object:
    """The typed object; its namespace filled in. Fails with the problems of an object that has errors."""
    (document,) = from_objects([raw]).documents
    obj = document.obj
    assert not document.has_errors, [str(problem) for problem in document.located()]
    assert obj is not None
    assert document.known is not None
    if document.known.namespaced and not obj.metadata.namespace:
        obj = replace(obj, metadata=replace(obj.metadata, namespace="default"))
    return obj


def raw_of(obj: Object) -> Obj:
    """The YAML tree of an object, default values left out."""
    tree: Obj = msgspec.to_builtins(obj)
    return {"kind": type(obj).__name__, **tree}


def merged(tree: Any, patch: Any) -> Any:
    """A tree with a JSON merge patch (RFC 7386) applied."""
    if not isinstance(patch, dict):
        return patch
    out = dict(tree) if isinstance(tree, dict) else {}
    for name, value in patch.items():
        if value is None:
            out.pop(name, None)
        else:
            out[name] = merged(out.get(name), value)
    return out
