"""Where in a policy a call is allowed: on which resources and under which conditions.

Who may do something to an instance, launch template or instance profile is decided by its tags, so that one cluster's
controller cannot touch another's. The names in braces are filled in by whoever renders the policy; `*` for an account
means any, since images, subnets and reservations may be shared from elsewhere.
Source: Karpenter AWS provider v1.14 reference/cloudformation (scopes of the controller policies).
"""

from __future__ import annotations

from typing import Literal

import msgspec

Part = Literal["launch", "profiles", "discovery", "interruption", "check"]
Conditions = dict[str, dict[str, str | list[str]]]


class Statement(msgspec.Struct, frozen=True):
    """One statement of the policy, all but its actions: these are what the calls need."""

    sid: str
    part: Part
    why: str
    resources: tuple[str, ...]
    conditions: Conditions = {}


_ARN = "arn:{partition}"
_EC2 = f"{_ARN}:ec2:{{region}}:*"
_OWNED = "kubernetes.io/cluster/{cluster}"
_POOL = "karpenter.sh/nodepool"
_CLUSTER = "eks:eks-cluster-name"
_CLASS = "karpenter.k8s.aws/ec2nodeclass"
_REGION = "topology.kubernetes.io/region"

_OURS: Conditions = {
    "StringEquals": {f"aws:ResourceTag/{_OWNED}": "owned"},
    "StringLike": {f"aws:ResourceTag/{_POOL}": "*"},
}
_TAGGED: Conditions = {
    "StringEquals": {f"aws:RequestTag/{_OWNED}": "owned", f"aws:RequestTag/{_CLUSTER}": "{cluster}"},
    "StringLike": {f"aws:RequestTag/{_POOL}": "*"},
}
_MADE = tuple(
    f"{_EC2}:{kind}/*"
    for kind in ("fleet", "instance", "volume", "network-interface", "launch-template", "spot-instances-request")
)
"""What a launch makes."""
_PROFILES = f"{_ARN}:iam::{{account}}:instance-profile/*"

STATEMENTS: tuple[Statement, ...] = (
    Statement(
        "LaunchFromWhatIsThere", "launch", "a launch reads images, snapshots, groups, subnets and reservations",
        (
            f"{_ARN}:ec2:{{region}}::image/*",
            f"{_ARN}:ec2:{{region}}::snapshot/*",
            *(f"{_EC2}:{kind}/*" for kind in ("security-group", "subnet", "capacity-reservation", "placement-group")),
        ),
    ),
    Statement(
        "LaunchFromOwnTemplates", "launch", "only by launch templates of this cluster",
        (f"{_EC2}:launch-template/*",), _OURS,
    ),
    Statement(
        "LaunchWhatIsTagged", "launch", "what is launched carries the cluster's tags", _MADE, _TAGGED,
    ),
    Statement(
        "TagAtLaunch", "launch", "tags are given together with what they are on", _MADE,
        {
            "StringEquals": {
                **_TAGGED["StringEquals"],
                "ec2:CreateAction": ["RunInstances", "CreateFleet", "CreateLaunchTemplate"],
            },
            "StringLike": _TAGGED["StringLike"],
        },
    ),
    Statement(
        "TagOwnInstances", "launch", "an instance learns its NodeClaim and its node's name",
        (f"{_EC2}:instance/*",),
        {
            **_OURS,
            "StringEqualsIfExists": {f"aws:RequestTag/{_CLUSTER}": "{cluster}"},
            "ForAllValues:StringEquals": {"aws:TagKeys": [_CLUSTER, "karpenter.sh/nodeclaim", "Name"]},
        },
    ),
    Statement(
        "EndOwn", "launch", "only what is tagged as this cluster's is ended",
        (f"{_EC2}:instance/*", f"{_EC2}:launch-template/*"), _OURS,
    ),
    Statement(
        "PassNodeRole", "launch", "instances get the nodes' role, and no other",
        ("{node_role}",),
        {"StringEquals": {"iam:PassedToService": ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"]}},
    ),
    Statement(
        "MakeProfiles", "profiles", "a node class with a role gets an instance profile",
        (_PROFILES,),
        {
            "StringEquals": {
                f"aws:RequestTag/{_OWNED}": "owned",
                f"aws:RequestTag/{_CLUSTER}": "{cluster}",
                f"aws:RequestTag/{_REGION}": "{region}",
            },
            "StringLike": {f"aws:RequestTag/{_CLASS}": "*"},
        },
    ),
    Statement(
        "ChangeOwnProfiles", "profiles", "only profiles of this cluster and region are changed",
        (_PROFILES,),
        {
            "StringEquals": {f"aws:ResourceTag/{_OWNED}": "owned", f"aws:ResourceTag/{_REGION}": "{region}"},
            "StringLike": {f"aws:ResourceTag/{_CLASS}": "*"},
        },
    ),
    Statement("ReadProfiles", "profiles", "which role a profile has", (_PROFILES,)),
    Statement("ListProfiles", "profiles", "profiles that are left over; lists cannot be narrowed", ("*",)),
    Statement(
        "ReadEC2", "discovery", "EC2 cannot narrow what may be described",
        ("*",), {"StringEquals": {"aws:RequestedRegion": "{region}"}},
    ),
    Statement(
        "ReadImageParameters", "discovery", "which image an alias stands for now",
        (f"{_ARN}:ssm:{{region}}::parameter/aws/service/*",),
    ),
    Statement("ReadPrices", "discovery", "on-demand prices; they belong to nobody", ("*",)),
    Statement(
        "ReadCluster", "discovery", "endpoint, certificate and addresses of the cluster",
        (f"{_ARN}:eks:{{region}}:{{account}}:cluster/{{cluster}}",),
    ),
    Statement(
        "HearInterruptions", "interruption", "what EventBridge puts into the cluster's queue",
        (f"{_ARN}:sqs:{{region}}:{{account}}:{{queue}}",),
    ),
    Statement(
        "ReadQuotas", "check", "`fretsaw aws check` compares the quotas of accelerated families", ("*",),
    ),
)  # fmt: skip

BY_SID = {statement.sid: statement for statement in STATEMENTS}
