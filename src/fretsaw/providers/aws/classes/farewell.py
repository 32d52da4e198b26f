"""What has to go before a class may: its instances, profiles and launch templates.

Source: AWS provider v1.14 pkg/controllers/nodeclass (controller.go, finalize).
Differs: the peer counts NodeClaims and sends an event; a provider sees instances, and tells by the condition Ready.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from fretsaw.api.labels import EC2NODECLASS
from fretsaw.api.nodeclass import EC2NodeClass
from fretsaw.api.times import Millis
from fretsaw.engine.conditions import READY, by_type, put
from fretsaw.providers.aws.calls.asking import Asking, AwsError
from fretsaw.providers.aws.classes.part import Trouble
from fretsaw.providers.aws.classes.profiles import Profiles
from fretsaw.providers.aws.classes.status import FINALIZER
from fretsaw.providers.aws.launch.instances import STATES, read
from fretsaw.providers.aws.launch.marks import CLUSTER
from fretsaw.providers.aws.launch.refusals import NO_TEMPLATE

WAITING = "WaitingOnNodeClaimTermination"
_NAMED = 5


class Farewell:
    """The end of one cluster's classes. profiles: None where IAM cannot be reached, and so none were made."""

    def __init__(self, aws: Asking, cluster: str, profiles: Profiles | None) -> None:
        self._aws, self._cluster, self._profiles = aws, cluster, profiles

    async def take(self, node_class: EC2NodeClass, now: Millis) -> tuple[EC2NodeClass, tuple[Trouble, ...]]:
        """The class without our finalizer once nothing is left that it is needed for, else with the reason why not."""
        metadata = node_class.metadata
        if FINALIZER not in metadata.finalizers:
            return node_class, ()
        try:
            if names := await self._instances(metadata.name):
                return _waiting(node_class, f"Waiting on NodeClaim termination for {_listed(names)}", now), ()
            if self._profiles is not None:
                await self._profiles.delete_of(node_class)
            await self._delete_templates(metadata.name)
        except AwsError as error:
            trouble = Trouble.of(error)
            return (node_class if trouble.passing else _waiting(node_class, trouble.text, now)), (trouble,)
        kept = tuple(one for one in metadata.finalizers if one != FINALIZER)
        return replace(node_class, metadata=replace(metadata, finalizers=kept)), ()

    async def _instances(self, name: str) -> list[str]:
        """Names of the NodeClaims whose instances there still are; ids where they have none."""
        filters = [*self._of_class(name), {"Name": "instance-state-name", "Values": list(STATES)}]
        items = await self._aws.pages("ec2:DescribeInstances", "Reservations", Filters=filters)
        found = [read(item) for reservation in items for item in reservation.get("Instances") or ()]
        return sorted(one.claim or one.id for one in found)

    async def _delete_templates(self, name: str) -> None:
        filters = self._of_class(name)
        for item in await self._aws.pages("ec2:DescribeLaunchTemplates", "LaunchTemplates", Filters=filters):
            try:
                await self._aws.ask("ec2:DeleteLaunchTemplate", LaunchTemplateId=item["LaunchTemplateId"])
            except AwsError as error:
                if error.code not in NO_TEMPLATE:
                    raise

    def _of_class(self, name: str) -> list[dict[str, Any]]:
        return [
            {"Name": f"tag:{CLUSTER}", "Values": [self._cluster]},
            {"Name": f"tag:{EC2NODECLASS}", "Values": [name]},
        ]


def _waiting(node_class: EC2NodeClass, why: str, now: Millis) -> EC2NodeClass:
    status, generation = node_class.status, node_class.metadata.generation
    conditions = by_type(status.conditions)
    conditions = put(conditions, READY, "False", now, reason=WAITING, message=why, generation=generation)
    return replace(node_class, status=replace(status, conditions=tuple(conditions.values())))


def _listed(names: Sequence[str]) -> str:
    others = len(names) - _NAMED
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {others} other(s)" if others > 0 else shown
