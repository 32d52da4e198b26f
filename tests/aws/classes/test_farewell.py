"""The end of a class: it stays while there are instances, and leaves nothing behind."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from aws.classes.accounts import Account
from aws.classes.worlds import CLUSTER, NOW, account, condition, denied, few_types, node_class, run, throttled
from fretsaw.api.nodeclass import EC2NodeClass
from fretsaw.api.times import MINUTE
from fretsaw.providers.aws.classes.classes import Classes, Looked, Options
from fretsaw.providers.aws.classes.status import FINALIZER, problem


def look(aws: Account, found: EC2NodeClass, now: int = NOW, **options: Any) -> Looked:
    return run(Classes(aws, CLUSTER, Options(**options), types=few_types).as_it_should_be(found, now))


def deleted(found: EC2NodeClass) -> EC2NodeClass:
    metadata = replace(found.metadata, deletion_timestamp="2026-11-24T12:00:00Z", generation=2)
    return replace(found, metadata=metadata)


def instance(n: int, claim: str = "", node_class: str = "gpu", state: str = "running") -> dict[str, Any]:
    tags = {"eks:eks-cluster-name": "dev", "karpenter.k8s.aws/ec2nodeclass": node_class}
    if claim:
        tags["karpenter.sh/nodeclaim"] = claim
    return {
        "InstanceId": f"i-{n}",
        "State": {"Name": state},
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }


def template(name: str, cluster: str, of: str) -> dict[str, Any]:
    tags = {"eks:eks-cluster-name": cluster, "karpenter.k8s.aws/ec2nodeclass": of}
    return {
        "LaunchTemplateName": name,
        "LaunchTemplateId": f"lt-{name}",
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }


@pytest.mark.parametrize(
    ("instances", "names"),
    [
        ([instance(1, "c-1")], "c-1"),
        ([instance(1, "c-1", state="shutting-down")], "c-1"),
        ([instance(1)], "i-1"),
        ([instance(1, "@open")], "i-1"),
        ([instance(n, f"c-{n}") for n in range(1, 8)], "c-1, c-2, c-3, c-4, c-5 and 2 other(s)"),
    ],
)
def test_a_class_waits_for_its_instances_and_says_for_which(instances: list[dict[str, Any]], names: str) -> None:
    aws = account()
    found = deleted(look(aws, node_class()).node_class)
    aws.instances = [*instances, instance(99, "other", "another-class")]
    after = look(aws, found).node_class
    assert after.metadata == found.metadata
    ready = condition(after, "Ready")
    assert (ready.status, ready.reason) == ("False", "WaitingOnNodeClaimTermination")
    assert ready.message == f"Waiting on NodeClaim termination for {names}"
    assert look(aws, after, NOW + MINUTE).node_class == after
    assert problem(after) == "EC2NodeClass gpu is being deleted"


def test_profiles_and_templates_of_the_class_go_and_then_the_finalizer() -> None:
    aws = account()
    found = look(aws, node_class()).node_class
    other = look(aws, node_class("other")).node_class
    aws.instances = [instance(1, "c-1", state="terminated")]
    aws.templates = {
        name: template(name, cluster, of)
        for name, cluster, of in [("a", "dev", "gpu"), ("b", "dev", "gpu"), ("c", "dev", "other"), ("d", "prod", "gpu")]
    }
    after = look(aws, deleted(found)).node_class
    assert after.metadata.finalizers == ()
    assert set(aws.profiles) == {other.status.instance_profile}
    assert set(aws.templates) == {"c", "d"}
    aws.asked.clear()
    assert look(aws, after).node_class == after
    assert aws.asked == []


def test_finalizers_of_others_stay_and_a_class_without_ours_is_left_alone() -> None:
    aws = account()
    theirs = replace(node_class(), metadata=replace(node_class().metadata, finalizers=("theirs/x",)))
    found = look(aws, theirs).node_class
    assert found.metadata.finalizers == ("theirs/x", FINALIZER)
    assert look(aws, deleted(found)).node_class.metadata.finalizers == ("theirs/x",)


@pytest.mark.parametrize(
    ("tags", "stays"),
    [
        ({"kubernetes.io/cluster/dev": "owned"}, False),
        ({"kubernetes.io/cluster/dev": "owned", "karpenter.k8s.aws/ec2nodeclass": "other"}, True),
        ({}, True),
    ],
)
def test_a_profile_by_its_old_name_goes_if_it_is_ours(tags: dict[str, str], stays: bool) -> None:
    aws = account()
    found = look(aws, node_class()).node_class
    old = "dev_6470041838442788607"
    aws.profiles[old] = {
        "InstanceProfileName": old,
        "Path": "/",
        "Roles": [{"RoleName": "nodes"}],
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }
    assert look(aws, deleted(found)).node_class.metadata.finalizers == ()
    assert (old in aws.profiles) == stays


@pytest.mark.parametrize(
    "call",
    [
        "ec2:DescribeInstances",
        "iam:ListInstanceProfiles",
        "iam:RemoveRoleFromInstanceProfile",
        "iam:DeleteInstanceProfile",
        "ec2:DescribeLaunchTemplates",
        "ec2:DeleteLaunchTemplate",
    ],
)
def test_a_call_that_fails_keeps_the_finalizer_and_is_told(call: str) -> None:
    aws = account()
    found = deleted(look(aws, node_class()).node_class)
    aws.templates = {"a": template("a", "dev", "gpu")}
    aws.faults[call] = throttled(call)
    slow = look(aws, found)
    assert slow.node_class == found
    assert [one.passing for one in slow.troubles] == [True]
    aws.faults[call] = denied(call)
    after = look(aws, found, NOW + MINUTE).node_class
    assert after.metadata.finalizers == (FINALIZER,)
    assert call in condition(after, "Ready").message
    aws.faults.clear()
    assert look(aws, after, NOW + 2 * MINUTE).node_class.metadata.finalizers == ()
    assert (aws.profiles, aws.templates) == ({}, {})


def test_without_a_way_to_iam_profiles_are_not_asked_for() -> None:
    aws = account()
    found = look(aws, node_class(role=None, instanceProfile="ours"), isolated=True).node_class
    aws.asked.clear()
    assert look(aws, deleted(found), isolated=True).node_class.metadata.finalizers == ()
    assert not [call for call, _ in aws.asked if call.startswith("iam:")]
