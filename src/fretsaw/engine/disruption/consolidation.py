"""Consolidation: pods of some machines on the others, or on one cheaper machine.

Source: Karpenter v1.14 pkg/controllers/disruption consolidation.go, multinodeconsolidation.go,
singlenodeconsolidation.go.
Differs: where no type of a replacement is on sale as spot, it is bought on demand; the peer asks for spot all the same,
and then for ever again, as nothing can be launched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest

import msgspec

from fretsaw.engine.disruption.ask import Outcome, WhatIf
from fretsaw.engine.disruption.balanced import Balance, approves
from fretsaw.engine.disruption.budgets import Room
from fretsaw.engine.disruption.candidates import Candidate, by_savings
from fretsaw.engine.disruption.moves import Found, Move
from fretsaw.engine.disruption.replacements import ON_DEMAND, SPOT, allows, as_spot, cheaper, cheapest_types, unmet
from fretsaw.engine.disruption.stuck import Stuck
from fretsaw.engine.finish import Node

SPOT_TYPES = 15
"""Cheaper types that a spot machine needs before it is replaced by spot: with fewer, the replacement would be replaced
in turn whenever the cloud did not give the cheapest."""
BATCH = 100
"""The last place in the order of candidates that a move of several machines looks at."""
REPACKED = 12
"""Machines whose pods the cost packer looks at together at most: its work grows fast with their number."""
LEAST_SAVING = 0.05
"""Share of the machines' price that replacing several by several has to save."""
SHOWN = 5
"""Pods whose errors an event lists."""

WhyNot = Callable[[Candidate, str], None]
Late = Callable[[], bool]


class Consolidator(msgspec.Struct, frozen=True, eq=False):
    """What both consolidations need."""

    ask: WhatIf
    balance: Balance
    why_not: WhyNot
    """Told why a single candidate stays."""
    spot_to_spot: bool
    late: Late
    """Asked before each question; True ends the round."""
    stuck: Stuck
    """Single candidates that nothing can be done with."""


def consolidation_of(by: Consolidator, candidates: Sequence[Candidate]) -> Move | None:
    """How to do without these machines, None where it cannot be done or saves nothing."""
    outcome = by.ask(frozenset(c.name for c in candidates))
    found = decided(candidates, outcome, spot_to_spot=by.spot_to_spot)
    if isinstance(found, Move):
        return found
    if len(candidates) == 1:
        by.why_not(candidates[0], found)
    return None


def decided(candidates: Sequence[Candidate], outcome: Outcome, *, spot_to_spot: bool) -> Move | str:
    """The move that an outcome allows, or why it allows none."""
    if not outcome.complete:
        return errors(outcome)
    if not outcome.launches:
        return Move(tuple(candidates), outcome=outcome)
    if len(outcome.launches) > 1:
        return f"Can't remove without creating {len(outcome.launches)} candidates"
    node = outcome.launches[0]
    to_spot = allows(node, SPOT) and all(c.machine.capacity_type == SPOT for c in candidates)
    if to_spot and not spot_to_spot:
        return "SpotToSpotConsolidation is disabled, can't replace a spot node with a spot node"
    found = _cheaper(as_spot(node) if to_spot else node, sum(c.price for c in candidates))
    if isinstance(found, str):
        return found
    if to_spot and len(candidates) == 1:
        if len(found.candidates) < SPOT_TYPES:
            return (
                f"SpotToSpotConsolidation requires {SPOT_TYPES} cheaper instance type options than the current "
                f"candidate to consolidate, got {len(found.candidates)}"
            )
        found = cheapest_types(found, SPOT_TYPES)
    return Move(tuple(candidates), (pinned(found),), outcome=outcome)


def _cheaper(node: Node, than: int) -> Node | str:
    left = cheaper(node, than)
    if missing := unmet(left):
        return f"Filtering by price: minValues requirement is not met for label(s) (label(s)=[{' '.join(missing)}])"
    return left if left.candidates else "Can't replace with a cheaper node"


def pinned(node: Node) -> Node:
    """The node as spot where both spot and on-demand are allowed: its price was judged as spot's.

    If spot has run out, the launch shall fail and the machines stay, rather than a dearer one come.
    """
    if not (allows(node, SPOT) and allows(node, ON_DEMAND)):
        return node
    spot = as_spot(node)
    return spot if spot.candidates else node


def errors(outcome: Outcome) -> str:
    """Why pods would not find a place, for the first few of them."""
    found = [f"{pod} => {why}" for pod, why in outcome.unplaced]
    found += [f"{pod} => would schedule against uninitialized {machine}" for pod, machine in outcome.unready]
    more = f" and {len(found) - SHOWN} other(s)" if len(found) > SHOWN else ""
    return f"not all pods would schedule, {' '.join(found[:SHOWN])}{more}"


