"""Answers to what-if that hold for longer than one state.

Most questions are about one machine whose pods fit on no other: the answer is then the node that would have to be
bought for them, and it stays the same until a place turns up that might take one of them. Whether there is such a place
is quickly said: `Ground` remembers which places refuse what.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fretsaw.api.pod import Pod
from fretsaw.engine.disruption.ask import Outcome
from fretsaw.engine.ground import Ground
from fretsaw.engine.passes import Pass
from fretsaw.engine.pdbs import is_reschedulable
from fretsaw.engine.pending import is_pending
from fretsaw.engine.requirements import Requirements
from fretsaw.engine.shape import Mold
from fretsaw.engine.state import ClusterState
from fretsaw.engine.universe import Bits


class Settled(msgspec.Struct, frozen=True, eq=False):
    """What came of asking for some pods that no place took."""

    moving: tuple[Pod, ...]
    tried: tuple[tuple[Mold, Requirements], ...]
    outcome: Outcome


def remember(ground: Ground, machine: str, moving: Sequence[Pod], answer: Pass, outcome: Outcome) -> None:
    """Keep an answer, if it depends on nothing but the pods in question, what pools sell, and that no place takes them.

    Not so where other pods took part, or matter to these; nor where limits do, or reasons have to be given.
    """
    placed = answer.placed
    alone = len(placed.prepared.queue) == len(moving) and not outcome.filled and not outcome.unplaced
    if not alone or ground.guards or any(ground.remaining.values()):
        return
    if not any(ground.kind_of(pod).looks_at_others for pod in moving):
        ground.memory.recalled[machine] = Settled(tuple(moving), tuple(placed.tried), outcome)


def recalled(ground: Ground, state: ClusterState, machine: str, moving: Sequence[Pod], closed: Bits) -> Outcome | None:
    """The answer for this machine if it still holds. closed: places that take none of the pods."""
    known = ground.memory.recalled.get(machine)
    if not isinstance(known, Settled) or len(known.moving) != len(moving):
        return None
    if any(one is not other for one, other in zip(known.moving, moving, strict=True)):
        return None
    if ground.guards or _others(ground, state):
        return None
    places = ground.everywhere & ~closed & ~ground.bit_of.get(machine, 0)
    return None if any(ground.takes(mold, wanted, places) for mold, wanted in known.tried) else known.outcome


def _others(ground: Ground, state: ClusterState) -> bool:
    """Whether other pods may take part in a pass: such as wait, are buffers, or are on machines that leave."""
    if state.objects["CapacityBuffer"] or any(is_pending(pod) for pod in state.waiting.values()):
        return True
    return any(is_reschedulable(pod) for one in ground.leaving for pod in ground.on_node.get(one.node_name, ()))
