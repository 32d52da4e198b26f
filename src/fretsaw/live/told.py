"""The decisions of the autoscaler as Kubernetes Events tell them, kept up to date.

Events are of no kind that the engine reads, and of millions only those of two sources are wanted: the server is asked
for just these.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import msgspec

from fretsaw.api.times import Millis, millis
from fretsaw.kube.client import PAGE, ListMeta
from fretsaw.kube.errors import ApiError, Denied, KubeError
from fretsaw.kube.http import Http

SOURCES = ("karpenter", "fretsaw")
"""Who tells of nodes; both names are in use for one and the same."""
PATH = "/api/v1/events"
KEPT = 500
"""The latest events are kept, and shown in part."""
SILENCE_S = 90.0
"""An API server sends a bookmark every minute: after a longer silence the connection is dead."""
AGAIN_S = 2.0


class Told(msgspec.Struct, frozen=True):
    """One event."""

    at: Millis
    about: str
    """`Pod ml/train-0`, `NodeClaim gpu-x7k2p`."""
    reason: str
    message: str
    warning: bool = False
    count: int = 1


class _Involved(msgspec.Struct):
    kind: str = ""
    namespace: str = ""
    name: str = ""


class _Meta(msgspec.Struct, rename="camel"):
    uid: str = ""
    resource_version: str = ""
    creation_timestamp: str | None = None


class _Series(msgspec.Struct, rename="camel"):
    count: int = 0
    last_observed_time: str | None = None


class _Event(msgspec.Struct, rename="camel"):
    metadata: _Meta = msgspec.field(default_factory=_Meta)
    involved_object: _Involved = msgspec.field(default_factory=_Involved)
    reason: str = ""
    message: str = ""
    type: str = ""
    count: int | None = None
    last_timestamp: str | None = None
    event_time: str | None = None
    series: _Series | None = None


class _Page(msgspec.Struct):
    metadata: ListMeta
    items: list[_Event] | None = None


class _Line(msgspec.Struct):
    type: str
    object: msgspec.Raw


def told(event: _Event) -> Told:
    """What an event says. Cluster-wide kinds have no namespace in their name, though their events are in one."""
    series = event.series
    last = series.last_observed_time if series is not None else None
    at = last or event.last_timestamp or event.event_time or event.metadata.creation_timestamp
    about = event.involved_object
    name = f"{about.namespace}/{about.name}" if about.namespace and about.kind == "Pod" else about.name
    count = (series.count if series is not None else 0) or event.count or 1
    return Told(
        millis(at) if at else 0, f"{about.kind} {name}", event.reason, event.message, event.type == "Warning", count
    )


class Feed:
    """The events of the autoscaler, the latest ones."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._by_uid: dict[str, Told] = {}
        self.denied = False
        """Whether we may not list events."""

    def latest(self) -> list[Told]:
        """The newest first."""
        return sorted(self._by_uid.values(), key=lambda one: (-one.at, one.about, one.reason, one.message))

    async def fill(self) -> None:
        """Read once what there is."""
        for source in SOURCES:
            try:
                await self._list(source)
            except Denied:
                self.denied = True

    async def follow(self, changed: Callable[[], None]) -> None:
        """Keep up with them, for ever; what goes wrong with the connection is tried again."""
        await asyncio.gather(*(self._follow(source, changed) for source in SOURCES))

    async def _follow(self, source: str, changed: Callable[[], None]) -> None:
        while True:
            try:
                version = await self._list(source)
                changed()
                async for event in self._watch(source, version):
                    self._keep([event])
                    changed()
            except Denied:
                self.denied = True
                await asyncio.sleep(10 * AGAIN_S)
            except KubeError:
                pass
            await asyncio.sleep(AGAIN_S)

    async def _list(self, source: str) -> str:
        """Read all; the version to watch from."""
        query = {"limit": str(PAGE), "fieldSelector": f"source={source}"}
        while True:
            page = msgspec.json.decode(await self._http.request("GET", PATH, query=query), type=_Page)
            self._keep(page.items or ())
            self.denied = False
            if not page.metadata.continue_:
                return page.metadata.resource_version
            query["continue"] = page.metadata.continue_

    async def _watch(self, source: str, version: str) -> AsyncIterator[_Event]:
        query: dict[str, Any] = {"watch": "1", "allowWatchBookmarks": "true", "resourceVersion": version}
        query["fieldSelector"] = f"source={source}"
        async for text in self._http.stream(PATH, query, SILENCE_S):
            line = msgspec.json.decode(text, type=_Line)
            if line.type == "ERROR":
                raise ApiError("watch events", 410, "Expired", "the version is too old")
            if line.type in ("ADDED", "MODIFIED"):
                yield msgspec.json.decode(line.object, type=_Event)

    def _keep(self, events: Iterable[_Event]) -> None:
        for event in events:
            self._by_uid[event.metadata.uid] = told(event)
        if len(self._by_uid) > 2 * KEPT:
            newest = sorted(self._by_uid.items(), key=lambda item: (-item[1].at, item[0]))[:KEPT]
            self._by_uid = dict(newest)
