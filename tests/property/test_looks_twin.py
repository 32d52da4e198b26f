"""What is kept of machines as they change is what going through all of them finds: over the histories of random scenarios."""

from __future__ import annotations

import pytest

from fretsaw.api.times import Millis
from fretsaw.engine import events as e
from fretsaw.engine.disruption import loop
from fretsaw.engine.disruption.budgets import shares
from fretsaw.engine.disruption.memory import _protections
from fretsaw.engine.pool_status import usage
from fretsaw.engine.state import ClusterState
from fretsaw.engine.tenants import Tenants, on_nodes
from fretsaw.engine.turn import Turn
from fretsaw.sim.simulation import Simulation
from support import plain_looks as plain
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


def _told(number: int) -> list[object]:
    """All turns and facts of a scenario, with their times."""
    run, found = simulation(numbered(number)), []
    run.autoscaler.listeners.append(lambda at, what: found.append((at, what)) if isinstance(what, Turn) else None)
    run.run()
    return [*found, *run.world.journal.facts]
