"""What a message of the queue says: an EventBridge envelope becomes a kind and the instances that it is about. Pure.

Source: Karpenter AWS provider v1.14 pkg/controllers/interruption/messages (versions, sources, detail-types).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from fretsaw.api.times import Millis
from fretsaw.engine.events import InterruptionKind

Kind = InterruptionKind | Literal["no_op"]

_INSTANCE = re.compile(r"i-[0-9a-f]{8,17}")
_EC2 = "aws.ec2"
_SAID: Mapping[tuple[str, str], InterruptionKind] = {
    (_EC2, "EC2 Spot Instance Interruption Warning"): "spot_interrupted",
    (_EC2, "EC2 Instance Rebalance Recommendation"): "rebalance_recommendation",
    (_EC2, "EC2 Capacity Reservation Instance Interruption Warning"): "capacity_reservation_interrupted",
}
_STATE = (_EC2, "EC2 Instance State-change Notification")
_HEALTH = ("aws.health", "AWS Health Event")
RULES: tuple[tuple[str, str], ...] = (*_SAID, _STATE, _HEALTH)
"""(source, detail-type) of everything that is understood: what EventBridge has to put into the queue."""
_VERSION = "0"
_STATES: Mapping[str, InterruptionKind] = {
    "stopping": "instance_stopped",
    "stopped": "instance_stopped",
    "shutting-down": "instance_terminated",
    "terminated": "instance_terminated",
}


class UnreadableError(ValueError):
    """A message that is no JSON object."""


class Message(msgspec.Struct, frozen=True):
    """A message that was understood, if only as one that says nothing to us."""

    kind: Kind
    instances: tuple[str, ...] = ()
    """Ids, each once, in their order."""
    at: Millis = 0
    """When it happened; 0 where it does not say."""


NOTHING = Message("no_op")


def parse(body: str) -> Message:
    """What the body says. Raises UnreadableError for what is no JSON object.

    What nobody has told us about, and what lacks the instance that it is about, says nothing: `no_op`.
    """
    if not body.strip():
        return NOTHING
    try:
        found = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise UnreadableError(str(error)) from error
    if not isinstance(found, dict):
        raise UnreadableError(f"an object is expected, not a {type(found).__name__}")
    detail = found.get("detail")
    if found.get("version") != _VERSION or not isinstance(detail, dict):
        return NOTHING
    said = (found.get("source"), found.get("detail-type"))
    kind, instances = _about(said, detail)
    return Message(kind, instances, _time(found.get("time"))) if kind and instances else NOTHING


def _about(said: tuple[Any, Any], detail: Mapping[str, Any]) -> tuple[InterruptionKind | None, tuple[str, ...]]:
    """Ids stand in `detail`; `resources` may name the same instances, or volumes, or nothing."""
    if said == _HEALTH:
        return _health(detail)
    one = _ids([detail.get("instance-id")])
    if said == _STATE:
        state = detail.get("state")
        return _STATES.get(state.lower()) if isinstance(state, str) else None, one
    # A source that is no text cannot be a key.
    return _SAID.get(said) if all(isinstance(part, str) for part in said) else None, one


def _health(detail: Mapping[str, Any]) -> tuple[InterruptionKind | None, tuple[str, ...]]:
    if detail.get("service") != "EC2" or detail.get("eventTypeCategory") != "scheduledChange":
        return None, ()
    entities = detail.get("affectedEntities")
    listed = entities if isinstance(entities, list) else []
    return "scheduled_change", _ids([one.get("entityValue") for one in listed if isinstance(one, dict)])


def _ids(values: list[Any]) -> tuple[str, ...]:
    found = [value for value in values if isinstance(value, str) and _INSTANCE.fullmatch(value)]
    return tuple(dict.fromkeys(found))


def _time(text: Any) -> Millis:
    try:
        time = datetime.fromisoformat(text)
        return round(time.timestamp() * 1000) if time.tzinfo is not None else 0
    except (TypeError, ValueError, OverflowError):
        return 0
