"""NodeClaims in, instances out: chooses what to ask for, orders it, and says what came of it.

Everything of the provider that concerns instances; it knows nothing of how node classes get their status, where
catalogs come from and what is announced of instances.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import msgspec

from fretsaw.api.catalog import Catalog
from fretsaw.api.labels import AWS_DOMAIN, INSTANCE_TENANCY, NODEPOOL
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.nodeclass import EC2NodeClass
from fretsaw.api.times import Millis, millis
from fretsaw.engine.events import InstanceCreated
from fretsaw.engine.orders import MIN_VALUES_RELAXED, PRICE_OVERLAY
from fretsaw.errors import InstanceNotFound, OutOfCapacity, ProviderError
from fretsaw.ports import Machine
from fretsaw.providers.aws.boot.template import SANDBOX, Claimed
from fretsaw.providers.aws.boot.values import Cluster
from fretsaw.providers.aws.calls.asking import Asking, AwsError
from fretsaw.providers.aws.launch import marks, refusals
from fretsaw.providers.aws.launch.answers import created
from fretsaw.providers.aws.launch.asks import Ask, Asks, Images
from fretsaw.providers.aws.launch.batcher import DESCRIBE, FIND, FLEET, TERMINATE, Window
from fretsaw.providers.aws.launch.dealing import TAG_PAUSES
from fretsaw.providers.aws.launch.instances import Instance, Instances
from fretsaw.providers.aws.launch.order import Order
from fretsaw.providers.aws.launch.orders import SETTLE_S, Orders
from fretsaw.providers.aws.launch.reservations import Heard, Reservations
from fretsaw.providers.aws.launch.subnets import Subnets
from fretsaw.providers.aws.launch.templates import KEEP_S, Templates
from fretsaw.providers.aws.launch.unavailable import UNAVAILABLE_S, Unavailable
from fretsaw.providers.fleet.choose import Nothing, request
from fretsaw.providers.fleet.class_hash import HASH, HASH_VERSION, VERSION, class_hash
from fretsaw.providers.fleet.market import EFA, Market, Wants

_PARTITION = f"{AWS_DOMAIN}/placement-group-partition"
_MARKETS = 32
SEEN_S = 150.0
"""So long a list of instances is good enough to compare one with its class: they are listed every two minutes."""


class Windows(msgspec.Struct, frozen=True):
    """How long questions wait for others of their kind."""

    fleet: Window = FLEET
    find: Window = FIND
    describe: Window = DESCRIBE
    terminate: Window = TERMINATE


class Patience(msgspec.Struct, frozen=True):
    """How long things are waited for and remembered, in seconds."""

    settle_s: float = SETTLE_S
    tag_pauses: tuple[float, ...] = TAG_PAUSES
    templates_s: float = KEEP_S
    unavailable_s: float = UNAVAILABLE_S


class Launcher:
    """The instances of one cluster. cluster: what nodes are told of it, as known now."""

    def __init__(
        self,
        aws: Asking,
        name: str,
        cluster: Callable[[], Cluster],
        images: Images,
        *,
        heard: Heard = dict,
        reserved_capacity: bool = True,
        windows: Windows | None = None,
        patience: Patience | None = None,
        now: Callable[[], Millis] = lambda: time.time_ns() // 1_000_000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """name: the cluster's. heard: how many instances capacity reservations have left."""
        windows = windows if windows is not None else Windows()
        patience = patience if patience is not None else Patience()
        self.instances = Instances(aws, name, describe=windows.describe, terminate=windows.terminate)
        self.unavailable = Unavailable(monotonic, patience.unavailable_s)
        self.reservations = Reservations(now, heard)
        self.terminations_failed: Counter[tuple[str, str]] = Counter()
        """By (zone, zone id)."""
        self._name, self._now = name, now
        self._templates = Templates(aws, name, monotonic, patience.templates_s)
        self._asks = Asks(
            cluster,
            aws.region,
            images,
            self._templates,
            Subnets(aws, monotonic),
            self.unavailable,
            self.reservations,
            reserved_capacity=reserved_capacity,
        )
        self._orders: Orders[Ask] = Orders(
            aws,
            self.instances,
            self._asks,
            time_of_day=now,
            settle_s=patience.settle_s,
            tag_pauses=patience.tag_pauses,
            fleets=windows.fleet,
            find=windows.find,
        )
        self._markets: dict[int, Market] = {}
        self._monotonic = monotonic
        self._seen: dict[str, Instance] = {}
        """By id, as listed last."""
        self._seen_at = float("-inf")

    @property
    def failures(self) -> Counter[tuple[str, str, str, str]]:
        """Errors of fleets by (zone, zone id, capacity type, reason)."""
        return self._asks.failures

    async def launch(
        self, claim: NodeClaim, node_class: EC2NodeClass, catalog: Catalog, group: str = ""
    ) -> InstanceCreated:
        """See CloudProvider. The class is ready; catalog: what it can launch, at the prices that count. group: the id
        of its placement group."""
        market = self._market(catalog)
        wants = market.wants(claim)
        asked = request(market, wants, market.down(self.unavailable), self.reservations.left)
        if isinstance(asked, Nothing):
            if (known := await self.known(claim, catalog)) is not None:
                return known
            raise OutOfCapacity(self._told(asked))
        ask = Ask(
            node_class=node_class,
            market=market,
            wants=wants,
            request=asked,
            claimed=Claimed.of(claim),
            tags=marks.launch_tags(
                node_class.spec.tags if node_class.spec is not None else {},
                self._name,
                claim.metadata.labels.get(NODEPOOL, ""),
                node_class.metadata.name,
            ),
            own={HASH: class_hash(node_class), HASH_VERSION: VERSION},
            tenancy=_tenancy(wants),
            efa=bool(wants.requests.get(EFA)),
            enclave=bool(wants.requests.get(SANDBOX)),
            by_priority=PRICE_OVERLAY in claim.metadata.annotations,
            context=_context(node_class, claim),
            placement_group=group,
            partition=_partition(wants),
        )
        made = await self._orders.place(_order(claim, ask))
        return created(claim, made, market)

    async def known(self, claim: NodeClaim, catalog: Catalog | None) -> InstanceCreated | None:
        """The claim's instance if it has one, though nothing may be launched now."""
        made = await self._orders.known(_order(claim, None))
        return None if made is None else created(claim, made, self._market(catalog) if catalog else None)

    async def terminate(self, provider_id: str) -> None:
        """See CloudProvider."""
        try:
            await self.instances.terminate(provider_id)
        except InstanceNotFound:
            self._gone(provider_id)
            raise
        except ProviderError:
            zone = provider_id.removeprefix("aws:///").partition("/")[0]
            self.terminations_failed[zone, ""] += 1
            raise
        self._orders.dealing.ended(provider_id.rpartition("/")[2])

    async def machines(self) -> tuple[Machine, ...]:
        """See CloudProvider. Of several instances of one claim none is said to be the claim's: whoever keeps the list
        knows which of them the claim has recorded, and ends the others."""
        found = {one.id: one for one in self._orders.dealing.launched_lately()}
        try:
            for one in await self.instances.list():
                if one.alive:
                    found[one.id] = one
                else:
                    found.pop(one.id, None)
            await self._templates.sweep()
        except AwsError as error:
            raise refusals.of_question(error) from error
        self._seen, self._seen_at = found, self._monotonic()
        count = Counter(one.claim for one in found.values())
        return tuple(
            Machine(one.provider_id, one.claim if count[one.claim] == 1 else "", one.launched)
            for _, one in sorted(found.items())
        )

    def seen(self, provider_id: str) -> Instance | None:
        """An instance as it was listed, or launched, last; None for one that was not. No call."""
        id_ = provider_id.rpartition("/")[2]
        return self._seen.get(id_) or next(
            (one for one in self._orders.dealing.launched_lately() if one.id == id_), None
        )

    async def described(self, provider_id: str) -> Instance:
        """An instance as the last list has it, if that is not old, else as EC2 has it now. Raises InstanceNotFound."""
        if self._monotonic() - self._seen_at < SEEN_S and (found := self._seen.get(provider_id.rpartition("/")[2])):
            return found
        return await self.instances.get(provider_id)

    async def name(self, one: Instance, node: str) -> None:
        """Tag an instance with its node's name, unless it has one; what fails is tried again with the next look.

        Source: Karpenter AWS provider v1.14 pkg/controllers/nodeclaim/tagging (Name; a user's own wins).
        """
        if node and marks.NAME not in one.tags:
            try:
                await self.instances.tag(one.id, {marks.NAME: node})
            except AwsError:
                return
            if one.id in self._seen:
                self._seen[one.id] = msgspec.structs.replace(one, tags={**one.tags, marks.NAME: node})

    async def close(self) -> None:
        """Wait for what is under way."""
        await self._orders.close()
        await self.instances.drain()

    # Inside

    def _gone(self, provider_id: str) -> None:
        """What was reserved for it may be launched again."""
        id_ = provider_id.rpartition("/")[2]
        self._orders.dealing.ended(id_)
        if (one := self._seen.pop(id_, None)) is not None and one.reservation:
            self.reservations.ended(one.reservation)

    def _market(self, catalog: Catalog) -> Market:
        """The same market as long as the catalog is the same object."""
        known = self._markets.get(id(catalog))
        if known is None or known.catalog is not catalog:
            while len(self._markets) >= _MARKETS:
                del self._markets[next(iter(self._markets))]
            known = self._markets[id(catalog)] = Market(catalog)
            self.reservations.read(known)
        return known

    def _told(self, asked: Nothing) -> str:
        """Why there is nothing to ask for: also what is avoided, since that is the usual reason."""
        reasons = sorted(set(self.unavailable.reasons().values()))
        return f"{asked.message} (lately refused: {', '.join(reasons)})" if reasons else asked.message


def _order(claim: NodeClaim, ask: Ask | None) -> Order[Ask]:
    metadata = claim.metadata
    created = millis(metadata.creation_timestamp) if metadata.creation_timestamp else None
    bucket = ask.bucket if ask is not None else None
    return Order(metadata.uid or metadata.name, metadata.name, created, bucket, ask)  # type: ignore[arg-type]


def _tenancy(wants: Wants) -> str:
    asked = wants.requirements.get(INSTANCE_TENANCY)
    return "default" if asked is None or asked.has("default") else "dedicated"


def _context(node_class: EC2NodeClass, claim: NodeClaim) -> str:
    """Left out where minValues were lowered. Source: AWS provider v1.14 pkg/providers/instance."""
    relaxed = claim.metadata.annotations.get(MIN_VALUES_RELAXED) == "true"
    return "" if relaxed or node_class.spec is None else node_class.spec.context or ""


def _partition(wants: Wants) -> int:
    """The lowest partition, as text, that is asked for."""
    asked = wants.requirements.get(_PARTITION)
    if asked is None or asked.complement or not asked.values:
        return 0
    lowest = min(asked.values)
    return int(lowest) if lowest.isdigit() else 0
