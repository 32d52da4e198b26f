"""Run a trace again: the same events must lead the engine to the same decisions."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from fretsaw.api.times import Millis
from fretsaw.engine.state import ClusterState
from fretsaw.engine.turn import Engine, Turn
from fretsaw.trace.codec import Line, Reader


class Difference(msgspec.Struct, frozen=True, eq=False):
    """A turn that went another way."""

    line: int
    """Where the turn is recorded."""
    at: Millis
    then: Turn
    now: Turn
    told: tuple[Line, ...] = ()
    """The events since the turn before."""


class Replayed(msgspec.Struct):
    """How a replay went so far."""

    events: int = 0
    turns: int = 0
    decisions: int = 0
    """Actions of all turns, as recorded."""
    differences: int = 0


def replay(reader: Reader, result: Replayed) -> Iterator[Line | Difference]:
    """Feed the recorded events to a fresh engine; what was read, each turn that differs after how.

    Compared are actions, notes and the time of the next look. The recorded notes are applied, so that one difference
    does not cause all that follow. result: filled meanwhile. Raises TraceError.
    """
    state, engine, told = ClusterState(), Engine(reader.options), []
    for line in reader:
        if line.event is not None:
            result.events += 1
            told.append(line)
            state.apply(line.event)
        elif line.turn is not None:
            result.turns += 1
            result.decisions += len(line.turn.actions)
            now = engine.turn(state, line.at)
            if now != line.turn:
                result.differences += 1
                yield Difference(line.number, line.at, line.turn, now, tuple(told))
            told = []
            state.settle()
            for note in line.turn.notes:
                state.apply(note)
        yield line
