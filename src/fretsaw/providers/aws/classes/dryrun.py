"""Whether a class could launch, by trying: a launch template, and a fleet and an instance as dry runs.

A launch template cannot be tried dry; the one that is made here is deleted right after. Results count for half an hour,
as long as the class, its status and its annotations stay the same.
Source: AWS provider v1.14 pkg/controllers/nodeclass (validation.go), pkg/errors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import msgspec

from fretsaw.api.nodeclass import EC2NodeClass
from fretsaw.api.times import MINUTE, Millis
from fretsaw.errors import LaunchFailed, NotReady
from fretsaw.providers.aws.boot.template import PREFIX
from fretsaw.providers.aws.calls.asking import Asking, AwsError
from fretsaw.providers.aws.calls.refusals import DRY_RUN_PASSED
from fretsaw.providers.aws.classes import part as p
from fretsaw.providers.aws.classes.memory import FAILED, Memory
from fretsaw.providers.aws.classes.part import Part, Trouble, fails, holds, open_
from fretsaw.providers.aws.classes.telling import lasting
from fretsaw.providers.aws.launch.refusals import NO_TEMPLATE, named

KEPT = 30 * MINUTE
_DENIED = "UnauthorizedOperation"
_THERE = "InvalidLaunchTemplateName.AlreadyExistsException"
_NO_PROFILE = "iamInstanceProfile.name is invalid"


class Trial(msgspec.Struct, frozen=True):
    """What would be launched."""

    instance_type: str
    template: Mapping[str, Any]
    """LaunchTemplateData."""
    tags: Mapping[str, str]
    """Of everything that a launch makes."""


Trials = Callable[[EC2NodeClass], Awaitable[Trial | None]]
"""The trial for a class; None where there is no type to try. Raises LaunchFailed and NotReady, whose text is told."""


class DryRun:
    """The trials of one cluster's classes."""

    def __init__(self, aws: Asking, memory: Memory, trials: Trials) -> None:
        self._aws, self._memory, self._trials = aws, memory, trials

    async def judge(self, node_class: EC2NodeClass, now: Millis) -> Part:
        """The part of ValidationSucceeded, for a class of which everything else is in order."""
        question = ("dry run", node_class.metadata.name, _fingerprint(node_class))
        try:
            found = await self._memory.get(question, KEPT, now, partial(self._judged, node_class))
        except AwsError as error:
            trouble = Trouble.of(error)
            # A template that was just made is not known everywhere at once.
            return open_(p.VALID, Trouble(trouble.text, True) if error.code in NO_TEMPLATE else trouble)
        if not found.status or found.reason == "InstanceProfileNotFound":
            self._memory.put(question, found, FAILED, self._memory.asked(question) or now)
        return found

    async def _judged(self, node_class: EC2NodeClass) -> Part:
        """Raises AwsError for whatever says nothing about the class."""
        try:
            trial = await self._trials(node_class)
        except LaunchFailed as error:
            return fails(p.VALID, error.reason, error.message)
        except NotReady as error:
            return open_(p.VALID, Trouble(str(error)))
        return await self._try(trial, node_class) if trial is not None else holds(p.VALID)

    async def _try(self, trial: Trial, node_class: EC2NodeClass) -> Part:
        name = f"{PREFIX}try-{_digest((trial.template, trial.tags))}"
        try:
            await self._create(name, trial)
        except AwsError as error:
            return _refused_template(error)
        try:
            return await self._fleet(name, trial, node_class) or await self._instance(name, trial, node_class)
        finally:
            await self._delete(name)

    async def _create(self, name: str, trial: Trial) -> None:
        tags = [{"ResourceType": "launch-template", "Tags": _tags(trial)}]
        data = {"LaunchTemplateName": name, "LaunchTemplateData": trial.template, "TagSpecifications": tags}
        try:
            await self._aws.ask("ec2:CreateLaunchTemplate", **data)
        except AwsError as error:
            # Left over from a try that was cut short; its name says that it is the same.
            if error.code != _THERE:
                raise

    async def _delete(self, name: str) -> None:
        """Whatever happens, the verdict stands; a template that stays is found and deleted with its class."""
        try:
            await self._aws.ask("ec2:DeleteLaunchTemplate", LaunchTemplateName=name)
        except AwsError:
            return

    async def _fleet(self, name: str, trial: Trial, node_class: EC2NodeClass) -> Part | None:
        template = {"LaunchTemplateName": name, "Version": "$Latest"}
        overrides = [
            {"InstanceType": trial.instance_type, "SubnetId": subnet.id} for subnet in node_class.status.subnets
        ]
        code = await self._dry(
            "ec2:CreateFleet",
            Type="instant",
            LaunchTemplateConfigs=[{"LaunchTemplateSpecification": template, "Overrides": overrides}],
            TargetCapacitySpecification={"DefaultTargetCapacityType": "on-demand", "TotalTargetCapacity": 1},
            OnDemandOptions={"AllocationStrategy": "lowest-price"},
            TagSpecifications=_specifications(trial, "instance", "volume", "fleet"),
        )
        return None if code is None else _denied("CreateFleetAuthCheckFailed", code)

    async def _instance(self, name: str, trial: Trial, node_class: EC2NodeClass) -> Part:
        """One subnet that works is enough; where none does, the first one's error counts."""
        first: AwsError | None = None
        for subnet in node_class.status.subnets:
            parameters: dict[str, Any] = {
                "LaunchTemplate": {"LaunchTemplateName": name, "Version": "$Latest"},
                "InstanceType": trial.instance_type,
                "MinCount": 1,
                "MaxCount": 1,
                "TagSpecifications": _specifications(trial, "instance", "volume", "network-interface"),
                **_placed(trial.template, subnet.id),
            }
            try:
                error = await self._dry("ec2:RunInstances", **parameters)
            except AwsError as failed:
                error = failed
            if error is None:
                return holds(p.VALID)
            first = first or error
        if first is None:
            return holds(p.VALID)
        return _refused_instance(first, node_class)

    async def _dry(self, call: str, **parameters: Any) -> AwsError | None:
        """None where the call would be allowed, the refusal where not. Raises AwsError for anything else."""
        try:
            await self._aws.ask(call, DryRun=True, **parameters)
        except AwsError as error:
            if error.code == DRY_RUN_PASSED:
                return None
            if error.code == _DENIED:
                return error
            raise
        return None


