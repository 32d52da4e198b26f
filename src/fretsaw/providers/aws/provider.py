"""The CloudProvider of AWS: composed of the parts in this folder, each of which knows its own matter.

    provider = AwsProvider(aws, Cluster("prod"), Live(aws, clock), Interruptions(aws, "prod", "queue", clock))

It keeps nothing that another process would miss: whose an instance is stands in its tags.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, suppress
from typing import Protocol

from fretsaw.api.catalog import Catalog, InstanceType
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.nodeclass import EC2NodeClass
from fretsaw.api.times import Millis
from fretsaw.engine.conditions import READY
from fretsaw.engine.events import InstanceCreated, Interrupted
from fretsaw.errors import LaunchFailed, NotReady, OutOfCapacity, ProviderError
from fretsaw.ports import Machine, Offering
from fretsaw.providers.aws.boot.values import Cluster
from fretsaw.providers.aws.calls.asking import Asking
from fretsaw.providers.aws.classes.classes import Classes
from fretsaw.providers.aws.classes.classes import Options as ClassOptions
from fretsaw.providers.aws.classes.images import image_for, of_type
from fretsaw.providers.aws.classes.part import Trouble
from fretsaw.providers.aws.launch.launcher import Launcher, Patience, Windows

SPOT_INTERRUPTED = "spot_interrupted"


class Catalogs(Protocol):
    """What the account can launch."""

    async def catalog(self, node_class: EC2NodeClass) -> Catalog:
        """See CloudProvider; the class is ready. The same object as long as nothing has changed."""

    async def close(self) -> None:
        """Stop asking."""


class Heard(Protocol):
    """What AWS announces."""

    def interruptions(self) -> AsyncIterator[Interrupted]:
        """See CloudProvider."""


class AwsProvider:
    """See `fretsaw.ports.CloudProvider`."""

    def __init__(
        self,
        aws: Asking,
        cluster: Cluster,
        catalogs: Catalogs,
        heard: Heard,
        *,
        options: ClassOptions | None = None,
        windows: Windows | None = None,
        patience: Patience | None = None,
        told: Callable[[str, Trouble], None] = lambda *_: None,
        now: Callable[[], Millis] = lambda: time.time_ns() // 1_000_000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """told: called with a class's name and what could not be asked for it, once for each new trouble."""
        options = options if options is not None else ClassOptions()
        self._aws, self._catalogs, self._heard, self._now, self._told = aws, catalogs, heard, now, told
        self.classes = Classes(aws, cluster, options, types=self._types)
        self.launcher = Launcher(
            aws,
            cluster.name,
            lambda: self.classes.eks.last.cluster.with_dns(),
            self._image,
            heard=lambda: self.classes.looking.instances_left,
            reserved_capacity=options.reserved_capacity,
            windows=windows,
            patience=patience,
            now=now,
            monotonic=monotonic,
        )
        self._troubles: dict[str, frozenset[Trouble]] = {}

    async def class_as_it_should_be(self, node_class: EC2NodeClass) -> EC2NodeClass:
        """See CloudProvider."""
        looked = await self.classes.as_it_should_be(node_class, self._now())
        name, troubles = node_class.metadata.name, frozenset(looked.troubles)
        for trouble in looked.troubles:
            if trouble not in self._troubles.get(name, ()):
                self._told(name, trouble)
        self._troubles[name] = troubles
        return looked.node_class

    async def catalog(self, node_class: EC2NodeClass) -> Catalog:
        """See CloudProvider."""
        try:
            _check_ready(node_class)
        except LaunchFailed as error:
            raise NotReady(str(error)) from error
        return await self._catalogs.catalog(node_class)

    def unavailable(self) -> frozenset[Offering]:
        """See CloudProvider."""
        return self.launcher.unavailable.all()

    async def launch(
        self, claim: NodeClaim, node_class: EC2NodeClass | None, catalog: Catalog | None = None
    ) -> InstanceCreated:
        """See CloudProvider."""
        try:
            if node_class is None:
                raise NotReady(f"EC2NodeClass {claim.spec.node_class_ref.name} is not there")
            _check_ready(node_class)
            sold = catalog if catalog is not None else await self._sold(node_class)
        except (NotReady, LaunchFailed):
            # Nothing can be launched now, but something may have been, before its answer was lost.
            if (known := await self.launcher.known(claim, await self._anyhow(node_class))) is not None:
                return known
            raise
        await self.classes.eks.known(self._now())  # user data needs the cluster's addresses, also before any look
        return await self.launcher.launch(claim, node_class, sold, await self._group(node_class))

    async def terminate(self, provider_id: str) -> None:
        """See CloudProvider."""
        await self.launcher.terminate(provider_id)

    async def instances(self) -> tuple[Machine, ...]:
        """See CloudProvider."""
        return await self.launcher.machines()

    async def drift(self, claim: NodeClaim, node_class: EC2NodeClass) -> str:
        """See CloudProvider. An instance that has no name yet gets that of its node on the way."""
        found = await self.launcher.described(claim.status.provider_id)
        await self.launcher.name(found, claim.status.node_name)
        return await self.classes.drift(claim, node_class, found, self._now())

    async def interruptions(self) -> AsyncIterator[Interrupted]:
        """See CloudProvider. The offering of an interrupted spot instance is avoided for a while."""
        async with aclosing(self._heard.interruptions()) as events:  # type: ignore[type-var]
            async for event in events:
                if event.kind == SPOT_INTERRUPTED and (one := self.launcher.seen(event.provider_id)) is not None:
                    self.launcher.unavailable.mark([(one.type, one.zone, "spot")], "SpotInterruption")
                yield event

    async def close(self) -> None:
        """See CloudProvider."""
        await self.launcher.close()
        await self._catalogs.close()
        await self._aws.close()

    # Inside

    async def _sold(self, node_class: EC2NodeClass) -> Catalog:
        """What a launch chooses from. Raises LaunchFailed where it cannot be told."""
        try:
            return await self._catalogs.catalog(node_class)
        except (NotReady, OutOfCapacity):
            raise
        except ProviderError as error:
            raise LaunchFailed("InstanceTypeResolutionFailed", str(error)) from error

    async def _anyhow(self, node_class: EC2NodeClass | None) -> Catalog | None:
        """The catalog of a class that may not be ready; None where there is none."""
        if node_class is not None:
            with suppress(ProviderError):
                return await self._catalogs.catalog(node_class)
        return None

    async def _group(self, node_class: EC2NodeClass) -> str:
        """The id of the placement group. Raises LaunchFailed where nobody knows it."""
        if node_class.spec is None or node_class.spec.placement_group_selector is None:
            return ""
        found = await self.classes.looking.group(node_class.spec, self._now())
        if found is None or not found.id:
            raise LaunchFailed("PlacementGroupResolutionFailed", "the placement group is not known now")
        return found.id

    async def _types(self, node_class: EC2NodeClass) -> Sequence[InstanceType]:
        """What a class is tried with before it is ready. Raises NotReady where nobody can tell."""
        try:
            return (await self._catalogs.catalog(node_class)).instance_types
        except LaunchFailed:
            raise
        except ProviderError as error:
            raise NotReady(str(error)) from error

    def _image(self, node_class: EC2NodeClass, type_: InstanceType) -> str:
        found = image_for(node_class.status.amis, of_type(type_))
        return "" if found is None else found.id


