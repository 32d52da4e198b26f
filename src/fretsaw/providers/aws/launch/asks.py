"""What a NodeClaim's order comes to: launch templates, subnets and offerings; and what is learnt from its answer.

Source: Karpenter AWS provider v1.14 pkg/providers/instance (launch), pkg/providers/launchtemplate (grouping).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import msgspec

from fretsaw.api.catalog import InstanceType
from fretsaw.api.labels import AWS_DOMAIN
from fretsaw.api.nodeclass import EC2NodeClass
from fretsaw.engine.universe import bits
from fretsaw.errors import LaunchFailed, NotReady
from fretsaw.providers.aws.boot.template import Claimed, Kind, name_of, template_data
from fretsaw.providers.aws.boot.values import Cluster
from fretsaw.providers.aws.calls.asking import AwsError
from fretsaw.providers.aws.launch import fleet, refusals
from fretsaw.providers.aws.launch.order import Prepared
from fretsaw.providers.aws.launch.reservations import Reservations
from fretsaw.providers.aws.launch.subnets import Choice, Subnets
from fretsaw.providers.aws.launch.templates import Templates
from fretsaw.providers.aws.launch.unavailable import Unavailable
from fretsaw.providers.fleet.choose import Request
from fretsaw.providers.fleet.market import EFA, INTERRUPTIBLE, RESERVATION_TYPE, Market, Wants
from fretsaw.providers.fleet.offerings import OfferingKey

Images = Callable[[EC2NodeClass, InstanceType], str]
"""The id of the image that a type gets; empty for none."""
_MARKETS = {fleet.BLOCK: "capacity-block", fleet.INTERRUPTIBLE: "interruptible-capacity-reservation"}
_RESERVATION_ID = f"{AWS_DOMAIN}/capacity-reservation-id"
ANY = "*"
_KEPT = 64


class Ask(msgspec.Struct, frozen=True, eq=False):
    """What is asked for; equal for all claims of a bucket."""

    node_class: EC2NodeClass
    market: Market
    wants: Wants
    request: Request
    claimed: Claimed
    tags: Mapping[str, str]
    """Of everything that is launched."""
    own: Mapping[str, str] = {}
    """More, of the instances alone."""
    tenancy: str = "default"
    efa: bool = False
    """Whether the claim asks for EFA."""
    enclave: bool = False
    by_priority: bool = False
    context: str = ""
    placement_group: str = ""
    partition: int = 0

    @property
    def bucket(self) -> Hashable:
        """The same for orders that one call can be made of. The objects live as long as an order with them."""
        return (
            id(self.node_class),
            id(self.market),
            self.request.capacity_type,
            tuple(sorted(self.request.sale.items())),
            msgspec.json.encode((self.claimed, self.tags, self.own), order="deterministic"),
            (self.tenancy, self.efa, self.enclave, self.by_priority, self.context),
            (self.placement_group, self.partition),
        )


Sold = list[tuple[int, int]]
"""(cell, type) of each offering."""


class _Made(msgspec.Struct, frozen=True):
    """What an ask comes to, whatever the subnets. ask: kept, so that its identity stays its own."""

    ask: Ask
    cluster: Cluster
    kinds: dict[Kind, Sold]
    names: dict[Kind, str]
    data: dict[str, dict[str, Any]]


class _Handle(msgspec.Struct, frozen=True):
    choice: Choice
    templates: tuple[str, ...]
    offerings: frozenset[OfferingKey]


class Asks:
    """A Preparer of EC2 orders."""

    def __init__(
        self,
        cluster: Callable[[], Cluster],
        region: str,
        images: Images,
        templates: Templates,
        subnets: Subnets,
        unavailable: Unavailable,
        reservations: Reservations,
        *,
        reserved_capacity: bool = True,
    ) -> None:
        self._cluster, self._region, self._images = cluster, region, images
        self._templates, self._subnets = templates, subnets
        self._unavailable, self._reservations = unavailable, reservations
        self._reserved_capacity = reserved_capacity
        self._made: dict[Hashable, _Made] = {}
        self.failures: Counter[tuple[str, str, str, str]] = Counter()
        """Errors of fleets by (zone, zone id, capacity type, reason), as the metric of launch failures counts them."""

    def tags(self, ask: Ask) -> Mapping[str, str]:
        """See Preparer."""
        return ask.tags

    def own(self, ask: Ask) -> Mapping[str, str]:
        """See Preparer."""
        return ask.own

    async def prepare(self, ask: Ask, count: int) -> Prepared:
        """See Preparer."""
        subnets = ask.node_class.status.subnets
        if not subnets:
            raise LaunchFailed("SubnetResolutionFailed", f"EC2NodeClass {ask.node_class.name} has found no subnets")
        made = self._making(ask)
        kinds, names = made.kinds, made.names
        await self._templates.ensure(made.data, ask.tags)
        zones = _zones(ask, kinds)
        choice = await self._subnets.choose(subnets, zones, count)
        configs = [fleet.Config(names[kind], self._overrides(ask, kind, sold, choice)) for kind, sold in kinds.items()]
        kept = tuple(config for config in configs if config.overrides)
        if not kept:
            self._subnets.used(choice, ())
            why = "no capacity offerings are currently available given the constraints: no subnet in their zones"
            raise LaunchFailed("LaunchFailed", why)
        handle = _Handle(choice, tuple(names.values()), _offerings(ask, kinds, choice))
        return Prepared(self._buy(ask), kept, _reservations(ask, kinds), ask.placement_group, ask.partition, handle)

    def tried(self, prepared: Prepared) -> frozenset[OfferingKey]:
        """See Preparer."""
        handle: _Handle = prepared.handle
        return handle.offerings

    def heard(self, ask: Ask, prepared: Prepared, answer: fleet.Answer | None, error: AwsError | None) -> None:
        """See Preparer."""
        handle: _Handle = prepared.handle
        self._subnets.used(handle.choice, (one.subnet_id for one in answer.made) if answer is not None else ())
        if error is not None and error.code in refusals.NO_TEMPLATE:
            self._templates.forget(handle.templates)
        if error is not None and error.code == refusals.NO_SPOT_ROLE:
            self._unavailable.mark([(ANY, ANY, "spot")], error.code)
        for made in answer.made if answer is not None else ():
            if reservation := prepared.reservations.get((made.type, made.zone)):
                self._reservations.launched(reservation)
        for failed in answer.failed if answer is not None else ():
            self._learn(ask, prepared, failed)

    # What is asked

    def _making(self, ask: Ask) -> _Made:
        """Launch templates and offerings; those of the last buckets are kept."""
        known, cluster = self._made.get(ask.bucket), self._cluster()
        if known is None or known.cluster != cluster:
            kinds = self._kinds(ask)
            data = {kind: self._data(ask, kind) for kind in kinds}
            names = {kind: name_of(one) for kind, one in data.items()}
            known = _Made(ask, cluster, kinds, names, {names[kind]: data[kind] for kind in kinds})
            self._made[ask.bucket] = known
            while len(self._made) > _KEPT:
                del self._made[next(iter(self._made))]
        return known

    def _kinds(self, ask: Ask) -> dict[Kind, Sold]:
        """Launch templates, with the (cell, type) that are launched by each."""
        found: dict[Kind, Sold] = {}
        for c, types in sorted(ask.request.sale.items()):
            for t in bits(types):
                one = ask.market.catalog.instance_types[t]
                if image := self._images(ask.node_class, one):
                    found.setdefault(self._kind(ask, c, t, image), []).append((c, t))
        if not found:
            why = f"no instance types satisfy requirements of amis {[one.id for one in ask.node_class.status.amis]}"
            raise NotReady(f"EC2NodeClass {ask.node_class.name}: {why}")
        return dict(sorted(found.items()))

    def _kind(self, ask: Ask, c: int, t: int, image: str) -> Kind:
        amounts = ask.market.universe.capacity[t]
        labels = dict(ask.market.universe.cells[c].labels)
        reserved = ask.request.capacity_type == "reserved"
        return Kind(
            image_id=image,
            pods=amounts.get("pods", 0),
            capacity_type=ask.request.capacity_type,
            efa=amounts.get(EFA, 0) if ask.efa else 0,
            tenancy=ask.tenancy,
            enclave=ask.enclave,
            reservation=labels.get(_RESERVATION_ID, "") if reserved else "",
            market=_MARKETS.get(_reservation_kind(labels), "") if reserved else "",
            placement_group=ask.placement_group,
            partition=ask.partition,
        )

    def _data(self, ask: Ask, kind: Kind) -> dict[str, Any]:
        return template_data(
            ask.node_class,
            self._cluster(),
            kind,
            ask.claimed,
            ask.tags,
            region=self._region,
            reservations=self._reserved_capacity,
        )

    def _overrides(self, ask: Ask, kind: Kind, sold: Sold, choice: Choice) -> tuple[fleet.Override, ...]:
        cells, names = ask.market.universe.cells, ask.market.universe.names
        return tuple(
            fleet.Override(cells[c].price_usd[t], names[t], cells[c].zone, choice.of_zone[cells[c].zone], kind.image_id)
            for c, t in sold
            if cells[c].zone in choice.of_zone
        )

    def _buy(self, ask: Ask) -> fleet.Buy:
        kind = ""
        if ask.request.capacity_type == "reserved":
            c = min(ask.request.sale)  # all are of one kind: the choice of what to ask for sees to that
            kind = _reservation_kind(dict(ask.market.universe.cells[c].labels))
        return fleet.Buy(ask.request.capacity_type, kind, ask.by_priority, ask.context)

    # What is learnt

    def _learn(self, ask: Ask, prepared: Prepared, failed: fleet.Failed) -> None:
        capacity_type = prepared.buy.capacity_type
        reason, _ = refusals.named(f"{failed.code}: {failed.message}")
        zone_ids = {one.zone: one.zone_id for one in ask.node_class.status.subnets}
        self.failures[failed.zone, zone_ids.get(failed.zone, ""), capacity_type, reason] += 1
        elsewhere = False
        if failed.code == refusals.NO_ADDRESSES and failed.subnet_id:
            self._subnets.full(failed.subnet_id)
            others = [one.id for one in ask.node_class.status.subnets if one.zone == failed.zone]
            elsewhere = any(not self._subnets.is_full(id_) for id_ in others)
        if failed.code == refusals.NO_SPOT_ROLE:
            self._unavailable.mark([(ANY, ANY, "spot")], failed.code)
        elif refusals.SPREAD_LIMIT in failed.message:
            # It is the group that is full, and the group is the class's: its types in this zone have to wait.
            full = [one for one in self.tried(prepared) if one[1] == failed.zone]
            self._unavailable.mark(sorted(full), refusals.SPREAD_LIMIT)
        elif failed.code in refusals.UNFULFILLABLE and capacity_type == "reserved":
            if reservation := prepared.reservations.get((failed.type, failed.zone)):
                self._reservations.none_left(reservation)
        elif failed.code in refusals.UNFULFILLABLE and failed.type and not elsewhere:
            self._unavailable.mark([(failed.type, failed.zone, capacity_type)], failed.code)


def _reservation_kind(labels: Mapping[str, str]) -> str:
    if labels.get(RESERVATION_TYPE) == "capacity-block":
        return fleet.BLOCK
    return fleet.INTERRUPTIBLE if labels.get(INTERRUPTIBLE) == "true" else fleet.DEFAULT


def _zones(ask: Ask, kinds: Mapping[Kind, Sold]) -> dict[str, int]:
    """Zone → least pods of a type that is on sale there."""
    found: dict[str, int] = {}
    for kind, sold in kinds.items():
        for c, _ in sold:
            zone = ask.market.universe.cells[c].zone
            found[zone] = min(found.get(zone, kind.pods), kind.pods)
    return found


def _offerings(ask: Ask, kinds: Mapping[Kind, Sold], choice: Choice) -> frozenset[OfferingKey]:
    keys = (ask.market.key(t, c) for sold in kinds.values() for c, t in sold)
    return frozenset(key for key in keys if key[1] in choice.of_zone)


def _reservations(ask: Ask, kinds: Mapping[Kind, Sold]) -> dict[tuple[str, str], str]:
    if ask.request.capacity_type != "reserved":
        return {}
    cells, names = ask.market.universe.cells, ask.market.universe.names
    return {
        (names[t], cells[c].zone): kind.reservation for kind, sold in kinds.items() for c, t in sold if kind.reservation
    }
