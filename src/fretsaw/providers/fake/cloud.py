"""A cloud in memory: the truth about instances, for tests and for trying things out without an account.

    cloud = FakeCloud(CloudSettings(shutdown_s=1))
    answer = cloud.launch(order)        # once for each token, whoever asks and how often
    cloud.terminate(answer.created.provider_id)

It lives outside of the process that asks it (`server`), so that it outlives it. Nothing here waits: `settle` lets
happen what is due, and says when the next thing is; a clock of a test's own is enough to run it.
Which offering is launched is decided as the virtual EC2 of the simulator decides it (`providers.fleet.fill`).
"""

from __future__ import annotations

import hashlib
import heapq
import time
from collections.abc import Callable
from random import Random

import msgspec

from fretsaw.api.catalog import Catalog
from fretsaw.api.labels import NODEPOOL
from fretsaw.api.times import HOUR, MINUTE, Millis
from fretsaw.engine.events import InstanceCreated, InterruptionKind
from fretsaw.errors import InstanceNotFound, OutOfCapacity, ProviderError
from fretsaw.providers.fake.faults import CallFault, CallFaults, NodeFault, NodeFaults
from fretsaw.providers.fake.instance import Instance
from fretsaw.providers.fake.stock import ScriptedStock
from fretsaw.providers.fake.wire import Announcement, Call, Launched, Offering, Operation, Order
from fretsaw.providers.fleet.choose import Request
from fretsaw.providers.fleet.fill import Override, Supply, fill
from fretsaw.providers.fleet.market import Market, usd
from fretsaw.providers.fleet.offerings import Selector

Listener = Callable[[Instance], None]
KEPT: Millis = 5 * MINUTE
"""Announcements older than this are told no more: who begins to listen late need not hear of a life long over."""
_MARKETS = 256
_ENDS = ("instance_terminated", "instance_stopped")
"""Announcements that tell of an end."""


class CloudSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the cloud takes its time. Seconds."""

    pending_s: float = 0.2
    """From a launch to a machine that runs; EC2 takes 10 to 20."""
    shutdown_s: float = 1.0
    """From the end of a machine until the cloud knows it no longer; EC2 takes 30 to 90, GPU machines longer."""
    notice_s: float = 120.0
    """From the announcement of a spot interruption to the end: EC2's two minutes, for tests less."""
    latency_s: float = 0.0
    """Each call takes so long."""
    price_band: float = 0.10
    """Spot offerings up to so much above the cheapest are as good as it, as in the simulator."""


class AnswerLostError(ProviderError):
    """A call was done, and its answer is lost on the way."""


