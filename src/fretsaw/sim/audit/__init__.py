"""What must hold in every run, checked from the outside while it goes on: a violation is a bug of ours, and is told.

Looks at objects, the journal and the autoscaler's turns, with arithmetic of its own; nothing here is asked by what it
checks. Each module holds the laws of one subject.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from fretsaw.api.times import SECOND, Millis
from fretsaw.engine import events as e
from fretsaw.engine.turn import Turn
from fretsaw.sim.audit.choices import Choices
from fretsaw.sim.audit.evicted import Evicted
from fretsaw.sim.audit.limits import Limits
from fretsaw.sim.audit.machines import Machines, shares
from fretsaw.sim.audit.marked import Marked
from fretsaw.sim.audit.placing import Placing
from fretsaw.sim.world import World

MOST = 100
"""Violations that are told; the rest is only counted."""


class Audit:
    """Listens to a run, and remembers what was not as it must be."""

    def __init__(self, world: World) -> None:
        self._loop = world.loop
        self.violations: list[str] = []
        self.number = 0
        self._marked = Marked()
        self._placing = Placing(world, self._violated)
        self._limits = Limits(world, self._marked, self._violated)
        self._choices = Choices(world, self._marked, self._violated)
        self._evicted = Evicted(world, self._violated)
        self._machines = Machines(world, self._violated)

    def told(self, closing: Iterable[str] = ()) -> list[str]:
        """The violations as the result tells them. closing: what looks at the end found."""
        more = self.number - len(self.violations)
        return [*self.violations, *([f"and {more} more"] if more else []), *islice(closing, MOST)]

    def _violated(self, text: str) -> None:
        self.number += 1
        if len(self.violations) < MOST:
            self.violations.append(f"at {(self._loop.now - self._loop.start) / SECOND:.3f}s: {text}")

    def turn(self, at: Millis, what: e.Event | Turn) -> None:
        """A listener of the autoscaler, which calls it before a turn is performed."""
        if not isinstance(what, Turn):
            return
        self._marked.begin()
        for note in what.notes:
            if isinstance(note, e.CommandStarted):
                self._choices.started(at, note.command)
                self._marked.start(note.command)
            elif isinstance(note, e.CommandEnded):
                self._marked.end(note.command)

    # At the end, or at any other time; nothing of it is remembered

    def bill(self, billed: Mapping[str, int], now: Millis, *, free_first_hour: bool = False) -> Iterator[str]:
        """What is wrong with the bill where prices never move: each instance costs its seconds at its price.

        billed: nano-USD by provider id. free_first_hour: what EC2 takes back in its first hour costs nothing.
        """
        return self._machines.bill(billed, now, free_first_hour=free_first_hour)

    def shares(self, billed: Mapping[str, int], divided: Mapping[str, int], total: int) -> Iterator[str]:
        """Where what workloads pay and what is idle is not the bill, to the last nano-USD.

        divided: by provider id, the sum of the shares. total: the whole bill without reservations.
        """
        return shares(billed, divided, total)

    def leaks(self, now: Millis) -> Iterator[str]:
        """What somebody should have taken away long ago."""
        return self._machines.leaks(now)
