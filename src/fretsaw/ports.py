"""What the controllers need of the world beside the Kubernetes API: a cloud, and a clock.

A provider keeps its promises whoever calls, in whatever order, and more than once: a controller may die between any
two calls and ask again. Calls that fail raise the ProviderErrors named here, never a library's own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

from fretsaw.api.catalog import Catalog
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.nodeclass import EC2NodeClass
from fretsaw.api.times import Millis
from fretsaw.engine.events import InstanceCreated, Interrupted

Offering = tuple[str, str, str]
"""(instance type, zone, capacity type)."""


class Clock(Protocol):
    """The time of day."""

    def now(self) -> Millis:
        """Milliseconds since 1970, UTC. It may jump."""


class Machine(msgspec.Struct, frozen=True):
    """An instance of ours as the cloud lists it; those that are shutting down are left out."""

    provider_id: str
    claim: str
    """Name of the NodeClaim that it was launched for, by its tag; empty where the tag is missing."""
    launched: Millis


class CloudProvider(Protocol):
    """A cloud that gives nodes. Nine promises."""

    async def class_as_it_should_be(self, node_class: EC2NodeClass) -> EC2NodeClass:
        """The node class with the metadata and status that it should have: finalizer, hash, conditions with reasons
        that a user can act on, and what its selectors found. Equal to the argument where nothing is to be written.
        Does not write anything to Kubernetes itself."""

    async def catalog(self, node_class: EC2NodeClass) -> Catalog:
        """What the class can launch: types with capacity, overhead and labels, their offerings and prices.
        Raises NotReady with the reason where it can launch nothing. Cheap when nothing has changed."""

    def unavailable(self) -> frozenset[Offering]:
        """Offerings that lately could not be had; each is forgotten after a while. `*` stands for any. No call."""

    async def launch(
        self, claim: NodeClaim, node_class: EC2NodeClass | None, catalog: Catalog | None = None
    ) -> InstanceCreated:
        """The claim's instance: the cheapest that may be had of what its requirements allow. catalog: what its pool
        can launch with NodeOverlays applied, whose prices then count; None where there are none. Called again for the
        same claim (by its uid), also by another process, it answers the same instance and launches no second one.
        Raises OutOfCapacity (after which `unavailable` knows), NotReady, LaunchFailed, Throttled."""

    async def terminate(self, provider_id: str) -> None:
        """Have an instance ended; it may take a while. Raises InstanceNotFound once it is gone, and for one that
        never was; Throttled. Never ends an instance that is not ours."""

    async def instances(self) -> tuple[Machine, ...]:
        """All instances of this cluster that are there, also those that Kubernetes does not know of."""

    async def drift(self, claim: NodeClaim, node_class: EC2NodeClass) -> str:
        """Why a claim's instance is not what its class asks for now, as one word (`AMIDrift`); empty if it is.
        Raises InstanceNotFound."""

    def interruptions(self) -> AsyncIterator[Interrupted]:
        """What the cloud announces about instances, as it comes, each once or more, until the iterator is closed.
        Never raises: what cannot be read is counted and left out."""

    async def close(self) -> None:
        """Give back connections; after that nothing is asked any more."""
