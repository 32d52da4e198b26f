"""Run a trace again: the same events must lead the engine to the same decisions."""

from __future__ import annotations

from typing import Any

import msgspec

from fretsaw.api.times import Millis
from fretsaw.engine.state import ClusterState
from fretsaw.engine.turn import Engine
from fretsaw.trace.codec import Reader, encoded


class Difference(msgspec.Struct, frozen=True):
    """A turn that went another way."""

    at: Millis
    recorded: dict[str, Any]
    now: dict[str, Any]


class Replayed(msgspec.Struct):
    """How a replay went."""

    events: int = 0
    turns: int = 0
    differences: list[Difference] = msgspec.field(default_factory=list)


def replay(reader: Reader, most: int = 20) -> Replayed:
    """Feed the recorded events to a fresh engine and compare each turn; ends after `most` differences.

    What is compared are actions and notes; the recorded notes are applied, so that one difference does not cause all
    that follow. Raises TraceError.
    """
    result = Replayed()
    state, engine = ClusterState(), Engine(reader.options)
    for line in reader:
        if line.event is not None:
            result.events += 1
            state.apply(line.event)
        elif line.turn is not None:
            result.turns += 1
            now = encoded(engine.turn(state, line.at))
            if any(now[part] != line.turn[part] for part in ("actions", "notes")):
                result.differences.append(Difference(line.at, line.turn, now))
                if len(result.differences) >= most:
                    break
            state.settle()
            for note in line.notes:
                state.apply(note)
    return result
