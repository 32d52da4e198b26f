"""How long answers count, and what is told instead of asked."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from aws.classes.worlds import CLUSTER, NOW, account, classes, denied, few_types, look, node_class, run, shown, whole
from fretsaw.api.times import HOUR, MINUTE, SECOND
from fretsaw.providers.aws.classes.classes import Classes, Options

# Caches


def test_answers_count_for_as_long_as_they_should() -> None:
    aws = account()
    looking = classes(aws)
    calls = (
        "ec2:DescribeSubnets",
        "ec2:DescribeImages",
        "ssm:GetParameter",
        "eks:DescribeCluster",
        "iam:GetInstanceProfile",
    )

    async def asked() -> list[dict[str, int]]:
        found, seen = whole(), []
        for offset in (0, 59 * SECOND, MINUTE, 5 * MINUTE, 16 * MINUTE, 25 * HOUR):
            aws.asked.clear()
            found = (await looking.as_it_should_be(found, NOW + offset)).node_class
            seen.append({call.partition(":")[2]: count for call in calls if (count := aws.count(call))})
        return seen

    assert run(asked()) == [
        {"DescribeSubnets": 1, "DescribeImages": 1, "GetParameter": 5, "DescribeCluster": 1, "GetInstanceProfile": 1},
        {},
        {"DescribeSubnets": 1, "DescribeImages": 1},
        {"DescribeSubnets": 1, "DescribeImages": 1, "DescribeCluster": 1},
        {"DescribeSubnets": 1, "DescribeImages": 1, "DescribeCluster": 1, "GetInstanceProfile": 1},
        {"DescribeSubnets": 1, "DescribeImages": 1, "GetParameter": 5, "DescribeCluster": 1, "GetInstanceProfile": 1},
    ]


def test_classes_with_the_same_selectors_share_answers_and_a_failure_is_not_repeated_at_once() -> None:
    aws = account()
    aws.faults["ec2:DescribeSecurityGroups"] = denied("ec2:DescribeSecurityGroups")
    looking = classes(aws)

    async def work() -> None:
        for offset in range(0, 5000, 1000):
            for name in ("one", "two"):
                await looking.as_it_should_be(node_class(name), NOW + offset)

    run(work())
    assert aws.count("ec2:DescribeSubnets") == 1
    assert aws.count("ec2:DescribeSecurityGroups") == 1


def test_what_is_left_of_a_reservation_is_kept_beside_the_status() -> None:
    aws = account()
    looking = classes(aws)

    async def work() -> list[dict[str, int]]:
        seen = []
        for offset in (0, 30 * SECOND, MINUTE):
            await looking.as_it_should_be(whole(), NOW + offset)
            seen.append(dict(looking.looking.instances_left))
            aws.reservations[0]["AvailableInstanceCount"] = 3
        return seen

    assert run(work()) == [{"cr-1": 4}, {"cr-1": 4}, {"cr-1": 3}]


def test_a_placement_group_is_still_known_for_a_day_where_ec2_does_not_say() -> None:
    aws = account()
    looking = classes(aws)
    spec = whole().spec
    assert spec is not None

    async def known() -> list[str | None]:
        found = []
        for offset in (0, HOUR, 25 * HOUR):
            group = await looking.looking.group(spec, NOW + offset)
            found.append(None if group is None else group.id)
            aws.faults["ec2:DescribePlacementGroups"] = denied("ec2:DescribePlacementGroups")
        return found

    assert run(known()) == ["pg-1", "pg-1", None]


def test_the_cluster_is_not_asked_for_where_all_is_told() -> None:
    aws = account()
    told = replace(CLUSTER, endpoint="https://x", ca="Y2E=", cidr="10.0.0.0/16")
    found = run(
        Classes(aws, told, Options(kubernetes="1.34"), types=few_types).as_it_should_be(node_class(), NOW)
    ).node_class
    assert shown(found)["Ready"] == "True"
    assert aws.count("eks:DescribeCluster") == 0


@pytest.mark.parametrize(
    ("network", "version", "expected"),
    [
        ({"serviceIpv6Cidr": "fd00::/108"}, "1.34+", {}),
        ({}, "1.34", {"ValidationSucceeded": "False: ClusterCIDRResolutionFailed"}),
        ({"serviceIpv4Cidr": "172.20.0.0/16"}, "", {"AMIsReady": "Unknown: AwaitingReconciliation"}),
    ],
)
def test_what_eks_does_not_say(network: dict[str, str], version: str, expected: dict[str, str]) -> None:
    aws = account()
    aws.cluster |= {"kubernetesNetworkConfig": network, "version": version}
    found = shown(look(aws, node_class()))
    assert {key: found[key] for key in expected} == expected
    assert (found["Ready"] == "True") == (not expected)
