"""Instances from the launch to the end: their states, their times, the bill's lines and the journal's facts.

Everything that waits for an instance (kubelet, reclaims, stock) is told through listeners, in the order in which they
came. The bill begins with `running` and ends when the machine does; EC2 lists it a while longer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from fretsaw.api.labels import NODEPOOL
from fretsaw.api.times import HOUR
from fretsaw.errors import BrokenInvariant
from fretsaw.providers.fleet.offerings import OfferingKey
from fretsaw.sim.cloud.bill import Bill, Line
from fretsaw.sim.cloud.settings import CloudSettings
from fretsaw.sim.cloud.spot_price import Rate
from fretsaw.sim.instance import Instance
from fretsaw.sim.loop import Timer
from fretsaw.sim.world import World

Listener = Callable[[Instance], None]
CapacityType = Literal["spot", "on-demand", "reserved"]


class Machines:
    """All instances of a run. The only writer of `Instance` and of the bill's lines."""

    def __init__(self, world: World, settings: CloudSettings, bill: Bill) -> None:
        self._world = world
        self._settings = settings
        self._bill = bill
        self._all: dict[str, Instance] = {}
        self._alive: dict[str, Instance] = {}
        self._alive_ids: frozenset[str] | None = None
        self._rates: dict[str, tuple[Rate, int | None]] = {}
        self._boots: dict[str, Timer] = {}
        self.on_launched: list[Listener] = []
        self.on_running: list[Listener] = []
        self.on_ended: list[Listener] = []
        self.on_gone: list[Listener] = []

    def get(self, provider_id: str) -> Instance | None:
        """An instance, also one that is long gone."""
        return self._all.get(provider_id)

    def __iter__(self) -> Iterator[Instance]:
        return iter(self._all.values())

    def alive(self) -> list[Instance]:
        """Those that are pending or running, in the order of their launch."""
        return list(self._alive.values())

    def alive_ids(self) -> frozenset[str]:
        """Their provider ids."""
        if self._alive_ids is None:
            self._alive_ids = frozenset(self._alive)
        return self._alive_ids

    def launch(self, instance: Instance, rate: Rate, on_demand: int | None) -> None:
        """Begin an instance. on_demand: what its type costs on demand, nano-USD an hour."""
        provider_id = instance.provider_id
        if provider_id in self._all:
            raise BrokenInvariant(f"two instances {provider_id}")
        self._all[provider_id] = self._alive[provider_id] = instance
        self._alive_ids = None
        self._rates[provider_id] = rate, on_demand
        self._note("instance-asked", instance)
        pending = self._settings.pending.draw(self._world.dice.once("pending", instance.claim.metadata.name))
        self._boots[provider_id] = self._world.loop.after(pending, self._run, instance)
        self._tell(self.on_launched, instance)

    def _run(self, instance: Instance) -> None:
        del self._boots[instance.provider_id]
        instance.state, instance.running_since = "running", self._world.loop.now
        rate, on_demand = self._rates[instance.provider_id]
        self._bill.lines[instance.provider_id] = Line(instance, self._world.loop.now, rate, on_demand)
        self._note("instance-running", instance)
        self._tell(self.on_running, instance)

    def end(self, instance: Instance, why: str) -> None:
        """The machine stops: nothing is charged from now on. Nothing happens to one that has stopped already."""
        if not instance.alive:
            return
        now = self._world.loop.now
        del self._alive[instance.provider_id]
        self._alive_ids = None
        boot = self._boots.pop(instance.provider_id, None)
        if boot is not None:
            boot.cancel()
        instance.state, instance.ended, instance.why_ended = "shutting-down", now, why
        line = self._bill.lines.get(instance.provider_id)
        if line is not None:
            line.end(now, free=self._is_free(instance))
        self._note("instance-ended", instance, why=why)
        self._tell(self.on_ended, instance)
        name = instance.claim.metadata.name
        shutting_down = self._settings.shutting_down.draw(self._world.dice.once("shutting-down", name))
        self._world.loop.after(shutting_down, self._go, instance)

    def _is_free(self, instance: Instance) -> bool:
        """Whether EC2 waives an instance that it took back in its first hour."""
        reclaimed = instance.why_ended == "spot-reclaim" and self._settings.free_first_hour
        return reclaimed and self._world.loop.now - (instance.running_since or 0) < HOUR

    def _go(self, instance: Instance) -> None:
        instance.state = "terminated"
        self._tell(self.on_gone, instance)

    def rebuy(self, instance: Instance, capacity_type: CapacityType, rate: Rate) -> None:
        """The instance goes on as something that is bought in another way."""
        now = self._world.loop.now
        instance.capacity_type, instance.price_usd_per_hour = capacity_type, rate.at(now) / 1e9
        self._rates[instance.provider_id] = rate, self._rates[instance.provider_id][1]
        line = self._bill.lines.get(instance.provider_id)
        if line is not None:
            line.change(now, capacity_type, rate)
        self._note("instance-rebought", instance)

    def _note(self, what: str, instance: Instance, **data: object) -> None:
        self._world.journal.note(
            what,
            f"Instance/{instance.provider_id}",
            claim=instance.claim.metadata.name,
            pool=instance.claim.metadata.labels.get(NODEPOOL, ""),
            type=instance.type.name,
            zone=instance.zone,
            capacity_type=instance.capacity_type,
            reservation=instance.reservation,
            price=instance.price_usd_per_hour,
            **data,
        )

    def _tell(self, listeners: list[Listener], instance: Instance) -> None:
        for listener in listeners:
            listener(instance)


def offering_of(instance: Instance) -> OfferingKey:
    """The offering that an instance was launched from."""
    return instance.type.name, instance.zone, "reserved" if instance.reservation else instance.capacity_type
