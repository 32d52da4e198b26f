"""A turn: from what is known to what is to be done. The one way in which decisions are made, in every world.

`Engine.turn` looks at the state and not at what it asked for before. It keeps nothing but memories that could be had
again: when each machine is due for its next look, and what passes prepared.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from functools import partial
from typing import Protocol

import msgspec

from fretsaw.api.nodepool import NodePool
from fretsaw.api.times import Millis
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.claims import look, strays
from fretsaw.engine.disruption.drifted import LOOKED_UP, verdict
from fretsaw.engine.disruption.loop import Known, disrupt
from fretsaw.engine.handover import hand_over
from fretsaw.engine.machines import Machine
from fretsaw.engine.options import Options
from fretsaw.engine.orders import static_claim
from fretsaw.engine.passes import Passes
from fretsaw.engine.pool_status import COUNT_AGAIN, look_at_pool
from fretsaw.engine.provision import provision
from fretsaw.engine.state import ClusterState
from fretsaw.engine.static_pools import scale
from fretsaw.engine.whatif import Asked


class Turn(msgspec.Struct, frozen=True):
    """What is to be done now."""

    actions: tuple[a.Action, ...] = ()
    """In the order in which they are to be done."""
    notes: tuple[e.Event, ...] = ()
    """What the engine has to remember: apply them before the next turn."""
    wake: Millis | None = None
    """When to take the next turn if nothing happens before; None: not before something does."""


class Engine:
    """Takes turns."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.passes = Passes(options.placing, options.nomination)
        self._due: dict[str, Millis] = {}
        self._heap: list[tuple[Millis, str]] = []
        self._pools_due: dict[str, Millis] = {}
        self._seen: dict[str, NodePool] = {}
        """Each pool as it was when it was last looked at."""
        self._known = Known()

    def turn(self, state: ClusterState, now: Millis) -> Turn:
        """Look at the machines that changed or are due, at the pools, at the pods that wait, and, where nothing was
        ordered for those, at what could be taken away."""
        turn = _Gathering()
        if self.options.hand_over:
            turn.add(hand_over(state, self.options, now))  # first, since a node that registers is open to all
        for machine in self._machines(state, now):
            self._look(turn, state, machine, now)
        turn.add(strays(state, now))
        for name, pool in state.pools.items():
            if self._is_due(state, name, pool, now):
                self._look_at_pool(turn, state, pool, now)
        for name in self._pools_due.keys() - state.pools.keys():
            del self._pools_due[name]  # else a pool that is gone would be due for ever
        turn.wake_at(min(self._pools_due.values(), default=None))
        ordered = provision(state, self.options, self.passes, now)
        turn.add(ordered)
        if not turn.actions:
            turn.add(disrupt(state, self.options, now, Asked(self.passes, state, now), known=self._known))
        turn.wake_at(self._next())
        return Turn(tuple(turn.actions), tuple(turn.notes), turn.wake)

    def _is_due(self, state: ClusterState, name: str, pool: NodePool, now: Millis) -> bool:
        """Whether a pool is to be looked at. Its nodes are counted now and then only, however often they change."""
        if name in state.touched_pools:
            counted = state.checked.get(("count", name))
            if pool is not self._seen.get(name) or counted is None or pool.spec.replicas is not None:
                return True
            self._pools_due[name] = min(self._pools_due.get(name, NEVER), counted + COUNT_AGAIN)
        return self._pools_due.get(name, now) <= now

    def _look_at_pool(self, turn: _Gathering, state: ClusterState, pool: NodePool, now: Millis) -> None:
        looks = (look_at_pool(state, pool, now), scale(state, pool, self.options, now, static_claim))
        wakes = [one.wake for one in looks if one.wake is not None]
        self._pools_due[pool.metadata.name] = min(wakes, default=NEVER)
        self._seen[pool.metadata.name] = pool
        for one in looks:
            turn.add(one)

    def _machines(self, state: ClusterState, now: Millis) -> Iterator[Machine]:
        """The machines to look at, by name."""
        names = set(state.touched)
        while self._heap and self._heap[0][0] <= now:
            when, name = heapq.heappop(self._heap)
            if self._due.get(name) == when:
                names.add(name)
        machines = state.machines
        for name in sorted(names):
            machine = machines.get(name)
            if machine is None:
                self._due.pop(name, None)
            else:
                yield machine

    def _look(self, turn: _Gathering, state: ClusterState, machine: Machine, now: Millis) -> None:
        found = look(state, machine, self.options, now, drift=partial(self._drift, turn, state, now))
        turn.actions.extend(found.actions)
        turn.notes.extend(found.notes)
        if found.wake is None:
            self._due.pop(machine.name, None)
        elif self._due.get(machine.name) != found.wake:
            self._due[machine.name] = found.wake
            heapq.heappush(self._heap, (found.wake, machine.name))

    def _next(self) -> Millis | None:
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def _drift(self, turn: _Gathering, state: ClusterState, now: Millis, machine: Machine) -> str:
        """Why a machine is not what is asked for; empty if it is."""
        claim, pool = machine.claim, state.pools.get(machine.pool)
        if claim is None or pool is None:
            return ""
        found = verdict(
            claim,
            pool,
            self.passes.universe(state, machine.pool),
            now,
            looked_up=state.checked.get((LOOKED_UP, machine.name)),
            provider=state.drifted.get(machine.name, ""),
        )
        if found.looked_up:
            turn.notes.append(e.Checked(LOOKED_UP, machine.name, now))
        return found.reason


NEVER: Millis = 1 << 62


class _Step(Protocol):
    """What the parts of a turn answer, as far as it is read here."""

    @property
    def actions(self) -> tuple[a.Action, ...]: ...
    @property
    def notes(self) -> tuple[e.Event, ...]: ...
    @property
    def wake(self) -> Millis | None: ...


class _Gathering:
    """A turn while it is put together."""

    def __init__(self) -> None:
        self.actions: list[a.Action] = []
        self.notes: list[e.Event] = []
        self.wake: Millis | None = None

    def add(self, step: _Step) -> None:
        """Take over what a part wants."""
        self.actions.extend(step.actions)
        self.notes.extend(step.notes)
        self.wake_at(step.wake)

    def wake_at(self, when: Millis | None) -> None:
        """Take the next turn then, or sooner."""
        if when is not None and when != NEVER:
            self.wake = when if self.wake is None else min(self.wake, when)
