"""Whether the calls are allowed, tried without changing anything: by dry run, or by asking for what is there anyway.

EC2 tells of a dry run either that it would have been allowed or that it is not. Other services have no dry runs: their
reading calls are made, and an answer that something does not exist is as good as one that it does. What changes
something and has no dry run is not tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fretsaw.providers.aws.calls import Asking, AwsError
from fretsaw.providers.aws.calls.refusals import DRY_RUN_PASSED, UNAUTHORIZED
from fretsaw.providers.aws.calls.table import CALLS

PROFILE = "fretsaw-check"
"""An instance profile that nobody has."""
IMAGE = "/aws/service/eks/optimized-ami/{version}/amazon-linux-2023/x86_64/standard/recommended/image_id"

ABSENT = frozenset({"NoSuchEntity", "ParameterNotFound", "QueueDoesNotExist", "ResourceNotFoundException"})
"""Codes of services that were allowed to look, and found nothing."""
NOT_TRIED: Mapping[str, str] = {
    "ec2:CreateTags": "there has to be an instance to tag",
    "ec2:DeleteLaunchTemplate": "there has to be one to delete",
    "ec2:TerminateInstances": "there has to be one to end",
    "ec2:CreateFleet": "there has to be a launch template",
    "iam:AddRoleToInstanceProfile": "it has no dry run",
    "iam:CreateInstanceProfile": "it has no dry run",
    "iam:DeleteInstanceProfile": "it has no dry run",
    "iam:RemoveRoleFromInstanceProfile": "it has no dry run",
    "sqs:DeleteMessageBatch": "it would take messages away",
    "sqs:ReceiveMessage": "it would keep messages from the controller",
}
"""Calls that are not tried, and why."""
ELSEWHERE = frozenset({"sts:GetCallerIdentity", "sqs:GetQueueUrl", "servicequotas:ListServiceQuotas"})
"""Calls that other checks make, and report."""


def trials(cluster: str, version: str, pool_tags: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Call → parameters with which it can be tried. version: of Kubernetes. pool_tags: those of a launch."""
    found: dict[str, dict[str, Any]] = {
        call.name: {"DryRun": True} for call in CALLS if call.service == "ec2" and call.operation.startswith("Describe")
    }
    tags = [{"Key": key, "Value": value} for key, value in sorted(pool_tags.items())]
    launched = [{"ResourceType": kind, "Tags": tags} for kind in ("instance", "volume", "network-interface")]
    found["ec2:CreateLaunchTemplate"] = {
        "DryRun": True,
        "LaunchTemplateName": PROFILE,
        "LaunchTemplateData": {"InstanceType": "m5.large"},
        "TagSpecifications": [{"ResourceType": "launch-template", "Tags": tags}],
    }
    found["ec2:RunInstances"] = {
        "DryRun": True,
        "InstanceType": "m5.large",
        "MinCount": 1,
        "MaxCount": 1,
        "TagSpecifications": launched,
    }
    found["eks:DescribeCluster"] = {"name": cluster}
    found["iam:GetInstanceProfile"] = {"InstanceProfileName": PROFILE}
    found["iam:ListInstanceProfiles"] = {"PathPrefix": f"/karpenter/{cluster}/", "MaxItems": 1}
    found["pricing:GetProducts"] = {"ServiceCode": "AmazonEC2", "MaxResults": 1}
    found["ssm:GetParameter"] = {"Name": IMAGE.format(version=version)}
    return found


async def refusal(aws: Asking, call: str, parameters: Mapping[str, Any]) -> AwsError | None:
    """Why a call is not allowed, or could not be tried; None where it is allowed."""
    try:
        await aws.ask(call, **parameters)
    except AwsError as error:
        if error.code == DRY_RUN_PASSED or error.code in ABSENT:
            return None
        return error
    return None


def denied(error: AwsError) -> bool:
    """Whether IAM said no, rather than something being wrong with the trial."""
    return error.code in UNAUTHORIZED
