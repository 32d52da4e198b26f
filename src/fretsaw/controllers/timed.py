"""A provider whose calls are timed and counted: the metrics of Karpenter's decorator of cloud providers.

Source: Karpenter v1.14 pkg/cloudprovider/metrics.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager

from fretsaw.api.catalog import Catalog
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.nodeclass import EC2NodeClass
from fretsaw.engine.events import InstanceCreated, Interrupted
from fretsaw.ports import CloudProvider, Machine, Offering

Timer = Callable[[str], AbstractContextManager[None]]
"""Times what is done within, under the name of a method."""


class Timed:
    """See ports.CloudProvider."""

    def __init__(self, provider: CloudProvider, timer: Timer) -> None:
        self._provider, self._timer = provider, timer

    async def class_as_it_should_be(self, node_class: EC2NodeClass) -> EC2NodeClass:
        """See ports.CloudProvider."""
        return await self._provider.class_as_it_should_be(node_class)

    async def catalog(self, node_class: EC2NodeClass) -> Catalog:
        """See ports.CloudProvider."""
        with self._timer("GetInstanceTypes"):
            return await self._provider.catalog(node_class)

    def unavailable(self) -> frozenset[Offering]:
        """See ports.CloudProvider."""
        return self._provider.unavailable()

    async def launch(
        self, claim: NodeClaim, node_class: EC2NodeClass | None, catalog: Catalog | None = None
    ) -> InstanceCreated:
        """See ports.CloudProvider."""
        with self._timer("Create"):
            return await self._provider.launch(claim, node_class, catalog)

    async def terminate(self, provider_id: str) -> None:
        """See ports.CloudProvider."""
        with self._timer("Delete"):
            await self._provider.terminate(provider_id)

    async def instances(self) -> tuple[Machine, ...]:
        """See ports.CloudProvider."""
        with self._timer("List"):
            return await self._provider.instances()

    async def drift(self, claim: NodeClaim, node_class: EC2NodeClass) -> str:
        """See ports.CloudProvider."""
        with self._timer("IsDrifted"):
            return await self._provider.drift(claim, node_class)

    def interruptions(self) -> AsyncIterator[Interrupted]:
        """See ports.CloudProvider."""
        return self._provider.interruptions()

    async def close(self) -> None:
        """See ports.CloudProvider."""
        await self._provider.close()
