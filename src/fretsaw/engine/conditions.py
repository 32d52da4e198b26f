"""Conditions of NodeClaims and NodePools: how they are set, and what `Ready` makes of the others.

A condition's time moves only when its status does. Functions take and give dictionaries by type, whose order is the
order of the object's list; `Ready` stands last.

Source: operatorpkg status package, as Karpenter v1.14 uses it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fretsaw.api.meta import Condition
from fretsaw.api.times import Millis, millis, rfc3339

READY = "Ready"
AWAITING = "AwaitingReconciliation"
Conditions = dict[str, Condition]


def by_type(conditions: Sequence[Condition]) -> Conditions:
    """The conditions of an object by their type."""
    return {condition.type: condition for condition in conditions}


def put(
    conditions: Mapping[str, Condition],
    type_: str,
    status: str,
    now: Millis,
    *,
    reason: str = "",
    message: str = "",
    generation: int | None = None,
) -> Conditions:
    """The conditions with one of them set. A condition that holds is its own reason where none is given."""
    old = conditions.get(type_)
    since = old.last_transition_time if old is not None and old.status == status else rfc3339(now)
    reason = reason or (type_ if status == "True" else "")
    return {**conditions, type_: Condition(type_, status, reason, message, since, generation)}


def awaited(
    conditions: Mapping[str, Condition], dependents: Sequence[str], created: Millis, generation: int | None
) -> Conditions:
    """The conditions with those added that the object ought to have; they are unknown since its creation."""
    found = dict(conditions)
    for type_ in (*dependents, READY):
        if type_ not in found:
            found = put(found, type_, "Unknown", created, reason=AWAITING, generation=generation)
    return found


def rooted(
    conditions: Mapping[str, Condition], dependents: Sequence[str], now: Millis, generation: int | None
) -> Conditions:
    """The conditions with `Ready` computed anew, and last.

    True when all dependents hold for this generation of the object, False when one of them does not, else Unknown.
    """
    unhealthy = [c for c in map(conditions.__getitem__, dependents) if not _holds(c, generation)]
    status, reason = "True", READY
    if unhealthy:
        failed = any(c.status == "False" and c.observed_generation == generation for c in unhealthy)
        status, reason = ("False", "UnhealthyDependents") if failed else ("Unknown", "ReconcilingDependents")
    unhealthy.sort(key=lambda c: (-millis(c.last_transition_time) if c.last_transition_time else 0, c.type))
    message = ", ".join(f"{c.type}={c.status}" for c in unhealthy)
    found = put(conditions, READY, status, now, reason=reason, message=message, generation=generation)
    found[READY] = found.pop(READY)
    return found


def _holds(condition: Condition, generation: int | None) -> bool:
    return condition.status == "True" and condition.observed_generation == generation
