"""The virtual API server: objects by kind and key, watches, graceful deletion, finalizers and ownership.

Writers hand in whole objects. Watchers are called at once, in the order in which they came; they only take note (see
`sim.controller`) and never write.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from msgspec.structs import replace

from fretsaw.api.meta import Object
from fretsaw.api.pod import Pod
from fretsaw.api.times import rfc3339
from fretsaw.engine.state import key_of
from fretsaw.errors import BrokenInvariant
from fretsaw.sim.loop import Loop

Watcher = Callable[[Any, Any], None]
"""Called with (the object before, the object now); None where there was or is none."""
AnyObject = TypeVar("AnyObject", bound=Object)
DEFAULT_GRACE_S = 30


class Store:
    """All objects of the virtual cluster."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._objects: dict[str, dict[str, Any]] = defaultdict(dict)
        self._watchers: dict[str, list[Watcher]] = defaultdict(list)
        self._everything: list[Watcher] = []
        self._uids = 0
        self._pods_on: dict[str, dict[str, Pod]] = defaultdict(dict)
        self._owned: dict[str, dict[tuple[str, str], Any]] = defaultdict(dict)

    # Reading

    def get(self, kind: str, key: str) -> Any:
        """One object, None where there is none. key: `namespace/name`, or the name of a kind without namespaces."""
        return self._objects[kind].get(key)

    def all(self, kind: str) -> Mapping[str, Any]:
        """The objects of a kind by key, in the order of their making. Copy it before writing in a loop over it."""
        return self._objects[kind]

    def kinds(self) -> tuple[str, ...]:
        """The kinds of which there is, or was, an object."""
        return tuple(self._objects)

    def pods_on(self, node: str) -> Mapping[str, Pod]:
        """The pods bound to a node by key, finished ones too."""
        return self._pods_on[node]

    def owned_by(self, owner: Object, kind: str | None = None) -> Iterator[Any]:
        """The objects that name `owner` as an owner, in the order of their making; of one kind, or all."""
        found = self._owned.get(owner.metadata.uid, {})
        return (obj for (own, _), obj in list(found.items()) if kind is None or own == kind)

    # Watching

    def watch(self, kind: str, watcher: Watcher) -> None:
        """Call `watcher` for every change of a kind from now on."""
        self._watchers[kind].append(watcher)

    def watch_all(self, watcher: Watcher) -> None:
        """Call `watcher` for every change of every kind from now on."""
        self._everything.append(watcher)

    # Writing

    def put(self, obj: AnyObject) -> AnyObject:
        """Make or replace an object; the object as stored, with uid, creation time and generation filled in.

        An object that is being deleted goes when its last finalizer does. An object equal to the stored one is no
        change and nobody is called.
        """
        kind, key = type(obj).__name__, key_of(obj)
        old = self._objects[kind].get(key)
        if old is None:
            obj = self._born(obj)
        else:
            if obj == old:
                return obj
            obj = self._grown(old, obj)
            if obj.metadata.deletion_timestamp and not obj.metadata.finalizers and old.metadata.finalizers:
                self._gone(kind, key, obj)
                return obj
        self._objects[kind][key] = obj
        self._index(old, obj, kind, key)
        self._tell(kind, old, obj)
        return obj

    def delete(self, kind: str, key: str, *, grace_s: int | None = None, now: bool = False) -> None:
        """Ask for an object's deletion; nothing happens where there is none.

        A pod on a node is marked and goes when its kubelet is done (`remove`); one that waits, and any object without
        finalizers, goes at once. grace_s: seconds that a pod may take, its own by default; a second delete only
        shortens them. now: whatever the finalizers and kubelets say (a forced deletion).
        """
        obj = self._objects[kind].get(key)
        if obj is None:
            return
        if now:
            self._gone(kind, key, obj)
        elif isinstance(obj, Pod) and obj.spec.node_name and not obj.is_terminal:
            self._terminate(obj, grace_s)
        elif obj.metadata.finalizers:
            if not obj.metadata.deletion_timestamp:
                stamp = rfc3339(self._loop.now)
                self.put(replace(obj, metadata=replace(obj.metadata, deletion_timestamp=stamp)))
        else:
            self._gone(kind, key, obj)

    def remove(self, kind: str, key: str) -> None:
        """Take an object away at once: its kubelet is done, or its finalizer's owner is."""
        obj = self._objects[kind].get(key)
        if obj is not None:
            self._gone(kind, key, obj)

    def _terminate(self, pod: Pod, grace_s: int | None) -> None:
        """Mark a pod for its kubelet. The deletion time is when the grace ends, as the API server stores it."""
        own = pod.spec.termination_grace_period_seconds
        grace = grace_s if grace_s is not None else DEFAULT_GRACE_S if own is None else own
        left = pod.metadata.deletion_grace_period_seconds
        if pod.metadata.deletion_timestamp and left is not None and left <= grace:
            return
        ends = rfc3339(self._loop.now + grace * 1000)
        metadata = replace(pod.metadata, deletion_timestamp=ends, deletion_grace_period_seconds=grace)
        self.put(replace(pod, metadata=metadata))

    def _born(self, obj: AnyObject) -> AnyObject:
        metadata = obj.metadata
        if not metadata.name:
            raise BrokenInvariant(f"a {type(obj).__name__} without a name")
        self._uids += 1
        return replace(
            obj,
            metadata=replace(
                metadata,
                uid=metadata.uid or f"{self._uids:08x}",
                creation_timestamp=metadata.creation_timestamp or rfc3339(self._loop.now),
                generation=metadata.generation or 1,
            ),
        )

    def _grown(self, old: Any, obj: AnyObject) -> AnyObject:
        metadata = obj.metadata
        changed = getattr(obj, "spec", None) != getattr(old, "spec", None)
        generation = (old.metadata.generation or 1) + changed
        kept = (old.metadata.uid, old.metadata.creation_timestamp, generation)
        if kept == (metadata.uid, metadata.creation_timestamp, metadata.generation):
            return obj
        metadata = replace(metadata, uid=kept[0], creation_timestamp=kept[1], generation=generation)
        return replace(obj, metadata=metadata)

    def _gone(self, kind: str, key: str, last: Any) -> None:
        old = self._objects[kind].pop(key)
        self._index(old, None, kind, key)
        self._tell(kind, last, None)
        for (owned_kind, owned_key), dependent in list(self._owned.pop(old.metadata.uid, {}).items()):
            others = [o for o in dependent.metadata.owner_references if o.uid != old.metadata.uid]
            if not others:
                self.delete(owned_kind, owned_key)

    def _index(self, old: Any, new: Any, kind: str, key: str) -> None:
        if kind == "Pod":
            if old is not None and old.spec.node_name:
                self._pods_on[old.spec.node_name].pop(key, None)
            if new is not None and new.spec.node_name:
                self._pods_on[new.spec.node_name][key] = new
        owners = new if new is not None else old
        for owner in owners.metadata.owner_references:
            if new is None:
                self._owned[owner.uid].pop((kind, key), None)
            else:
                self._owned[owner.uid][kind, key] = new

    def _tell(self, kind: str, old: Any, new: Any) -> None:
        for watcher in self._watchers[kind]:
            watcher(old, new)
        for watcher in self._everything:
            watcher(old, new)
