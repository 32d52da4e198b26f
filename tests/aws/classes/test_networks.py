"""Subnets, security groups and reservations as the status has them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws.classes.accounts import group, reservation, subnet
from aws.classes.worlds import NOW
from fretsaw.api.times import MINUTE
from fretsaw.providers.aws.classes import networks


def at(offset: int) -> datetime:
    return datetime.fromtimestamp((NOW + offset) / 1000, UTC)


def test_subnets_with_more_free_addresses_come_first_each_once() -> None:
    items = [subnet("subnet-b", "z-b", 7), subnet("subnet-a", "z-a", 7), subnet("subnet-c", "z-c", 9)]
    found = networks.subnets([*items, *items])
    assert [(one.id, one.zone, one.zone_id) for one in found] == [
        ("subnet-c", "z-c", "id-z-c"),
        ("subnet-a", "z-a", "id-z-a"),
        ("subnet-b", "z-b", "id-z-b"),
    ]


def test_security_groups_come_by_id() -> None:
    found = networks.security_groups([group("sg-2", "b"), group("sg-1", "a"), group("sg-2", "b")])
    assert [(one.id, one.name) for one in found] == [("sg-1", "a"), ("sg-2", "b")]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, ("active", "default", None, None)),
        ({"ReservationType": None}, ("active", "default", None, None)),
        ({"Interruptible": True}, ("active", "default", True, None)),
        ({"EndDate": at(0)}, None),
        ({"EndDate": at(1000)}, ("active", "default", None, "2026-11-24T12:00:01Z")),
        (
            {"ReservationType": "capacity-block", "EndDate": at(40 * MINUTE)},
            ("expiring", "capacity-block", None, "2026-11-24T12:40:00Z"),
        ),
        (
            {"ReservationType": "capacity-block", "EndDate": at(40 * MINUTE + 1000)},
            ("active", "capacity-block", None, "2026-11-24T12:40:01Z"),
        ),
        ({"ReservationType": "of-tomorrow"}, None),
        ({"InstanceMatchCriteria": "neither"}, None),
    ],
)
def test_reservations(more: dict[str, Any], expected: tuple[Any, ...] | None) -> None:
    found = networks.capacity_reservations([reservation("cr-1", **more)], NOW)
    assert [(one.state, one.reservation_type, one.interruptible, one.end_time) for one in found] == (
        [expected] if expected else []
    )


def test_a_reservation_says_where_and_whose_it_is() -> None:
    (found,) = networks.capacity_reservations([reservation("cr-1")], NOW)
    assert (found.id, found.availability_zone, found.instance_type, found.owner_id, found.instance_match_criteria) == (
        "cr-1",
        "us-east-1a",
        "p5.48xlarge",
        "123456789012",
        "targeted",
    )
    assert networks.instances_left([reservation("cr-1"), reservation("cr-2", AvailableInstanceCount=0)]) == {
        "cr-1": 4,
        "cr-2": 0,
    }


@given(st.permutations(range(6)))
def test_the_order_of_answers_does_not_matter(order: list[int]) -> None:
    nets = [subnet(f"subnet-{n}", "z", n % 3) for n in range(6)]
    groups = [group(f"sg-{n}") for n in range(6)]
    reserved = [reservation(f"cr-{n}") for n in range(6)]
    assert networks.subnets(nets[n] for n in order) == networks.subnets(nets)
    assert networks.security_groups(groups[n] for n in order) == networks.security_groups(groups)
    assert networks.capacity_reservations((reserved[n] for n in order), NOW) == networks.capacity_reservations(
        reserved, NOW
    )
