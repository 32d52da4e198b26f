"""What disruption budgets come to over five weeks, hour by hour, as the engine counts them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import msgspec

from fretsaw.api.nodepool import Budget, NodeClaimTemplate, NodeClaimTemplateSpec, NodePool, NodePoolSpec, Reason
from fretsaw.api.selection import NodeClassRef
from fretsaw.api.times import HOUR, Millis
from fretsaw.engine.disruption.budgets import allowed

REASONS: tuple[Reason, ...] = ("Empty", "Underutilized", "Drifted")
NODES = 100
"""As many as a pool is imagined to have."""
_BEGIN: Millis = 1_767_571_200_000
"""Monday, 2026-01-05 00:00 UTC; a month with a 31st and a week of the next follow."""
_HOURS = 5 * 7 * 24


_ANY = NodePool(
    spec=NodePoolSpec(
        template=NodeClaimTemplate(
            spec=NodeClaimTemplateSpec(node_class_ref=NodeClassRef(group="", kind="", name=""), requirements=())
        )
    )
)
"""A pool of which only the budgets matter."""


def hours(budgets: Sequence[Budget]) -> list[Millis]:
    """The times to look at: one is enough for budgets without a schedule."""
    if all(budget.schedule is None for budget in budgets):
        return [_BEGIN]
    return [_BEGIN + number * HOUR for number in range(_HOURS)]


@lru_cache(maxsize=1024)
def allowed_in(budgets: tuple[Budget, ...], reason: Reason, leave_out: int = -1) -> tuple[int, ...]:
    """How many of `NODES` nodes may go for a reason at each of the hours. leave_out: the number of a budget."""
    kept = tuple(budget for number, budget in enumerate(budgets) if number != leave_out)
    disruption = msgspec.structs.replace(_ANY.spec.disruption, budgets=kept)
    pool = msgspec.structs.replace(_ANY, spec=msgspec.structs.replace(_ANY.spec, disruption=disruption))
    return tuple(allowed(pool, NODES, reason, now) for now in hours(budgets))


def without_effect(budgets: tuple[Budget, ...], number: int) -> bool:
    """Whether a budget never changes what may go for any of its reasons."""
    reasons = budgets[number].reasons
    return all(
        allowed_in(budgets, reason) == allowed_in(budgets, reason, number)
        for reason in (REASONS if reasons is None else reasons)
    )
