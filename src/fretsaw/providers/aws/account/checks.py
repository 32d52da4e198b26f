"""The checks of `fretsaw aws check`, in their order. All of them only read; each finding says what to do."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable
from typing import Any, Literal

import msgspec

from fretsaw.api.labels import EC2NODECLASS, NODEPOOL
from fretsaw.providers.aws.account import trials
from fretsaw.providers.aws.account.policy import Scope
from fretsaw.providers.aws.calls import Asking, AwsError
from fretsaw.providers.aws.calls.refusals import NO_ANSWER, NO_CREDENTIALS, UNAUTHORIZED
from fretsaw.providers.aws.interruption.queue import MISSING
from fretsaw.providers.aws.snapshot import load_types

State = Literal["ok", "warn", "fail"]
DISCOVERY = "karpenter.sh/discovery"
FEW_ADDRESSES = 64
"""Free addresses of all subnets together below which the first larger node may find none for its pods."""
LATEST = "1.34"
"""The version of Kubernetes whose image is asked for where the cluster does not tell its own."""


class Finding(msgspec.Struct, frozen=True):
    """One line of the report."""

    state: State
    what: str
    """What was looked at."""
    found: str
    do: str = ""
    """What to do about it; empty where nothing is."""


class Unreachable(Exception):  # noqa: N818 - named for what happened
    """Nothing can be checked, since AWS cannot be asked at all: the finding says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding)
        self.finding = finding


async def checked(aws: Asking, scope: Scope) -> list[Finding]:
    """Every check's findings, in their order. Raises Unreachable where AWS does not answer, or knows no credentials."""
    first = await _credentials(aws)
    cluster, version = await _cluster(aws, scope)
    rest: list[Awaitable[list[Finding]]] = [
        _permissions(aws, scope, version),
        _queue(aws, scope),
        _subnets(aws, scope),
        _groups(aws, scope),
        _quotas(aws),
    ]
    found = await asyncio.gather(*rest)
    return [first, *cluster, *(finding for findings in found for finding in findings)]


async def _credentials(aws: Asking) -> Finding:
    try:
        who = await aws.ask("sts:GetCallerIdentity")
    except AwsError as error:
        if error.code == NO_CREDENTIALS:
            do = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; in a pod: IRSA or Pod Identity"
        elif error.code == NO_ANSWER:
            do = "check the network, proxy and AWS_ENDPOINT_URL; in a private VPC: an endpoint for sts"
        else:
            do = "renew the credentials"
        raise Unreachable(Finding("fail", "credentials", f"{error.code}: {error.message}", do)) from error
    return Finding("ok", "credentials", f"{who.get('Arn', '?')}, account {who.get('Account', '?')}, {aws.region}")


async def _cluster(aws: Asking, scope: Scope) -> tuple[list[Finding], str]:
    """What there is to say, and the cluster's version."""
    try:
        told = (await aws.ask("eks:DescribeCluster", name=scope.cluster)).get("cluster") or {}
    except AwsError as error:
        if error.code in UNAUTHORIZED:
            return [], LATEST  # the permissions say so
        missing = error.code in trials.ABSENT
        found = f"no EKS cluster {scope.cluster} in {aws.region}" if missing else f"{error.code}: {error.message}"
        return [Finding("fail", "cluster", found, "check --cluster and --region")], LATEST
    version, status = str(told.get("version") or LATEST), told.get("status", "?")
    finding = Finding(
        "ok" if status == "ACTIVE" else "warn",
        "cluster",
        f"{scope.cluster}, Kubernetes {version}, {status}",
        "" if status == "ACTIVE" else "nodes cannot join until it is ACTIVE",
    )
    return [finding], version


async def _permissions(aws: Asking, scope: Scope, version: str) -> list[Finding]:
    """One finding for each call that is not allowed, and one for all that are."""
    tags = {
        f"kubernetes.io/cluster/{scope.cluster}": "owned",
        "eks:eks-cluster-name": scope.cluster,
        NODEPOOL: "",
        EC2NODECLASS: "",
    }
    tried = trials.trials(scope.cluster, version, tags)
    image, subnet = await _image(aws, version), await _a_subnet(aws)
    if image and subnet:
        tried["ec2:RunInstances"] |= {"ImageId": image, "SubnetId": subnet}
    else:
        del tried["ec2:RunInstances"]
    answers = await asyncio.gather(*(trials.refusal(aws, call, given) for call, given in tried.items()))
    refused = {call: error for call, error in zip(tried, answers, strict=True) if error is not None}
    policy = f"attach the policy of `fretsaw aws iam-policy --cluster {scope.cluster}`"
    found = [
        Finding("fail", "permissions", f"not allowed: {call}", policy)
        if trials.denied(error)
        else Finding("warn", "permissions", f"cannot tell: {call}: {error.code}: {error.message}", "try again later")
        for call, error in refused.items()
    ]
    allowed = len(tried) - len(refused)
    untried = ", ".join(sorted({*trials.NOT_TRIED, *({"ec2:RunInstances"} - set(tried))}))
    return [
        Finding("ok" if allowed else "warn", "permissions", f"{allowed} of {len(tried)} calls are allowed"),
        *found,
        Finding("ok", "permissions", f"not tried, since that would change something: {untried}"),
    ]


async def _image(aws: Asking, version: str) -> str:
    try:
        answer = await aws.ask("ssm:GetParameter", Name=trials.IMAGE.format(version=version))
    except AwsError:
        return ""
    return str((answer.get("Parameter") or {}).get("Value") or "")


async def _a_subnet(aws: Asking) -> str:
    try:
        answer = await aws.ask("ec2:DescribeSubnets", MaxResults=5)
    except AwsError:
        return ""
    return next((one["SubnetId"] for one in answer.get("Subnets") or ()), "")


