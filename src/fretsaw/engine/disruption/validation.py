"""Whether a consolidation that was found a while ago still holds.

Source: Karpenter v1.14 pkg/controllers/disruption validation.go.
"""

from __future__ import annotations

from typing import Literal

from msgspec.structs import replace

from fretsaw.engine import events as e
from fretsaw.engine.disruption.ask import Outcome
from fretsaw.engine.disruption.budgets import Room
from fretsaw.engine.disruption.candidates import (
    Candidate,
    Survey,
    not_for_consolidation,
    not_for_emptiness,
)
from fretsaw.engine.disruption.consolidation import pinned
from fretsaw.engine.disruption.moves import Move
from fretsaw.engine.disruption.replacements import among, names

Failure = Literal["budget", "scheduling", "churn", "unknown"]


def still_empty(survey: Survey, command: e.Command, room: Room, buffered: frozenset[str]) -> Move | Failure:
    """The machines that are still empty and may go; a part of them is enough."""
    there = [c for c in _candidates(survey, command) if not_for_emptiness(c, c.name in buffered) is None]
    kept = tuple(c for c in there if room.take(c.pool_name))
    if kept:
        return Move(kept)
    return "budget" if there or _nominated(survey, command) else "churn"


def still_consolidates(survey: Survey, command: e.Command, room: Room) -> Move | Failure:
    """The same move on today's state: all its machines, and no other types than it had.

    The price is not looked at again: the types were cheaper then, and may not become others.
    """
    candidates = [c for c in _candidates(survey, command) if not_for_consolidation(c) is None]
    if len(candidates) != len(command.candidates):
        return "budget" if _nominated(survey, command) else "churn"
    if not all(room.take(c.pool_name) for c in candidates):
        return "budget"
    outcome = survey.ask(frozenset(command.candidates), cheapest=len(command.types) > 1)
    return _same(command, tuple(candidates), outcome)


def _same(command: e.Command, candidates: tuple[Candidate, ...], outcome: Outcome) -> Move | Failure:
    if not outcome.complete or len(outcome.launches) != len(command.types):
        return "scheduling"
    if not outcome.launches:
        return Move(candidates, outcome=outcome)
    kept = []
    for node, wanted in zip(outcome.launches, command.types, strict=True):
        if not set(wanted) <= set(names(node)):
            return "scheduling"
        kept.append(pinned(among(node, wanted)))
    return Move(candidates, tuple(kept), outcome=outcome) if all(n.candidates for n in kept) else "scheduling"


def _candidates(survey: Survey, command: e.Command) -> list[Candidate]:
    """The command's machines that are candidates today, in its order."""
    machines = [survey.state.machines[name] for name in command.candidates if name in survey.state.machines]
    return [found for machine in machines if isinstance(found := survey.judge(machine), Candidate)]


def _nominated(survey: Survey, command: e.Command) -> bool:
    return any(survey.state.nominated.get(name, 0) > survey.now for name in command.candidates)


def reduced(command: e.Command, move: Move) -> e.Command:
    """The command with only the machines of the move that passed."""
    if move.names == command.candidates:
        return command
    return replace(command, candidates=move.names, savings_usd_per_hour=move.savings_usd)
