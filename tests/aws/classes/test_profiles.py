"""Instance profiles: made for a role, made anew for another one, collected when nobody uses them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from aws.classes.accounts import ROLE, TAGS, Account
from aws.classes.worlds import CLUSTER, NOW, condition, denied, few_types, node_class, run, throttled
from fretsaw.api.nodeclass import EC2NodeClass
from fretsaw.api.times import HOUR, MINUTE, Millis
from fretsaw.providers.aws.classes.classes import Classes, Options


def looking(aws: Account, **options: Any) -> Classes:
    return Classes(aws, CLUSTER, Options(dry_run=False, **options), types=few_types)


def look(aws: Account, found: EC2NodeClass, now: Millis = NOW) -> EC2NodeClass:
    """What a new process makes of a class."""
    return run(looking(aws).as_it_should_be(found, now)).node_class


def newer(found: EC2NodeClass, **spec: Any) -> EC2NodeClass:
    generation = (found.metadata.generation or 0) + 1
    return replace(found, spec=node_class(**spec).spec, metadata=replace(found.metadata, generation=generation))


def roles(aws: Account) -> dict[str, list[str]]:
    return {name: [role["RoleName"] for role in one["Roles"]] for name, one in aws.profiles.items()}


def made_at(aws: Account, when: Millis) -> None:
    """Let all profiles that there are have been made then."""
    for one in aws.profiles.values():
        one["CreateDate"] = datetime.fromtimestamp(when / 1000, UTC)


def test_a_role_gets_a_profile_with_its_path_and_tags() -> None:
    aws = Account()
    found = look(aws, node_class(tags={"team": "ml", "eks:eks-cluster-name": "forged"}))
    ((name, profile),) = aws.profiles.items()
    assert found.status.instance_profile == name
    assert name.startswith("dev_")
    assert name.removeprefix("dev_").isdigit()
    assert profile["Path"] == "/karpenter/us-east-1/dev/uid-gpu/"
    assert profile["Roles"] == [{"RoleName": ROLE}]
    assert {tag["Key"]: tag["Value"] for tag in profile["Tags"]} == {
        "team": "ml",
        "kubernetes.io/cluster/dev": "owned",
        "eks:eks-cluster-name": "dev",
        "karpenter.k8s.aws/ec2nodeclass": "gpu",
        "topology.kubernetes.io/region": "us-east-1",
    }


def test_a_profile_that_is_given_is_taken_as_it_is() -> None:
    aws = Account()
    found = look(aws, node_class(role=None, instanceProfile="ours"))
    assert found.status.instance_profile == "ours"
    assert not [call for call, _ in aws.asked if call.startswith("iam:")]


def test_another_role_is_another_profile_and_no_name_comes_back() -> None:
    aws = Account()
    aws.roles |= {"other"}
    names, found = [], node_class()
    for n, role in enumerate([ROLE, "other", ROLE, "other"]):
        found = look(aws, newer(found, role=role), NOW + n * HOUR)
        names.append(found.status.instance_profile)
        assert roles(aws)[names[-1]] == [role]
    assert len(set(names)) == 4
    assert look(aws, found, NOW + 9 * HOUR) == found


def test_a_role_with_a_path_is_the_role_of_that_name() -> None:
    aws = Account()
    found = look(aws, node_class(role="/team/" + ROLE))
    assert list(roles(aws).values()) == [[ROLE]]
    assert look(aws, found, NOW + HOUR) == found
    assert len(aws.profiles) == 1


def test_two_processes_and_one_that_crashed_make_the_same_profile() -> None:
    aws = Account()
    first = look(aws, node_class())
    # Its answer was lost: the class has no status yet.
    assert look(aws, node_class()).status == first.status
    assert len(aws.profiles) == 1

    async def both() -> list[str]:
        import asyncio

        fresh = Account()
        looks = [looking(fresh).as_it_should_be(node_class(), NOW) for _ in range(2)]
        found = [one.node_class.status.instance_profile for one in await asyncio.gather(*looks)]
        assert roles(fresh) == {found[0]: [ROLE]}
        return found

    assert set(run(both())) == {first.status.instance_profile}


@pytest.mark.parametrize(
    "call", ["iam:CreateInstanceProfile", "iam:AddRoleToInstanceProfile", "iam:GetInstanceProfile"]
)
@pytest.mark.parametrize("fault", [denied, throttled])
def test_a_crash_at_any_step_leaves_one_profile_in_the_end(call: str, fault: Any) -> None:
    aws = Account()
    aws.faults[call] = fault(call)
    found = look(aws, node_class())
    assert found.status.instance_profile == ""
    assert condition(found, "InstanceProfileReady").status == "Unknown"
    assert aws.profiles == {}
    aws.faults.clear()
    found = look(aws, found, NOW + MINUTE)
    assert roles(aws) == {found.status.instance_profile: [ROLE]}


def test_a_profile_that_was_left_without_its_role_gets_it() -> None:
    aws = Account()
    found = look(aws, node_class())
    aws.profiles[found.status.instance_profile]["Roles"] = []
    assert look(aws, found, NOW + HOUR) == found
    assert roles(aws) == {found.status.instance_profile: [ROLE]}


def test_a_profile_that_somebody_deleted_is_replaced_by_one_of_another_name() -> None:
    aws = Account()
    found = look(aws, node_class())
    aws.profiles.clear()
    after = look(aws, found, NOW + HOUR)
    assert after.status.instance_profile != found.status.instance_profile
    assert roles(aws) == {after.status.instance_profile: [ROLE]}


def test_a_role_that_there_is_not_is_named_and_not_asked_for_all_the_time() -> None:
    aws = Account()
    classes = looking(aws)

    async def work() -> EC2NodeClass:
        found = node_class(role="nobody")
        for offset in range(0, 50_000, 10_000):
            found = (await classes.as_it_should_be(found, NOW + offset)).node_class
        return found

    found = run(work())
    why = condition(found, "InstanceProfileReady")
    assert (why.status, why.message) == ("Unknown", "IAM knows no role nobody: create it, or correct spec.role")
    assert aws.count("iam:AddRoleToInstanceProfile") == 1
    assert aws.profiles == {}
    aws.roles.add("nobody")
    assert look(aws, found, NOW + 2 * MINUTE).status.instance_profile in aws.profiles


def test_iam_that_does_not_know_a_new_profile_yet_gets_no_second_one() -> None:
    aws = Account()
    classes = looking(aws)

    async def work() -> None:
        found = (await classes.as_it_should_be(node_class(), NOW)).node_class
        aws.faults["iam:GetInstanceProfile"] = denied("iam:GetInstanceProfile")
        again = (await classes.as_it_should_be(found, NOW + 10_000)).node_class
        assert again == found

    run(work())
    assert len(aws.profiles) == 1


def collected(aws: Account, found: EC2NodeClass, **options: Any) -> set[str]:
    """The profiles that there still are after two hours of looks, and none of them is new."""
    made_at(aws, NOW - 24 * HOUR)
    classes = looking(aws, **options)

    async def work() -> None:
        for offset in range(0, 2 * HOUR, MINUTE):
            await classes.as_it_should_be(found, NOW + offset)

    run(work())
    return set(aws.profiles)


def test_profiles_that_nobody_uses_are_collected_and_no_others() -> None:
    aws = Account()
    aws.roles |= {"other"}
    first = look(aws, node_class())
    second = look(aws, newer(first, role="other"), NOW)
    third = look(aws, newer(second, role=ROLE), NOW)
    # An instance still has the second one.
    arn = f"arn:aws:iam::1:instance-profile/karpenter/us-east-1/dev/uid-gpu/{second.status.instance_profile}"
    aws.instances = [
        {
            "InstanceId": "i-1",
            "IamInstanceProfile": {"Arn": arn},
            "Tags": [{"Key": "kubernetes.io/cluster/dev", "Value": "owned"}],
        }
    ]
    foreign = {"Path": "/", "Roles": [], "CreateDate": aws.made, "InstanceProfileName": "mine"}
    aws.profiles["mine"] = foreign
    gone = first.status.instance_profile
    assert gone in aws.profiles
    assert collected(aws, third) == {second.status.instance_profile, third.status.instance_profile, "mine"}


def test_nothing_is_collected_that_is_young_or_where_instances_cannot_be_listed() -> None:
    aws = Account()
    aws.roles |= {"other"}
    third = look(aws, newer(look(aws, node_class()), role="other"))
    assert len(aws.profiles) == 2
    aws.faults["ec2:DescribeInstances"] = denied("ec2:DescribeInstances")
    assert len(collected(aws, third)) == 2
    aws.faults.clear()
    assert len(collected(aws, third, isolated=True)) == 2
    assert len(collected(aws, third)) == 1


def test_a_denied_list_is_told_and_changes_nothing() -> None:
    aws = Account()
    aws.faults["iam:ListInstanceProfiles"] = denied("iam:ListInstanceProfiles")
    classes = looking(aws)

    async def work() -> list[list[str]]:
        found, told = node_class(subnetSelectorTerms=[{"tags": TAGS}]), []
        for offset in (0, 31 * MINUTE, 32 * MINUTE):
            looked = await classes.as_it_should_be(found, NOW + offset)
            found = looked.node_class
            told.append([one.text for one in looked.troubles])
        return told

    first, second, third = run(work())
    assert (first, third) == ([], [])
    assert [text.partition(":")[0] for text in second] == ["not allowed to call iam"]
