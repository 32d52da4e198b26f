"""The region's market, kept up to date in the background, and the catalogs of node classes that are made of it.

The first question waits for the first reading; later ones get what is known, while a reading that is due goes on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from fretsaw.api.catalog import Catalog
from fretsaw.api.nodeclass import EC2NodeClass
from fretsaw.errors import NotReady, ProviderError, Throttled, UserError
from fretsaw.ports import Clock
from fretsaw.providers.aws import instance_types
from fretsaw.providers.aws.calls import Asking, AwsError
from fretsaw.providers.aws.calls.refusals import THROTTLED
from fretsaw.providers.aws.live import reading
from fretsaw.providers.aws.live.assemble import assemble
from fretsaw.providers.aws.live.memory import SeenMemory
from fretsaw.providers.aws.live.part import Part
from fretsaw.providers.aws.settings import DEFAULT, Settings
from fretsaw.providers.aws.supply import Supply


class Intervals(msgspec.Struct, frozen=True, kw_only=True):
    """How often each figure is read, in seconds."""

    types_s: float = 12 * 3600.0
    """Types, offerings, zones: AWS adds some a month."""
    on_demand_s: float = 12 * 3600.0
    """Prices of the list change a few times a year."""
    spot_s: float = 3600.0
    """Spot prices drift over days; an hour keeps the order of zones right for a dozen calls."""


class Live:
    """What one region sells to one account."""

    def __init__(
        self,
        aws: Asking,
        clock: Clock,
        *,
        settings: Settings = DEFAULT,
        isolated: bool = False,
        free: Callable[[], Mapping[str, int]] = dict,
        intervals: Intervals | None = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """isolated: the price list cannot be reached from the VPC (ISOLATED_VPC), so it is not asked.
        free: capacity reservation → instances that it has left now; one that is not named has some.
        """
        every = intervals if intervals is not None else Intervals()
        self._aws, self._clock, self._settings, self._seconds = aws, clock, settings, seconds
        self._free = free
        self._zones = Part(lambda: reading.zones(aws), every.types_s)
        self._types = Part(lambda: reading.types(aws), every.types_s)
        self._offered = Part(lambda: reading.offerings(aws), every.types_s)
        self._on_demand = Part(lambda: reading.on_demand(aws), every.on_demand_s)
        self._spot = Part(lambda: reading.spot(aws, self._today()), every.spot_s)
        self._asked: tuple[Part[Any], ...] = (self._zones, self._types, self._offered, self._spot)
        if not isolated and not aws.region.startswith("us-gov-"):
            # The price list has no GovCloud region.
            self._asked += (self._on_demand,)
        self._memory = SeenMemory()
        self._supply: tuple[object, Supply] | None = None
        self._catalogs: dict[str, tuple[object, Catalog]] = {}
        self._refreshing: asyncio.Task[None] | None = None
        self._closed = False

    async def supply(self) -> Supply:
        """What is sold. Raises AwsError where types, offerings or zones were never read."""
        if any(part.is_due(self._seconds()) for part in self._asked):
            self._begin()
        if not self._known and self._refreshing is not None:
            # Shielded, since others may be waiting for the same reading.
            await asyncio.shield(self._refreshing)
        return self._assembled()

    async def catalog(self, node_class: EC2NodeClass) -> Catalog:
        """What a class can launch; the same object while nothing changes.

        Raises NotReady for values of the class that cannot be read, Throttled and ProviderError where nothing was read
        from the account yet.
        """
        try:
            offered = await self.supply()
        except AwsError as error:
            if error.code in THROTTLED:
                raise Throttled(str(error)) from error
            raise ProviderError(f"the instance types cannot be read: {error}") from error
        try:
            return self._made(node_class, offered)
        except UserError as error:
            raise NotReady(f"EC2NodeClass {node_class.metadata.name}: {error}") from error

    def _made(self, node_class: EC2NodeClass, offered: Supply) -> Catalog:
        spec, status = _plain(node_class, self._free())
        images = [image.id for image in node_class.status.amis]
        memory = self._memory.of(images, self._seconds())
        key = (self._versions, msgspec.json.encode((spec, status)), sorted(memory.items()))
        if (made := self._catalogs.get(node_class.metadata.name)) is not None and made[0] == key:
            return made[1]
        found = instance_types.catalog_of(offered, spec, status, settings=self._settings, memory=memory)
        self._catalogs[node_class.metadata.name] = (key, found)
        return found

    def saw_memory(self, instance_type: str, images: Iterable[str], memory_bytes: int) -> None:
        """A node of this type, whose class resolves to these images, has registered with so much memory."""
        self._memory.saw(instance_type, images, memory_bytes, self._seconds())

    @property
    def failures(self) -> tuple[AwsError, ...]:
        """Why readings failed the last time they were tried; empty where all is well."""
        return tuple(part.failure for part in self._asked if part.failure is not None)

    async def close(self) -> None:
        """Stop reading."""
        self._closed = True
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.gather(self._refreshing, return_exceptions=True)

    # Inside

    @property
    def _known(self) -> bool:
        return all(part.value is not None for part in (self._zones, self._types, self._offered))

    @property
    def _versions(self) -> tuple[int, ...]:
        return tuple(part.version for part in self._asked)

    def _begin(self) -> None:
        if not self._closed and (self._refreshing is None or self._refreshing.done()):
            self._refreshing = asyncio.create_task(self._refresh(), name="aws market")

    async def _refresh(self) -> None:
        now = self._seconds()
        await asyncio.gather(*(part.refresh(now) for part in self._asked if part.is_due(now)))

    def _assembled(self) -> Supply:
        if self._zones.value is None or self._types.value is None or self._offered.value is None:
            raise next(iter(self.failures), AwsError("ec2:DescribeInstanceTypes", "NotAsked", "nothing was read yet"))
        if self._supply is None or self._supply[0] != self._versions:
            made = assemble(
                self._aws.region,
                self._zones.value,
                self._types.value,
                self._offered.value,
                self._on_demand.value,
                self._spot.value,
                self._today().date(),
                self._day_of(self._on_demand),
            )
            self._supply = (self._versions, made)
        return self._supply[1]

    def _day_of(self, part: Part[Any]) -> date:
        """The day on which it was read last."""
        return (self._today() - timedelta(seconds=self._seconds() - part.read_at)).date()

    def _today(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now() / 1000, UTC)


def _plain(node_class: EC2NodeClass, free: Mapping[str, int]) -> tuple[Any, dict[str, Any]]:
    """Spec and status as `instance_types` reads them: what of the status changes a catalog, and the free counts."""
    status: dict[str, Any] = {
        "subnets": msgspec.to_builtins(node_class.status.subnets),
        "capacityReservations": [
            {**msgspec.to_builtins(one), **({"availableInstanceCount": free[one.id]} if one.id in free else {})}
            for one in node_class.status.capacity_reservations
        ],
    }
    return msgspec.to_builtins(node_class.spec), status
