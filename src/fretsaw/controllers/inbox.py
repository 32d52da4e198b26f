"""What came from watches, from our own writes and from the cloud, on its way into the state: each object once, in
order, and nothing older than what is known.

An answer to a write and the watch tell of the same change, in either order; whichever comes second is dropped. So an
answer may come after the object's end, or make an object known that no watch ever tells of: uids that have gone are
remembered, and what a finished list does not have is gone. A change in which nothing that we read has changed (a
heartbeat, somebody's managed fields) only moves the object's version.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from fretsaw.api.meta import Object
from fretsaw.engine import events as e
from fretsaw.engine.state import ClusterState, key_of
from fretsaw.kube.reflector import Change
from fretsaw.kube.versions import older

REMEMBERED = 16384
"""Objects that have gone whose late changes are still known for what they are."""


class _Known(msgspec.Struct):
    """An object as it was last applied."""

    uid: str
    version: str


class Inbox:
    """A queue of events. Everyone puts; the one who takes turns takes."""

    def __init__(self) -> None:
        self._queue: deque[e.Event | Change] = deque()
        self._known: dict[tuple[str, str], _Known] = {}
        self._gone: dict[str, None] = {}
        """Uids, the oldest first."""
        self._listed: dict[str, str] = {}
        """By kind the version of the last list: whatever is not known and no newer has gone."""
        self.dropped = 0
        """Changes that were no news."""

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, event: e.Event) -> None:
        """Something happened."""
        self._queue.append(event)

    def heard(self, change: Change) -> None:
        """A watch told something."""
        self._queue.append(e.Changed(change.obj) if change.obj is not None else change)

    def version(self, kind: str, key: str) -> str:
        """The resource version of an object as it is in the state; empty where it is not known."""
        known = self._known.get((kind, key))
        return known.version if known is not None else ""

    def news(self, state: ClusterState) -> Iterator[e.Event]:
        """The events that tell something new, one after the other; apply each before taking the next."""
        while self._queue:
            match self._queue.popleft():
                case e.Changed(obj):
                    yield from self._changed(state, obj)
                case e.Gone(kind, key):
                    yield from self._ended(kind, key)
                case Change(kind, key, what="object", uid=uid):
                    yield from self._ended(kind, key, uid)
                case Change(kind, what="rewound"):
                    self._rewound(kind)
                case Change() as change:
                    yield from self._complete(change)
                case event:
                    yield event

    def _changed(self, state: ClusterState, obj: Object) -> Iterator[e.Event]:
        kind, key, metadata = type(obj).__name__, key_of(obj), obj.metadata
        uid, version = metadata.uid, metadata.resource_version
        known = self._known.get((kind, key))
        if uid in self._gone or self._is_old(kind, uid, version, known):
            self.dropped += 1
            return
        if known is not None and known.uid != uid:
            yield from self._ended(kind, key)
        self._known[kind, key] = _Known(uid, version)
        bare = replace(obj, metadata=replace(metadata, resource_version=""))
        if state.get(kind, key) == bare:
            self.dropped += 1
        else:
            yield e.Changed(bare)

    def _is_old(self, kind: str, uid: str, version: str, known: _Known | None) -> bool:
        """Whether that is no newer than what is known. Versions of two objects of one name can be compared, too."""
        if known is None:
            listed = self._listed.get(kind, "")
            return bool(version) and (version == listed or older(version, listed))
        return older(version, known.version) or (uid == known.uid and version == known.version)

    def _ended(self, kind: str, key: str, uid: str = "") -> Iterator[e.Event]:
        """The object has gone. uid: that one; empty for the one that is known."""
        known = self._known.get((kind, key))
        if uid:
            self._bury(uid)
        if known is None or uid not in ("", known.uid):
            return  # never heard of, or another one is there by now
        del self._known[kind, key]
        self._bury(known.uid)
        yield e.Gone(kind, key)

    def _complete(self, change: Change) -> Iterator[e.Event]:
        """What we know by our own writes alone, and the list does not have, has gone. version: what is newer than the
        list may well be there; empty where the kind itself is gone."""
        self._listed[change.kind] = change.version
        for (kind, key), known in list(self._known.items()):
            if kind == change.kind and key not in change.keys and not older(change.version, known.version):
                yield from self._ended(kind, key)

    def _rewound(self, kind: str) -> None:
        """The server's history begins anew before what we know: whatever it says from now on counts."""
        for (of, _), known in self._known.items():
            if of == kind:
                known.version = ""
        self._gone.clear()
        self._listed.pop(kind, None)

    def _bury(self, uid: str) -> None:
        self._gone[uid] = None
        while len(self._gone) > REMEMBERED:
            del self._gone[next(iter(self._gone))]
