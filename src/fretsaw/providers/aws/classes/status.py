"""Parts → the class as it should be: status, conditions, finalizer, hash. Pure; applied again it changes nothing.

Conditions stand in the order in which the provider looks, those of others after them, `Ready` last.
Source: AWS provider v1.14 pkg/apis/v1 (conditions), pkg/controllers/nodeclass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

from msgspec.structs import replace

from fretsaw.api.labels import AWS_DOMAIN
from fretsaw.api.meta import Condition
from fretsaw.api.nodeclass import EC2NodeClass, EC2NodeClassStatus
from fretsaw.api.times import Millis
from fretsaw.engine.conditions import AWAITING, READY, Conditions, by_type, put, rooted
from fretsaw.providers.aws.classes import part as p
from fretsaw.providers.aws.classes.part import Part
from fretsaw.providers.fleet.class_hash import HASH, HASH_VERSION, VERSION, class_hash

FINALIZER = f"{AWS_DOMAIN}/termination"
CONDITIONS = (p.AMIS, p.RESERVATIONS, p.PLACEMENT, p.SUBNETS, p.GROUPS, p.PROFILE, p.VALID)
AWAITED = "object is awaiting reconciliation"


def marked(node_class: EC2NodeClass) -> EC2NodeClass:
    """The class with our finalizer and its hash."""
    metadata = node_class.metadata
    finalizers = metadata.finalizers if FINALIZER in metadata.finalizers else (*metadata.finalizers, FINALIZER)
    annotations = {**metadata.annotations, HASH: class_hash(node_class), HASH_VERSION: VERSION}
    return replace(node_class, metadata=replace(metadata, finalizers=finalizers, annotations=annotations))


def applied(
    node_class: EC2NodeClass, parts: Iterable[Part], now: Millis, dependents: Sequence[str] = CONDITIONS
) -> EC2NodeClass:
    """The class with what the parts have found, in whatever order they come. dependents: what `Ready` is made of."""
    status, generation = node_class.status, node_class.metadata.generation
    conditions = _awaited(by_type(status.conditions), dependents, now, generation)
    for part in sorted(parts, key=lambda one: CONDITIONS.index(one.condition)):
        before = conditions[part.condition]
        if not part.status:
            conditions[part.condition] = _left(before, part, generation)
            continue
        whole = not part.troubles or not is_true(before, generation)
        status = replace(status, **(part.fields if whole else _united(status, part.fields)))
        message = part.message or "; ".join(one.text for one in part.troubles if not one.passing)
        conditions = put(
            conditions, part.condition, part.status, now, reason=part.reason, message=message, generation=generation
        )
    conditions = rooted(_ordered(conditions, dependents), dependents, now, generation)
    return replace(node_class, status=replace(status, conditions=tuple(conditions.values())))


def is_true(condition: Condition | None, generation: int | None) -> bool:
    """Whether a condition holds for this generation of the class."""
    return condition is not None and condition.status == "True" and condition.observed_generation == generation


def problem(node_class: EC2NodeClass) -> str:
    """Why nothing can be launched with a class; empty where something can. Names what failed, with its message."""
    metadata = node_class.metadata
    if metadata.deletion_timestamp:
        return f"EC2NodeClass {metadata.name} is being deleted"
    if is_true(node_class.condition(READY), metadata.generation):
        return ""
    open_ = [c for c in node_class.status.conditions if c.type != READY and not is_true(c, metadata.generation)]
    why = "; ".join(f"{c.type}={c.status}: {c.reason}{f': {c.message}' if c.message else ''}" for c in open_)
    return f"EC2NodeClass {metadata.name} is not ready: {why or 'nobody has looked at it yet'}"


def _awaited(conditions: Conditions, dependents: Sequence[str], now: Millis, generation: int | None) -> Conditions:
    """Those added that nobody has looked for yet."""
    found = dict(conditions)
    for type_ in dependents:
        if type_ not in found:
            found = put(found, type_, "Unknown", now, reason=AWAITING, message=AWAITED, generation=generation)
    return found


def _left(before: Condition, part: Part, generation: int | None) -> Condition:
    """The condition as it was, and why nobody knows better. What may pass is only told where it is waited for."""
    current = before.observed_generation == generation
    waits = not is_true(before, generation)
    told = [one.text for one in part.troubles if waits or not one.passing]
    if before.status == "False" and current:
        return before
    if not told:
        # A former trouble is over; what else a condition that is waited for says stays.
        return before if waits else replace(before, message="")
    return replace(before, message="; ".join(told))


def _united(status: EC2NodeClassStatus, found: Mapping[str, Any]) -> dict[str, Any]:
    """What was found, and what was there before and could not be asked for: not all questions had an answer."""
    return {name: _both(name, getattr(status, name), value) for name, value in found.items()}


def _both(name: str, before: Sequence[Any], found: Sequence[Any]) -> tuple[Any, ...]:
    key: Callable[[Any], Any] = attrgetter("requirements" if name == "amis" else "id")
    new = {key(one) for one in found}
    every = (*found, *(one for one in before if key(one) not in new))
    return tuple(sorted(every, key=key)) if name in ("security_groups", "capacity_reservations") else every


def _ordered(conditions: Conditions, dependents: Sequence[str]) -> Conditions:
    own = [type_ for type_ in CONDITIONS if type_ in dependents]
    others = [type_ for type_ in conditions if type_ not in CONDITIONS and type_ != READY]
    ready = [READY] if READY in conditions else []
    return {type_: conditions[type_] for type_ in (*own, *others, *ready)}
