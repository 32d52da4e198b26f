"""Node classes as they should be, and whether instances are what they ask for: all of `classes/` together.

    classes = Classes(aws, Cluster("prod"))
    looked = await classes.as_it_should_be(node_class, now)

`looked.node_class` is what is to be written; `looked.troubles` what could not be asked. Any process may look, at any
time and beside others: what a look makes at AWS has a name that follows from the class.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from msgspec.structs import replace

from fretsaw.api.catalog import InstanceType
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.nodeclass import EC2NodeClass, EC2NodeClassSpec
from fretsaw.api.times import MINUTE, Millis
from fretsaw.engine.requirements import Requirements
from fretsaw.errors import NotReady, UserError
from fretsaw.providers.aws import instance_types
from fretsaw.providers.aws.boot.values import Cluster
from fretsaw.providers.aws.calls.asking import Asking, AwsError
from fretsaw.providers.aws.classes import part as p
from fretsaw.providers.aws.classes import status
from fretsaw.providers.aws.classes.checks import first_wrong
from fretsaw.providers.aws.classes.cluster import EksCluster, Known
from fretsaw.providers.aws.classes.drift import drift, stray_reservation
from fretsaw.providers.aws.classes.dryrun import DryRun, Trial
from fretsaw.providers.aws.classes.farewell import Farewell
from fretsaw.providers.aws.classes.images import of_labels
from fretsaw.providers.aws.classes.looking import NO_IMAGES, NO_SUBNETS, Looking
from fretsaw.providers.aws.classes.memory import Memory
from fretsaw.providers.aws.classes.part import Part, Trouble, fails, holds
from fretsaw.providers.aws.classes.profiles import Profiles
from fretsaw.providers.aws.classes.trial import trial_of
from fretsaw.providers.aws.launch.instances import Instance

COLLECTED = 30 * MINUTE
"""How often profiles that nobody uses are looked for. Source: instanceprofile.garbagecollection."""
Types = Callable[[EC2NodeClass], Awaitable[Sequence[InstanceType]]]


class Looked(msgspec.Struct, frozen=True):
    """What a look at a class has come to."""

    node_class: EC2NodeClass
    troubles: tuple[Trouble, ...] = ()


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator can turn."""

    kubernetes: str = ""
    """The cluster's version, such as `1.34`, where EKS shall not be asked for it."""
    reserved_capacity: bool = True
    """Whether capacity reservations are looked for (feature gate ReservedCapacity)."""
    dry_run: bool = True
    """Whether a launch is tried before a class is ready (DISABLE_DRY_RUN turns it off)."""
    isolated: bool = False
    """Whether IAM cannot be reached (ISOLATED_VPC): profiles are neither collected nor deleted."""


