"""Capacity reservations: how many instances are left in each, what they cost, and what their end does.

An open-ended reservation's instances go on as on-demand when it ends. A capacity block's are drained from 40 minutes
before its end on and taken back 30 minutes before it; an interruptible reservation's get two minutes. A reservation is
paid for as long as there is one, whoever uses it.

Source: Karpenter AWS provider v1.14 pkg/providers/capacityreservation and pkg/controllers/capacityreservation; EC2 User
Guide, Capacity Blocks for ML (instances end 30 minutes before the block does).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from fretsaw.api.catalog import Catalog, InstanceType, Offering
from fretsaw.api.labels import CAPACITY_TYPE, normalize
from fretsaw.api.times import MINUTE, Millis
from fretsaw.engine.universe import RESERVATION_ID, RESERVED, bits
from fretsaw.errors import UserError
from fretsaw.providers.fleet.market import INTERRUPTIBLE, RESERVATION_TYPE, Market
from fretsaw.sim.cloud.announce import Announcer
from fretsaw.sim.cloud.bill import Bill, Commitment
from fretsaw.sim.cloud.machines import Machines
from fretsaw.sim.cloud.settings import ReservationTerms
from fretsaw.sim.cloud.spot_price import Constant
from fretsaw.sim.instance import Instance
from fretsaw.sim.world import World

EXPIRING: Millis = 40 * MINUTE
"""A block is not launched into, and its instances are to leave, so long before its end."""
BLOCK_RECLAIM: Millis = 30 * MINUTE
"""EC2 ends a block's instances so long before its end."""
NOTICE: Millis = 2 * MINUTE
"""Notice of an interruptible reservation; nothing is launched into it any more."""
SYNC: Millis = 1 * MINUTE
"""A reservation that EC2 could not launch into counts as full until the node class is read again."""


class _Reservation:
    """One reservation of the catalog with its terms."""

    def __init__(self, id_: str, labels: dict[str, str], count: int, on_demand: int, terms: ReservationTerms) -> None:
        self.id = id_
        self.block = labels.get(RESERVATION_TYPE) == "capacity-block"
        self.interruptible = labels.get(INTERRUPTIBLE) == "true"
        self.left = count
        self.on_demand = on_demand
        """Nano-USD an hour of its type on demand, 0 where there is no such price."""
        self.terms = terms
        self.full_until: Millis = 0

    @property
    def closes(self) -> Millis | None:
        """When nothing can be launched into it any more."""
        if self.terms.end is None:
            return None
        return self.terms.end - (EXPIRING if self.block else NOTICE if self.interruptible else 0)