def _refused_template(error: AwsError) -> Part:
    if error.code == "InvalidUserData.Malformed" and "User data is limited to" in error.message:
        return fails(p.VALID, "UserDataSizeLimitExceeded", lasting(error.message))
    if error.code == _DENIED:
        return _denied("CreateLaunchTemplateAuthCheckFailed", error)
    raise error


def _refused_instance(error: AwsError, node_class: EC2NodeClass) -> Part:
    if error.code == _DENIED:
        return _denied("RunInstancesAuthCheckFailed", error)
    spec = node_class.spec
    if _NO_PROFILE in error.message.replace("IamInstanceProfile", "iamInstanceProfile"):
        if spec is not None and spec.instance_profile:
            message = (
                f"IAM knows no instance profile {spec.instance_profile} (create it, or correct spec.instanceProfile)"
            )
            return fails(p.VALID, "InstanceProfileNotFound", message)
        # A profile that we have just made is not known everywhere at once.
        return open_(
            p.VALID, Trouble(f"EC2 does not know the instance profile {node_class.status.instance_profile} yet", True)
        )
    raise error


def _denied(reason: str, error: AwsError) -> Part:
    why = named(f"{error.code}: {error.message}")[1]
    told = f"Controller isn't authorized to call {error.call}: {why}"
    return fails(p.VALID, reason, f"{told} (`fretsaw aws iam-policy` prints what it needs)")


def _placed(template: Mapping[str, Any], subnet: str) -> dict[str, Any]:
    """The subnet, where EC2 wants it: beside interfaces it takes none of its own."""
    given = template.get("NetworkInterfaces")
    if not given:
        return {"SubnetId": subnet}
    return {"NetworkInterfaces": [{**one, "SubnetId": subnet} for one in given]}


def _specifications(trial: Trial, *kinds: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": _tags(trial)} for kind in kinds]


def _tags(trial: Trial) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(trial.tags.items())]


def _fingerprint(node_class: EC2NodeClass) -> str:
    """Another one where a trial could end differently. The order of lists in the status does not count."""
    status = node_class.status
    lists = (status.subnets, status.security_groups, status.amis, status.capacity_reservations)
    sets = [sorted(msgspec.json.encode(one).decode() for one in items) for items in lists]
    return _digest((sets, status.instance_profile, node_class.spec, node_class.metadata.annotations))


def _digest(value: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()[:16]
