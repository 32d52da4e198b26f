"""Emptiness: machines on which no pod costs anything to move are deleted together.

Source: Karpenter v1.14 pkg/controllers/disruption emptiness.go.
"""

from __future__ import annotations

from collections.abc import Iterable

from fretsaw.engine.disruption.budgets import Room
from fretsaw.engine.disruption.candidates import Candidate, by_savings
from fretsaw.engine.disruption.moves import Found, Move


def empty_machines(candidates: Iterable[Candidate], room: Room) -> Found:
    """One move with all empty machines that the budgets let go, the dearest first."""
    ordered = by_savings(candidates)
    taken = tuple(c for c in ordered if room.take(c.pool_name))
    return Found((Move(taken),) if taken else (), held_back=len(taken) < len(ordered))
