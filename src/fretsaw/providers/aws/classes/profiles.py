"""Instance profiles of classes that name a role: made, kept, and taken away when nobody uses them.

A profile's role never changes, since EC2 may go on giving out the old one: another role is another profile. Its name is
made of the class, the role and the profile before it, so that whoever comes after a crash, or beside us, makes the same
one, and no name is used for a second role.
Source: AWS provider v1.14 pkg/providers/instanceprofile, pkg/controllers/nodeclass (instanceprofile.go,
garbagecollection).
Differs: the peer's names are random, so a crash leaves a profile behind; and for a role with a path it compares the
path, which a profile does not tell, so that it makes a new profile each time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from fretsaw.api.labels import EC2NODECLASS, REGION
from fretsaw.api.nodeclass import EC2NodeClass
from fretsaw.api.times import HOUR, MINUTE, Millis
from fretsaw.providers.aws.calls.asking import Asking, AwsError
from fretsaw.providers.aws.classes.memory import Memory
from fretsaw.providers.aws.classes.part import PROFILE, Part, Trouble, holds, open_

CLUSTER = "eks:eks-cluster-name"
KNOWN = 15 * MINUTE
"""How long a profile's role counts. Source: AWS provider v1.14 pkg/cache (instance profiles)."""
NO_ROLE = MINUTE
"""How long a role that there is not is not asked for again."""
PROTECTED = HOUR
"""So long after it was last a class's, or made, a profile stays: a launch with it may be under way."""
_ABSENT = "NoSuchEntity"
_THERE = "EntityAlreadyExists"


