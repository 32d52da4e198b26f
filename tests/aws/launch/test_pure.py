"""The pure parts of launching: tags of a batch, what a fleet is asked and answers, subnets, memories."""

from __future__ import annotations

import re
from typing import Any

import pytest
from botocore.session import get_session
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st

from fretsaw.providers.aws.launch import fleet, marks
from fretsaw.providers.aws.launch.reservations import Reservations
from fretsaw.providers.aws.launch.unavailable import Unavailable

_UIDS = st.lists(st.uuids().map(str), min_size=1, max_size=120, unique=True)
_ALLOWED = re.compile(r"[\w+\-=.:/@ ]*")


# Tags


@given(_UIDS, st.uuids().map(str))
def test_a_batch_names_its_claims_and_nobody_else(uids: list[str], other: str) -> None:
    tags = marks.of_batch(uids)
    assert all(marks.may_take(tags, uid) for uid in uids)
    assert marks.may_take(tags, other) == (other in uids)
    assert not any(marks.is_of(tags, uid, "c") for uid in uids)
    mine = {**tags, marks.CLAIM: "c"}
    assert marks.is_of(mine, uids[0], "c")
    assert not marks.is_of(mine, uids[0], "d")
    assert not any(marks.may_take(mine, uid) for uid in uids)


@given(st.integers(0, 49))
def test_a_full_batch_keeps_the_limits_of_tags(given: int) -> None:
    own = {f"key-{i}": "x" for i in range(given)}
    most = marks.room(own)
    tags = {**own, **(marks.of_batch([f"uid-{i}" for i in range(most)]) if most > 1 else marks.of_one("u", "c"))}
    assert len({*tags, marks.NAME}) <= marks.MOST_TAGS or given > 46
    assert all(len(value) <= 256 and _ALLOWED.fullmatch(value) for value in tags.values())


def test_a_batch_of_a_thousand_has_room_beside_a_users_tags() -> None:
    assert marks.room(marks.launch_tags({f"own-{i}": "x" for i in range(10)}, "c", "p", "n")) >= 1000


def test_our_tags_win_over_the_users() -> None:
    tags = marks.launch_tags({"team": "a", "karpenter.sh/nodepool": "x"}, "dev", "gpu", "default")
    assert tags == {
        "team": "a",
        "kubernetes.io/cluster/dev": "owned",
        "karpenter.sh/nodepool": "gpu",
        "eks:eks-cluster-name": "dev",
        "karpenter.k8s.aws/ec2nodeclass": "default",
    }


# CreateFleet

CONFIG = fleet.Config(
    "template",
    (
        fleet.Override(2.0, "g5.xlarge", "a", "subnet-a", "ami-1"),
        fleet.Override(1.0, "g6.xlarge", "a", "subnet-a", "ami-1"),
        fleet.Override(3.0, "g6.xlarge", "a", "subnet-a", "ami-1"),
    ),
)


