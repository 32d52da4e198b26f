"""Launching in tests: claims and a class that the seeded account can launch, and processes that die at a chosen call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from msgspec.structs import replace

from fretsaw.api.catalog import Catalog, InstanceType, Offering
from fretsaw.api.meta import ObjectMeta
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.nodeclass import (
    AMISelectorTerm,
    EC2NodeClass,
    EC2NodeClassSpec,
    SecurityGroupSelectorTerm,
    SubnetSelectorTerm,
)
from fretsaw.api.nodeclass_status import EC2NodeClassStatus, ResolvedAMI, ResolvedSecurityGroup, ResolvedSubnet
from fretsaw.api.selection import NodeSelectorRequirement
from fretsaw.providers.aws.boot.values import Cluster
from fretsaw.providers.aws.calls import Asking, Aws, Limits
from fretsaw.providers.aws.launch.batcher import Window
from fretsaw.providers.aws.launch.launcher import Launcher, Patience, Windows
from support.aws import Moto
from support.virtual_ec2 import catalog, claim, instance_type

CLUSTER = Cluster("test", "https://cluster.example", "Y2E=", "172.20.0.0/16", "172.20.0.10")
QUICK = Window(0.01, 0.2, 500)
WINDOWS = Windows(QUICK, Window(0.01, 0.2, 199), QUICK, QUICK)
PATIENCE = Patience(settle_s=0.0, tag_pauses=(0.01, 0.02, 0.05))
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")


def sold(on_demand: float, spot: float, zones: Sequence[str] = ZONES) -> tuple[Offering, ...]:
    """On-demand and spot in these zones."""
    kinds = (("on-demand", on_demand), ("spot", spot))
    labels = {zone: {"topology.k8s.aws/zone-id": f"use1-az-{zone[-1]}"} for zone in zones}
    return tuple(Offering(zone, kind, price, labels=labels[zone]) for zone in zones for kind, price in kinds)


G5 = instance_type("g5.xlarge", *sold(1.006, 0.4))
G6 = instance_type("g6.xlarge", *sold(0.8048, 0.32))
BOTH = catalog(G5, G6)


def named(name: str, *requirements: tuple[Any, ...], uid: str = "", **requests: str) -> NodeClaim:
    """A claim with a uid."""
    made = claim(name, *requirements, **requests)
    return replace(made, metadata=replace(made.metadata, uid=uid or f"uid-{name}"))


def image_of(moto: Moto) -> str:
    """An image of x86 that the account has."""
    name = next(one for one in sorted(moto.seeded.images) if "x86_64-nvidia" in one)
    return moto.seeded.images[name].id


def node_class(moto: Moto, **spec: Any) -> EC2NodeClass:
    """A class whose selectors have found what the account has."""
    seeded = moto.seeded
    subnets = tuple(ResolvedSubnet(id_, zone, f"use1-az-{zone[-1]}") for zone, id_ in seeded.subnets.items())
    return EC2NodeClass(
        metadata=ObjectMeta(name="default", generation=1),
        spec=EC2NodeClassSpec(
            subnet_selector_terms=(SubnetSelectorTerm(tags={"a": "b"}),),
            security_group_selector_terms=(SecurityGroupSelectorTerm(tags={"a": "b"}),),
            ami_selector_terms=(AMISelectorTerm(alias="al2023@latest"),),
            role=seeded.node_role,
            **spec,
        ),
        status=EC2NodeClassStatus(
            subnets=subnets,
            security_groups=tuple(ResolvedSecurityGroup(id_, id_) for id_ in seeded.security_groups),
            amis=(
                ResolvedAMI(image_of(moto), (NodeSelectorRequirement("kubernetes.io/arch", "In", ("amd64",)),), "gpu"),
            ),
        ),
    )


def first_image(the_class: EC2NodeClass, _: InstanceType) -> str:
    """The class's first image for every type."""
    return the_class.status.amis[0].id if the_class.status.amis else ""


def launcher(aws: Asking, **more: Any) -> Launcher:
    """A launcher of cluster `test` that waits for nothing long."""
    return Launcher(aws, "test", lambda: CLUSTER, first_image, **{"windows": WINDOWS, "patience": PATIENCE, **more})


