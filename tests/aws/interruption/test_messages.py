"""What messages say: a table of all kinds, and that no message whatever does harm."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fretsaw.providers.aws.interruption.messages import NOTHING, Message, UnreadableError, parse

ID = "i-0abc0123456789def"
AT = 1_767_225_600_000
SPOT = "EC2 Spot Instance Interruption Warning"
REBALANCE = "EC2 Instance Rebalance Recommendation"
RESERVATION = "EC2 Capacity Reservation Instance Interruption Warning"
STATE = "EC2 Instance State-change Notification"
HEALTH = "AWS Health Event"


def envelope(detail_type: str, detail: Any = None, **changes: Any) -> dict[str, Any]:
    """A message as EventBridge writes it."""
    return {
        "version": "0",
        "id": "3b5c6e1e-0000-0000-0000-000000000000",
        "detail-type": detail_type,
        "source": "aws.health" if detail_type == HEALTH else "aws.ec2",
        "account": "123456789012",
        "time": "2026-01-01T00:00:00Z",
        "region": "us-east-1",
        "resources": ["arn:aws:ec2:us-east-1a:instance/i-0fedcba9876543210"],
        "detail": {"instance-id": ID, "instance-action": "terminate"} if detail is None else detail,
        **changes,
    }


def health(*entities: Any, **changes: Any) -> dict[str, Any]:
    detail = {
        "eventArn": "arn:aws:health:us-east-1::event/EC2/AWS_EC2_INSTANCE_STOP_SCHEDULED/1",
        "service": "EC2",
        "eventTypeCode": "AWS_EC2_INSTANCE_STOP_SCHEDULED",
        "eventTypeCategory": "scheduledChange",
        "startTime": "Wed, 1 Apr 2026 12:00:00 GMT",
        "eventDescription": [{"language": "en_US", "latestDescription": "hardware degradation"}],
        "affectedEntities": [*entities],
        **changes,
    }
    return envelope(HEALTH, detail)


def state(name: Any) -> dict[str, Any]:
    return envelope(STATE, {"instance-id": ID, "state": name})


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (envelope(SPOT), "spot_interrupted"),
        (envelope(SPOT, {"instance-id": ID, "instance-action": "stop"}), "spot_interrupted"),
        (envelope(REBALANCE, {"instance-id": ID}), "rebalance_recommendation"),
        (envelope(RESERVATION), "capacity_reservation_interrupted"),
        (state("stopping"), "instance_stopped"),
        (state("stopped"), "instance_stopped"),
        (state("shutting-down"), "instance_terminated"),
        (state("terminated"), "instance_terminated"),
        (state("Terminated"), "instance_terminated"),
        (health({"entityValue": ID}), "scheduled_change"),
    ],
)
def test_each_kind_is_understood(said: dict[str, Any], kind: Any) -> None:
    assert parse(json.dumps(said)) == Message(kind, (ID,), AT)


def test_a_health_event_names_many_instances_and_other_things() -> None:
    other = "i-00000000000000001"
    entities = [{"entityValue": ID}, {"entityValue": "vol-1"}, {"entityValue": other}, {}, "text", {"entityValue": ID}]
    assert parse(json.dumps(health(*entities))).instances == (ID, other)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(state("pending"), id="pending"),
        pytest.param(state("running"), id="running"),
        pytest.param(state(None), id="no state"),
        pytest.param(state(["terminated"]), id="a state that is no text"),
        pytest.param(envelope(SPOT, version="1"), id="another version"),
        pytest.param(envelope(SPOT, source="my.app"), id="another source"),
        pytest.param(envelope(SPOT, source=["aws.ec2"]), id="a source that is no text"),
        pytest.param(envelope("EC2 Something New"), id="another detail-type"),
        pytest.param(envelope(SPOT.lower()), id="another case"),
        pytest.param(envelope(SPOT, {}), id="no instance"),
        pytest.param(envelope(SPOT, {"instance-id": 7}), id="an instance that is no text"),
        pytest.param(envelope(SPOT, {"instance-id": "i-1 OR 1=1"}), id="an instance that is none"),
        pytest.param(envelope(SPOT, []), id="a detail that is no object"),
        pytest.param(health({"entityValue": ID}, service="RDS"), id="health of another service"),
        pytest.param(health({"entityValue": ID}, eventTypeCategory="issue"), id="another category"),
        pytest.param(health(), id="health of nobody"),
        pytest.param(health(affectedEntities=None), id="health without entities"),
        pytest.param({"Type": "Notification", "Message": json.dumps(envelope(SPOT))}, id="wrapped by SNS"),
        pytest.param({}, id="nothing"),
    ],
)
def test_what_is_not_for_us_says_nothing(said: dict[str, Any]) -> None:
    assert parse(json.dumps(said)) == NOTHING


def test_an_empty_body_says_nothing() -> None:
    assert parse("") == parse(" \n") == NOTHING


@pytest.mark.parametrize("body", ["{", "interrupted", '"text"', "[]", "7", "null", "\ud800", "[" * 100_000])
def test_what_is_no_object_is_unreadable(body: str) -> None:
    with pytest.raises(UnreadableError):
        parse(body)


@pytest.mark.parametrize("time", ["yesterday", "", None, 7, [], "2026-01-01T00:00:00", "9999-99-99T00:00:00Z"])
def test_a_time_that_cannot_be_read_is_none(time: Any) -> None:
    assert parse(json.dumps(envelope(SPOT, time=time))) == Message("spot_interrupted", (ID,), 0)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(ID),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
KNOWN = [envelope(SPOT), envelope(REBALANCE), envelope(RESERVATION), state("stopped"), health({"entityValue": ID})]


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a tree of JSON."""
    inner = list(tree.items()) if isinstance(tree, dict) else list(enumerate(tree)) if isinstance(tree, list) else []
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


def changed(tree: Any, path: tuple[Any, ...], value: Any, *, drop: bool) -> Any:
    """The tree with something else in one place, or nothing."""
    if not path:
        return value
    copy = dict(tree) if isinstance(tree, dict) else list(tree)
    if drop and len(path) == 1:
        del copy[path[0]]
    else:
        copy[path[0]] = changed(copy[path[0]], path[1:], value, drop=drop)
    return copy


@st.composite
def mutated(draw: Callable[..., Any]) -> Any:
    tree = draw(st.sampled_from(KNOWN))
    for _ in range(draw(st.integers(1, 3))):
        tree = changed(tree, draw(st.sampled_from(places(tree))), draw(JSON), drop=draw(st.booleans()))
    return tree


@given(mutated())
def test_a_mutated_message_is_understood_says_nothing_or_is_unreadable(tree: Any) -> None:
    try:
        message = parse(json.dumps(tree))
    except UnreadableError:
        assert not isinstance(tree, dict) or "NaN" in json.dumps(tree) or "Infinity" in json.dumps(tree)
        return
    assert (message.kind == "no_op") == (message.instances == ())
    assert len(set(message.instances)) == len(message.instances)
    assert message.at >= 0 or message.kind != "no_op"
    assert all(instance in json.dumps(tree) for instance in message.instances)


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_no_text_whatever_does_harm(body: str) -> None:
    with contextlib.suppress(UnreadableError):
        assert parse(body) == NOTHING
