"""Work that comes while a scenario runs: objects on a schedule, at random, at given times, or as recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from random import Random

from msgspec.structs import replace

from fretsaw.api.cron import next_after
from fretsaw.api.meta import Object, ObjectMeta
from fretsaw.api.times import SECOND, Millis
from fretsaw.engine.state import key_of
from fretsaw.sim.scenario.model import Arrivals, Arrives, Replays, Work
from fretsaw.sim.work.traces.play import arrivals
from fretsaw.sim.work.traces.table import Arriving
from fretsaw.sim.work.works import ScenarioWorks
from fretsaw.sim.world import World

Admit = Callable[[Object], Object]
"""What an API server makes of an object that is created: defaults filled in."""


def times(entry: Arrivals, start: Millis, end: Millis, random: Random) -> Iterator[Millis]:
    """When something comes, in order, from the scenario's start up to its end."""
    first = start + entry.from_
    last = end if entry.until is None else min(end, start + entry.until)
    found = (when for when in _times(entry, start, first, random, last) if first <= when)
    return islice(found, entry.limit)


def _times(entry: Arrivals, start: Millis, first: Millis, random: Random, last: Millis) -> Iterator[Millis]:
    if entry.every is not None:
        when = next_after(entry.every, first - 1)
        while when is not None and when <= last:
            yield when
            when = next_after(entry.every, when)
    elif entry.poisson:
        # Gaps of under a millisecond are drawn as such, so that a high rate stays what it is.
        at = float(first)
        while (at := at + random.expovariate(entry.poisson / SECOND)) <= last:
            yield round(at)
    else:
        yield from (start + at for at in sorted(entry.at) if start + at <= last)


class Maker:
    """Puts what comes into the store."""

    def __init__(
        self,
        world: World,
        works: ScenarioWorks,
        end: Millis,
        folder: Path = Path(),
        admit: Admit = lambda obj: obj,
    ) -> None:
        self._world = world
        self._works = works
        self._end = end
        self._folder = folder
        self._admit = admit
        self._numbers: dict[tuple[str, str], int] = {}

    def start(self, work: Iterable[Work], models: Mapping[int, Object]) -> None:
        """Plan all that comes. models: the object that the entry of a number in `work` makes copies of."""
        for number, entry in enumerate(work):
            if isinstance(entry, Arrives):
                random = self._world.dice.stream("arrivals", str(number))
                self._plan(entry, models[number], times(entry.arrivals, self._world.loop.start, self._end, random))
            elif isinstance(entry, Replays):
                self._replay(arrivals(entry.trace, self._folder), None)

    def _plan(self, entry: Arrives, model: Object, coming: Iterator[Millis]) -> None:
        """The next one only, so that a long scenario does not fill the loop."""
        when = next(coming, None)
        if when is not None:
            self._world.loop.at(when, self._arrive, entry, model, coming)

    def _arrive(self, entry: Arrives, model: Object, coming: Iterator[Millis]) -> None:
        for _ in range(entry.count):
            made = self._world.store.put(self._admit(self._copy(model)))
            if entry.stays is not None:
                stays = entry.stays.draw(self._world.dice.once("stays", type(made).__name__, key_of(made)))
                self._world.loop.after(stays, self._world.store.delete, type(made).__name__, key_of(made))
        self._plan(entry, model, coming)

    def _copy(self, model: Object) -> Object:
        """The model under a name that is free: its own with the next number."""
        kind, key = type(model).__name__, key_of(model)
        number = self._numbers.get((kind, key), 0)
        base = model.metadata.name or model.metadata.generate_name.rstrip("-")
        while True:
            number += 1
            metadata = ObjectMeta(
                f"{base}-{number}",
                model.metadata.namespace,
                model.metadata.labels,
                model.metadata.annotations,
            )
            copy = replace(model, metadata=metadata)
            if self._world.store.get(kind, key_of(copy)) is None:
                self._numbers[kind, key] = number
                return copy

    def _replay(self, coming: Iterator[Arriving], due: Arriving | None) -> None:
        """Make what is due, and plan what comes next."""
        while True:
            if due is not None:
                self._make(due)
            due = next(coming, None)
            if due is None:
                return
            when = self._world.loop.start + due.at
            if when > self._end:
                return
            if when > self._world.loop.now:
                self._world.loop.at(when, self._replay, coming, due)
                return

    def _make(self, due: Arriving) -> None:
        for obj in due.objects:
            self._works.replay(f"{type(obj).__name__.lower()}/{key_of(obj)}", due.behavior)
            self._world.store.put(self._admit(obj))
