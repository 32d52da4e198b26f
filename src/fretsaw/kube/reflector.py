"""Keeps up with all objects of one kind: list once, then watch, and after a gap list again and tell the difference.

Changes come in order and none is lost: an object that vanished while nobody watched is told as gone. What was told of
an object before is not told again in an older version.
Source: kubernetes.io, API Concepts, "Efficient detection of changes"; client-go Reflector.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from typing import Any, Literal

import msgspec

from fretsaw.api.meta import Object
from fretsaw.kube.client import Client, kind_named, path_of
from fretsaw.kube.errors import ApiError, Expired, KubeError, NotFound, of_event

WATCH_S = (240, 480)
"""A watch is asked to last so long; of many watchers not all shall come back at once."""
SILENCE_S = 90.0
"""An API server sends a bookmark every minute: after a longer silence the connection is dead."""
FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 10.0
MISSING_WAIT_S = 10.0
"""How long to wait before a kind that the server does not have is looked for again."""


class Change(msgspec.Struct, frozen=True):
    """What the server says. `obj` is None where the object has gone; `synced` marks the end of the first list."""

    kind: str
    key: str = ""
    obj: Any = None
    what: Literal["object", "synced", "missing"] = "object"


class _Line(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _Bare(msgspec.Struct):
    metadata: _Versioned


class _Versioned(msgspec.Struct, rename="camel"):
    uid: str = ""
    resource_version: str = ""
    name: str = ""
    namespace: str = ""


class Reflector:
    """Watches one kind. `problem` tells what is wrong at the moment, empty for nothing."""

    def __init__(self, client: Client, kind: str) -> None:
        self._client = client
        self.kind = kind
        self._namespaced = kind_named(kind).namespaced
        self._known: dict[str, tuple[str, str]] = {}
        """(uid, resource version) by key."""
        self.problem = ""
        self.lists = 0
        """How often everything was listed."""

    async def changes(self) -> AsyncIterator[Change]:
        """Every change from now on, first all objects that there are. It never ends and never raises KubeError."""
        wait = FIRST_WAIT_S
        version = ""
        while True:
            try:
                if not version:
                    async for change in self._list():
                        yield change
                    version = self._version
                started = time.monotonic()
                async for change in self._watch(version):
                    wait = FIRST_WAIT_S
                    yield change
                version, self.problem = self._version, ""
                if time.monotonic() - started < 1:  # a server that ends watches at once is not asked without a pause
                    await asyncio.sleep(FIRST_WAIT_S)
            except Expired:
                version = ""
            except NotFound as error:
                version, self.problem = "", str(error)
                for gone in self._all_gone():
                    yield gone
                yield Change(self.kind, what="missing")
                await asyncio.sleep(MISSING_WAIT_S)
            except KubeError as error:
                version, self.problem = self._version_after(error), str(error)
                await asyncio.sleep(wait * random.uniform(0.5, 1.0))
                wait = min(2 * wait, LONGEST_WAIT_S)

    _version = ""

    def _version_after(self, error: KubeError) -> str:
        """Where to go on after a failure; a server that refused is asked for everything anew."""
        return "" if isinstance(error, ApiError) else self._version

    async def _list(self) -> AsyncIterator[Change]:
        listed = await self._client.list(self.kind)
        self.lists += 1
        found = {self._key(obj): obj for obj in listed.objects}
        for key in [key for key in self._known if key not in found]:
            del self._known[key]
            yield Change(self.kind, key)
        for key, obj in found.items():
            known = self._known.get(key)
            if known is not None and known[0] != obj.metadata.uid:
                yield Change(self.kind, key)  # another object of that name: nothing of the first one holds any more
            if self._is_news(key, obj.metadata.uid, obj.metadata.resource_version):
                yield Change(self.kind, key, obj)
        self._version, self.problem = listed.resource_version, ""
        yield Change(self.kind, what="synced")

    async def _watch(self, version: str) -> AsyncIterator[Change]:
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(random.randint(*WATCH_S)),
        }
        async for text in self._client.http.stream(path_of(self.kind), query, SILENCE_S):
            try:
                line = msgspec.json.decode(text, type=_Line)
                if line.type == "ERROR":
                    raise of_event(f"watch {self.kind}", bytes(line.object))
                change = self._heard(line)
            except msgspec.MsgspecError as error:
                raise ApiError(f"watch {self.kind}", 500, "Unreadable", str(error)) from error
            if change is not None:
                yield change

    def _heard(self, line: _Line) -> Change | None:
        text = bytes(line.object)
        bare = msgspec.json.decode(text, type=_Bare).metadata
        self._version = bare.resource_version or self._version
        if line.type == "BOOKMARK":
            return None
        key = f"{bare.namespace}/{bare.name}" if self._namespaced else bare.name
        if line.type == "DELETED":
            return Change(self.kind, key) if self._known.pop(key, None) is not None else None
        if not self._is_news(key, bare.uid, bare.resource_version):
            return None
        obj = self._client.decoded(self.kind, text)
        if obj is None:  # what it was before is no longer true either
            self._known.pop(key, None)
            return Change(self.kind, key)
        return Change(self.kind, key, obj)

    def _is_news(self, key: str, uid: str, version: str) -> bool:
        if self._known.get(key) == (uid, version):
            return False
        self._known[key] = uid, version
        return True

    def _all_gone(self) -> list[Change]:
        gone = [Change(self.kind, key) for key in self._known]
        self._known.clear()
        return gone

    def _key(self, obj: Object) -> str:
        metadata = obj.metadata
        return f"{metadata.namespace}/{metadata.name}" if self._namespaced else metadata.name