class FakeCloud:
    """All instances. Not for several threads."""

    def __init__(self, settings: CloudSettings | None = None, now: Callable[[], Millis] | None = None) -> None:
        """now: milliseconds since 1970, the wall clock by default."""
        self.settings = settings if settings is not None else CloudSettings()
        self.now = now if now is not None else lambda: time.time_ns() // 1_000_000
        self.stock = ScriptedStock()
        self.call_faults = CallFaults()
        self.node_faults = NodeFaults()
        self.log: list[Call] = []
        """Everything that ever happened, in order; never shortened."""
        self.announced: list[Announcement] = []
        self.on_running: list[Listener] = []
        self.on_ended: list[Listener] = []
        self.on_node_fault: list[Callable[[NodeFault], None]] = []
        """Called for a fault of a Node that is there."""
        self.on_change: list[Callable[[], None]] = []
        """Called after everything that is new to who waits: an announcement, or something that is due later."""
        self._by_token: dict[str, Instance] = {}
        self._by_id: dict[str, Instance] = {}
        self._due: list[tuple[Millis, int, Callable[[Instance], None], Instance]] = []
        self._number = 0
        self._markets: dict[bytes, Market] = {}

    # Calls

    def launch(self, order: Order) -> Launched:
        """The token's instance, launched if there never was one.

        Raises OutOfCapacity with what was tried, the errors of faults, and AnswerLostError where one says so.
        """
        self.settle()
        fault = self.call_faults.take("launch", order.claim.metadata.name)
        error = fault.error(_offerings(order)) if fault is not None else None
        if error is not None:
            self._log("launch", type(error).__name__, order)
            raise error
        answer = self._launched(order)
        if fault is not None:
            raise AnswerLostError("the answer is lost")
        return answer

    def terminate(self, provider_id: str) -> None:
        """End an instance; the cloud knows it a while longer. Raises InstanceNotFound once it does not."""
        self.settle()
        found = self._by_id.get(_id(provider_id))
        claim = found.created.claim if found is not None else ""
        fault = self.call_faults.take("terminate", claim)
        error = fault.error(()) if fault is not None else None
        if found is None or found.state == "terminated":
            error = error or InstanceNotFound(f"there is no instance {provider_id}")
        if error is not None or found is None:
            self._note("terminate", type(error).__name__, found, provider_id=provider_id)
            raise error or InstanceNotFound(provider_id)
        self._note("terminate", "ok", found)
        self._end(found, "terminated")
        if fault is not None:
            raise AnswerLostError("the answer is lost")

    def instance(self, provider_id: str) -> Instance:
        """An instance that is there or shuts down. Raises InstanceNotFound for any other."""
        self.settle()
        found = self._by_id.get(_id(provider_id))
        if found is None or found.state == "terminated":
            raise InstanceNotFound(f"there is no instance {provider_id}")
        return found

    def of_token(self, token: str) -> Instance | None:
        """The instance that a token was answered with, also one that is gone."""
        return self._by_token.get(token)

    def instances(self) -> list[Instance]:
        """Those that are there, in the order of their launch."""
        self.settle()
        return [one for one in self._by_id.values() if one.alive]

    def everything(self) -> list[Instance]:
        """All that ever were, in the order of their launch."""
        return list(self._by_id.values())

    def fault(self, on: Operation) -> None:
        """For calls that only read: raise what a fault says. Raises ProviderErrors."""
        fault = self.call_faults.take(on)
        if fault is not None:
            error = fault.error(()) or AnswerLostError("the answer is lost")
            self._note(on, type(error).__name__, None)
            raise error

    def hang(self, on: Operation, claim: str = "") -> float:
        """Seconds for which the call that is about to be done is held back."""
        fault = self.call_faults.take(on, claim, hang=True)
        return self.settings.latency_s + (fault.seconds if fault is not None else 0.0)

    # What the cloud does by itself, and what a test lets it do

    def interrupt(
        self, provider_id: str, kind: InterruptionKind = "spot_interrupted", notice_s: float | None = None
    ) -> None:
        """Announce something about an instance: a spot interruption ends it after the notice, instance_terminated and
        instance_stopped at once, anything else is only said. Raises InstanceNotFound for one that is not there."""
        found = self.instance(provider_id)
        if not found.alive:
            raise InstanceNotFound(f"instance {provider_id} is shutting down")
        if kind in _ENDS:
            self._end(found, kind)
        self._announce(found, kind)
        if kind == "spot_interrupted":
            notice = self.settings.notice_s if notice_s is None else notice_s
            self._later(notice, self._reclaim, found)
        self._tell_change()

    def set_stock(self, where: Selector, count: int | None) -> None:
        """From now on so many more instances of each offering of `where`; None: no limit."""
        self.stock.set(where, count)

    def inject(self, fault: CallFault | NodeFault) -> None:
        """Let something go wrong."""
        if isinstance(fault, CallFault):
            self.call_faults.add(fault)
        elif fault.node:
            for listener in self.on_node_fault:
                listener(fault)
        else:
            self.node_faults.add(fault)

    def clear_faults(self) -> None:
        """Nothing goes wrong from now on; what went wrong with machines stays."""
        self.call_faults.clear()
        self.node_faults.clear()

    def settle(self) -> Millis | None:
        """Let happen what is due by now; when the next thing is, None for nothing."""
        now = self.now()
        while self._due and self._due[0][0] <= now:
            _, _, happen, instance = heapq.heappop(self._due)
            happen(instance)
        return self._due[0][0] if self._due else None

    # What can be asked afterwards

    def announcements(self, after: int) -> tuple[Announcement, ...]:
        """What was said after number `after`, and is not too old."""
        self.settle()
        since = self.now() - KEPT
        return tuple(one for one in self.announced[max(after, 0) :] if one.at >= since)

    def cost_usd(self) -> float:
        """What all instances have cost: seconds that they ran × their price."""
        now = self.now()
        return sum(one.cost_nano_hours(now) for one in self._by_id.values()) / HOUR / 1e9

    # Inside

    def _launched(self, order: Order) -> Launched:
        known = self._by_token.get(order.token)
        if known is not None:
            self._log("launch", "same", order, known)
            return Launched(known.created)
        market = self._market(order.catalog)
        sale = {c: cell.on_sale for c, cell in enumerate(market.universe.cells) if cell.on_sale}
        kind = next((market.universe.cells[c].capacity_type for c in sale), "on-demand")
        answer = fill(market, Request(kind, sale), self._supply(), Random(order.token))
        failed = tuple(one.override.offering for one in answer.errors)
        if answer.launched is None:
            self._log("launch", "OutOfCapacity", order)
            codes = sorted({one.code for one in answer.errors})
            raise OutOfCapacity(
                f"with fleet error(s), {'; '.join(codes) or 'nothing was asked for'}", frozenset(failed)
            )
        instance = self._create(order, market, answer.launched)
        self._log("launch", "created", order, instance)
        return Launched(instance.created, failed)

    def _create(self, order: Order, market: Market, bought: Override) -> Instance:
        wants = market.wants(order.claim)
        cell = market.universe.cells[bought.c]
        labels = market.labels(bought.t, bought.c, wants)
        pool = order.claim.metadata.labels.get(NODEPOOL)
        capacity, allocatable = market.amounts(bought.t, wants)
        id_ = f"i-{hashlib.sha256(order.token.encode()).hexdigest()[:17]}"
        created = InstanceCreated(
            claim=order.claim.metadata.name,
            provider_id=f"aws:///{cell.zone}/{id_}",
            labels={**labels, NODEPOOL: pool} if pool else labels,
            capacity=capacity,
            allocatable=allocatable,
            image_id=order.images.get(labels.get("kubernetes.io/arch", ""), ""),
            price_usd_per_hour=usd(bought.price),
        )
        instance = Instance(
            created=created,
            token=order.token,
            claim=order.claim,
            type=market.catalog.instance_types[bought.t],
            offering=bought.offering,
            price_nano=0 if cell.reserved else bought.price,
            launched=self.now(),
            reservation=cell.reservation,
            node_class=order.node_class,
            class_hash=order.class_hash,
        )
        self.stock.take(bought.offering, id_)
        self._by_token[order.token] = self._by_id[id_] = instance
        self._later(self.settings.pending_s, self._run, instance)
        self._tell_change()
        return instance

    def _market(self, catalog: msgspec.Raw) -> Market:
        """The market of an order; orders of one shape share one."""
        text = bytes(catalog)
        known = self._markets.pop(text, None)
        if known is None:
            known = Market(msgspec.json.decode(text, type=Catalog))
            if len(self._markets) >= _MARKETS:
                del self._markets[next(iter(self._markets))]
        self._markets[text] = known  # at the end: the first one is the one that was not asked for longest
        return known

    def _supply(self) -> Supply:
        return Supply(
            price=lambda market, t, c: market.universe.cells[c].price_nano[t],
            depth=self._depth,
            refusal=lambda market, t, kind: "",
            epoch=lambda: 0,
            band=self.settings.price_band,
        )

    def _depth(self, market: Market, override: Override) -> float:
        left = self.stock.left(override.offering)
        cell = market.universe.cells[override.c]
        if not cell.reserved or cell.reservation_capacity is None:
            return left
        used = sum(one.alive and one.reservation == cell.reservation for one in self._by_id.values())
        return min(left, cell.reservation_capacity - used)

    def _run(self, instance: Instance) -> None:
        if instance.state == "pending":
            instance.state, instance.running_since = "running", self.now()
            self._note("running", "ok", instance)
            for listener in self.on_running:
                listener(instance)

    def _reclaim(self, instance: Instance) -> None:
        if instance.alive:
            self._end(instance, "spot-reclaim")
            self._announce(instance, "instance_terminated")
            self._tell_change()

    def _end(self, instance: Instance, why: str) -> None:
        """The machine stops: nothing is charged from now on. Nothing happens to one that has stopped."""
        if not instance.alive:
            return
        instance.state, instance.ended, instance.why_ended = "shutting-down", self.now(), why
        self._note("ended", why, instance)
        self._later(self.settings.shutdown_s, self._go, instance)
        for listener in self.on_ended:
            listener(instance)
        self._tell_change()

    def _go(self, instance: Instance) -> None:
        instance.state = "terminated"
        self.stock.give_back(instance.offering, instance.id)
        self._note("gone", "ok", instance)

    def _announce(self, instance: Instance, kind: InterruptionKind) -> None:
        number = len(self.announced) + 1
        self.announced.append(Announcement(number, self.now(), instance.provider_id, kind, instance.offering))
        self._note("announced", kind, instance)

    def _later(self, seconds: float, happen: Callable[[Instance], None], instance: Instance) -> None:
        self._number += 1
        heapq.heappush(self._due, (self.now() + round(seconds * 1000), self._number, happen, instance))

    def _tell_change(self) -> None:
        for listener in self.on_change:
            listener()

    def _log(self, call: str, answer: str, order: Order, instance: Instance | None = None) -> None:
        provider_id = instance.provider_id if instance is not None else ""
        self._write(call, answer, order.claim.metadata.name, order.token, provider_id)

    def _note(self, call: str, answer: str, instance: Instance | None, provider_id: str = "") -> None:
        if instance is None:
            self._write(call, answer, "", "", provider_id)
        else:
            self._write(call, answer, instance.created.claim, instance.token, instance.provider_id)

    def _write(self, call: str, answer: str, claim: str, token: str, provider_id: str) -> None:
        self.log.append(Call(len(self.log) + 1, self.now(), call, answer, claim, token, provider_id))


def _offerings(order: Order) -> list[Offering]:
    catalog = msgspec.json.decode(order.catalog, type=Catalog)
    return [(t.name, o.zone, o.capacity_type) for t in catalog.instance_types for o in t.offerings]


def _id(provider_id: str) -> str:
    """`i-…` of a provider id, or of an id."""
    return provider_id.rpartition("/")[2]
