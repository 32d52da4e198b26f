"""What disruption budgets come to over five weeks, hour by hour, as the engine counts them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fretsaw.api.nodepool import Budget, Reason
from fretsaw.api.times import HOUR, Millis
from fretsaw.engine.disruption.budgets import allowed
from fretsaw.lint.pool import Pool

REASONS: tuple[Reason, ...] = ("Empty", "Underutilized", "Drifted")
NODES = 100
"""As many as a pool is imagined to have."""
_BEGIN: Millis = 1_767_571_200_000
"""Monday, 2026-01-05 00:00 UTC; a month with a 31st and a week of the next follow."""
_HOURS = 5 * 7 * 24


def hours(budgets: Sequence[Budget]) -> list[Millis]:
    """The times to look at: one is enough for budgets without a schedule."""
    if all(budget.schedule is None for budget in budgets):
        return [_BEGIN]
    return [_BEGIN + number * HOUR for number in range(_HOURS)]


def allowed_in(pool: Pool, budgets: Sequence[Budget], reason: Reason) -> list[int]:
    """How many of `NODES` nodes may go for a reason at each of the hours."""
    times = hours(pool.spec.disruption.budgets)
    disruption = msgspec.structs.replace(pool.spec.disruption, budgets=tuple(budgets))
    changed = msgspec.structs.replace(pool.obj, spec=msgspec.structs.replace(pool.spec, disruption=disruption))
    return [allowed(changed, NODES, reason, now) for now in times]


def without_effect(pool: Pool, number: int) -> bool:
    """Whether a budget never changes what may go for any of its reasons."""
    budgets = pool.spec.disruption.budgets
    others = [budget for n, budget in enumerate(budgets) if n != number]
    reasons = budgets[number].reasons
    return all(
        allowed_in(pool, budgets, reason) == allowed_in(pool, others, reason)
        for reason in (REASONS if reasons is None else reasons)
    )
