"""Node classes against moto over HTTP: the same questions and answers as with AWS, through its own models."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from aws.classes.worlds import condition, few_types, node_class, shown
from fretsaw.api.nodeclass import EC2NodeClass
from fretsaw.api.times import HOUR, MINUTE, Millis, millis
from fretsaw.providers.aws.boot.values import Cluster
from fretsaw.providers.aws.calls import Aws
from fretsaw.providers.aws.classes.classes import Classes
from support.aws import Moto

NOW = millis("2026-11-24T12:00:00Z")
FOUND = {"tags": {"karpenter.sh/discovery": "test"}}
CALLS = {
    "ssm:GetParameter": "AMIsReady",
    "ec2:DescribeSubnets": "SubnetsReady",
    "ec2:DescribePlacementGroups": "PlacementGroupReady",
    "iam:AddRoleToInstanceProfile": "InstanceProfileReady",
    "ec2:RunInstances": "ValidationSucceeded",
}
"""One of each protocol and each part; every call is tried with the account in memory."""


def usual(moto: Moto, **spec: Any) -> EC2NodeClass:
    """A class of the seeded account; it makes use of every call."""
    moto.place("ring")
    fields = {
        "role": moto.seeded.node_role,
        "subnetSelectorTerms": [FOUND],
        "securityGroupSelectorTerms": [FOUND],
        "capacityReservationSelectorTerms": [{"instanceMatchCriteria": "targeted"}],
        "placementGroupSelector": {"name": "ring"},
    }
    return node_class(**{**fields, **spec})


def on(moto: Moto, act: Callable[[Aws], Awaitable[Any]]) -> Any:
    async def whole() -> Any:
        async with moto.session() as aws:
            return await act(aws)

    return asyncio.run(whole())


async def looked(aws: Aws, moto: Moto, found: EC2NodeClass, now: Millis = NOW) -> EC2NodeClass:
    """What a new process makes of a class."""
    classes = Classes(aws, Cluster(moto.seeded.cluster), types=few_types)
    return (await classes.as_it_should_be(found, now)).node_class


def look(moto: Moto, found: EC2NodeClass) -> EC2NodeClass:
    """The same, over a session of its own."""
    after: EC2NodeClass = on(moto, lambda aws: looked(aws, moto, found))
    return after


def profiles(moto: Moto) -> dict[str, Any]:
    return dict(moto.backend("iam").instance_profiles)


def names(found: EC2NodeClass, moto: Moto) -> set[str]:
    by_id = {image.id: image.name for image in moto.seeded.images.values()}
    return {by_id[one.id] for one in found.status.amis}


def test_a_class_finds_everything_and_then_stays(moto: Moto) -> None:
    reserved = moto.reserve("p5.48xlarge", "us-east-1a", 2)

    async def twice(aws: Aws) -> tuple[EC2NodeClass, EC2NodeClass]:
        first = await looked(aws, moto, usual(moto))
        return first, await looked(aws, moto, first, NOW + HOUR)

    found, later = on(moto, twice)
    assert later == found
    assert set(shown(found).values()) == {"True"}
    assert {one.id: one.zone for one in found.status.subnets} == {
        name: zone for zone, name in moto.seeded.subnets.items()
    }
    assert [one.id for one in found.status.security_groups] == sorted(moto.seeded.security_groups)
    assert [one.id for one in found.status.capacity_reservations] == [reserved]
    assert names(found, moto) == {
        f"amazon-eks-node-al2023-{arch}-{kind}-1.34-v20261115"
        for arch, kind in [
            ("x86_64", "standard"),
            ("x86_64", "nvidia"),
            ("x86_64", "neuron"),
            ("arm64", "standard"),
            ("arm64", "nvidia"),
        ]
    }
    (profile,) = profiles(moto).values()
    assert profile.name == found.status.instance_profile
    assert [role.name for role in profile.roles] == [moto.seeded.node_role]
    assert profile.path == "/karpenter/us-east-1/test/uid-gpu/"
    assert moto.backend("ec2").launch_templates == {}
    assert moto.instances() == []


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ([{"alias": "al2023@v20261001"}], 5),
        ([{"alias": "bottlerocket@latest"}], 5),  # four images, one of them for two kinds of types
        ([{"alias": "bottlerocket@v1.49.0"}], 5),
        ([{"name": "amazon-eks-node-al2023-*-nvidia-1.34-*", "owner": "602401143452"}], 2),
        ([{"name": "bottlerocket-*"}], 2),
        ([{"ssmParameter": "/aws/service/bottlerocket/aws-k8s-1.34/arm64/latest/image_id"}], 1),
        ([{"tags": {"karpenter.sh/discovery": "*"}}], 0),
    ],
)
def test_images_by_alias_name_and_parameter(moto: Moto, terms: list[dict[str, Any]], expected: int) -> None:
    family = {} if "alias" in terms[0] else {"amiFamily": "Custom"}
    found = look(moto, usual(moto, amiSelectorTerms=terms, **family))
    assert len(found.status.amis) == expected
    assert condition(found, "AMIsReady").status == ("True" if expected else "False")


@pytest.mark.parametrize(
    ("spec", "subnets", "groups"),
    [
        ({"subnetSelectorTerms": [{"tags": {"Name": "test-us-east-1*"}}]}, 6, 2),
        ({"subnetSelectorTerms": [{"tags": {"karpenter.sh/discovery": "*"}}]}, 3, 2),
        ({"securityGroupSelectorTerms": [{"name": "other"}, {"name": "test-node"}]}, 3, 2),
        ({"securityGroupSelectorTerms": [{"tags": {"nobody": "has"}}]}, 3, 0),
        ({"subnetSelectorTerms": [{"id": "subnet-0123456789"}]}, 0, 2),
    ],
)
def test_networks_by_tags_names_and_ids(moto: Moto, spec: dict[str, Any], subnets: int, groups: int) -> None:
    found = look(moto, usual(moto, **spec))
    assert (len(found.status.subnets), len(found.status.security_groups)) == (subnets, groups)


@pytest.mark.parametrize("call", sorted(CALLS))
def test_a_denied_call_is_named_by_its_condition_and_heals(moto: Moto, call: str) -> None:
    async def act(aws: Aws) -> tuple[EC2NodeClass, EC2NodeClass]:
        moto.deny(call)
        first = await looked(aws, moto, usual(moto))
        moto.allow(call)
        return first, await looked(aws, moto, first, NOW + MINUTE)

    first, second = on(moto, act)
    assert call in condition(first, CALLS[call]).message
    assert shown(first)["Ready"] != "True"
    assert set(shown(second).values()) == {"True"}
    assert len(profiles(moto)) == 1
    assert moto.backend("ec2").launch_templates == {}


def test_a_class_that_was_ready_stays_so_while_a_call_is_throttled(moto: Moto) -> None:
    async def act(aws: Aws) -> tuple[EC2NodeClass, EC2NodeClass]:
        first = await looked(aws, moto, usual(moto))
        moto.throttle("ec2:DescribeSubnets", times=None)
        return first, await looked(aws, moto, first, NOW + MINUTE)

    first, second = on(moto, act)
    assert second == first
    assert moto.count("ec2:DescribeSubnets") > 2


def test_a_class_ends_with_its_profile_and_its_templates(moto: Moto) -> None:
    tags = [
        {"Key": "eks:eks-cluster-name", "Value": "test"},
        {"Key": "karpenter.k8s.aws/ec2nodeclass", "Value": "gpu"},
    ]

    async def act(aws: Aws) -> EC2NodeClass:
        found = await looked(aws, moto, usual(moto))
        await aws.ask(
            "ec2:CreateLaunchTemplate",
            LaunchTemplateName="left",
            LaunchTemplateData={"ImageId": found.status.amis[0].id},
            TagSpecifications=[{"ResourceType": "launch-template", "Tags": tags}],
        )
        metadata = replace(found.metadata, deletion_timestamp="2026-11-24T12:00:00Z")
        return await looked(aws, moto, replace(found, metadata=metadata))

    assert on(moto, act).metadata.finalizers == ()
    assert profiles(moto) == {}
    assert moto.backend("ec2").launch_templates == {}