@pytest.mark.parametrize(
    ("buy", "capacity_type", "options"),
    [
        (fleet.Buy("spot"), "spot", {"SpotOptions": {"AllocationStrategy": "price-capacity-optimized"}}),
        (fleet.Buy("spot", by_priority=True), "spot", {"SpotOptions": {"AllocationStrategy": "capacity-optimized-prioritized"}}),
        (fleet.Buy("on-demand"), "on-demand", {"OnDemandOptions": {"AllocationStrategy": "lowest-price"}}),
        (fleet.Buy("on-demand", by_priority=True), "on-demand", {"OnDemandOptions": {"AllocationStrategy": "prioritized"}}),
        (fleet.Buy("reserved", "default"), "on-demand", {"OnDemandOptions": {"AllocationStrategy": "lowest-price"}}),
        (fleet.Buy("reserved", "capacity-block"), "capacity-block", {}),
        (fleet.Buy("reserved", "interruptible"), "reserved-capacity", {"ReservedCapacityOptions": {"ReservationTypes": ["interruptible-capacity-reservation"]}}),
        (fleet.Buy("on-demand", context="ctx"), "on-demand", {"OnDemandOptions": {"AllocationStrategy": "lowest-price"}, "Context": "ctx"}),
    ],
)  # fmt: skip
def test_what_a_fleet_is_asked(buy: fleet.Buy, capacity_type: str, options: dict[str, Any]) -> None:
    found = fleet.request(buy, [CONFIG, fleet.Config("empty", ())], 3, {"a": "b"}, {"c": "d"})
    both = [{"Key": "a", "Value": "b"}, {"Key": "c", "Value": "d"}]
    assert found == {
        "Type": "instant",
        "LaunchTemplateConfigs": [
            {
                "LaunchTemplateSpecification": {"LaunchTemplateName": "template", "Version": "$Latest"},
                "Overrides": [
                    {"InstanceType": "g6.xlarge", "SubnetId": "subnet-a", "ImageId": "ami-1", "AvailabilityZone": "a", "Priority": 1.0},
                    {"InstanceType": "g5.xlarge", "SubnetId": "subnet-a", "ImageId": "ami-1", "AvailabilityZone": "a", "Priority": 2.0},
                ],
            }
        ],
        "TargetCapacitySpecification": {"TotalTargetCapacity": 3, "DefaultTargetCapacityType": capacity_type},
        "TagSpecifications": [
            {"ResourceType": "instance", "Tags": both},
            {"ResourceType": "volume", "Tags": both[:1]},
            {"ResourceType": "fleet", "Tags": both[:1]},
        ],
        **options,
    }  # fmt: skip
    model = get_session().get_service_model("ec2").operation_model("CreateFleet").input_shape
    assert not ParamValidator().validate(found, model).has_errors()


def test_what_a_fleet_answers() -> None:
    override = {"InstanceType": "g5.xlarge", "AvailabilityZone": "a", "SubnetId": "subnet-a", "ImageId": "ami-1"}
    told = {"LaunchTemplateAndOverrides": {"Overrides": override}}
    found = fleet.answer(
        {
            "Instances": [{**told, "InstanceIds": ["i-2", "i-1"], "InstanceType": "g5.xlarge"}],
            "Errors": [{**told, "ErrorCode": "Unsupported", "ErrorMessage": "no"}, {"ErrorCode": "Odd"}],
        }
    )
    assert found == fleet.Answer(
        (
            fleet.Made("i-1", "g5.xlarge", "a", "subnet-a", "ami-1"),
            fleet.Made("i-2", "g5.xlarge", "a", "subnet-a", "ami-1"),
        ),
        (fleet.Failed("Unsupported", "no", "g5.xlarge", "a", "subnet-a"), fleet.Failed("Odd", "")),
    )
    assert fleet.answer({}) == fleet.Answer((), ())


# Offerings that could not be had


def test_offerings_are_forgotten_after_a_while_and_kept_longer_when_marked_again() -> None:
    seconds = 0.0
    memory = Unavailable(lambda: seconds, 180)
    one, two = ("g5.xlarge", "a", "spot"), ("g6.xlarge", "a", "spot")
    memory.mark([one], "InsufficientInstanceCapacity")
    before = memory.version
    seconds = 100.0
    memory.mark([one, two], "VcpuLimitExceeded")
    assert memory.version != before
    seconds = 181.0
    assert memory.reasons() == {one: "VcpuLimitExceeded", two: "VcpuLimitExceeded"}
    seconds = 281.0
    after = memory.version
    assert memory.all() == frozenset()
    assert after != before


# Reservations


def test_what_is_done_counts_until_another_figure_is_read_or_a_while_has_passed() -> None:
    now, heard = 1_000_000, {"cr-1": 2}
    counters = Reservations(lambda: now, lambda: heard)
    assert (counters.left("cr-1"), counters.left("cr-unknown")) == (2, 1)
    counters.launched("cr-1")
    assert counters.left("cr-1") == 1
    counters.none_left("cr-1")
    assert counters.left("cr-1") == 0
    now, heard["cr-1"] = now + 60_000, 1
    assert counters.left("cr-1") == 1  # as it is read now
    now += 1
    counters.launched("cr-1")
    counters.launched("cr-1")
    assert counters.left("cr-1") == 0
    counters.ended("cr-1")
    counters.ended("cr-1")
    assert counters.left("cr-1") == 1
    counters.none_left("cr-1")
    now += 90_001
    assert counters.left("cr-1") == 1