class Reservations:
    """All reservations of the catalogs. `changed` is called when what is left of any is another number."""

    def __init__(
        self,
        world: World,
        markets: Iterable[Market],
        terms: Iterable[ReservationTerms],
        machines: Machines,
        bill: Bill,
        announcer: Announcer,
        changed: Callable[[], None],
    ) -> None:
        self._world = world
        self._machines = machines
        self._announcer = announcer
        self._changed = changed
        by_id = {one.id: one for one in terms}
        self._all: dict[str, _Reservation] = {}
        for market in markets:
            self._read(market, by_id)
        unknown = sorted(set(by_id) - set(self._all))
        if unknown:
            known = ", ".join(sorted(self._all)) or "none"
            raise UserError(
                "reservations", "no node class has such a reservation", ", ".join(unknown), f"known: {known}"
            )
        for one in self._all.values():
            bill.commitments.append(_commitment(one, world.loop.start))
            self._plan(one)
        machines.on_gone.append(self._gone)

    def __bool__(self) -> bool:
        return bool(self._all)

    def _read(self, market: Market, terms: dict[str, ReservationTerms]) -> None:
        for c in bits(market.universe.reserved_cells):
            cell = market.universe.cells[c]
            id_ = cell.reservation
            if id_ not in self._all:
                count = cell.reservation_capacity or 0
                on_demand = next((p for t in bits(cell.listed) if (p := market.on_demand(t)) is not None), 0)
                own = terms.get(id_, ReservationTerms(id=id_))
                if own.count is None:
                    own = msgspec.structs.replace(own, count=count)
                self._all[id_] = _Reservation(id_, dict(cell.labels), count, on_demand, own)

    def _plan(self, one: _Reservation) -> None:
        loop, start, end = self._world.loop, one.terms.start, one.terms.end
        if start is not None and start > loop.now:
            loop.at(start, self._changed)
        if end is None or end < loop.now:
            return
        loop.at(one.closes or end, self._changed)
        if one.block:
            loop.at(end - EXPIRING, self._warn, one, end - BLOCK_RECLAIM)
            loop.at(end - BLOCK_RECLAIM, self._reclaim, one)
        elif one.interruptible:
            loop.at(end - NOTICE, self._warn, one, end)
            loop.at(end, self._reclaim, one)
        else:
            loop.at(end, self._release, one)

    # Instances

    def left(self, reservation: str) -> int:
        """Instances that can be launched into it now."""
        one = self._all.get(reservation)
        if one is None:
            return 0
        now, start, closes = self._world.loop.now, one.terms.start, one.closes
        open_ = (start is None or start <= now) and (closes is None or now < closes)
        return one.left if open_ and one.full_until <= now else 0

    def mark_full(self, reservation: str) -> None:
        """EC2 could not launch into it, whatever the count says."""
        one = self._all[reservation]
        one.full_until = self._world.loop.now + SYNC
        self._changed()
        self._world.loop.at(one.full_until, self._changed)

    def take(self, reservation: str) -> None:
        """An instance was launched into it."""
        self._all[reservation].left -= 1
        self._changed()

    def _gone(self, instance: Instance) -> None:
        """EC2 no longer lists an instance: its place is free."""
        if instance.reservation:
            self._all[instance.reservation].left += 1
            self._changed()

    def _of(self, one: _Reservation) -> list[Instance]:
        return [i for i in self._machines.alive() if i.reservation == one.id and i.capacity_type == RESERVED]

    def _warn(self, one: _Reservation, ends: Millis) -> None:
        for instance in self._of(one):
            self._announcer.announce(
                instance, "capacity_reservation_interrupted", "reservation-ending", ends=ends, reservation=one.id
            )

    def _reclaim(self, one: _Reservation) -> None:
        for instance in self._of(one):
            self._machines.end(instance, "reservation-end")

    def _release(self, one: _Reservation) -> None:
        """The instances go on, and cost what they cost on demand."""
        for instance in self._of(one):
            instance.labels = {k: v for k, v in instance.labels.items() if k not in (RESERVATION_ID, RESERVATION_TYPE)}
            instance.labels[CAPACITY_TYPE] = "on-demand"
            self._machines.rebuy(instance, "on-demand", Constant(one.on_demand))

    # What the autoscaler sees

    def shown(self, catalog: Catalog) -> Catalog:
        """The catalog with what is left of each reservation now."""
        types = [self._shown_type(t) for t in catalog.instance_types]
        return msgspec.structs.replace(catalog, instance_types=types)

    def _shown_type(self, one: InstanceType) -> InstanceType:
        if not any(offering.capacity_type == RESERVED for offering in one.offerings):
            return one
        return msgspec.structs.replace(one, offerings=[self._shown_offering(offering) for offering in one.offerings])

    def _shown_offering(self, offering: Offering) -> Offering:
        if offering.capacity_type != RESERVED:
            return offering
        left = self.left(id_of(offering))
        return msgspec.structs.replace(offering, reservation_capacity=left, available=offering.available and left > 0)


def id_of(offering: Offering) -> str:
    """A reserved offering's identity, as `Cell.reservation` has it."""
    labels = tuple(sorted((normalize(key), value) for key, value in offering.labels.items()))
    return dict(labels).get(RESERVATION_ID, f"{offering.zone}/{labels}")


def _commitment(one: _Reservation, start: Millis) -> Commitment:
    terms = one.terms
    each = one.on_demand if terms.usd_per_hour is None else round(terms.usd_per_hour * 1e9)
    begin = start if terms.start is None else max(start, terms.start)
    return Commitment(one.id, each * (terms.count or 0), begin, terms.end)
