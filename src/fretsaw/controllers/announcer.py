"""Writes Kubernetes Events, beside everything else: a busy server delays or loses them, and nothing waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from fretsaw.api.times import Millis
from fretsaw.controllers.telemetry import Recorder
from fretsaw.engine import events as e
from fretsaw.engine.state import ClusterState
from fretsaw.engine.turn import Turn
from fretsaw.kube.client import Client
from fretsaw.kube.errors import AlreadyExists, KubeError, NotFound

ROOM = 2000
"""Events that may wait to be written; more are lost."""
WRITERS = 4
PATIENCE_S = 5.0
MERGE = "application/merge-patch+json"


class Announcer:
    """A listener. allowed: whether what is heard may be written, asked when it is heard."""

    def __init__(self, recorder: Recorder, failed: Callable[[str, Exception], None]) -> None:
        self._recorder, self._failed = recorder, failed
        self._queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(ROOM)
        self.lost = 0
        """Events that found no room."""
        self.speaks = False
        """Whether we write at all: only who leads does."""

    def heard(self, at: Millis, what: e.Event | Turn, state: ClusterState) -> None:
        """See manager.Listener."""
        for event in self._recorder.heard(at, what, state):
            if not self.speaks:
                continue
            if self._queue.full():
                self.lost += 1
            else:
                self._queue.put_nowait(event)

    async def run(self, client: Client) -> None:
        """Write what comes, for ever."""
        async with asyncio.TaskGroup() as group:
            for _ in range(WRITERS):
                group.create_task(self._write_all(client))

    async def _write_all(self, client: Client) -> None:
        while True:
            event = await self._queue.get()
            try:
                await _write(client, event)
            except KubeError as error:
                self._failed("write an event", error)


async def _write(client: Client, event: dict[str, Any]) -> None:
    """A new event, or one more of those that there are."""
    metadata = event["metadata"]
    path = f"/api/v1/namespaces/{metadata['namespace']}/events"
    if event.get("count", 1) > 1:
        patch = {name: event[name] for name in ("count", "lastTimestamp", "message")}
        try:
            await client.http.request(
                "PATCH", f"{path}/{metadata['name']}", body=patch, content=MERGE, patience_s=PATIENCE_S
            )
        except NotFound:  # events live for an hour
            pass
        else:
            return
    with suppress(AlreadyExists):
        await client.http.request("POST", path, body=event, again=True, patience_s=PATIENCE_S)