def _check_ready(node_class: EC2NodeClass) -> None:
    """Raises NotReady where the class says that it cannot launch, LaunchFailed where it cannot tell yet.

    Source: Karpenter AWS provider v1.14 pkg/cloudprovider (Create).
    """
    name, ready = node_class.metadata.name, node_class.condition(READY)
    if node_class.metadata.deletion_timestamp:
        raise NotReady(f"EC2NodeClass {name} is being deleted")
    if ready is None or ready.status == "Unknown":
        why = ready.message if ready is not None else "nobody has looked at it yet"
        raise LaunchFailed("NodeClassReadinessUnknown", f"EC2NodeClass {name} is not ready yet: {why}")
    if ready.status != "True":
        raise NotReady(f"EC2NodeClass {name} is not ready: {_why(node_class) or ready.message}")
    if ready.observed_generation != node_class.metadata.generation:
        raise NotReady(f"EC2NodeClass {name} has changed, and is being looked at anew")


def _why(node_class: EC2NodeClass) -> str:
    """The reasons of the conditions that do not hold."""
    wrong = [one for one in node_class.status.conditions if one.status == "False" and one.type != READY]
    return "; ".join(f"{one.reason}: {one.message}" for one in wrong)


__all__ = ["AwsProvider", "Catalogs", "Heard"]
