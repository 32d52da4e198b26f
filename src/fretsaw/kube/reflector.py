"""Keeps up with all objects of one kind: list once, then watch, and after a gap list again and tell the difference.

Changes come in order and none is lost: an object that vanished while nobody watched is told as gone. What was told of
an object before is not told again in an older version. What is believed is on the careful side, since a machine may
hang on it: an object that cannot be read any more stays as it was, and a kind is missing only when the server's own
list of kinds says so.
Source: kubernetes.io, API Concepts, "Efficient detection of changes"; client-go Reflector.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, Literal

import msgspec

from fretsaw.api.meta import Object
from fretsaw.kube.client import Client, Identity, ListMeta, bare_of, key_of, path_of, shaped
from fretsaw.kube.errors import ApiError, Denied, Expired, KubeError, NotFound, NotUnderstood, of_event
from fretsaw.kube.pace import Backoff
from fretsaw.kube.versions import older

WATCH_S = (240, 480)
"""A watch is asked to last so long; of many watchers not all shall come back at once."""
SILENCE_S = 90.0
"""An API server sends a bookmark every minute: after a longer silence the connection is dead."""
SHORT_S = 1.0
"""A watch that ends sooner is not simply begun anew, but after a pause that grows."""
FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 10.0
MISSING_WAIT_S = 10.0
"""How long to wait before a kind that the server does not have is looked for again."""
REFUSALS = 5
"""So often a busy server is asked to go on from the same version; then everything is listed."""
TOO_NEW = "Too large resource version"
"""Said with 504: the server does not know the version yet, or no longer, as after a restore of etcd."""


class Change(msgspec.Struct, frozen=True):
    """What the server says.

    object   it is there, as `obj`; or `obj` is None, and the one with that uid has gone
    synced   a list ends: `keys` are all that there are, at that version of the whole
    missing  the server does not have the kind; where its objects are not kept, it has told before that they are gone
    rewound  the list that follows is older than what was told before: etcd has been restored from a backup
    """

    kind: str
    key: str = ""
    obj: Any = None
    what: Literal["object", "synced", "missing", "rewound"] = "object"
    uid: str = ""
    keys: frozenset[str] = frozenset()
    version: str = ""


class _Line(msgspec.Struct):
    type: str
    object: msgspec.Raw


class Reflector:
    """Watches one kind. `problem` tells what is wrong at the moment, empty for nothing."""

    def __init__(self, client: Client, kind: str, *, keeps: bool = False) -> None:
        """keeps: objects do not go with their kind; once it is back, a list says what has become of them."""
        self._client, self._keeps = client, keeps
        self.kind = kind
        self._known: dict[str, tuple[str, str]] = {}
        """(uid, resource version) by key, of what was told."""
        self._version = ""
        """Where a watch goes on; empty where everything has to be listed."""
        self._highest = ""
        """The last version of the whole that was heard of."""
        self._watching: float | None = None
        """When the watch was asked for."""
        self._backoff = Backoff(FIRST_WAIT_S, LONGEST_WAIT_S)
        self._refusals = 0
        self._missing = False
        self.problem = ""
        self.lists = 0
        """How often everything was listed."""

    async def changes(self) -> AsyncGenerator[Change, None]:
        """Every change from now on, first all objects that there are. It never ends and never raises KubeError."""
        while True:
            failure: KubeError | None = None
            try:
                async with aclosing(self._round()) as told:
                    async for change in told:
                        yield change
            except KubeError as error:
                failure = error
            if isinstance(failure, NotFound) and await self._is_missing():
                for change in self._without_kind():
                    yield change
                self.problem = str(failure)
                await asyncio.sleep(MISSING_WAIT_S)
            else:
                await asyncio.sleep(self._pause_after(failure))

    async def _round(self) -> AsyncGenerator[Change, None]:
        """List where that is needed, then watch once."""
        self._watching = None
        if not self._version:
            async with aclosing(self._list()) as listed:
                async for change in listed:
                    yield change
        self._watching = asyncio.get_running_loop().time()
        async with aclosing(self._watch()) as watched:
            async for change in watched:
                yield change

    # What comes after the end of a watch

    def _pause_after(self, failure: KubeError | None) -> float:
        """How long to wait before the next round; not at all after a watch that ended in time, or grew too old."""
        now = asyncio.get_running_loop().time()
        lasted = self._watching is not None and now - self._watching >= SHORT_S
        if lasted:
            self._backoff.reset()
            self._refusals = 0
        if failure is not None:
            self.problem = str(failure)
            self._go_on_after(failure)
        if lasted and (failure is None or isinstance(failure, Expired)):
            return 0.0
        return self._backoff.next_s(failure.retry_after_s if isinstance(failure, ApiError) else None)

    def _go_on_after(self, failure: KubeError) -> None:
        """From the same version where the server is only busy or away: to list costs it a thousand times more."""
        if isinstance(failure, ApiError):
            self._refusals += 1
            busy = failure.busy and TOO_NEW not in failure.message
            if not busy or self._refusals >= REFUSALS:
                self._version, self._refusals = "", 0
        elif isinstance(failure, NotUnderstood):
            self._version = ""

    async def _is_missing(self) -> bool:
        """Whether the server says itself that it does not have the kind. A 404 of something in between would otherwise
        be the end of all objects, and of what belongs to them."""
        try:
            return not await self._client.serves(self.kind)
        except Denied:
            return not self._known  # we may not ask; where nothing is known nothing is lost
        except KubeError:
            return False

    def _without_kind(self) -> list[Change]:
        told = []
        if not self._keeps:
            told += [Change(self.kind, key, uid=uid) for key, (uid, _) in self._known.items()]
            self._known.clear()
        if not self._missing:
            told.append(Change(self.kind, what="missing"))
        self._version, self._missing = "", True
        return told

    # Listing

    async def _list(self) -> AsyncGenerator[Change, None]:
        listed = await self._client.list(self.kind)
        self.lists += 1
        if older(listed.resource_version, self._highest):
            yield Change(self.kind, what="rewound")
        found = {key_of(self.kind, _identity(obj)): obj for obj in listed.objects}
        there = {key: obj.metadata.uid for key, obj in found.items()} | listed.unread
        for key, (uid, _) in list(self._known.items()):
            if there.get(key) != uid:  # also another object of that name: nothing of the first one holds any more
                del self._known[key]
                yield Change(self.kind, key, uid=uid)
        for key, obj in found.items():
            identity = obj.metadata.uid, obj.metadata.resource_version
            if self._known.get(key) != identity:
                self._known[key] = identity
                yield Change(self.kind, key, obj, uid=identity[0])
        self._version = self._highest = listed.resource_version
        self.problem, self._missing = "", False
        yield Change(self.kind, what="synced", keys=frozenset(self._known) | there.keys(), version=self._version)

    # Watching

    async def _watch(self) -> AsyncGenerator[Change, None]:
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(random.randint(*WATCH_S)),
        }
        what = f"watch {self.kind}"
        async with aclosing(self._client.http.stream(path_of(self.kind), query, SILENCE_S)) as lines:
            async for text in lines:
                line = shaped(what, text, _Line)
                if line.type == "ERROR":
                    raise of_event(what, bytes(line.object))
                self.problem = ""
                for change in self._heard(line):
                    yield change

    def _heard(self, line: _Line) -> list[Change]:
        """What a line tells that is new."""
        if line.type == "BOOKMARK":
            self._reached(shaped("bookmark", line.object, _Marked).metadata.resource_version)
            return []
        bare = bare_of(line.object)
        if bare is None or not bare.name:
            raise NotUnderstood(f"watch {self.kind}", "an object without a name")
        self._reached(bare.resource_version)
        key = key_of(self.kind, bare)
        if line.type == "DELETED":
            return self._gone(key, lambda uid: uid == bare.uid)
        known = self._known.get(key)
        if known is not None and known[0] == bare.uid and not older(known[1], bare.resource_version):
            return []
        return self._changed(key, bare, line.object)

    def _changed(self, key: str, bare: Identity, text: msgspec.Raw) -> list[Change]:
        told = self._gone(key, lambda uid: uid != bare.uid)
        obj = self._client.decoded(self.kind, text)
        if obj is not None:
            self._known[key] = bare.uid, bare.resource_version
            told.append(Change(self.kind, key, obj, uid=bare.uid))
        return told

    def _gone(self, key: str, meant: Callable[[str], bool]) -> list[Change]:
        """That the object of that key is gone, if it is the one that is meant."""
        known = self._known.get(key)
        if known is None or not meant(known[0]):
            return []
        del self._known[key]
        return [Change(self.kind, key, uid=known[0])]

    def _reached(self, version: str) -> None:
        """Only forwards: an event that comes late, or twice, is no place to go on from."""
        if version and not older(version, self._highest):
            self._version = self._highest = version


class _Marked(msgspec.Struct):
    metadata: ListMeta


def _identity(obj: Object) -> Identity:
    metadata = obj.metadata
    return Identity(metadata.name, metadata.uid, metadata.resource_version, metadata.namespace)