class Classes:
    """The classes of one cluster. types: what a class can launch, for the trial; the shipped catalog if not given."""

    def __init__(
        self, aws: Asking, cluster: Cluster, options: Options | None = None, *, types: Types | None = None
    ) -> None:
        self._aws, self._cluster = aws, cluster
        self._options = options if options is not None else Options()
        memory = Memory()
        self.eks = EksCluster(aws, memory, cluster, self._options.kubernetes)
        self.looking = Looking(aws, memory)
        """Knows placement groups, and what is left of reservations."""
        self._profiles = Profiles(aws, memory, cluster.name)
        self._farewell = Farewell(aws, cluster.name, None if self._options.isolated else self._profiles)
        self._types = types if types is not None else self._shipped
        self._dry_run = DryRun(aws, memory, self._trial)
        self._dependents = tuple(
            one for one in status.CONDITIONS if one != p.RESERVATIONS or self._options.reserved_capacity
        )
        self._profiles_of: dict[str, str] = {}
        """Class, by name → its profile."""
        self._collected: Millis | None = None

    async def as_it_should_be(self, node_class: EC2NodeClass, now: Millis) -> Looked:
        """The class with the metadata and status that it should have. Raises nothing: what fails is told."""
        if node_class.metadata.deletion_timestamp:
            after, troubles = await self._farewell.take(node_class, now)
            if status.FINALIZER not in after.metadata.finalizers:
                self._profiles_of.pop(after.metadata.name, None)
            return Looked(after, troubles)
        known = await self.eks.known(now)
        node_class = status.marked(node_class)
        parts = await self._parts(node_class, known, now)
        after = status.applied(node_class, parts, now, self._dependents)
        verdict = first_wrong(after, known) or await self._tried(after, now)
        after = status.applied(node_class, [*parts, verdict], now, self._dependents)
        self._profiles_of[after.metadata.name] = after.status.instance_profile
        more = await self._collect(now)
        return Looked(after, _once([*parts, verdict], more if known.trouble is None else (known.trouble, *more)))

    async def drift(
        self,
        claim: NodeClaim,
        node_class: EC2NodeClass,
        instance: Instance,
        now: Millis,
        machine: Requirements | None = None,
    ) -> str:
        """Why a claim's instance is not what its class asks for, as one word; empty if it is, or nobody can tell.

        machine: what is known of its type (`images.of_type`); what the claim's labels say of it where not given.
        """
        if node_class.metadata.deletion_timestamp or node_class.spec is None:
            return ""
        group = await self.looking.group(node_class.spec, now)
        if stray_reservation(node_class, instance):
            node_class, instance = await self._asked_anew(node_class, node_class.spec, instance, now)
        machine = machine if machine is not None else of_labels(claim.metadata.labels)
        return drift(claim, node_class, instance, machine, None if group is None else group.id)

    async def _asked_anew(
        self, node_class: EC2NodeClass, spec: EC2NodeClassSpec, instance: Instance, now: Millis
    ) -> tuple[EC2NodeClass, Instance]:
        """Both with what is known now of reservations; without the instance's where nobody knows."""
        if not self._options.reserved_capacity:
            return node_class, replace(instance, reservation="")
        part = await self.looking.capacity_reservations(spec, now, fresh=True)
        if part.troubles:
            return node_class, replace(instance, reservation="")
        return replace(node_class, status=replace(node_class.status, **part.fields)), instance

    async def _parts(self, node_class: EC2NodeClass, known: Known, now: Millis) -> list[Part]:
        spec, looking = node_class.spec, self.looking
        profile = self._profiles.resolve(node_class, now)
        if spec is None:
            return [*_NOTHING, await profile]
        looks: list[Awaitable[Part]] = [
            looking.images(spec, known, now),
            looking.placement_group(spec, now),
            looking.subnets(spec, now),
            looking.security_groups(spec, now),
            profile,
        ]
        if self._options.reserved_capacity:
            looks.append(looking.capacity_reservations(spec, now))
        return list(await asyncio.gather(*looks))

    async def _tried(self, node_class: EC2NodeClass, now: Millis) -> Part:
        return await self._dry_run.judge(node_class, now) if self._options.dry_run else holds(p.VALID)

    async def _trial(self, node_class: EC2NodeClass) -> Trial | None:
        cluster = self.eks.last.cluster
        return trial_of(node_class, cluster, self._aws.region, await self._types(node_class))

    async def _shipped(self, node_class: EC2NodeClass) -> Sequence[InstanceType]:
        spec, there = msgspec.to_builtins(node_class.spec), msgspec.to_builtins(node_class.status)
        try:
            return instance_types.catalog(self._aws.region, spec, there).instance_types
        except UserError as error:
            raise NotReady(str(error)) from error

    # Profiles that are left over

    async def _collect(self, now: Millis) -> tuple[Trouble, ...]:
        """Every half an hour, and not before all classes have been looked at."""
        if self._collected is None:
            self._collected = now
        if self._options.isolated or now - self._collected < COLLECTED:
            return ()
        self._collected = now
        try:
            in_use = frozenset((*self._profiles_of.values(), *await self._of_instances()))
            await self._profiles.collect(in_use, now)
        except AwsError as error:
            return (Trouble.of(error),)
        return ()

    async def _of_instances(self) -> list[str]:
        """Profiles of the cluster's instances."""
        filters = [{"Name": f"tag:kubernetes.io/cluster/{self._cluster.name}", "Values": ["owned"]}]
        items = await self._aws.pages("ec2:DescribeInstances", "Reservations", Filters=filters)
        found = [one.get("IamInstanceProfile") or {} for item in items for one in item.get("Instances") or ()]
        return [(one.get("Arn") or "").rpartition("/")[2] for one in found]


_NOTHING = (
    fails(p.AMIS, "AMINotFound", NO_IMAGES, amis=()),
    holds(p.RESERVATIONS, capacity_reservations=()),
    holds(p.PLACEMENT),
    fails(p.SUBNETS, "SubnetsNotFound", NO_SUBNETS, subnets=()),
    fails(
        p.GROUPS, "SecurityGroupsNotFound", "SecurityGroupSelector did not match any SecurityGroups", security_groups=()
    ),
)
"""What a class without a spec finds."""


def _once(parts: Sequence[Part], more: Sequence[Trouble]) -> tuple[Trouble, ...]:
    return tuple(dict.fromkeys([*(one for part in parts for one in part.troubles), *more]))


__all__ = ["Classes", "Looked", "Options", "Types"]
