"""What the status of instances says: a table of checks and events, and that each thing is told once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fretsaw.api.times import SECOND
from fretsaw.providers.aws.interruption.status import LASTING, Watch, impaired
from support.aws.asking import Scripted

NOW = 1_767_225_660_000
ID = "i-00000000000000001"


def at(millis: int) -> datetime:
    return datetime.fromtimestamp(millis / 1000, UTC)


def check(since: Any = None, status: str = "failed", name: str = "reachability") -> dict[str, Any]:
    detail = {"Name": name, "Status": status, **({"ImpairedSince": since} if since is not None else {})}
    return {"Status": "impaired", "Details": [detail]}


def event(code: str = "instance-stop", description: str = "scheduled") -> dict[str, Any]:
    return {"Code": code, "Description": description, "NotBefore": at(NOW)}


OLD, NEW = at(NOW - LASTING), at(NOW - LASTING + SECOND)


@pytest.mark.parametrize(
    ("entry", "kinds"),
    [
        pytest.param({"InstanceStatus": check(OLD)}, ["instance_status"], id="software fails for two minutes"),
        pytest.param({"SystemStatus": check(OLD)}, ["instance_status"], id="hardware fails for two minutes"),
        pytest.param({"SystemStatus": check(OLD.isoformat())}, ["instance_status"], id="the time as text"),
        pytest.param({"InstanceStatus": check(NEW)}, [], id="fails, but not for long"),
        pytest.param({"InstanceStatus": check(OLD, "passed")}, [], id="passes"),
        pytest.param({"InstanceStatus": check(OLD, "insufficient-data")}, [], id="nobody knows"),
        pytest.param({"AttachedEbsStatus": check(OLD)}, [], id="a volume fails"),
        pytest.param({"InstanceStatus": check(NEW), "SystemStatus": check(OLD)}, ["instance_status"], id="one for long"),
        pytest.param({"Events": [event()]}, ["scheduled_change"], id="will be stopped"),
        pytest.param({"Events": [event("instance-retirement")]}, ["scheduled_change"], id="will be retired"),
        pytest.param({"Events": [event("something-new")]}, [], id="another event"),
        pytest.param({"Events": [event(description="[Completed] done")]}, [], id="over"),
        pytest.param({"Events": [event(description="[Canceled] not needed")]}, [], id="called off"),
        pytest.param({"Events": [event(description="[Completed] x"), event("system-reboot")]}, ["scheduled_change"], id="one over, one ahead"),
        pytest.param({"Events": [event()], "SystemStatus": check(OLD)}, ["scheduled_change", "instance_status"], id="both: the urgent one last"),
        pytest.param({"Events": None, "InstanceStatus": None, "SystemStatus": {"Details": ["x"]}}, [], id="odd shapes"),
        pytest.param({}, [], id="nothing"),
    ],
)  # fmt: skip
def test_what_a_status_says(entry: dict[str, Any], kinds: list[str]) -> None:
    assert Watch().news([{"InstanceId": ID, **entry}], NOW) == [(ID, kind) for kind in kinds]


def test_a_check_without_a_time_counts_from_when_it_was_first_seen() -> None:
    watch, entry = Watch(), [{"InstanceId": ID, "InstanceStatus": check()}]
    assert watch.news(entry, NOW) == watch.news(entry, NOW + LASTING - SECOND) == []
    assert watch.news(entry, NOW + LASTING) == [(ID, "instance_status")]


def test_a_check_that_came_right_in_between_begins_anew() -> None:
    watch, entry = Watch(), [{"InstanceId": ID, "InstanceStatus": check()}]
    watch.news(entry, NOW)
    watch.news([], NOW + SECOND)
    assert watch.news(entry, NOW + LASTING) == []


def test_each_thing_is_told_once_while_it_lasts_and_again_when_it_comes_back() -> None:
    watch, entry = Watch(), [{"InstanceId": ID, "Events": [event()]}]
    assert watch.news(entry, NOW) == [(ID, "scheduled_change")]
    assert watch.news(entry, NOW + SECOND) == []
    assert watch.news([], NOW + 2 * SECOND) == []
    assert watch.news(entry, NOW + 3 * SECOND) == [(ID, "scheduled_change")]
    watch.forget()
    assert watch.news(entry, NOW + 4 * SECOND) == [(ID, "scheduled_change")]


def test_the_three_filters_are_asked_apart_and_their_answers_joined() -> None:
    aws = Scripted()
    rows = [{"InstanceId": ID, "Mark": n} for n in range(3)]
    aws.put(
        "ec2:DescribeInstanceStatus",
        *({"InstanceStatuses": [row, {"InstanceId": f"i-{n}"}]} for n, row in enumerate(rows)),
    )
    found = asyncio.run(impaired(aws))
    assert [one["InstanceId"] for one in found] == [ID, "i-0", "i-1", "i-2"]
    assert found[0]["Mark"] == 0
    assert [asked["Filters"][0]["Name"] for _, asked in aws.asked] == [
        "instance-status.status",
        "system-status.status",
        "event.code",
    ]


SHAPES = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.just(OLD),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["Details", "Status", "ImpairedSince", "Code", "Description", "x"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["Events", "InstanceStatus", "SystemStatus"]), SHAPES))
def test_no_shape_of_a_status_does_harm(entry: dict[str, Any]) -> None:
    for _, kind in Watch().news([{"InstanceId": ID, **entry}], NOW):
        assert kind in ("scheduled_change", "instance_status")
