"""Node classes for tests, what a new process makes of them, and calls that fail."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from aws.classes.accounts import ROLE, TAGS, Account, reservation
from fretsaw.api.catalog import InstanceType
from fretsaw.api.meta import Condition, ObjectMeta
from fretsaw.api.nodeclass import EC2NodeClass, EC2NodeClassSpec
from fretsaw.api.times import Millis, millis
from fretsaw.providers.aws import instance_types
from fretsaw.providers.aws.boot.values import Cluster
from fretsaw.providers.aws.calls.asking import AwsError
from fretsaw.providers.aws.classes.classes import Classes, Options

T = TypeVar("T")
NOW: Millis = millis("2026-11-24T12:00:00Z")
CLUSTER = Cluster("dev")
CALLS = (
    "eks:DescribeCluster",
    "ssm:GetParameter",
    "ec2:DescribeImages",
    "ec2:DescribeSubnets",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeCapacityReservations",
    "ec2:DescribePlacementGroups",
    "iam:GetInstanceProfile",
    "iam:CreateInstanceProfile",
    "iam:AddRoleToInstanceProfile",
    "ec2:CreateLaunchTemplate",
    "ec2:CreateFleet",
    "ec2:RunInstances",
)
"""What a class is looked at by that uses everything."""
CONDITION_OF = {
    "ssm:GetParameter": "AMIsReady",
    "ec2:DescribeImages": "AMIsReady",
    "ec2:DescribeSubnets": "SubnetsReady",
    "ec2:DescribeSecurityGroups": "SecurityGroupsReady",
    "ec2:DescribeCapacityReservations": "CapacityReservationsReady",
    "ec2:DescribePlacementGroups": "PlacementGroupReady",
    "iam:GetInstanceProfile": "InstanceProfileReady",
    "iam:CreateInstanceProfile": "InstanceProfileReady",
    "iam:AddRoleToInstanceProfile": "InstanceProfileReady",
    "ec2:CreateLaunchTemplate": "ValidationSucceeded",
    "ec2:CreateFleet": "ValidationSucceeded",
    "ec2:RunInstances": "ValidationSucceeded",
}


def run(main: Coroutine[Any, Any, T]) -> T:
    """What `main` comes to."""
    return asyncio.run(main)


USUAL: dict[str, Any] = {
    "role": ROLE,
    "amiSelectorTerms": [{"alias": "al2023@latest"}],
    "subnetSelectorTerms": [{"tags": TAGS}],
    "securityGroupSelectorTerms": [{"tags": TAGS}],
}


def node_class(name: str = "gpu", generation: int = 1, **spec: Any) -> EC2NodeClass:
    """A class that was just made. Fields as in YAML; None leaves one out."""
    fields = {key: value for key, value in {**USUAL, **spec}.items() if value is not None}
    metadata = ObjectMeta(name=name, uid=f"uid-{name}", generation=generation)
    return EC2NodeClass(metadata=metadata, spec=msgspec.convert(fields, EC2NodeClassSpec))


def whole(**spec: Any) -> EC2NodeClass:
    """A class that makes use of every call."""
    return node_class(
        capacityReservationSelectorTerms=[{"tags": TAGS}], placementGroupSelector={"name": "ring"}, **spec
    )


def account() -> Account:
    """One that has everything that `whole` asks for."""
    found = Account()
    found.reservations = [reservation("cr-1")]
    found.placement_groups = [{"GroupId": "pg-1", "GroupName": "ring", "State": "available", "Strategy": "cluster"}]
    return found


@cache
def of_region() -> dict[str, InstanceType]:
    """The shipped types of us-east-1, by name."""
    return {one.name: one for one in instance_types.catalog("us-east-1").instance_types}


async def few_types(_: EC2NodeClass) -> tuple[InstanceType, ...]:
    """Enough for a trial."""
    return tuple(of_region()[name] for name in ("g5.xlarge", "m6g.large", "m5.large", "c5.large"))


def classes(aws: Account, **options: Any) -> Classes:
    return Classes(aws, CLUSTER, Options(**options), types=few_types)


def look(aws: Account, found: EC2NodeClass, now: Millis = NOW, **options: Any) -> EC2NodeClass:
    """What a new process makes of a class."""
    return run(classes(aws, **options).as_it_should_be(found, now)).node_class


def newer(found: EC2NodeClass, **spec: Any) -> EC2NodeClass:
    """The class after its spec was changed."""
    generation = (found.metadata.generation or 0) + 1
    return replace(found, spec=node_class(**spec).spec, metadata=replace(found.metadata, generation=generation))


def shown(found: EC2NodeClass) -> dict[str, str]:
    """Condition → `status` or `status: reason`."""
    return {c.type: c.status if c.reason == c.type else f"{c.status}: {c.reason}" for c in found.status.conditions}


def condition(found: EC2NodeClass, type_: str) -> Condition:
    """A condition that has to be there."""
    there = found.condition(type_)
    assert there is not None
    return there


def denied(call: str) -> AwsError:
    """As IAM refuses a call; another request each time."""
    code = "UnauthorizedOperation" if call.startswith("ec2:") else "AccessDenied"
    return AwsError(call, code, f"You are not authorized to perform: {call}. Encoded authorization failure message: x1")


def throttled(call: str) -> AwsError:
    return AwsError(call, "RequestLimitExceeded", "Request limit exceeded.", retry=True)
