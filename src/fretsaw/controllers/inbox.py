"""What came from watches, from our own writes and from the cloud, on its way into the state: each object once, in
order, and nothing older than what is known.

An answer to a write and the watch tell of the same change; whichever comes second is dropped. A change in which
nothing that we read has changed (a heartbeat, somebody's managed fields) only moves the object's version.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from fretsaw.api.meta import Object
from fretsaw.engine import events as e
from fretsaw.engine.state import ClusterState, key_of

REMEMBERED = 4096
"""Objects that have gone whose late changes are still known for what they are."""


class _Known(msgspec.Struct):
    """An object as it was last applied."""

    uid: str
    version: str


class Inbox:
    """A queue of events. Everyone puts; the one who takes turns takes."""

    def __init__(self) -> None:
        self._queue: deque[e.Event] = deque()
        self._known: dict[tuple[str, str], _Known] = {}
        self._gone: dict[str, None] = {}
        """Uids, the oldest first."""
        self.dropped = 0
        """Changes that were no news."""

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, event: e.Event) -> None:
        """Something happened."""
        self._queue.append(event)

    def version(self, kind: str, key: str) -> str:
        """The resource version of an object as it is in the state; empty where it is not known."""
        known = self._known.get((kind, key))
        return known.version if known is not None else ""

    def news(self, state: ClusterState) -> Iterator[e.Event]:
        """The events that tell something new, one after the other; apply each before taking the next."""
        while self._queue:
            event = self._queue.popleft()
            match event:
                case e.Changed(obj):
                    found = self._changed(state, obj)
                    if found is not None:
                        yield found
                    else:
                        self.dropped += 1
                case e.Gone(kind, key):
                    known = self._known.pop((kind, key), None)
                    if known is not None:
                        self._bury(known.uid)
                        yield event
                case _:
                    yield event

    def _changed(self, state: ClusterState, obj: Object) -> e.Changed | None:
        kind, key, metadata = type(obj).__name__, key_of(obj), obj.metadata
        known = self._known.get((kind, key))
        if metadata.uid in self._gone:
            return None
        if known is not None and known.uid == metadata.uid and _older(metadata.resource_version, known.version):
            return None
        self._known[kind, key] = _Known(metadata.uid, metadata.resource_version)
        bare = replace(obj, metadata=replace(metadata, resource_version=""))
        return None if state.get(kind, key) == bare else e.Changed(bare)

    def _bury(self, uid: str) -> None:
        self._gone[uid] = None
        while len(self._gone) > REMEMBERED:
            del self._gone[next(iter(self._gone))]


def _older(version: str, known: str) -> bool:
    """Whether a version is not newer than another. Source: KEP-5504, resource versions are numbers that grow."""
    if version.isdigit() and known.isdigit():
        return int(version) <= int(known)
    return version == known