Work = Callable[[Launcher], Awaitable[Any]]


def run(moto: Moto, work: Work, *, alone: bool = False, **more: Any) -> Any:
    """One process: what it does, until it is done."""
    return in_one_loop(moto, lambda aws: living(aws, work, **more), alone=alone)


class Shared:
    """One loop and one session for all tests: clients of AWS take a second to make."""

    def __init__(self) -> None:
        self._runner: asyncio.Runner | None = None
        self._aws: Aws | None = None

    def run(self, moto: Moto, work: Callable[[Asking], Awaitable[Any]]) -> Any:
        """What the work comes to."""
        if self._runner is None:
            self._runner = asyncio.Runner()

        async def everything() -> Any:
            if self._aws is None:
                self._aws = await Aws.connect("us-east-1", endpoint=moto.url, limits=Limits(attempts=2))
            async with asyncio.timeout(60):
                return await work(self._aws)

        return self._runner.run(everything())

    def close(self) -> None:
        """The end of all tests."""
        if self._runner is not None and self._aws is not None:
            self._runner.run(self._aws.close())
            self._runner.close()
        self._runner = self._aws = None


SHARED = Shared()


def in_one_loop(moto: Moto, work: Callable[[Asking], Awaitable[Any]], *, alone: bool = False) -> Any:
    """Everything that a test does. alone: over a session of its own, for calls that are throttled: those after them
    have to wait."""

    async def everything() -> Any:
        async with moto.session() as aws:
            return await work(aws)

    return asyncio.run(asyncio.wait_for(everything(), 60)) if alone else SHARED.run(moto, work)


async def living(aws: Asking, work: Work, **more: Any) -> Any:
    """A process that lives until its work is done."""
    made = launcher(aws, **more)
    try:
        return await work(made)
    finally:
        await made.close()


async def dying(aws: Asking, at: int, work: Work, *, after: bool, **more: Any) -> bool:
    """A process that dies at a call, with all that it was doing; whether it came to that."""
    before = asyncio.all_tasks()
    calls = Dying(aws, at, after=after)
    working = asyncio.ensure_future(work(launcher(calls, **more)))
    died = asyncio.ensure_future(calls.died.wait())
    await asyncio.wait({working, died}, return_when=asyncio.FIRST_COMPLETED)
    own = asyncio.all_tasks() - before
    for task in own:
        task.cancel()
    await asyncio.gather(*own, return_exceptions=True)
    return calls.died.is_set()


class Dying(Asking):
    """Calls until the process dies: at its `at`-th call, before it is made or after it has been carried out."""

    def __init__(self, inner: Asking, at: int, *, after: bool) -> None:
        self.region = inner.region
        self.died = asyncio.Event()
        self.asked: list[str] = []
        self._inner, self._at, self._after = inner, at, after

    async def ask(self, call: str, /, **parameters: Any) -> dict[str, Any]:
        """See Asking."""
        return await self._dying(call, lambda: self._inner.ask(call, **parameters))

    async def pages(self, call: str, field: str, /, **parameters: Any) -> list[dict[str, Any]]:
        """See Asking."""
        return await self._dying(call, lambda: self._inner.pages(call, field, **parameters))

    async def close(self) -> None:
        """See Asking."""
        await self._inner.close()

    async def _dying(self, call: str, work: Callable[[], Awaitable[Any]]) -> Any:
        self.asked.append(call)
        mine = len(self.asked)
        if mine > self._at:
            await asyncio.Event().wait()  # a dead process asks nothing
        answer = None if mine == self._at and not self._after else await work()
        if mine == self._at:
            self.died.set()
            await asyncio.Event().wait()
        return answer


async def all_of(
    made: Launcher, claims: Sequence[NodeClaim], the_class: EC2NodeClass, sold: Catalog = BOTH
) -> list[Any]:
    """What each launch answers or raises."""
    return await asyncio.gather(*(made.launch(one, the_class, sold) for one in claims), return_exceptions=True)
