"""An account in memory: answers as EC2, SSM, IAM and EKS do, and fails where it is told to."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from fretsaw.providers.aws.calls.asking import AwsError
from fretsaw.providers.aws.calls.table import known

TAGS = {"karpenter.sh/discovery": "dev"}
ROLE = "nodes"
AL2023 = "/aws/service/eks/optimized-ami/1.34/amazon-linux-2023"
FIELDS = {
    "subnet-id": "SubnetId",
    "group-id": "GroupId",
    "group-name": "GroupName",
    "image-id": "ImageId",
    "name": "Name",
    "state": "State",
    "owner-id": "OwnerId",
    "instance-match-criteria": "InstanceMatchCriteria",
    "instance-state-name": "StateName",
}


def tagged(**tags: str) -> list[dict[str, str]]:
    """As EC2 writes them."""
    return [{"Key": key.replace("__", "/"), "Value": value} for key, value in tags.items()]


def subnet(name: str, zone: str, free: int = 100, tags: dict[str, str] = TAGS) -> dict[str, Any]:
    return {
        "SubnetId": name,
        "AvailabilityZone": zone,
        "AvailabilityZoneId": f"id-{zone}",
        "AvailableIpAddressCount": free,
        "Tags": tagged(**tags),
    }


def group(name: str, called: str = "nodes", tags: dict[str, str] = TAGS) -> dict[str, Any]:
    return {"GroupId": name, "GroupName": called, "Tags": tagged(**tags)}


def image(name: str, arch: str = "x86_64", created: str = "2026-10-01", **more: Any) -> dict[str, Any]:
    return {
        "ImageId": name,
        "Name": f"name-of-{name}",
        "Architecture": arch,
        "CreationDate": f"{created}T00:00:00.000Z",
        "State": "available",
        "Tags": [],
        **more,
    }


def reservation(name: str, **more: Any) -> dict[str, Any]:
    return {
        "CapacityReservationId": name,
        "AvailabilityZone": "us-east-1a",
        "InstanceType": "p5.48xlarge",
        "InstanceMatchCriteria": "targeted",
        "OwnerId": "123456789012",
        "ReservationType": "default",
        "AvailableInstanceCount": 4,
        "State": "active",
        "Tags": tagged(**TAGS),
        **more,
    }


class Account:
    """An `Asking`. The lists may be changed by tests; `faults` are what calls raise, by name."""

    region = "us-east-1"

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.faults: dict[str, AwsError] = {}
        self.subnets = [subnet("subnet-a", "us-east-1a", 10), subnet("subnet-b", "us-east-1b", 200)]
        self.groups = [group("sg-2"), group("sg-1", "cluster")]
        self.images = [
            image("ami-standard"),
            image("ami-nvidia", created="2026-10-02"),
            image("ami-neuron"),
            image("ami-arm", "arm64"),
            image("ami-armnvidia", "arm64"),
        ]
        self.parameters = {
            f"{AL2023}/{path}/recommended/image_id": name
            for path, name in {
                "x86_64/standard": "ami-standard",
                "x86_64/nvidia": "ami-nvidia",
                "x86_64/neuron": "ami-neuron",
                "arm64/standard": "ami-arm",
                "arm64/nvidia": "ami-armnvidia",
            }.items()
        }
        self.reservations: list[dict[str, Any]] = []
        self.placement_groups: list[dict[str, Any]] = []
        self.roles = {ROLE}
        self.profiles: dict[str, dict[str, Any]] = {}
        self.templates: dict[str, dict[str, Any]] = {}
        self.instances: list[dict[str, Any]] = []
        self.cluster: dict[str, Any] = {
            "version": "1.34",
            "endpoint": "https://dev",
            "certificateAuthority": {"data": "Y2E="},
            "kubernetesNetworkConfig": {"serviceIpv4Cidr": "172.20.0.0/16"},
        }
        self.made = datetime(2026, 11, 24, 12, tzinfo=UTC)

    async def ask(self, call: str, /, **parameters: Any) -> dict[str, Any]:
        known(call)
        self.asked.append((call, parameters))
        await asyncio.sleep(0)
        if (fault := self.faults.get(call)) is not None:
            raise fault
        answer: dict[str, Any] = getattr(self, "_" + call.replace(":", "_"))(call, **parameters)
        return answer

    async def pages(self, call: str, field: str, /, **parameters: Any) -> list[Any]:
        answer = await self.ask(call, **parameters)
        return list(answer[field])

    async def close(self) -> None:
        """Nothing."""

    def count(self, call: str) -> int:
        """How often a call was asked."""
        return sum(one == call for one, _ in self.asked)

    def parameters_of(self, call: str) -> list[dict[str, Any]]:
        """What a call was asked with, each time."""
        return [parameters for one, parameters in self.asked if one == call]

    # Answers

    def _ec2_DescribeSubnets(self, call: str, Filters: Any = (), **_: Any) -> Any:  # noqa: N802, N803
        return {"Subnets": _pass(self.subnets, Filters)}

    def _ec2_DescribeSecurityGroups(self, call: str, Filters: Any = (), **_: Any) -> Any:  # noqa: N802, N803
        return {"SecurityGroups": _pass(self.groups, Filters)}

    def _ec2_DescribeImages(self, call: str, Filters: Any = (), **_: Any) -> Any:  # noqa: N802, N803
        return {"Images": _pass(self.images, Filters)}

    def _ec2_DescribeCapacityReservations(self, call: str, **asked: Any) -> Any:  # noqa: N802
        ids = asked.get("CapacityReservationIds")
        found = [one for one in self.reservations if ids is None or one["CapacityReservationId"] in ids]
        if ids and not found:
            raise AwsError(call, "InvalidCapacityReservationId.NotFound", "not there")
        return {"CapacityReservations": _pass(found, asked["Filters"])}

    def _ec2_DescribePlacementGroups(self, call: str, **asked: Any) -> Any:  # noqa: N802
        found = [
            one
            for one in self.placement_groups
            if one["GroupId"] in asked.get("GroupIds", ()) or one["GroupName"] in asked.get("GroupNames", ())
        ]
        if not found:
            raise AwsError(call, "InvalidPlacementGroup.Unknown", "unknown")
        return {"PlacementGroups": found}

    def _ec2_DescribeInstances(self, call: str, Filters: Any = (), **_: Any) -> Any:  # noqa: N802, N803
        return {"Reservations": [{"Instances": [one]} for one in _pass(self.instances, Filters)]}

    def _ec2_DescribeLaunchTemplates(self, call: str, Filters: Any = (), **_: Any) -> Any:  # noqa: N802, N803
        return {"LaunchTemplates": _pass(list(self.templates.values()), Filters)}

    def _ec2_CreateLaunchTemplate(self, call: str, **asked: Any) -> Any:  # noqa: N802
        name = asked["LaunchTemplateName"]
        if name in self.templates:
            raise AwsError(call, "InvalidLaunchTemplateName.AlreadyExistsException", "there")
        tags = asked["TagSpecifications"][0]["Tags"]
        self.templates[name] = {"LaunchTemplateName": name, "LaunchTemplateId": f"lt-{name}", "Tags": tags}
        return {}

    def _ec2_DeleteLaunchTemplate(self, call: str, **asked: Any) -> Any:  # noqa: N802
        wanted = set(asked.values())
        gone = [name for name, one in self.templates.items() if wanted & {name, one["LaunchTemplateId"]}]
        if not gone:
            raise AwsError(call, "InvalidLaunchTemplateId.NotFound", "not there")
        del self.templates[gone[0]]
        return {}

    def _ec2_CreateFleet(self, call: str, **asked: Any) -> Any:  # noqa: N802
        assert asked["DryRun"]
        raise AwsError(call, "DryRunOperation", "would have succeeded")

    _ec2_RunInstances = _ec2_CreateFleet  # noqa: N815

    def _ssm_GetParameter(self, call: str, Name: str) -> Any:  # noqa: N802, N803
        if Name not in self.parameters:
            raise AwsError(call, "ParameterNotFound", "not there")
        return {"Parameter": {"Name": Name, "Value": self.parameters[Name]}}

    def _eks_DescribeCluster(self, call: str, name: str) -> Any:  # noqa: N802
        return {"cluster": self.cluster}

    def _iam_GetInstanceProfile(self, call: str, InstanceProfileName: str) -> Any:  # noqa: N802, N803
        return {"InstanceProfile": self._profile(call, InstanceProfileName)}

    def _iam_ListInstanceProfiles(self, call: str, PathPrefix: str) -> Any:  # noqa: N802, N803
        return {"InstanceProfiles": [one for one in self.profiles.values() if one["Path"].startswith(PathPrefix)]}

    def _iam_CreateInstanceProfile(self, call: str, **asked: Any) -> Any:  # noqa: N802
        name = asked["InstanceProfileName"]
        if name in self.profiles:
            raise AwsError(call, "EntityAlreadyExists", "there")
        self.profiles[name] = {**asked, "Roles": [], "CreateDate": self.made}
        return {}

    def _iam_AddRoleToInstanceProfile(self, call: str, InstanceProfileName: str, RoleName: str) -> Any:  # noqa: N802, N803
        found = self._profile(call, InstanceProfileName)
        if RoleName not in self.roles:
            raise AwsError(call, "NoSuchEntity", f"The role with name {RoleName} cannot be found.")
        if found["Roles"]:
            raise AwsError(call, "LimitExceeded", "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1")
        found["Roles"] = [{"RoleName": RoleName}]
        return {}

    def _iam_RemoveRoleFromInstanceProfile(self, call: str, InstanceProfileName: str, RoleName: str) -> Any:  # noqa: N802, N803
        found = self._profile(call, InstanceProfileName)
        if {"RoleName": RoleName} not in found["Roles"]:
            raise AwsError(call, "NoSuchEntity", "no such role in it")
        found["Roles"] = []
        return {}

    def _iam_DeleteInstanceProfile(self, call: str, InstanceProfileName: str) -> Any:  # noqa: N802, N803
        if self._profile(call, InstanceProfileName)["Roles"]:
            raise AwsError(
                call, "DeleteConflict", "Cannot delete entity, must remove roles from instance profile first."
            )
        del self.profiles[InstanceProfileName]
        return {}

    def _profile(self, call: str, name: str) -> dict[str, Any]:
        if name not in self.profiles:
            raise AwsError(call, "NoSuchEntity", f"Instance Profile {name} cannot be found.")
        return self.profiles[name]


def _pass(items: list[dict[str, Any]], filters: Any) -> list[dict[str, Any]]:
    return [item for item in items if all(_passes(item, one["Name"], one["Values"]) for one in filters)]


def _passes(item: dict[str, Any], name: str, values: list[str]) -> bool:
    tags = {tag["Key"]: tag["Value"] for tag in item.get("Tags", ())}
    if name == "tag-key":
        seen = list(tags)
    elif name.startswith("tag:"):
        seen = [tags[name[4:]]] if name[4:] in tags else []
    elif name == "instance-state-name":
        seen = [item["State"]["Name"]]
    else:
        seen = [item.get(FIELDS[name], "")]
    return any(fnmatchcase(one, value) for one in seen for value in values)
