"""The instances that there are: listed, described, ended and tagged, with as few calls as can be.

Source: Karpenter AWS provider v1.14 pkg/providers/instance (states, filters, what counts as reserved).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from fretsaw.api.labels import EC2NODECLASS, NODEPOOL
from fretsaw.api.times import Millis
from fretsaw.errors import InstanceNotFound, ProviderError
from fretsaw.providers.aws.calls.asking import Asking, AwsError
from fretsaw.providers.aws.launch import marks
from fretsaw.providers.aws.launch.batcher import DESCRIBE, TERMINATE, Batcher, Window
from fretsaw.providers.aws.launch.refusals import NOT_FOUND, of_question

ALIVE = ("pending", "running", "stopping", "stopped")
STATES = (*ALIVE, "shutting-down")
"""A terminated instance counts as not found."""
_GOING = ("shutting-down", "terminated")
_RESERVED = "capacity-reservations-only"
_PAGE = 1000
_FILTER = 200
"""Values of one filter, at most."""


class Instance(msgspec.Struct, frozen=True):
    """One instance, as EC2 describes it."""

    id: str
    type: str
    zone: str
    state: str
    launched: Millis
    image_id: str = ""
    subnet_id: str = ""
    security_groups: tuple[str, ...] = ()
    """Ids, sorted."""
    capacity_type: str = "on-demand"
    reservation: str = ""
    """Id of the capacity reservation that it was bought from."""
    lifecycle: str = ""
    tenancy: str = "default"
    efa: int = 0
    """Interfaces for EFA."""
    placement_group: str = ""
    partition: int | None = None
    tags: dict[str, str] = {}
    zone_id: str = ""

    @property
    def provider_id(self) -> str:
        """As Kubernetes names it."""
        return f"aws:///{self.zone}/{self.id}"

    @property
    def alive(self) -> bool:
        """Whether it is not on its way out."""
        return self.state in ALIVE

    @property
    def claim(self) -> str:
        """The name of its NodeClaim; empty where it has none yet."""
        return marks.claim_of(self.tags)


def read(item: Mapping[str, Any]) -> Instance:
    """One entry of DescribeInstances."""
    placement = item.get("Placement") or {}
    tags = {tag["Key"]: tag["Value"] for tag in item.get("Tags") or ()}
    interfaces = item.get("NetworkInterfaces") or ()
    reservation = item.get("CapacityReservationId") or ""
    specified = (item.get("CapacityReservationSpecification") or {}).get("CapacityReservationPreference")
    reserved = bool(reservation) and specified == _RESERVED
    kind = "spot" if item.get("SpotInstanceRequestId") else "reserved" if reserved else "on-demand"
    return Instance(
        id=item["InstanceId"],
        type=item.get("InstanceType", ""),
        zone=placement.get("AvailabilityZone", ""),
        state=(item.get("State") or {}).get("Name", ""),
        launched=_millis(item.get("LaunchTime")),
        image_id=item.get("ImageId", ""),
        subnet_id=item.get("SubnetId", ""),
        security_groups=tuple(sorted(group["GroupId"] for group in item.get("SecurityGroups") or ())),
        capacity_type=kind,
        reservation=reservation if reserved else "",
        lifecycle=item.get("InstanceLifecycle") or "",
        tenancy=placement.get("Tenancy") or "default",
        efa=sum(one.get("InterfaceType") in ("efa", "efa-only") for one in interfaces),
        placement_group=placement.get("GroupId", ""),
        partition=placement.get("PartitionNumber") or None,
        tags=tags,
        zone_id=placement.get("AvailabilityZoneId", ""),
    )


def _millis(time: Any) -> Millis:
    if isinstance(time, str):
        time = datetime.fromisoformat(time)
    return round(time.timestamp() * 1000) if isinstance(time, datetime) else 0


def instance_id(provider_id: str) -> str:
    """`i-…` of `aws:///zone/i-…`. Raises InstanceNotFound for what is no such id: no instance of ours has it."""
    cloud, _, rest = provider_id.partition(":///")
    zone, slash, name = rest.partition("/")
    if not (cloud and slash and name and zone):
        raise InstanceNotFound(f"{provider_id!r} is not the id of an instance (such as aws:///eu-west-1a/i-0123)")
    return name


class Instances:
    """All instances of one cluster. Only those are listed, found by their claim, and ended."""

    def __init__(
        self, aws: Asking, cluster: str, *, describe: Window = DESCRIBE, terminate: Window = TERMINATE
    ) -> None:
        self._aws, self._cluster = aws, cluster
        self._describing: Batcher[str, Instance] = Batcher(describe, self._describe)
        self._ending: Batcher[str, None] = Batcher(terminate, self._terminate)

    async def list(self) -> tuple[Instance, ...]:
        """All that are there, those that are shutting down included. Raises AwsError."""
        return await self._asked(
            {"Name": "tag-key", "Values": [NODEPOOL]}, {"Name": "tag-key", "Values": [EC2NODECLASS]}
        )

    async def of_claims(self, names: Iterable[str]) -> tuple[Instance, ...]:
        """Those of claims of these names, and those that are nobody's yet. names: at most 199. Raises AwsError."""
        wanted = [*sorted(set(names)), marks.OPEN]
        found = await self._asked({"Name": f"tag:{marks.CLAIM}", "Values": wanted})
        return tuple(one for one in found if one.alive)

    async def get(self, provider_id: str) -> Instance:
        """One instance as EC2 has it now. Raises InstanceNotFound, and what a failed call comes to."""
        try:
            return await self._describing.ask(instance_id(provider_id))
        except AwsError as error:
            raise of_question(error) from error

    async def terminate(self, provider_id: str) -> None:
        """Have it ended. Raises InstanceNotFound once it is gone, and for one that is not of this cluster."""
        found = await self.get(provider_id)
        if found.tags.get(marks.CLUSTER) != self._cluster or NODEPOOL not in found.tags:
            raise InstanceNotFound(f"{found.id} is not an instance of cluster {self._cluster}: left alone")
        if found.state == "shutting-down":
            return
        try:
            await self._ending.ask(found.id)
        except AwsError as error:
            if error.code in NOT_FOUND:
                raise InstanceNotFound(f"{found.id} is gone") from error
            raise of_question(error) from error

    async def tag(self, id_: str, tags: Mapping[str, str]) -> None:
        """Give it these tags. Raises AwsError."""
        await self._aws.ask("ec2:CreateTags", Resources=[id_], Tags=marks.as_list(tags))

    async def drain(self) -> None:
        """Returns when everything that was asked is answered."""
        await self._describing.drain()
        await self._ending.drain()

    # Inside

    async def _asked(self, *filters: Mapping[str, Any], **more: Any) -> tuple[Instance, ...]:
        own = {"Name": f"tag:{marks.CLUSTER}", "Values": [self._cluster]}
        states = {"Name": "instance-state-name", "Values": list(STATES)}
        found = await self._aws.pages(
            "ec2:DescribeInstances", "Reservations", Filters=[*filters, own, states], MaxResults=_PAGE, **more
        )
        return tuple(map(read, _instances(found)))

    async def _describe(self, ids: Sequence[str]) -> Sequence[Instance | Exception]:
        """By their ids, whoever they belong to. As a filter, since a call that names an unknown id fails as a whole."""
        wanted, found = sorted(set(ids)), dict[str, Instance]()
        states = {"Name": "instance-state-name", "Values": list(STATES)}
        for at in range(0, len(wanted), _FILTER):
            named = {"Name": "instance-id", "Values": wanted[at : at + _FILTER]}
            items = await self._aws.pages(
                "ec2:DescribeInstances", "Reservations", Filters=[named, states], MaxResults=_PAGE
            )
            found.update((one.id, one) for one in map(read, _instances(items)))
        return [found.get(id_) or InstanceNotFound(f"{id_} is gone") for id_ in ids]

    async def _terminate(self, ids: Sequence[str]) -> Sequence[Exception | None]:
        """All in one call; those that EC2 does not speak of each on its own."""
        ended: set[str] = set()
        if len(set(ids)) > 1:
            try:
                ended = await self._ended(sorted(set(ids)))
            except AwsError as error:
                if error.retry:
                    raise
        answers: dict[str, Exception | None] = dict.fromkeys(ended)
        for id_ in sorted(set(ids) - ended):
            try:
                gone = await self._ended([id_])
                answers[id_] = None if gone else ProviderError(f"{id_} was not ended, and EC2 does not say why")
            except AwsError as error:
                answers[id_] = error
        return [answers[id_] for id_ in ids]

    async def _ended(self, ids: Sequence[str]) -> set[str]:
        answer = await self._aws.ask("ec2:TerminateInstances", InstanceIds=list(ids))
        found = answer.get("TerminatingInstances") or ()
        return {one["InstanceId"] for one in found if (one.get("CurrentState") or {}).get("Name") in _GOING}


def _instances(reservations: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    return (item for reservation in reservations for item in reservation.get("Instances") or ())
