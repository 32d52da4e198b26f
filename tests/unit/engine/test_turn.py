"""Turns: when the next one is due."""

from __future__ import annotations

from fretsaw.api.times import HOUR
from fretsaw.engine import events as e
from fretsaw.engine.options import Options
from fretsaw.engine.state import ClusterState
from fretsaw.engine.turn import Engine
from support.disruption_world import START, pool


def test_a_pool_that_is_gone_is_due_no_more() -> None:
    """Else the next turn would be due at once for ever, and virtual time would stand still."""
    engine, state = Engine(Options()), ClusterState()
    state.apply(e.Changed(pool("main", {"replicas": 1})))
    first = engine.turn(state, START)
    assert first.wake is not None
    state.settle()
    for note in first.notes:
        state.apply(note)
    state.apply(e.Gone("NodePool", "main"))
    assert engine.turn(state, first.wake + HOUR).wake in (None, first.wake + 2 * HOUR)
