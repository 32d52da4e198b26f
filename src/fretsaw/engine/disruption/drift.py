"""Drift: machines that are no longer what their pool or class asks for are replaced, whatever that costs.

Source: Karpenter v1.14 pkg/controllers/disruption drift.go, staticdrift.go, pkg/controllers/state/statenodepool.go.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from fretsaw.api.nodepool import NodePool
from fretsaw.api.resources import units
from fretsaw.engine.disruption.ask import WhatIf
from fretsaw.engine.disruption.budgets import Room
from fretsaw.engine.disruption.candidates import Candidate
from fretsaw.engine.disruption.consolidation import errors
from fretsaw.engine.disruption.moves import Found, Move
from fretsaw.engine.state import ClusterState


def drifted_machine(
    candidates: Iterable[Candidate], room: Room, ask: WhatIf, why_not: Callable[[Candidate, str], None]
) -> Found:
    """The first drifted machine whose pods all find a place, with as many replacements as that takes.

    Those without pods first, as else pods would move to them only to move again; then those that drifted first.
    """
    held_back = False
    for candidate in sorted(candidates, key=lambda c: (bool(c.pods), _since(c), c.name)):
        if not room.has(candidate.pool_name):
            held_back = True
            continue
        outcome = ask(frozenset({candidate.name}), consolidating=False)
        if not outcome.complete:
            why_not(candidate, errors(outcome))
            continue
        return Found((Move((candidate,), outcome.launches, outcome=outcome),), held_back=held_back)
    return Found(held_back=held_back)


def _since(candidate: Candidate) -> str:
    drifted = candidate.claim.condition("Drifted")
    return (drifted.last_transition_time if drifted is not None else None) or ""


def drifted_static(state: ClusterState, candidates: Iterable[Candidate], room: Room) -> Found:
    """One move for each drifted machine of a static pool that may go now: itself, and a copy of the template."""
    pools: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        pools[candidate.pool_name].append(candidate)
    moves = [move for name in sorted(pools) for move in _of_pool(state, pools[name], room)]
    return Found(tuple(moves))


def _of_pool(state: ClusterState, candidates: list[Candidate], room: Room) -> Iterator[Move]:
    pool = candidates[0].pool
    active, pending, deleting = counts(state, pool)
    if active + pending > (pool.spec.replicas or 0):
        return
    most = room.left.get(pool.metadata.name, 0)
    if (limit := node_limit(pool)) is not None:
        most = min(most, limit - active - pending - deleting)
    for candidate in candidates[: max(most, 0)]:
        yield Move((candidate,), copies=1)


def counts(state: ClusterState, pool: NodePool) -> tuple[int, int, int]:
    """(claims of a static pool that stay, that a running command replaces, that are being deleted)."""
    active = pending = deleting = 0
    marked = state.marked
    for machine in state.machines.values():
        if machine.claim is None or machine.pool != pool.metadata.name:
            continue
        if machine.claim.metadata.deletion_timestamp or machine.terminating:
            deleting += 1
        elif machine.name in marked:
            pending += 1
        else:
            active += 1
    return active, pending, deleting


def node_limit(pool: NodePool) -> int | None:
    """How many machines a pool may have, None for no limit."""
    limit = pool.spec.limits.get("nodes")
    return None if limit is None else units("nodes", limit, up=False)
