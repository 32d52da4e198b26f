"""All fake kubelets of a cluster in one task group."""

from __future__ import annotations

import asyncio
from types import TracebackType

from fretsaw.api.node import Taint
from fretsaw.kube.client import Client
from fretsaw.kube.reflector import Reflector
from fretsaw.kubelet.machine import Machine
from fretsaw.kubelet.nodes import Nodes
from fretsaw.kubelet.pods import Pods
from fretsaw.kubelet.queue import Failed
from fretsaw.kubelet.settings import KubeletSettings
from fretsaw.providers.fake.cloud import FakeCloud


class FakeKubelet:
    """The kubelets of all machines of a cloud. Use it as an async context manager.

    Inside the block nodes come and pods run; after it they stay in the cluster as they are, and nobody reports on them.
    The cloud's time has to pass by itself: `providers.fake.server.serve` sees to that.
    """

    def __init__(
        self,
        client: Client,
        cloud: FakeCloud,
        settings: KubeletSettings | None = None,
        *,
        failed: Failed | None = None,
    ) -> None:
        """failed: called with (what about, why) for what could not be written or read, before it is tried again."""
        self.settings = settings if settings is not None else KubeletSettings()
        self._client = client
        told = failed if failed is not None else _ignore
        self.nodes = Nodes(client, cloud, self.settings, look=self._look, ended=self._ended, failed=told)
        self.pods = Pods(
            client,
            self.settings,
            machine_of=self.nodes.machine,
            taints_of=self._taints_of,
            now=cloud.now,
            failed=told,
        )
        self._group: asyncio.TaskGroup | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> FakeKubelet:
        group = self._group = asyncio.TaskGroup()
        await group.__aenter__()
        known = asyncio.Event()
        self._tasks = [
            group.create_task(self._watch_nodes(known), name="nodes"),
            group.create_task(self._watch_pods(), name="pods"),
            group.create_task(self.nodes.queue.run(), name="node work"),
            group.create_task(self.pods.queue.run(), name="pod work"),
            group.create_task(self.nodes.heartbeats(), name="heartbeats"),
        ]
        try:
            await known.wait()
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            raise
        self.nodes.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.nodes.stop()
        for task in self._tasks:
            task.cancel()
        if self._group is not None:
            await self._group.__aexit__(kind, error, trace)
            self._group = None

    async def _watch_nodes(self, known: asyncio.Event) -> None:
        async for change in Reflector(self._client, "Node").changes():
            if change.what == "object":
                self.nodes.changed(change.key, change.obj)
            else:
                known.set()

    async def _watch_pods(self) -> None:
        async for change in Reflector(self._client, "Pod").changes():
            if change.what == "object":
                self.pods.changed(change.key, change.obj)

    def _look(self, machine: Machine) -> None:
        self.pods.look(machine)

    def _ended(self, machine: Machine) -> None:
        self.pods.forget(machine)

    def _taints_of(self, node: str) -> tuple[Taint, ...]:
        return self.nodes.taints(node)


def _ignore(about: str, why: Exception) -> None:
    """Nobody wants to know."""
