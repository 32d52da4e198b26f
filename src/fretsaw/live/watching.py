"""The objects that `top` shows, kept up to date by watches, and whether there is a connection at all."""

from __future__ import annotations

import asyncio
from typing import Any

from fretsaw.kube.client import path_of
from fretsaw.kube.errors import Denied, KubeError, NotFound
from fretsaw.kube.reflector import Reflector
from fretsaw.live.connection import Connection
from fretsaw.live.told import Feed

KINDS = ("NodePool", "NodeClaim", "Node", "Pod")
BEAT_S = 2.0
"""How often the server is asked whether it is there. A watch may be silent for a minute and yet be well."""
PATIENCE_S = 3.0
"""How long its answer may take before the connection counts as lost."""


class Watching:
    """Objects by kind and key, as of now. `changed` is set when something is new."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.objects: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
        self.feed = Feed(connection.client.http)
        self.missing: tuple[str, ...] = ()
        self.forbidden: tuple[str, ...] = ()
        self.problem = ""
        """What is wrong with the connection, empty for nothing."""
        self.synced = False
        """Whether everything has been listed once."""
        self.changed = asyncio.Event()
        self._listed: set[str] = set()

    async def look(self) -> None:
        """Find out which kinds are there and may be listed. Raises KubeError where none is."""
        missing, forbidden = [], []
        for kind in KINDS:
            try:
                await self.connection.client.http.request("GET", path_of(kind), query={"limit": "1"})
            except NotFound:
                missing.append(kind)
            except Denied as error:
                forbidden.append(kind)
                if error.status != 403 or len(forbidden) == len(KINDS) - len(missing):
                    raise
        self.missing, self.forbidden = tuple(missing), tuple(forbidden)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Those that can be listed."""
        return tuple(kind for kind in KINDS if kind not in self.missing + self.forbidden)

    async def fill(self) -> None:
        """List everything once."""
        for kind in self.kinds:
            listed = await self.connection.client.list(kind)
            self.objects[kind] = {obj.metadata.key if kind == "Pod" else obj.name: obj for obj in listed.objects}
        await self.feed.fill()
        self.synced = True

    async def run(self) -> None:
        """Keep up with everything, for ever. Raises nothing of the connection."""
        async with asyncio.TaskGroup() as group:
            for kind in self.kinds:
                group.create_task(self._follow(kind))
            group.create_task(self.feed.follow(self.changed.set))
            group.create_task(self._beat())

    async def _follow(self, kind: str) -> None:
        async for change in Reflector(self.connection.client, kind).changes():
            if change.what == "object" and change.obj is None:
                self.objects[kind].pop(change.key, None)
            elif change.what == "object":
                self.objects[kind][change.key] = change.obj
            else:
                self._listed.add(kind)
                self.synced = self._listed.issuperset(self.kinds)
            self.changed.set()

    async def _beat(self) -> None:
        http = self.connection.client.http
        while True:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await http.request("GET", "/version", patience_s=0)
                problem = ""
            except TimeoutError:
                problem = f"no answer for {PATIENCE_S:.0f} s"
            except KubeError as error:
                problem = str(error)
            if problem != self.problem:
                self.problem = problem
                self.changed.set()
            await asyncio.sleep(BEAT_S)
