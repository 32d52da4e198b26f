"""What keeps a class from being launched: its kubelet, its tags, its user data, and what a trial says."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from aws.classes.accounts import Account
from aws.classes.worlds import CLUSTER, NOW, account, condition, few_types, node_class, of_region, run, shown, whole
from fretsaw.api.nodeclass import EC2NodeClass
from fretsaw.api.times import MINUTE, SECOND, Millis
from fretsaw.providers.aws.calls.asking import AwsError
from fretsaw.providers.aws.classes.classes import Classes
from fretsaw.providers.aws.classes.trial import choose

VALID = "ValidationSucceeded"


def look(aws: Account, found: EC2NodeClass, now: Millis = NOW) -> EC2NodeClass:
    return run(Classes(aws, CLUSTER, types=few_types).as_it_should_be(found, now)).node_class


def verdict(found: EC2NodeClass) -> tuple[str, str, str]:
    there = condition(found, VALID)
    return there.status, there.reason, there.message


@pytest.mark.parametrize(
    ("spec", "reason", "parts"),
    [
        ({"kubelet": {"maxPod": 5}}, "InvalidKubeletConfiguration", ["spec.kubelet.maxPod: unknown field", "maxPods"]),
        ({"kubelet": {"podsPerCore": "2"}}, "InvalidKubeletConfiguration", ["podsPerCore", "whole number"]),
        ({"kubelet": {"registerWithTaints": []}}, "InvalidKubeletConfiguration", ["may not be set"]),
        (
            {"kubelet": {"evictionSoft": {"memory.available": "5%"}, "podsPerCore": -1}},
            "InvalidKubeletConfiguration",
            ["no matching grace period", "; ", "must not be negative"],
        ),
        ({"kubelet": {"kubeReserved": {"cpu": "-1"}}}, "InvalidKubeletConfiguration", ["must not be negative"]),
        ({"kubelet": {"maxPods": "vcpus * 8"}}, "KubeletExpressionsDisabled", ["NodeClassCEL", "vcpus * 8"]),
        ({"kubelet": {"kubeReserved": {"memory": "max_pods * 11"}}}, "KubeletExpressionsDisabled", ["NodeClassCEL"]),
        (
            {"kubelet": {"maxPods": "9", "maxPod": 5}},
            "InvalidKubeletConfiguration",
            ["spec.kubelet.maxPod: unknown field"],
        ),
        (
            {"kubelet": {"cpuManagerPolicy": "static"}, "amiSelectorTerms": [{"alias": "bottlerocket@latest"}]},
            "UnsupportedKubeletConfiguration",
            ["cpuManagerPolicy", "Bottlerocket"],
        ),
        (
            {"kubelet": {"podsPerCore": 2}, "amiSelectorTerms": [{"alias": "bottlerocket@latest"}]},
            "UnsupportedKubeletConfiguration",
            ["podsPerCore"],
        ),
        ({"tags": {"karpenter.sh/nodeclaim": "x"}}, "TagValidationFailed", ['spec.tags: "karpenter.sh/nodeclaim"']),
        ({"tags": {"kubernetes.io/cluster/dev": "x"}}, "TagValidationFailed", ["kubernetes.io/cluster/dev"]),
        ({"userData": "MIME-Version: 1.0\n\nnot multipart"}, "UserDataInvalid", ["spec.userData"]),
        ({"userData": "#!/bin/sh\n" + "x" * 16384}, "UserDataSizeLimitExceeded", ["16384"]),
    ],
)
def test_what_the_controller_refuses_is_said_with_its_field(
    spec: dict[str, Any], reason: str, parts: list[str]
) -> None:
    aws = account()
    bottlerocket(aws)
    found = look(aws, node_class(**spec))
    status, why, message = verdict(found)
    assert (status, why) == ("False", reason)
    for part in parts:
        assert part in message
    assert shown(found)["Ready"] == "False: UnhealthyDependents"
    assert aws.count("ec2:CreateLaunchTemplate") == 0


def bottlerocket(aws: Account) -> None:
    aws.parameters["/aws/service/bottlerocket/aws-k8s-1.34/x86_64/latest/image_id"] = "ami-standard"


@pytest.mark.parametrize(
    "spec",
    [
        {"kubelet": {"cpuManagerPolicy": "static", "maxPods": 40}},
        {"kubelet": {"kubeReserved": {"cpu": "100m"}}},
        {"tags": {"kubernetes.io/cluster": "allowed by the controller", "team": "ml"}},
        {
            "amiFamily": "Custom",
            "amiSelectorTerms": [{"id": "ami-standard"}],
            "kubelet": {"cpuManagerPolicy": "static"},
        },
    ],
)
def test_what_is_in_order_passes(spec: dict[str, Any]) -> None:
    assert verdict(look(account(), node_class(**spec))) == ("True", VALID, "")


# Trials


def test_a_trial_is_a_template_a_fleet_and_an_instance_in_one_subnet() -> None:
    aws = account()
    found = look(aws, whole())
    assert verdict(found)[0] == "True"
    made = aws.parameters_of("ec2:CreateLaunchTemplate")[0]
    data = made["LaunchTemplateData"]
    assert data["ImageId"] == "ami-standard"
    assert data["IamInstanceProfile"] == {"Name": found.status.instance_profile}
    assert {tag["Key"]: tag["Value"] for tag in made["TagSpecifications"][0]["Tags"]} == {
        "kubernetes.io/cluster/dev": "owned",
        "karpenter.sh/nodepool": "",
        "eks:eks-cluster-name": "dev",
        "karpenter.k8s.aws/ec2nodeclass": "gpu",
    }
    (fleet,) = aws.parameters_of("ec2:CreateFleet")
    assert fleet["DryRun"]
    (config,) = fleet["LaunchTemplateConfigs"]
    assert config["Overrides"] == [
        {"InstanceType": "m5.large", "SubnetId": "subnet-b"},
        {"InstanceType": "m5.large", "SubnetId": "subnet-a"},
    ]
    (instance,) = aws.parameters_of("ec2:RunInstances")
    assert instance["DryRun"]
    assert [one["SubnetId"] for one in instance["NetworkInterfaces"]] == ["subnet-b"]
    # Each is tagged, as the policy lets us make no other ones.
    assert [one["ResourceType"] for one in instance["TagSpecifications"]] == ["instance", "volume", "network-interface"]
    assert [one["Groups"] for one in instance["NetworkInterfaces"]] == [["sg-1", "sg-2"]]
    assert aws.templates == {}


DENIED = "because no identity-based policy allows it"


@pytest.mark.parametrize(
    ("call", "message", "reason", "told"),
    [
        ("ec2:CreateLaunchTemplate", "no", "CreateLaunchTemplateAuthCheckFailed", DENIED),
        ("ec2:CreateFleet", "no", "CreateFleetAuthCheckFailed", DENIED),
        ("ec2:RunInstances", "no", "RunInstancesAuthCheckFailed", DENIED),
        (
            "ec2:RunInstances",
            "with an explicit deny in a service control policy",
            "RunInstancesAuthCheckFailed",
            "due to a service control policy",
        ),
        (
            "ec2:CreateFleet",
            "with an explicit deny in a permissions boundary",
            "CreateFleetAuthCheckFailed",
            "due to a permission boundary",
        ),
        (
            "ec2:RunInstances",
            "Not authorized for images: [ami-1]",
            "RunInstancesAuthCheckFailed",
            "User is not authorized for AMI used in instance launch",
        ),
    ],
)
def test_a_refused_trial_names_the_permission(call: str, message: str, reason: str, told: str) -> None:
    aws = account()
    aws.faults[call] = AwsError(call, "UnauthorizedOperation", message)
    status, why, text = verdict(look(aws, node_class()))
    assert (status, why) == ("False", reason)
    assert text.startswith(f"Controller isn't authorized to call {call}: ")
    assert told in text
    assert aws.templates == {}


def test_user_data_that_ec2_finds_too_long_is_said() -> None:
    aws = account()
    call = "ec2:CreateLaunchTemplate"
    aws.faults[call] = AwsError(call, "InvalidUserData.Malformed", "User data is limited to 16384 bytes")
    assert verdict(look(aws, node_class()))[:2] == ("False", "UserDataSizeLimitExceeded")


class PerSubnet(Account):
    """Launches in some subnets only."""

    def __init__(self, *works: str) -> None:
        super().__init__()
        self.works = works

    def _ec2_RunInstances(self, call: str, **asked: Any) -> Any:  # noqa: N802
        (interface,) = asked["NetworkInterfaces"]
        ok = interface["SubnetId"] in self.works
        raise AwsError(call, "DryRunOperation" if ok else "UnauthorizedOperation", interface["SubnetId"])


@pytest.mark.parametrize(("works", "status"), [(["subnet-a"], "True"), (["subnet-b"], "True"), ([], "False")])
def test_one_subnet_that_works_is_enough(works: list[str], status: str) -> None:
    assert verdict(look(PerSubnet(*works), node_class()))[0] == status


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"role": None, "instanceProfile": "ours"}, ("False", "InstanceProfileNotFound")),
        ({}, ("Unknown", "AwaitingReconciliation")),
    ],
)
def test_a_profile_that_ec2_does_not_know(spec: dict[str, Any], expected: tuple[str, str]) -> None:
    aws = account()
    message = "Value (x) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name"
    aws.faults["ec2:RunInstances"] = AwsError("ec2:RunInstances", "InvalidParameterValue", message)
    classes = Classes(aws, CLUSTER, types=few_types)

    async def work() -> tuple[EC2NodeClass, EC2NodeClass]:
        first = (await classes.as_it_should_be(node_class(**spec), NOW)).node_class
        aws.faults.clear()
        return first, (await classes.as_it_should_be(first, NOW + 10 * SECOND)).node_class

    first, second = run(work())
    assert verdict(first)[:2] == expected
    # It is not remembered: the profile may be known any moment.
    assert verdict(second)[0] == "True"


def test_a_verdict_counts_for_half_an_hour_and_until_the_class_its_status_or_an_annotation_changes() -> None:
    aws = account()
    classes = Classes(aws, CLUSTER, types=few_types)

    async def work() -> list[int]:
        seen, found = [], node_class()

        async def at(offset: Millis, given: EC2NodeClass) -> EC2NodeClass:
            after = (await classes.as_it_should_be(given, NOW + offset)).node_class
            seen.append(aws.count("ec2:CreateFleet"))
            return after

        found = await at(0, found)
        found = await at(29 * MINUTE, found)
        aws.subnets.reverse()
        for one in aws.subnets:
            one["AvailableIpAddressCount"] = 300 - one["AvailableIpAddressCount"]
        found = await at(29 * MINUTE + 61 * SECOND - MINUTE, found)
        found = await at(31 * MINUTE, found)
        noted = replace(found.metadata, annotations={**found.metadata.annotations, "look": "again"})
        found = await at(32 * MINUTE, replace(found, metadata=noted))
        aws.subnets.pop()
        await at(34 * MINUTE, found)
        return seen

    assert run(work()) == [1, 1, 1, 2, 3, 4]


def test_a_template_that_an_earlier_try_left_is_used_and_deleted() -> None:
    aws = account()
    aws.faults["ec2:DeleteLaunchTemplate"] = AwsError("ec2:DeleteLaunchTemplate", "InternalError", "x", retry=True)
    first = look(aws, node_class())
    assert verdict(first)[0] == "True"
    assert len(aws.templates) == 1
    aws.faults.clear()
    assert look(aws, first, NOW + MINUTE) == first
    assert aws.templates == {}


@pytest.mark.parametrize(
    ("names", "amis", "expected"),
    [
        (["p5.48xlarge", "g5.xlarge", "c5.large", "m5.large"], ["x86_64"], "m5.large"),
        (["p5.48xlarge", "g5.xlarge", "c5.large", "m6g.large"], ["x86_64", "arm64"], "m6g.large"),
        (["p5.48xlarge", "g5.xlarge", "c5.large"], ["x86_64"], "c5.large"),
        (["p5.48xlarge", "g5.xlarge"], ["x86_64"], "g5.xlarge"),
        (["p5.48xlarge", "g5.xlarge"], ["arm64"], None),
        ([], ["x86_64"], None),
    ],
)
def test_a_trial_takes_a_usual_type_else_one_without_accelerators(
    names: list[str], amis: list[str], expected: str | None
) -> None:
    aws = account()
    ids = {"x86_64": "ami-standard", "arm64": "ami-arm"}
    spec = {"amiFamily": "AL2023", "amiSelectorTerms": [{"id": ids[arch]} for arch in amis]}
    found = choose(look(aws, node_class(**spec)).status.amis, [of_region()[name] for name in names])
    assert (None if found is None else found[0].name) == expected


def test_a_class_that_can_launch_no_known_type_is_not_tried() -> None:
    aws = account()

    async def none(_: EC2NodeClass) -> tuple[()]:
        return ()

    found = run(Classes(aws, CLUSTER, types=none).as_it_should_be(node_class(), NOW)).node_class
    assert verdict(found) == ("True", VALID, "")
    assert aws.count("ec2:CreateLaunchTemplate") == 0


def test_the_shipped_types_serve_where_none_are_given() -> None:
    aws = account()
    found = run(Classes(aws, CLUSTER).as_it_should_be(node_class(), NOW)).node_class
    assert verdict(found)[0] == "True"
    (fleet,) = aws.parameters_of("ec2:CreateFleet")
    assert msgspec.to_builtins(fleet)["LaunchTemplateConfigs"][0]["Overrides"][0]["InstanceType"] == "m5.large"