class Profiles:
    """The profiles of one cluster's classes in one region."""

    def __init__(self, aws: Asking, memory: Memory, cluster: str) -> None:
        self._aws, self._memory, self._cluster = aws, memory, cluster
        self._no_role: dict[str, Millis] = {}
        self._used: dict[str, Millis] = {}
        """Profile → when a class last had it."""

    async def resolve(self, node_class: EC2NodeClass, now: Millis) -> Part:
        """The profile that the class's nodes get; made if need be."""
        spec, there = node_class.spec, node_class.status.instance_profile
        if there:
            self._used[there] = now
        if spec is not None and spec.instance_profile:
            return holds(PROFILE, instance_profile=spec.instance_profile)
        if spec is None or not spec.role:
            return open_(PROFILE, Trouble("spec names neither role nor instanceProfile"))
        role = _name(spec.role)
        try:
            found = await self._current(node_class, role, now)
        except AwsError as error:
            return open_(PROFILE, self._trouble(error, role, now))
        if found is None:
            return open_(PROFILE, _without(role))
        self._used[found] = now
        return holds(PROFILE, instance_profile=found)

    async def _current(self, node_class: EC2NodeClass, role: str, now: Millis) -> str | None:
        """The name of the class's profile; None while the role is known not to be there."""
        there = node_class.status.instance_profile
        has = await self._role(there, now) if there else None
        if has == role:
            return there
        if now < self._no_role.get(role, 0):
            return None
        # One without a role is one that we did not finish.
        name = there if has == "" else self._next_name(node_class, role)
        # Remembered only where it fails.
        await self._memory.get(("make", name), 0, now, partial(self._make, node_class, name, role))
        # IAM itself may not know it yet when it is asked.
        self._memory.put(_question(name), role, KNOWN, now)
        return name

    async def _role(self, profile: str, now: Millis) -> str | None:
        """The name of a profile's role; empty where it has none, None where there is no such profile."""

        async def ask() -> str | None:
            found = await self._get(profile)
            return None if found is None else _role_of(found)

        return await self._memory.get(_question(profile), KNOWN, now, ask)

    async def _get(self, profile: str) -> dict[str, Any] | None:
        try:
            answer = await self._aws.ask("iam:GetInstanceProfile", InstanceProfileName=profile)
        except AwsError as error:
            if error.code == _ABSENT:
                return None
            raise
        return dict(answer.get("InstanceProfile") or {})

    async def _make(self, node_class: EC2NodeClass, name: str, role: str) -> None:
        found = await self._get(name)
        made = found is None and await self._create(node_class, name)
        there = _role_of(found or {})
        try:
            if there and there != role:
                await self._detach(name, there)
            if there != role:
                await self._attach(name, role)
        except AwsError:
            if made:
                await self._delete(name, "", quietly=True)
            raise

    async def _create(self, node_class: EC2NodeClass, name: str) -> bool:
        """Whether it was we who made it, and not somebody beside us."""
        tags = [{"Key": key, "Value": value} for key, value in sorted(self._tags(node_class).items())]
        path = self._path(node_class.metadata.uid)
        try:
            await self._aws.ask("iam:CreateInstanceProfile", InstanceProfileName=name, Path=path, Tags=tags)
        except AwsError as error:
            if error.code == _THERE:
                return False
            raise
        return True

    async def _attach(self, name: str, role: str) -> None:
        try:
            await self._aws.ask("iam:AddRoleToInstanceProfile", InstanceProfileName=name, RoleName=role)
        except AwsError as error:
            # A profile has one role: somebody beside us has given it this one, as its name says.
            if error.code != "LimitExceeded":
                raise

    async def _detach(self, name: str, role: str) -> None:
        try:
            await self._aws.ask("iam:RemoveRoleFromInstanceProfile", InstanceProfileName=name, RoleName=role)
        except AwsError as error:
            if error.code != _ABSENT:
                raise

    def _trouble(self, error: AwsError, role: str, now: Millis) -> Trouble:
        adding = error.call == "iam:AddRoleToInstanceProfile"
        if adding and error.code == _ABSENT and "role" in error.message.lower():
            self._no_role[role] = now + NO_ROLE
            return _without(role)
        return Trouble.of(error)

    # Names

    def _path(self, uid: str) -> str:
        return f"/karpenter/{self._aws.region}/{self._cluster}/{uid}/"

    def _next_name(self, node_class: EC2NodeClass, role: str) -> str:
        metadata = node_class.metadata
        parts = (self._aws.region, metadata.name, metadata.uid, role, node_class.status.instance_profile)
        return f"{self._cluster}_{_number(chr(0).join(parts))}"

    def _legacy_name(self, node_class: EC2NodeClass) -> str:
        """What the peer called it before 1.7: by FNV-1 of region and class."""
        found = 0xCBF29CE484222325
        for byte in f"{self._aws.region}{node_class.metadata.name}".encode():
            found = (found * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF) ^ byte
        return f"{self._cluster}_{found}"

    def _tags(self, node_class: EC2NodeClass) -> dict[str, str]:
        given = node_class.spec.tags if node_class.spec is not None else {}
        return {
            **given,
            f"kubernetes.io/cluster/{self._cluster}": "owned",
            CLUSTER: self._cluster,
            EC2NODECLASS: node_class.metadata.name,
            REGION: self._aws.region,
        }

    # What is left over

    async def collect(self, in_use: frozenset[str], now: Millis) -> tuple[str, ...]:
        """Delete the cluster's profiles that no class has had for an hour, and that no one else uses; their names.

        in_use: names that running instances and classes have. Raises AwsError where they cannot be listed.
        """
        prefix = f"/karpenter/{self._aws.region}/{self._cluster}/"
        deleted = []
        for item in await self._aws.pages("iam:ListInstanceProfiles", "InstanceProfiles", PathPrefix=prefix):
            name = item["InstanceProfileName"]
            young = now - max(self._used.get(name, 0), _made(item)) < PROTECTED
            if name not in in_use and not young:
                await self._delete(name, _role_of(item))
                deleted.append(name)
        return tuple(deleted)

    async def delete_of(self, node_class: EC2NodeClass) -> None:
        """Delete all profiles that were made for a class. Raises AwsError."""
        prefix = self._path(node_class.metadata.uid)
        for item in await self._aws.pages("iam:ListInstanceProfiles", "InstanceProfiles", PathPrefix=prefix):
            await self._delete(item["InstanceProfileName"], _role_of(item))
        old = self._legacy_name(node_class)
        found = await self._get(old) if len(old) <= 128 else None
        if found is not None and self._is_ours(found, node_class):
            await self._delete(old, _role_of(found))

    def _is_ours(self, found: Mapping[str, Any], node_class: EC2NodeClass) -> bool:
        tags = {tag["Key"]: tag["Value"] for tag in found.get("Tags") or ()}
        cluster = tags.get(f"kubernetes.io/cluster/{self._cluster}") == "owned"
        return cluster and tags.get(EC2NODECLASS, node_class.metadata.name) == node_class.metadata.name

    async def _delete(self, name: str, role: str, *, quietly: bool = False) -> None:
        try:
            if role:
                await self._detach(name, role)
            await self._aws.ask("iam:DeleteInstanceProfile", InstanceProfileName=name)
        except AwsError as error:
            if not quietly and error.code != _ABSENT:
                raise
        self._memory.forget(_question(name))
        self._used.pop(name, None)


def _question(profile: str) -> tuple[str, str]:
    return ("iam:GetInstanceProfile", profile)


def _name(role: str) -> str:
    """A role's name without its path: IAM takes and tells it so."""
    return role.rpartition("/")[2]


def _role_of(item: Mapping[str, Any]) -> str:
    return next((role.get("RoleName") or "" for role in item.get("Roles") or ()), "")


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _made(item: Mapping[str, Any]) -> Millis:
    made = item.get("CreateDate")
    return round(made.timestamp() * 1000) if isinstance(made, datetime) else 0


def _without(role: str) -> Trouble:
    return Trouble(f"IAM knows no role {role}: create it, or correct spec.role")