async def _queue(aws: Asking, scope: Scope) -> list[Finding]:
    name = scope.queue_name
    make = f"create it: `fretsaw aws iam-policy --cluster {scope.cluster} -o cloudformation`"
    try:
        await aws.ask("sqs:GetQueueUrl", QueueName=name)
    except AwsError as error:
        if error.code in MISSING:
            return [Finding("warn", "queue", f"no queue {name}: interruptions are not heard before they happen", make)]
        if error.code in UNAUTHORIZED:
            # SQS says so of a queue that is not there, too.
            return [Finding("fail", "queue", f"not allowed, or not there: {name}", make)]
        return [Finding("warn", "queue", f"{name}: {error.code}: {error.message}", "try again later")]
    return [Finding("ok", "queue", f"{name} is there")]


async def _described(aws: Asking, call: str, field: str, what: str, scope: Scope) -> list[Any] | Finding:
    filters = [{"Name": f"tag:{DISCOVERY}", "Values": [scope.cluster]}]
    try:
        return await aws.pages(call, field, Filters=filters, MaxResults=500)
    except AwsError as error:
        return Finding("warn", what, f"{error.code}: {error.message}", "see the permissions above")


async def _subnets(aws: Asking, scope: Scope) -> list[Finding]:
    found = await _described(aws, "ec2:DescribeSubnets", "Subnets", "subnets", scope)
    if isinstance(found, Finding):
        return [found]
    tag = f"{DISCOVERY}={scope.cluster}"
    if not found:
        do = "tag the subnets for nodes, or let node classes select others"
        return [Finding("warn", "subnets", f"none has the tag {tag}", do)]
    zones = sorted({one["AvailabilityZone"] for one in found})
    free = sum(one.get("AvailableIpAddressCount", 0) for one in found)
    told = f"{len(found)} with the tag {tag}, in {', '.join(zones)}, {free:,} free addresses"
    if len({one["VpcId"] for one in found}) > 1:
        return [Finding("fail", "subnets", f"{told}, in different VPCs", "tag only those of the cluster's VPC")]
    if free < FEW_ADDRESSES:
        return [Finding("fail", "subnets", told, "add larger subnets: nodes and pods would get no addresses")]
    if len(zones) == 1:
        return [Finding("warn", "subnets", told, "add zones: GPU types are often to be had in few of them")]
    return [Finding("ok", "subnets", told)]


async def _groups(aws: Asking, scope: Scope) -> list[Finding]:
    found = await _described(aws, "ec2:DescribeSecurityGroups", "SecurityGroups", "security groups", scope)
    if isinstance(found, Finding):
        return [found]
    tag = f"{DISCOVERY}={scope.cluster}"
    if not found:
        do = "tag the nodes' security groups, or let node classes select others"
        return [Finding("warn", "security groups", f"none has the tag {tag}", do)]
    names = ", ".join(sorted(one.get("GroupName") or one["GroupId"] for one in found))
    if len({one.get("VpcId") for one in found}) > 1:
        do = "tag only those of the cluster's VPC: launches with both would fail"
        return [Finding("fail", "security groups", f"{names}, in different VPCs", do)]
    return [Finding("ok", "security groups", f"{len(found)} with the tag {tag}: {names}")]


# Quotas: the names are Service Quotas' own, since the codes do not say which family they are of.

_ON_DEMAND = re.compile(r"Running On-Demand (?P<families>.+) instances")
_SPOT = re.compile(r"All (?P<families>.+) Spot Instance Requests")
_FAMILY = re.compile(r"\b(G|VT|P\d?|DL|Inf|Trn)\b")


async def _quotas(aws: Asking) -> list[Finding]:
    call = "servicequotas:ListServiceQuotas"
    try:
        listed = await aws.pages(call, "Quotas", ServiceCode="ec2")
    except AwsError as error:
        do = f"allow {call} to whoever runs this check (`--with-check`), or look at Service Quotas in the console"
        return [Finding("warn", "quotas", f"cannot be read: {error.code}", do)]
    judged = [finding for one in sorted(listed, key=lambda one: str(one["QuotaName"])) if (finding := _quota(one))]
    return judged or [Finding("warn", "quotas", "none of accelerated families is listed", "look at Service Quotas")]


def _quota(one: dict[str, Any]) -> Finding | None:
    """What a quota of accelerated families allows; None for others."""
    name, value = str(one["QuotaName"]), float(one.get("Value") or 0)
    match = _ON_DEMAND.fullmatch(name) or _SPOT.fullmatch(name)
    families = _FAMILY.findall(match["families"]) if match else []
    if not families:
        return None
    smallest = _smallest(families)
    told = f"{name}: {value:,.0f} vCPUs"
    if smallest is not None and value < smallest[0]:
        what = "none can be launched" if not value else f"too few for {smallest[1]}, which has {smallest[0]}"
        do = f"if you want such nodes, ask for more: quota {one['QuotaCode']} of ec2 in Service Quotas"
        return Finding("warn", "quotas", f"{told}: {what}", do)
    return Finding("ok", "quotas", told)


def _smallest(families: list[str]) -> tuple[int, str] | None:
    """vCPUs and name of the smallest accelerated type of the families."""
    patterns = [_types_of(family.lower()) for family in families]
    rows = [row for row in load_types().values() if row.accelerated and any(one.match(row.name) for one in patterns)]
    return min(((row.vcpus, row.name) for row in rows), default=None)


def _types_of(family: str) -> re.Pattern[str]:
    """`p` stands for types of every generation, `p5` for those of that one."""
    return re.compile(rf"{family}[a-z-]*\." if family[-1].isdigit() else rf"{family}[a-z]*\d")


__all__ = ["Finding", "Unreachable", "checked"]
