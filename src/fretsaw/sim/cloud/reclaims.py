"""EC2 takes spot instances back: one at a time by hazard, many at once in bursts or in the shape of a trace.

Each spot offering has places; an instance takes the lowest free one. A place is hit at times of its own, whether it is
taken or not, so that two runs of one seed meet the same reclaims whatever they launch there and when. As the times of
a place are exponential, an instance's risk is the offering's hazard from its first minute on.

A reclaim is a notice, and the end of the machine two minutes later whatever happens in between.
Source: EC2 User Guide, Spot Instance interruption notices; EC2 instance rebalance recommendations.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable

from fretsaw.api.times import HOUR, MINUTE, Millis
from fretsaw.providers.fleet.offerings import OfferingKey, Selector
from fretsaw.sim.cloud.advisor import hazard
from fretsaw.sim.cloud.announce import Announcer
from fretsaw.sim.cloud.machines import Machines, offering_of
from fretsaw.sim.cloud.settings import Bursts, CloudSettings, Replay
from fretsaw.sim.cloud.stock import Stock
from fretsaw.sim.instance import Instance
from fretsaw.sim.loop import Timer
from fretsaw.sim.world import World

NOTICE: Millis = 2 * MINUTE
"""From the notice to the end."""


class _Place:
    """A numbered place of an offering, and when it is hit."""

    def __init__(self, world: World, offering: OfferingKey, number: int, per_hour: float) -> None:
        self.number = number
        self.hits = 0
        self._random = world.dice.once("reclaim", offering[0], offering[1], str(number))
        self._per_hour = per_hour
        self._next = float(world.loop.start)

    def after(self, now: Millis) -> Millis:
        """The first hit after `now`, which never goes back."""
        while self._next <= now:
            self._next += self._random.expovariate(1.0) / self._per_hour * HOUR
            self.hits += 1
        return round(self._next)


class Reclaims:
    """Who is taken back when."""

    def __init__(
        self, world: World, settings: CloudSettings, machines: Machines, stock: Stock, announcer: Announcer
    ) -> None:
        self._world = world
        self._settings = settings
        self._machines = machines
        self._stock = stock
        self._announcer = announcer
        self._places: dict[tuple[OfferingKey, int], _Place] = {}
        self._free: dict[OfferingKey, list[int]] = defaultdict(list)
        self._made: dict[OfferingKey, int] = defaultdict(int)
        self._taken: dict[str, int] = {}
        """Place number by provider id."""
        self._timers: dict[str, list[Timer]] = defaultdict(list)
        self._hazards: dict[str, float] = {}
        self._noticed: set[str] = set()
        machines.on_launched.append(self._launched)
        machines.on_ended.append(self._ended)
        for number, bursts in enumerate(settings.bursts):
            self._next_burst(bursts, number, 0)
        for number, replay in enumerate(settings.replays):
            self._next_replay(replay, number, 0)

    def hazard(self, offering: OfferingKey) -> float:
        """Reclaims an hour of one instance."""
        name = "/".join(offering)
        known = self._hazards.get(name)
        if known is None:
            known = self._hazards[name] = self._hazard(offering)
        return known

    def _hazard(self, offering: OfferingKey) -> float:
        said = [rule.per_hour for rule in self._settings.hazards if rule.where.matches(offering)]
        if said:
            return said[-1]
        band = self._settings.bands.get(offering[0])
        return 0.0 if band is None else hazard(band, self._settings.band_shares)

    # Single reclaims

    def _launched(self, instance: Instance) -> None:
        if instance.capacity_type != "spot":
            return
        offering = offering_of(instance)
        free = self._free[offering]
        number = heapq.heappop(free) if free else self._made[offering]
        self._made[offering] = max(self._made[offering], number + 1)
        self._taken[instance.provider_id] = number
        per_hour = self.hazard(offering)
        if per_hour > 0:
            self._expect(instance, offering, number, per_hour)

    def _expect(self, instance: Instance, offering: OfferingKey, number: int, per_hour: float) -> None:
        place = self._places.get((offering, number))
        if place is None:
            place = self._places[offering, number] = _Place(self._world, offering, number, per_hour)
        loop = self._world.loop
        when = place.after(loop.now)
        timers = self._timers[instance.provider_id]
        timers.append(loop.at(when, self.reclaim, instance))
        rebalance = self._settings.rebalance
        if rebalance is None:
            return
        random = self._world.dice.once("rebalance", offering[0], offering[1], str(number), str(place.hits))
        early = when - rebalance.lead.draw(random)
        if random.random() < rebalance.chance and early >= loop.now:
            timers.append(loop.at(early, self._recommend, instance))

    def _recommend(self, instance: Instance) -> None:
        self._announcer.announce(instance, "rebalance_recommendation", "rebalance-recommended")

    def reclaim(self, instance: Instance) -> None:
        """Give notice now; nothing for an instance that has ended or has its notice."""
        if not instance.alive or instance.provider_id in self._noticed:
            return
        self._noticed.add(instance.provider_id)
        loop = self._world.loop
        ends = loop.now + NOTICE
        offering = offering_of(instance)
        random = self._world.dice.once("out-after-reclaim", *offering, str(loop.now))
        out = self._settings.out_after_reclaim.draw(random)
        if out:
            self._stock.set_out(Selector(*offering), loop.now + out)
        self._announcer.announce(instance, "spot_interrupted", "spot-interrupted", ends=ends)
        self._timers[instance.provider_id].append(loop.at(ends, self._machines.end, instance, "spot-reclaim"))

    def _ended(self, instance: Instance) -> None:
        for timer in self._timers.pop(instance.provider_id, ()):
            timer.cancel()
        self._noticed.discard(instance.provider_id)
        number = self._taken.pop(instance.provider_id, None)
        if number is not None:
            heapq.heappush(self._free[offering_of(instance)], number)

    # Many at once

    def burst(self, where: Selector, share: float, name: str) -> int:
        """Each spot instance of `where` is taken back with the chance `share`; how many were. name: of the draws."""
        taken = [i for i in self._fleet(where) if self._luck(i, name) < share]
        self._take(taken)
        return len(taken)

    def _take(self, instances: Iterable[Instance]) -> None:
        for instance in instances:
            self.reclaim(instance)

    def _fleet(self, where: Selector) -> list[Instance]:
        """The spot instances of `where` that have no notice yet."""
        return [
            instance
            for instance in self._machines.alive()
            if instance.provider_id in self._taken
            and instance.provider_id not in self._noticed
            and where.matches(offering_of(instance))
        ]

    def _luck(self, instance: Instance, name: str) -> float:
        """A number of the instance's place in a burst; the lowest are hit first."""
        offering, number = offering_of(instance), self._taken[instance.provider_id]
        return self._world.dice.once("burst", name, offering[0], offering[1], str(number)).random()

    def _next_burst(self, bursts: Bursts, number: int, count: int) -> None:
        name = f"{number}/{bursts.where}"
        wait = self._world.dice.stream("bursts", name).expovariate(1.0) * bursts.every
        self._world.loop.after(max(1, round(wait)), self._burst, bursts, number, count)

    def _burst(self, bursts: Bursts, number: int, count: int) -> None:
        taken = self.burst(bursts.where, bursts.share, f"{number}/{bursts.where}/{count}")
        self._after_burst(bursts.where, bursts.out, taken)
        self._next_burst(bursts, number, count + 1)

    def _after_burst(self, where: Selector, out: Millis, taken: int) -> None:
        if out:
            self._stock.set_out(where, self._world.loop.now + out)
        self._world.journal.note("spot-burst", f"Offerings/{where}", taken=taken, out=out)

    def _next_replay(self, replay: Replay, number: int, count: int) -> None:
        mean = sum(replay.gaps) / len(replay.gaps)
        stretch = 1.0 if replay.mean_gap is None or not mean else replay.mean_gap / mean
        gap = replay.gaps[count % len(replay.gaps)] * stretch
        self._world.loop.after(max(1, round(gap)), self._replay, replay, number, count)

    def _replay(self, replay: Replay, number: int, count: int) -> None:
        """Take the trace's share of the fleet: whole instances, the fraction left over by a draw."""
        fleet = self._fleet(replay.where)
        name = f"replay/{number}/{count}"
        wanted = replay.shares[count % len(replay.shares)] * len(fleet)
        size = int(wanted)
        size += self._world.dice.once("replay", name).random() < wanted - size
        ranked = sorted(fleet, key=lambda i: (self._luck(i, name), i.provider_id))
        self._take(ranked[:size])
        self._after_burst(replay.where, replay.out, size)
        self._next_replay(replay, number, count + 1)
