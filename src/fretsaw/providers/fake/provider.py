"""The CloudProvider that asks the fake cloud: what AWS's provider does, without AWS.

    provider = FakeProvider("127.0.0.1:8090", region="us-east-1")

Catalogs are those of the shipped snapshot under each EC2NodeClass, or one of a file. It keeps nothing that another
process would miss: which instance belongs to a claim is the cloud's to know.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from fretsaw.api.catalog import Catalog
from fretsaw.api.catalog import Offering as CatalogOffering
from fretsaw.api.labels import normalize
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.nodeclass import EC2NodeClass
from fretsaw.api.times import Millis
from fretsaw.engine.events import InstanceCreated, Interrupted
from fretsaw.engine.universe import bits
from fretsaw.errors import InstanceNotFound, NotReady, OutOfCapacity, ProviderError, UserError
from fretsaw.ports import Machine
from fretsaw.providers.aws import instance_types
from fretsaw.providers.aws.settings import Settings
from fretsaw.providers.aws.snapshot import load_region
from fretsaw.providers.fake import node_class as classes
from fretsaw.providers.fake.http import CloudHttp
from fretsaw.providers.fake.unavailable import Unavailable
from fretsaw.providers.fake.wire import Announced, Launched, Listed, Offering, Order
from fretsaw.providers.fleet.choose import Nothing, Request, request
from fretsaw.providers.fleet.class_hash import class_hash
from fretsaw.providers.fleet.market import Market

UNAVAILABLE_S = 180.0
LISTEN_S = 20.0
"""How long one question for announcements waits for an answer."""
AGAIN_S = 0.5
"""Pause after a question for announcements that failed."""
_MARKETS = 32
_ORDERS = 1024


class FakeProvider:
    """See `fretsaw.ports.CloudProvider`."""

    def __init__(
        self,
        url: str,
        *,
        region: str = "us-east-1",
        catalog: Catalog | None = None,
        settings: Settings | None = None,
        timeout_s: float = 10.0,
        unavailable_s: float = UNAVAILABLE_S,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], Millis] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """catalog: in place of the shipped one, as it is, for every class. Raises UserError for an unknown region."""
        self._http = CloudHttp(url, timeout_s)
        self._region = region
        self._given = catalog
        self._settings = settings if settings is not None else Settings()
        self._zones = load_region(region).zones if catalog is None else _zones(catalog)
        self._unavailable = Unavailable(unavailable_s, monotonic)
        self._now = now
        self._markets: dict[bytes, Market] = {}
        self._changed: tuple[Catalog, Market] | None = None
        self._orders: dict[tuple[int, tuple[tuple[int, int], ...]], msgspec.Raw] = {}
        self.unread = 0
        """Questions for announcements that failed."""

    async def class_as_it_should_be(self, node_class: EC2NodeClass) -> EC2NodeClass:
        """Everything is found, unless an annotation says otherwise. A class that is being deleted loses its finalizer
        once no instance of it is left."""
        if not node_class.metadata.deletion_timestamp:
            return classes.as_it_should_be(node_class, self._zones, self._now())
        used = [one for one in await self._listed() if one.node_class == node_class.metadata.name]
        return node_class if used else classes.released(node_class)

    async def catalog(self, node_class: EC2NodeClass) -> Catalog:
        """The same object as long as the class asks for the same."""
        if why := classes.problem(node_class):
            raise NotReady(why)
        return self._market(node_class).catalog

    def unavailable(self) -> frozenset[Offering]:
        """For three minutes after each failure, and each interruption."""
        return self._unavailable.all()

    async def launch(
        self, claim: NodeClaim, node_class: EC2NodeClass | None, catalog: Catalog | None = None
    ) -> InstanceCreated:
        """What the provider asks for is decided here, what is launched by the cloud."""
        try:
            order = self._order(claim, node_class, catalog)
        except (NotReady, OutOfCapacity):
            # Nothing can be launched now, but something may have been, before its answer was lost.
            if (known := await self._known(claim)) is not None:
                return known
            raise
        try:
            answer: Launched = await self._http.ask("POST", "/instances", Launched, body=msgspec.json.encode(order))
        except OutOfCapacity as error:
            self._unavailable.mark(sorted(error.offerings))
            raise
        self._unavailable.mark(answer.failed)
        return answer.created

    async def terminate(self, provider_id: str) -> None:
        """Called again until the cloud no longer knows it."""
        await self._http.ask("DELETE", f"/instances/{_id(provider_id)}", dict[str, Any])

    async def instances(self) -> tuple[Machine, ...]:
        """All that are there."""
        return tuple(Machine(one.provider_id, one.claim, one.launched) for one in await self._listed())

    async def drift(self, claim: NodeClaim, node_class: EC2NodeClass) -> str:
        """`NodeClassDrift` for another hash, `AMIDrift` for another image, or what an annotation of the class says."""
        listed: Listed = await self._http.ask("GET", f"/instances/{_id(claim.status.provider_id)}", Listed)
        return classes.drift(node_class, listed.class_hash, listed.image_id)

    async def interruptions(self) -> AsyncIterator[Interrupted]:
        """Asks again and again; after the cloud began anew, from its beginning."""
        query = {"wait": str(LISTEN_S)}
        while True:
            try:
                heard = await self._http.ask("GET", "/interruptions", Announced, query=query, wait_s=LISTEN_S)
            except ProviderError:
                self.unread += 1
                await asyncio.sleep(AGAIN_S)
                continue
            if query.get("epoch") != heard.epoch:
                query |= {"epoch": heard.epoch, "after": "0"}
            for one in heard.announcements:
                query["after"] = str(one.number)
                if one.kind == "spot_interrupted":
                    self._unavailable.mark((one.offering,))
                yield Interrupted(one.provider_id, one.kind)

    async def close(self) -> None:
        """See CloudProvider."""
        await self._http.close()

    # Inside

    async def _listed(self) -> list[Listed]:
        found: list[Listed] = await self._http.ask("GET", "/instances", list[Listed])
        return found

    async def _known(self, claim: NodeClaim) -> InstanceCreated | None:
        try:
            answer: Launched = await self._http.ask("GET", "/instances", Launched, query={"token": _token(claim)})
        except InstanceNotFound:
            return None
        return answer.created

    def _order(self, claim: NodeClaim, node_class: EC2NodeClass | None, catalog: Catalog | None) -> Order:
        """Raises NotReady and OutOfCapacity where there is nothing to order."""
        if node_class is None:
            raise NotReady(f"EC2NodeClass {claim.spec.node_class_ref.name} is not there")
        if why := classes.problem(node_class):
            raise NotReady(why)
        market = self._market(node_class) if catalog is None else self._overlaid(catalog)
        asked = request(market, market.wants(claim), market.down(self._unavailable), _left(market))
        if isinstance(asked, Nothing):
            raise OutOfCapacity(asked.message)
        return Order(
            token=_token(claim),
            claim=claim,
            catalog=self._asked(market, asked),
            node_class=node_class.metadata.name,
            class_hash=class_hash(node_class),
            images=classes.images(node_class),
        )

    def _asked(self, market: Market, asked: Request) -> msgspec.Raw:
        """The part of the catalog that is asked for, as JSON."""
        question = id(market), tuple(sorted(asked.sale.items()))
        known = self._orders.get(question)
        if known is None:
            if len(self._orders) >= _ORDERS:
                self._orders.clear()
            known = self._orders[question] = msgspec.Raw(msgspec.json.encode(_cut(market, asked)))
        return known

    def _overlaid(self, catalog: Catalog) -> Market:
        """The market of a catalog that overlays have changed; that of the last one is kept."""
        if self._changed is None or self._changed[0] is not catalog:
            self._orders.clear()  # they are known by the market's identity
            self._changed = (catalog, Market(catalog))
        return self._changed[1]

    def _market(self, node_class: EC2NodeClass) -> Market:
        spec, status = node_class.spec, node_class.status
        places = (status.subnets, status.capacity_reservations)
        question = b"" if self._given is not None else msgspec.json.encode((spec, places))
        known = self._markets.get(question)
        if known is None:
            if len(self._markets) >= _MARKETS:
                self._markets.clear()
                self._orders.clear()
            known = self._markets[question] = Market(self._read(node_class))
        return known

    def _read(self, node_class: EC2NodeClass) -> Catalog:
        if self._given is not None:
            return self._given
        spec, status = msgspec.to_builtins(node_class.spec), msgspec.to_builtins(node_class.status)
        try:
            return instance_types.catalog(self._region, spec, status, settings=self._settings)
        except UserError as error:
            raise NotReady(str(error)) from error


def _cut(market: Market, asked: Request) -> Catalog:
    """The catalog with the types and offerings of a request alone."""
    number = {(cell.zone, cell.capacity_type, cell.labels): c for c, cell in enumerate(market.universe.cells)}

    def is_asked(t: int, offering: CatalogOffering) -> bool:
        labels = tuple(sorted((normalize(key), value) for key, value in offering.labels.items()))
        c = number[offering.zone, offering.capacity_type, labels]
        return offering.available and bool(asked.sale.get(c, 0) >> t & 1)

    every = 0
    for types in asked.sale.values():
        every |= types
    kept = []
    for t in bits(every):
        one = market.catalog.instance_types[t]
        kept.append(replace(one, offerings=[o for o in one.offerings if is_asked(t, o)]))
    return replace(market.catalog, instance_types=kept, notes=[])


def _left(market: Market) -> Callable[[str], int]:
    """What the class's status says is left of a reservation; the cloud knows better, and says no."""
    counts = {cell.reservation: cell.reservation_capacity for cell in market.universe.cells if cell.reserved}
    return lambda reservation: 1 if (count := counts.get(reservation)) is None else count


def _zones(catalog: Catalog) -> dict[str, str]:
    return {o.zone: "" for one in catalog.instance_types for o in one.offerings}


def _token(claim: NodeClaim) -> str:
    return claim.metadata.uid or claim.metadata.name


def _id(provider_id: str) -> str:
    return provider_id.rpartition("/")[2]
