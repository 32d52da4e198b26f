"""Keeps the engine's picture of the cloud, and the node classes' status, up to date.

    classes         what each class should say of itself, and what its pools can launch: on every change
    unavailable     offerings that could not be had, as the provider remembers them
    listing         all instances: for garbage collection; those that no claim names are ended
    drift           of each claim, now and again and when its class changes
    interruptions   as the cloud announces them

All of it comes to the engine as events. A failure is told, and the next round tries again.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing

from fretsaw.api.meta import Object
from fretsaw.api.nodeclass import EC2NodeClass
from fretsaw.api.times import SECOND
from fretsaw.controllers.inbox import Inbox
from fretsaw.controllers.patches import written
from fretsaw.engine import events as e
from fretsaw.engine.state import ClusterState
from fretsaw.errors import InstanceNotFound, NotReady, ProviderError
from fretsaw.kube.client import Client
from fretsaw.ports import Clock, CloudProvider

KIND = "EC2NodeClass"
LISTING_S = 120.0
"""Source: Karpenter v1.14 pkg/controllers/nodeclaim/garbagecollection (2 min)."""
LEAKED = 60 * SECOND
"""An instance that no claim names is left alone so long: the claim, or the answer to its order, may be on its way."""
DRIFT_S = 300.0
"""Source: Karpenter v1.14 pkg/controllers/nodeclaim/disruption (5 min)."""
CLASSES_S = 60.0
LOOK_S = 1.0
ENDED = ("instance_terminated", "instance_stopped")
"""Announcements after which the instances are listed anew, since a node without a machine is not drained."""
Told = Callable[[str, Exception], None]
"""Called with (what was tried, why it failed)."""
Put = Callable[[e.Event], None]


class Cloud:
    """The loops. put: takes the events. leading: whether we may write, and end instances."""

    def __init__(
        self,
        provider: CloudProvider,
        client: Client,
        state: ClusterState,
        inbox: Inbox,
        clock: Clock,
        *,
        put: Put,
        leading: Callable[[], bool],
        failed: Told,
        every_s: float = LISTING_S,
    ) -> None:
        self._provider, self._client, self._state, self._inbox, self._clock = provider, client, state, inbox, clock
        self._put, self._leading, self._failed, self._every_s = put, leading, failed, every_s
        self._read: dict[str, e.CatalogRead] = {}
        """What was last told of each class."""
        self._drift: dict[str, tuple[Object, str]] = {}
        """For each claim the class that it was compared with, and what came of it."""
        self.blind = False
        """Whether there is a NodeClaim that we cannot read: then no instance is taken for nobody's."""
        self.ready = asyncio.Event()
        """Set once the classes have been read and the instances listed."""

    async def run(self, listed: Callable[[], Awaitable[None]]) -> None:
        """All loops, for ever. listed: returns when the state has all classes and claims that there are."""
        await listed()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._start(group), name="cloud")

    async def _start(self, group: asyncio.TaskGroup) -> None:
        await self._try("classes", self._classes)
        await self._try("listing", self._list)
        self.ready.set()
        group.create_task(self._every(LOOK_S, "classes", self._classes_if_changed))
        group.create_task(self._every(LOOK_S, "unavailable", self._unavailable))
        group.create_task(self._every(self._every_s, "listing", self._list))
        group.create_task(self._every(LOOK_S, "drift", self._drifted))
        group.create_task(self._interruptions())

    async def _every(self, seconds: float, what: str, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            await self._try(what, work)

    async def _try(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except ProviderError as error:
            self._failed(what, error)

    # Classes and catalogs

    _seen: tuple[object, ...] = ()
    _read_at = 0.0

    async def _classes_if_changed(self) -> None:
        """A class or a pool has changed, or a minute has passed."""
        now = asyncio.get_running_loop().time()
        seen = (tuple(map(id, self._state.objects[KIND].values())), tuple(map(id, self._state.pools.values())))
        if seen != self._seen or now - self._read_at >= CLASSES_S:
            await self._classes()

    async def _classes(self) -> None:
        # Kept, so that no later object can have the id of one of them.
        self._kept = (tuple(self._state.objects[KIND].values()), tuple(self._state.pools.values()))
        self._seen = tuple(tuple(map(id, kept)) for kept in self._kept)
        self._read_at = asyncio.get_running_loop().time()
        pools: dict[str, list[str]] = defaultdict(list)
        for name, pool in self._state.pools.items():
            ref = pool.spec.template.spec.node_class_ref
            pools[ref.name if ref.kind == KIND else ""].append(name)
        for name in sorted(pools.keys() | self._state.objects[KIND].keys()):
            if name:
                await self._class(name, tuple(sorted(pools[name])))

    _kept: tuple[tuple[Object, ...], ...] = ()

    async def _class(self, name: str, pools: tuple[str, ...]) -> None:
        node_class: EC2NodeClass | None = self._state.get(KIND, name)
        if node_class is None:
            self._tell(name, e.CatalogRead(pools, None, f"there is no {KIND} {name}"))
            return
        after = await self._provider.class_as_it_should_be(node_class)
        if after != node_class and self._leading():
            async for obj in written(self._client, node_class, after, self._inbox.version(KIND, name)):
                if obj is not None:
                    self._put(e.Changed(obj))
        try:
            self._tell(name, e.CatalogRead(pools, await self._provider.catalog(after)))
        except NotReady as error:
            self._tell(name, e.CatalogRead(pools, None, str(error)))

    def _tell(self, name: str, event: e.CatalogRead) -> None:
        if event.pools and self._read.get(name) != event:
            self._read[name] = event
            self._put(event)

    # Instances

    async def _unavailable(self) -> None:
        found = self._provider.unavailable()
        if found != self._state.offerings_out:
            self._put(e.OfferingsOut(found))

    async def _list(self) -> None:
        """Tell of all instances, and end those that are nobody's."""
        machines = await self._provider.instances()
        self._put(e.InstancesListed(frozenset(machine.provider_id for machine in machines)))
        if self.blind or not self._leading():
            return
        known = {claim.status.provider_id for claim in self._state.claims.values()}
        for machine in machines:
            old = self._clock.now() - machine.launched >= LEAKED
            if old and machine.provider_id not in known and machine.claim not in self._state.claims:
                await self._end(machine.provider_id)

    async def _end(self, provider_id: str) -> None:
        try:
            await self._provider.terminate(provider_id)
        except InstanceNotFound:
            self._put(e.InstanceGone(provider_id))

    async def _drifted(self) -> None:
        """Compare claims with their classes: those whose class has changed, and all of them now and again."""
        now = asyncio.get_running_loop().time()
        if now - self._compared_at >= DRIFT_S:
            self._drift.clear()
            self._compared_at = now
        for name, claim in list(self._state.claims.items()):
            node_class = self._state.get(claim.spec.node_class_ref.kind, claim.spec.node_class_ref.name)
            if node_class is None or not claim.status.provider_id or claim.metadata.deletion_timestamp:
                continue
            before = self._drift.get(name)
            if before is not None and before[0] is node_class:
                continue
            try:
                reason = await self._provider.drift(claim, node_class)
            except InstanceNotFound:
                reason = ""  # garbage collection takes care of it
            self._drift[name] = (node_class, reason)
            if reason != self._state.drifted.get(name, ""):
                self._put(e.DriftFound(name, reason))
        for name in self._drift.keys() - self._state.claims.keys():
            del self._drift[name]

    _compared_at = 0.0

    async def _interruptions(self) -> None:
        announced: AsyncIterator[e.Interrupted] = self._provider.interruptions()
        async with aclosing(announced) as events:  # type: ignore[type-var]
            async for event in events:
                self._put(event)
                if event.kind in ENDED:
                    await self._try("listing", self._list)
