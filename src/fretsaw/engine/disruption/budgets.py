"""Disruption budgets: how many machines of a pool may go for a reason, at a time, and when that changes.

Source: Karpenter v1.14 pkg/apis/v1 nodepool.go (GetAllowedDisruptionsByReason), pkg/controllers/disruption helpers.go
(BuildDisruptionBudgetMapping).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec

from fretsaw.api.cron import next_change as window_change
from fretsaw.api.cron import window_is_open
from fretsaw.api.meta import scaled
from fretsaw.api.nodepool import Budget, NodePool, Reason
from fretsaw.api.times import Millis, span
from fretsaw.engine.roster import is_counted, is_out
from fretsaw.engine.state import ClusterState

UNLIMITED = 2**31 - 1
"""What a budget allows that does not hold at the moment."""


class Share(msgspec.Struct, frozen=True):
    """A pool's machines as budgets count them."""

    nodes: int = 0
    """Initialised machines with a claim whose instance is not being ended."""
    disrupting: int = 0
    """Those of them that are not ready, or on their way out for whatever reason."""


def allowed(pool: NodePool, nodes: int, reason: Reason, now: Millis) -> int:
    """How many of a pool's `nodes` may be disrupted at once for `reason`.

    The strictest budget that holds now and names the reason, or all reasons, wins; percentages are rounded up. A budget
    that cannot be read, whatever its reasons, allows nothing at all.
    """
    found = UNLIMITED
    for budget in pool.spec.disruption.budgets:
        try:
            most = _most(budget, nodes, now)
        except ValueError:
            return 0
        if budget.reasons is None or reason in budget.reasons:
            found = min(found, most)
    return found


def _most(budget: Budget, nodes: int, now: Millis) -> int:
    if not is_open(budget, now):
        return UNLIMITED
    return scaled(budget.nodes, nodes, up=True)


def is_open(budget: Budget, now: Millis) -> bool:
    """Whether a budget holds now. Raises ValueError where its schedule or duration cannot be read."""
    if budget.schedule is None and budget.duration is None:
        return True
    return window_is_open(budget.schedule or "", span(budget.duration or "0s") or 0, now)


def next_change(pool: NodePool, now: Millis) -> Millis | None:
    """When a budget of the pool begins or ends to hold next, or a time before that; None for never."""
    found = []
    for budget in pool.spec.disruption.budgets:
        if budget.schedule is None:
            continue
        try:
            found.append(window_change(budget.schedule, span(budget.duration or "0s") or 0, now))
        except ValueError:
            continue
    return min((when for when in found if when is not None), default=None)


def shares(state: ClusterState) -> dict[str, Share]:
    """The count of machines of each pool."""
    roster, machines = state.roster, state.machines
    marked = (machine for name in state.marked if (machine := machines.get(name)) is not None)
    more = Counter(machine.pool for machine in marked if is_counted(machine) and not is_out(machine))
    return {pool: Share(count, roster.out[pool] + more[pool]) for pool, count in roster.counted.items() if count}


class Room(msgspec.Struct):
    """What the budgets of all pools leave for one reason. Counts down while candidates are taken."""

    left: dict[str, int]
    blocked: tuple[str, ...]
    """Pools with machines for which the budgets allow nothing at all."""

    @classmethod
    def of(cls, pools: Mapping[str, NodePool], counts: Mapping[str, Share], reason: Reason, now: Millis) -> Room:
        """What is left for each pool after what is being disrupted; never below 0."""
        left, blocked = {}, []
        for name, pool in pools.items():
            share = counts.get(name, Share())
            most = allowed(pool, share.nodes, reason, now)
            left[name] = max(most - share.disrupting, 0)
            if share.nodes and not most:
                blocked.append(name)
        return cls(left, tuple(blocked))

    def has(self, pool: str) -> bool:
        """Whether one more machine of the pool may go."""
        return self.left.get(pool, 0) > 0

    def take(self, pool: str) -> bool:
        """Count one more machine of the pool as gone; False, and nothing counted, where none may go."""
        if not self.has(pool):
            return False
        self.left[pool] -= 1
        return True

    def text(self) -> str:
        """What is left of each pool, in a text that differs when any of it does."""
        return ",".join(f"{pool}={left}" for pool, left in sorted(self.left.items()))