# Several machines at once


def several(by: Consolidator, candidates: Iterable[Candidate], room: Room) -> Found:
    """The longest run of candidates, from the best on, that can go at once: a binary search over its length.

    As the peer does, it takes for granted that what a longer run allows, a shorter one does too.
    """
    ordered = by_savings(candidates)
    free = [c for c in ordered if room.take(c.pool_name)]
    held_back = len(free) < len(ordered)
    low, high = 1, min(BATCH, len(free) - 1)
    best: Move | None = None
    cut = False
    while low <= high:
        if by.late():
            cut = True
            break
        middle = (low + high) // 2
        move = _joint(by, free[: middle + 1])
        if move is not None:
            best, low = move, middle + 1
        else:
            high = middle - 1
    return Found((best,) if best is not None else (), held_back=held_back, cut=cut)


def _joint(by: Consolidator, candidates: Sequence[Candidate]) -> Move | None:
    move = consolidation_of(by, candidates)
    if move is not None and move.nodes:
        move = _without_same_types(move)
    return move if move is not None and approves(by.balance.scores(move)) else None


def _without_same_types(move: Move) -> Move | None:
    """The move with a replacement that is cheaper than any of its machines that is of a type it could be.

    Else it would be cheaper to keep that machine and delete the others. None where nothing is left.
    """
    node = move.nodes[0]
    names = node.open.template.universe.names
    options = {names[t] for _, t, _ in node.candidates}
    shared = [c.price for c in move.candidates if c.machine.instance_type in options]
    if not shared:
        return move
    left = cheaper(node, min(shared))
    if not left.candidates or unmet(left):
        return None
    return msgspec.structs.replace(move, nodes=(left,))


# Several machines for several cheaper ones


def repacked(by: Consolidator, candidates: Iterable[Candidate], room: Room) -> Found:
    """All candidates that may go, replaced by what the cost packer finds for their pods, where that saves enough.

    Differs: the peer never replaces machines by more than one. Here the packer looks at the pods of many machines at
    once, and the machines that it finds may be fewer, or smaller. Restarts cost something too, so a move has to save
    LEAST_SAVING of what the machines cost.
    """
    free = [c for c in by_savings(candidates) if room.take(c.pool_name)][:REPACKED]
    if len(free) < 2:
        return Found()
    outcome = by.ask(frozenset(c.name for c in free), cheapest=True)
    if not outcome.complete or len(outcome.launches) < 2:
        return Found()
    if not by.spot_to_spot and all(c.machine.capacity_type == SPOT for c in free):
        return Found()
    price = sum(c.price for c in free)
    nodes = _within(outcome.launches, price - int(price * LEAST_SAVING))
    move = Move(tuple(free), nodes, outcome=outcome) if nodes else None
    return Found((move,) if move is not None and approves(by.balance.scores(move)) else ())


def _within(nodes: Sequence[Node], price: int) -> tuple[Node, ...]:
    """The nodes with only those types with which they cost no more than `price` together, whichever the cloud gives.

    Each may be dearer than planned by its share of half of what is to spare; none where one has no such type.
    """
    planned = sum(node.price_nano for node in nodes)
    if not 0 < planned <= price:
        return ()
    spare = price - planned
    kept = [cheaper(node, node.price_nano + spare * node.price_nano // (2 * planned) + 1) for node in nodes]
    if not all(node.candidates and not unmet(node) for node in kept):
        return ()
    return tuple(map(pinned, kept))


# One machine


def single(by: Consolidator, candidates: Iterable[Candidate], room: Room, first: Iterable[str]) -> Found:
    """The first candidate that can go alone, taking the pools in turn. first: pools that had to wait the last time."""
    ordered = interleaved(candidates, first)
    unseen = dict.fromkeys(c.pool_name for c in ordered)
    held_back = False
    for candidate in ordered:
        if by.late():
            return Found(held_back=held_back, cut=True, unseen=tuple(unseen))
        unseen.pop(candidate.pool_name, None)
        if not room.has(candidate.pool_name):
            held_back = True
            continue
        if candidate in by.stuck or not by.balance.could_pass(candidate):
            continue
        move = consolidation_of(by, [candidate])
        if move is not None and approves(by.balance.scores(move)):
            return Found((move,), held_back=held_back)
        if move is None:
            by.stuck.add(candidate)
    return Found(held_back=held_back)


def interleaved(candidates: Iterable[Candidate], first: Iterable[str]) -> list[Candidate]:
    """The best of each pool, then the second best, and so on; pools of `first` lead, then those with the best."""
    pools: dict[str, list[Candidate]] = {pool: [] for pool in first}
    for candidate in by_savings(candidates):
        pools.setdefault(candidate.pool_name, []).append(candidate)
    return [c for rank in zip_longest(*pools.values()) for c in rank if c is not None]
