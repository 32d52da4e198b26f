"""What is kept of machines as they change is what going through all of them finds: over the histories of random scenarios."""

from __future__ import annotations

from random import Random

import pytest
from msgspec.structs import replace

from fretsaw.api.times import SECOND, Millis
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.disruption import loop
from fretsaw.engine.disruption.budgets import shares
from fretsaw.engine.disruption.candidates import Blocked, Candidate, Survey
from fretsaw.engine.disruption.memory import _protections
from fretsaw.engine.disruption.sieve import Sieve
from fretsaw.engine.disruption.telling import Teller, Told
from fretsaw.engine.pool_status import usage
from fretsaw.engine.state import ClusterState
from fretsaw.engine.tenants import Tenants, on_nodes
from fretsaw.engine.turn import Turn
from fretsaw.sim.simulation import Simulation
from support import plain_looks as plain
from support.disruption_world import World
from support.random_scenarios import numbered, simulation

FIRST, NUMBER, LOT = 3000, 24, 6
LOTS = pytest.mark.parametrize("first", range(FIRST, FIRST + NUMBER, LOT))


class Compared:
    """A listener that holds what is kept to its plain twins before each turn is performed."""

    def __init__(self, run: Simulation) -> None:
        self._state: ClusterState = run.autoscaler.state
        self._tenants = Tenants()
        self.turns = 0

    def __call__(self, at: Millis, what: e.Event | Turn) -> None:
        if not isinstance(what, Turn):
            return
        self.turns += 1
        state, machines = self._state, self._state.machines
        assert shares(state) == plain.shares(state)
        for pool in state.pools.values():
            found, wanted = usage(state, pool), plain.usage(state, pool)
            assert list(found.items()) == list(wanted.items())
        assert sorted(end for end in _protections(state) if end) == plain.protections(state)
        assert state.roster.drifted == {m.name for m in machines.values() if m.is_true("Drifted")}
        assert state.roster.disrupted == {m.name for m in machines.values() if m.is_true("DisruptionReason")}
        assert state.roster.unsettled == {m.name for m in machines.values() if not m.is_true("Consolidatable")}
        assert self._tenants.renew(state, {})[0] == on_nodes(state, frozenset())


@LOTS
def test_what_is_kept_is_what_going_through_all_machines_finds(first: int) -> None:
    turns = 0
    for number in range(first, first + LOT):
        run = simulation(numbered(number))
        compared = Compared(run)
        run.autoscaler.listeners.append(compared)
        run.run()
        turns += compared.turns
    assert turns > 100


@LOTS
def test_looks_decide_and_tell_as_those_that_ask_about_every_machine(
    first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = [_told(number) for number in range(first, first + LOT)]
    monkeypatch.setattr(loop, "_Look", plain.PlainLook)
    assert [_told(number) for number in range(first, first + LOT)] == fast


class Telling:
    """Two tellers over the same candidates: one that is given everything each time, and one with sieves."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        world = World({"machines": {name: {} for name in "abcdef"}})
        survey = Survey(world.state, world.now, world.ask())
        self.candidates = {c.name: c for c in survey.all()[0]}
        self.states = [World({"machines": {name: {} for name in "abcdef"}}).state for _ in range(2)]
        self.now = world.now
        self.sieves = tuple(Sieve(lambda c, buffered, i=i: self._why(c, i)) for i in range(2))  # type: ignore[misc]
        self.kept = Told(*self.sieves)
        self.plain = plain.PlainTold(plain.Plain())
        self.blocked: tuple[dict[str, Blocked], dict[str, Blocked]] = {}, {}

    def _why(self, candidate: Candidate, sieve: int) -> Blocked | str:
        """The second sieve has an opinion of its own of some machines, and the first none of others."""
        shown = candidate.name in ("abcd", "cdef")[sieve]
        return Blocked(candidate.machine, f"sieve {sieve}", "Unconsolidatable") if shown else "no event"

    def judge(self, name: str) -> None:
        """A machine is judged anew, with the same result but for the object."""
        candidate = self.candidates[name] = replace(self.candidates[name])
        for i, sieve in enumerate(self.sieves):
            sieve.put(name, candidate)
            self.blocked[i].pop(name, None)
            if isinstance(why := self._why(candidate, i), Blocked):
                self.blocked[i][name] = why

    def again(self) -> None:
        """All count as judged anew."""
        for i, sieve in enumerate(self.sieves):
            sieve.again = True
            self.blocked[i].update({name: replace(one) for name, one in self.blocked[i].items()})

    def look(self) -> tuple[list[a.Tell], list[a.Tell]]:
        """(what is told with sieves, what the plain way)."""
        first, second = (Teller(s, self.now, t) for s, t in zip(self.states, (self.kept, self.plain), strict=True))
        if self.rng.random() < 0.2:
            other = [Blocked(self.candidates[self.rng.choice("abcdef")].machine, "other")]
            first.blocked(other)
            second.blocked(other)
        for i in (0, 1) if self.rng.random() < 0.7 else (1,):
            first.sieved(self.sieves[i])
            second.blocked(self.blocked[i][name] for name in sorted(self.blocked[i]))
        for state, teller in zip(self.states, (first, second), strict=True):
            for note in teller.notes:
                state.apply(note)
        return first.actions, second.actions


@pytest.mark.parametrize("seed", range(40))
def test_sieves_tell_when_and_what_going_through_all_candidates_would(seed: int) -> None:
    rng = Random(seed)
    telling, told = Telling(rng), 0
    for name in "abcdef":
        telling.judge(name)
    for _ in range(150):
        telling.now += rng.choice((10, 10, 30, 70, 130, 400)) * SECOND
        for name in rng.sample("abcdef", rng.choice((0, 0, 0, 1, 2))):
            telling.judge(name)
        if rng.random() < 0.05:
            telling.again()
        found, wanted = telling.look()
        assert found == wanted
        told += len(found)
    assert told > 30


def _told(number: int) -> list[object]:
    """All turns and facts of a scenario, with their times."""
    run, found = simulation(numbered(number)), []
    run.autoscaler.listeners.append(lambda at, what: found.append((at, what)) if isinstance(what, Turn) else None)
    run.run()
    return [*found, *run.world.journal.facts]
