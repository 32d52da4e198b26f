"""The virtual EC2, with the part of the AWS provider that stands before it.

    cloud = Cloud(world, catalogs, settings)
    cloud.launch(claim)            → InstanceCreated or LaunchRefused, once for each claim
    cloud.terminate(provider_id)   → InstanceGone

Answers, and what EC2 says by itself, go to `world.report`; the kubelets listen with `on_running` and `on_ended`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from fretsaw.api.catalog import Catalog
from fretsaw.api.labels import NODEPOOL
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.times import SECOND, Millis
from fretsaw.engine import events as e
from fretsaw.engine.universe import RESERVED
from fretsaw.errors import BrokenInvariant
from fretsaw.providers.fleet.choose import Nothing, Request, request
from fretsaw.providers.fleet.fill import Answer, Override, Supply, fill
from fretsaw.providers.fleet.market import Market, usd
from fretsaw.providers.fleet.offerings import OfferingKey, Selector
from fretsaw.sim.cloud.announce import Announcer
from fretsaw.sim.cloud.bill import Bill
from fretsaw.sim.cloud.calls import Calls
from fretsaw.sim.cloud.catalogs import Catalogs
from fretsaw.sim.cloud.machines import CapacityType, Listener, Machines, offering_of
from fretsaw.sim.cloud.prices import Prices
from fretsaw.sim.cloud.quotas import Quotas
from fretsaw.sim.cloud.reclaims import Reclaims
from fretsaw.sim.cloud.reservations import Reservations
from fretsaw.sim.cloud.settings import CloudSettings, Throttle
from fretsaw.sim.cloud.stock import Stock
from fretsaw.sim.cloud.unavailable import Unavailable
from fretsaw.sim.instance import Instance
from fretsaw.sim.world import World

LEAKED: Millis = 30 * SECOND
"""An instance without a NodeClaim is left alone so long: its claim may not have been written yet."""


class Cloud:
    """EC2 for one run. catalogs: what each pool's node class can launch. unready: pools that cannot launch, and why."""

    def __init__(
        self,
        world: World,
        catalogs: Mapping[str, Catalog],
        settings: CloudSettings | None = None,
        unready: Mapping[str, str] | None = None,
    ) -> None:
        self._world = world
        self.settings = settings if settings is not None else CloudSettings()
        self.bill = Bill()
        self.machines = Machines(world, self.settings, self.bill)
        self.stock = Stock(world.dice, world.loop.start, self.settings.stock)
        self.prices = Prices(world, self.settings.spot_path, self.settings.price_steps)
        self.catalogs = Catalogs(world, catalogs, unready or {}, self.prices)
        self.quotas = Quotas(self.settings.quotas)
        self.unavailable = Unavailable(world.loop, self.settings.unavailable, self._offerings_out)
        announcer = Announcer(world, self.settings, self.unavailable)
        self._announcer = announcer
        self.reclaims = Reclaims(world, self.settings, self.machines, self.stock, announcer)
        self.reservations = Reservations(
            world,
            self.catalogs.markets(),
            self.settings.reservations,
            self.machines,
            self.bill,
            announcer,
            self.catalogs.changed,
        )
        self.catalogs.shown = self.reservations.shown
        self.supply = Supply(self.prices.now, self._depth, self._refusal, self.prices.epoch, self.settings.price_band)
        self._calls = Calls(world, self.settings, self._answer)
        self._asked: dict[str, e.InstanceCreated | None] = {}
        """By claim: None while EC2 has not answered."""
        self._listed: frozenset[str] | None = None
        self.machines.on_ended.append(self._ended)
        self.machines.on_gone.append(self._gone)
        world.loop.after(self.settings.listing, self._list)
        path = self.settings.spot_path
        refresh = self.settings.price_refresh if path is None else path.refresh
        if self.prices.moving and refresh is not None:
            self.catalogs.refresh(refresh)

    # What the performer and the kubelets ask

    def launch(self, claim: NodeClaim) -> None:
        """Launch the claim's instance. Asked again, it is the same instance; after a refusal, a new try."""
        name = claim.metadata.name
        if name in self._asked:
            answered = self._asked[name]
            if answered is not None:
                self._soon(answered)
            return
        pool = claim.metadata.labels.get(NODEPOOL, "")
        if self.catalogs.market(pool) is None:
            self._soon(e.LaunchRefused(name, "NodeClassNotReady", self.catalogs.why_not(pool)))
            return
        self._asked[name] = None
        kind = (pool, claim.spec.requirements, tuple(sorted(claim.spec.resources.requests.items())))
        self._calls.ask(claim, kind)

    def terminate(self, provider_id: str) -> None:
        """End an instance. One that is gone, or never was, is answered at once."""
        instance = self.machines.get(provider_id)
        if instance is None or instance.state == "terminated":
            self._soon(e.InstanceGone(provider_id))
            return
        self.machines.end(instance, "terminated")

    def _soon(self, event: e.Event) -> None:
        """Answer in this moment, but not within the call: the caller may be in the middle of its own work."""
        self._world.loop.at(self._world.loop.now, self._world.report, event)

    def on_running(self, listener: Listener) -> None:
        """Call `listener` when an instance runs: its machine begins to boot."""
        self.machines.on_running.append(listener)

    def on_ended(self, listener: Listener) -> None:
        """Call `listener` when a machine stops, whoever stopped it; also one that never ran."""
        self.machines.on_ended.append(listener)

    def instance(self, provider_id: str) -> Instance | None:
        """An instance, also one that is long gone."""
        return self.machines.get(provider_id)

    # What a fault timetable does

    def set_out(self, where: Selector, until: Millis) -> None:
        """There is nothing to be had of `where` until then."""
        self.stock.set_out(where, until)

    def set_stock(self, where: Selector, count: int) -> None:
        """From now on so many more instances can be had of each offering of `where`."""
        self.stock.set_stock(where, count)

    def reclaim(self, where: Selector, share: float = 1.0) -> int:
        """Take each spot instance of `where` back with this chance; how many were."""
        return self.reclaims.burst(where, share, f"fault/{where}/{self._world.loop.now}")

    def take_back(self, provider_id: str) -> None:
        """Take one spot instance back, with the usual notice; nothing happens to any other instance."""
        instance = self.machines.get(provider_id)
        if instance is not None and instance.alive and instance.capacity_type == "spot":
            self.reclaims.reclaim(instance)

    def throttle(self, limit: Throttle, until: Millis) -> None:
        """EC2 takes no more calls than this until then, and as the settings say after that."""
        self._calls.limit(limit)
        self._world.loop.at(until, self._calls.limit, self.settings.throttle)

    def fail(self, provider_id: str, why: str) -> None:
        """The machine dies without notice. why: the fault's name, as `Instance.why_ended` has it."""
        instance = self.machines.get(provider_id)
        if instance is not None:
            self.machines.end(instance, why)

    def announce(self, provider_id: str, kind: e.InterruptionKind) -> None:
        """EC2 says something about an instance, such as `scheduled_change`, and does nothing more."""
        instance = self.machines.get(provider_id)
        if instance is not None and instance.alive:
            self._announcer.announce(instance, kind, "instance-announced", said=kind)

    # Launching

    def _answer(self, claims: list[NodeClaim]) -> None:
        """CreateFleet answers for all claims of a call."""
        for claim in claims:
            market = self._market(claim)
            asked = request(market, market.wants(claim), market.down(self.unavailable), self.reservations.left)
            if isinstance(asked, Nothing):
                self._refuse(claim, asked.message)
            else:
                self._fill(claim, market, asked)

    def _market(self, claim: NodeClaim) -> Market:
        market = self.catalogs.market(claim.metadata.labels.get(NODEPOOL, ""))
        if market is None:
            raise BrokenInvariant(f"a launch of {claim.metadata.name} without a catalog")
        return market

    def _fill(self, claim: NodeClaim, market: Market, asked: Request) -> None:
        answer = fill(market, asked, self.supply, self._world.dice.once("fleet", claim.metadata.name))
        if answer.errors:
            self._note_errors(claim, market, answer)
        if answer.launched is None:
            codes = sorted({failed.code for failed in answer.errors})
            self._refuse(claim, f"with fleet error(s), {'; '.join(codes)}")
        else:
            self._create(claim, market, answer.launched)

    def _note_errors(self, claim: NodeClaim, market: Market, answer: Answer) -> None:
        """The provider avoids what EC2 could not fill; one fact for each call."""
        failed = [(*one.override.offering, one.code) for one in answer.errors]
        self._world.journal.note(
            "insufficient-capacity",
            f"NodeClaim/{claim.metadata.name}",
            pool=claim.metadata.labels.get(NODEPOOL, ""),
            launched=answer.launched is not None,
            offerings=failed,
        )
        self.unavailable.mark(o.override.offering for o in answer.errors if o.override.offering[2] != RESERVED)
        for one in answer.errors:
            if one.override.offering[2] == RESERVED:
                self.reservations.mark_full(market.universe.cells[one.override.c].reservation)

    def _refuse(self, claim: NodeClaim, message: str) -> None:
        del self._asked[claim.metadata.name]
        self._world.journal.note("launch-refused", f"NodeClaim/{claim.metadata.name}", message=message)
        self._world.report(e.LaunchRefused(claim.metadata.name, "InsufficientCapacity", message))

    def _create(self, claim: NodeClaim, market: Market, bought: Override) -> None:
        wants = market.wants(claim)
        instance = self._instance(claim, market, bought)
        if instance.reservation:
            self.reservations.take(instance.reservation)
        self.stock.take(bought.offering)
        self.quotas.use(market.letters[bought.t], market.vcpus[bought.t], bought.offering[2])
        capacity, allocatable = market.amounts(bought.t, wants)
        created = e.InstanceCreated(
            claim=claim.metadata.name,
            provider_id=instance.provider_id,
            labels=instance.labels,
            capacity=capacity,
            allocatable=allocatable,
            price_usd_per_hour=instance.price_usd_per_hour,
        )
        self._asked[claim.metadata.name] = created
        self.machines.launch(instance, self.prices.rate(market, bought.t, bought.c), market.on_demand(bought.t))
        self._world.report(created)

    def _instance(self, claim: NodeClaim, market: Market, bought: Override) -> Instance:
        name, cell = claim.metadata.name, market.universe.cells[bought.c]
        number = self._world.dice.once("instance", name).getrandbits(68)
        labels = market.labels(bought.t, bought.c, market.wants(claim))
        pool = claim.metadata.labels.get(NODEPOOL)
        return Instance(
            provider_id=f"aws:///{cell.zone}/i-{number:017x}",
            claim=claim,
            type=market.catalog.instance_types[bought.t],
            zone=cell.zone,
            capacity_type=cast(CapacityType, cell.capacity_type),
            price_usd_per_hour=usd(bought.price),
            asked=self._world.loop.now,
            labels={**labels, NODEPOOL: pool} if pool else labels,
            reservation=cell.reservation,
        )

    def _depth(self, market: Market, override: Override) -> float:
        stock = self.stock.left(override.offering, self._world.loop.now)
        cell = market.universe.cells[override.c]
        return min(stock, self.reservations.left(cell.reservation)) if cell.reserved else stock

    def _refusal(self, market: Market, t: int, capacity_type: str) -> str:
        return self.quotas.refusal(market.letters[t], market.vcpus[t], capacity_type)

    # Ends

    def _ended(self, instance: Instance) -> None:
        """EC2 tells of an instance that nobody asked it to end."""
        if instance.why_ended not in ("terminated", "leaked"):
            self._announcer.announce(instance, "instance_terminated")

    def _gone(self, instance: Instance) -> None:
        offering = offering_of(instance)
        self.stock.give_back(offering)
        market = self._market(instance.claim)
        t = market.index(offering[0])
        if t is not None:
            self.quotas.use(market.letters[t], -market.vcpus[t], offering[2])
        self._world.report(e.InstanceGone(instance.provider_id))

    # What is told by itself

    def _offerings_out(self, offerings: frozenset[OfferingKey]) -> None:
        self._world.report(e.OfferingsOut(offerings))

    def _list(self) -> None:
        """All instances, where they are others than last time; those that no claim names are ended."""
        if self.settings.collect_leaked:
            self._collect()
        alive = self.machines.alive_ids()
        if alive != self._listed:
            self._listed = alive
            self._world.report(e.InstancesListed(alive))
        self._world.loop.after(self.settings.listing, self._list)

    def _collect(self) -> None:
        """End what no claim names. Source: Karpenter AWS provider v1.14 pkg/controllers/nodeclaim/garbagecollection."""
        claims = self._world.store.all("NodeClaim")
        for instance in self.machines.alive():
            if instance.claim.metadata.name not in claims and self._world.loop.now - instance.asked > LEAKED:
                self.machines.end(instance, "leaked")
