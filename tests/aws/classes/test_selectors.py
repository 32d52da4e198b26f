"""Selector terms, and the questions that they are to EC2."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fretsaw.api.nodeclass import (
    AMISelectorTerm,
    CapacityReservationSelectorTerm,
    PlacementGroupSelector,
    SecurityGroupSelectorTerm,
    SubnetSelectorTerm,
)
from fretsaw.providers.aws.classes import selectors

STATE = {"Name": "state", "Values": ["available"]}
ACTIVE = {"Name": "state", "Values": ["active"]}


def one(name: str, *values: str) -> dict[str, Any]:
    return {"Name": name, "Values": list(values)}


def terms(kind: Any, *given: dict[str, Any]) -> list[Any]:
    return msgspec.convert(list(given), list[kind])


@pytest.mark.parametrize(
    ("given", "filters"),
    [
        ([{"id": "subnet-1"}, {"id": "subnet-2"}], [[one("subnet-id", "subnet-1", "subnet-2")]]),
        ([{"tags": {"b": "2", "a": "1"}}], [[one("tag:a", "1"), one("tag:b", "2")]]),
        ([{"tags": {"a": "*", "b": "x*"}}], [[one("tag-key", "a"), one("tag:b", "x*")]]),
        (
            [{"tags": {"a": "1"}}, {"id": "subnet-1"}, {"tags": {"a": "2"}}],
            [[one("subnet-id", "subnet-1")], [one("tag:a", "1")], [one("tag:a", "2")]],
        ),
        ([{"id": "subnet-1", "tags": {"a": "1"}}], [[one("subnet-id", "subnet-1")]]),
        ([{"tags": {}}], [None]),
        ([], []),
    ],
)
def test_subnets(given: list[dict[str, Any]], filters: list[Any]) -> None:
    found = selectors.subnets(terms(SubnetSelectorTerm, *given))
    assert [query.parameters.get("Filters") for query in found] == filters
    assert {(query.call, query.field, query.parameters["MaxResults"]) for query in found} <= {
        ("ec2:DescribeSubnets", "Subnets", 500)
    }


@pytest.mark.parametrize(
    ("given", "filters"),
    [
        (
            [{"id": "sg-1"}, {"name": "n"}, {"id": "sg-2"}],
            [[one("group-id", "sg-1", "sg-2")], [one("group-name", "n")]],
        ),
        ([{"name": "n"}, {"name": "m"}], [[one("group-name", "n", "m")]]),
        ([{"id": "sg-1", "name": "n", "tags": {"a": "1"}}], [[one("group-id", "sg-1")]]),
        ([{"name": "n", "tags": {"a": "1"}}], [[one("group-name", "n")]]),
        ([{"tags": {"a": "1"}}, {"tags": {"a": "*"}}], [[one("tag:a", "1")], [one("tag-key", "a")]]),
        ([{"tags": {}}], [None]),
    ],
)
def test_security_groups(given: list[dict[str, Any]], filters: list[Any]) -> None:
    found = selectors.security_groups(terms(SecurityGroupSelectorTerm, *given))
    assert [query.parameters.get("Filters") for query in found] == filters
    assert {(query.call, query.field) for query in found} == {("ec2:DescribeSecurityGroups", "SecurityGroups")}


@pytest.mark.parametrize(
    ("given", "parameters"),
    [
        (
            [{"id": "cr-1"}, {"id": "cr-2"}],
            [
                {"CapacityReservationIds": ["cr-1"], "Filters": [ACTIVE]},
                {"CapacityReservationIds": ["cr-2"], "Filters": [ACTIVE]},
            ],
        ),
        (
            [{"tags": {"a": "1"}, "ownerID": "123456789012", "instanceMatchCriteria": "open"}],
            [
                {
                    "Filters": [
                        one("owner-id", "123456789012"),
                        one("instance-match-criteria", "open"),
                        one("tag:a", "1"),
                        ACTIVE,
                    ],
                    "MaxResults": 1000,
                }
            ],
        ),
        (
            [{"id": "cr-1", "tags": {"a": "1"}}],
            [
                {"CapacityReservationIds": ["cr-1"], "Filters": [ACTIVE]},
                {"Filters": [one("tag:a", "1"), ACTIVE], "MaxResults": 1000},
            ],
        ),
        ([{"tags": {}}], [{"Filters": [ACTIVE], "MaxResults": 1000}]),
        ([], []),
    ],
)
def test_capacity_reservations(given: list[dict[str, Any]], parameters: list[Any]) -> None:
    found = selectors.capacity_reservations(terms(CapacityReservationSelectorTerm, *given))
    assert [query.parameters for query in found] == parameters


@pytest.mark.parametrize(
    ("selector", "which"),
    [
        (PlacementGroupSelector(name="ring"), {"GroupNames": ["ring"]}),
        (PlacementGroupSelector(id="pg-1"), {"GroupIds": ["pg-1"]}),
    ],
)
def test_placement_groups(selector: PlacementGroupSelector, which: dict[str, Any]) -> None:
    assert selectors.placement_group(selector).parameters == {**which, "Filters": [STATE]}


@pytest.mark.parametrize(
    ("given", "of_parameters", "asked"),
    [
        (
            [{"id": "ami-1"}, {"id": "ami-2"}],
            ["ami-3", "ami-1"],
            [([one("image-id", "ami-1", "ami-2", "ami-3")], None)],
        ),
        ([{"ssmParameter": "/a"}], ["ami-3"], [([one("image-id", "ami-3")], None)]),
        ([{"ssmParameter": "/a"}], [], []),
        ([{"name": "gpu-*"}], [], [([one("name", "gpu-*")], ["self", "amazon"])]),
        ([{"name": "gpu-*", "owner": "self"}], [], [([one("name", "gpu-*")], ["self"])]),
        ([{"tags": {"a": "1"}}], [], [([one("tag:a", "1")], None)]),
        ([{"tags": {"a": "*"}, "owner": "1234"}], [], [([one("tag-key", "a")], ["1234"])]),
        ([{"name": "n", "tags": {"a": "1"}}], [], [([one("name", "n"), one("tag:a", "1")], ["self", "amazon"])]),
        (
            [{"name": "n"}, {"id": "ami-1"}, {"name": "m"}],
            [],
            [
                ([one("image-id", "ami-1")], None),
                ([one("name", "n")], ["self", "amazon"]),
                ([one("name", "m")], ["self", "amazon"]),
            ],
        ),
        ([{"ssmParameter": "/a", "name": "n"}], ["ami-3"], [([one("image-id", "ami-3")], None)]),
        ([{"alias": "al2023@latest"}], [], []),
    ],
)
def test_images(given: list[dict[str, Any]], of_parameters: list[str], asked: list[Any]) -> None:
    found = selectors.images(terms(AMISelectorTerm, *given), of_parameters)
    assert [(query.parameters["Filters"], query.parameters.get("Owners")) for query in found] == [
        ([*filters, STATE], owners) for filters, owners in asked
    ]
    assert all(query.parameters["IncludeDeprecated"] and query.parameters["MaxResults"] == 1000 for query in found)


def test_equal_terms_are_equal_questions_in_whatever_order_their_tags_are_written() -> None:
    ab, ba = ({"tags": {"a": "1", "b": "2"}}, {"tags": {"b": "2", "a": "1"}})
    keys = [selectors.subnets(terms(SubnetSelectorTerm, given))[0].key for given in (ab, ba)]
    assert keys[0] == keys[1]
