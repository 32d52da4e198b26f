"""The provider of AWS in tests: on a seeded account, with a small catalog, and announcements that a test makes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aws.launch.worlds import BOTH, PATIENCE, WINDOWS, in_one_loop
from fretsaw.api.catalog import Catalog
from fretsaw.api.meta import ObjectMeta
from fretsaw.api.nodeclass import (
    AMISelectorTerm,
    EC2NodeClass,
    EC2NodeClassSpec,
    SecurityGroupSelectorTerm,
    SubnetSelectorTerm,
)
from fretsaw.engine.events import Interrupted
from fretsaw.providers.aws.boot.values import Cluster
from fretsaw.providers.aws.calls import Asking
from fretsaw.providers.aws.classes.classes import Options
from fretsaw.providers.aws.provider import AwsProvider
from support.aws import Moto
from support.aws.seed import DISCOVERY

DNS = Cluster("test", dns_ip="172.20.0.10")


class Sold:
    """Catalogs: always the same."""

    def __init__(self, sold: Catalog) -> None:
        self.sold = sold

    async def catalog(self, node_class: EC2NodeClass) -> Catalog:
        """See Catalogs."""
        return self.sold

    async def close(self) -> None:
        """See Catalogs."""


class Announcing:
    """Heard: what the test puts in."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Interrupted] = asyncio.Queue()

    async def interruptions(self) -> AsyncIterator[Interrupted]:
        """See Heard."""
        while True:
            yield await self.queue.get()


def applied(
    moto: Moto, name: str = "default", *, role: str = "", alias: str = "al2023@latest", **more: Any
) -> EC2NodeClass:
    """A class as somebody has just applied it. more: of its metadata, or of its spec with `spec_` before it."""
    spec = {key.removeprefix("spec_"): value for key, value in more.items() if key.startswith("spec_")}
    metadata = {key: value for key, value in more.items() if not key.startswith("spec_")}
    return EC2NodeClass(
        metadata=ObjectMeta(name=name, **{"generation": 1, "uid": f"uid-{name}", **metadata}),
        spec=EC2NodeClassSpec(
            subnet_selector_terms=(SubnetSelectorTerm(tags=DISCOVERY),),
            security_group_selector_terms=(SecurityGroupSelectorTerm(tags=DISCOVERY),),
            ami_selector_terms=(AMISelectorTerm(alias=alias),),
            role=role or moto.seeded.node_role,
            **spec,
        ),
    )


def provider(aws: Asking, sold: Catalog = BOTH, heard: Announcing | None = None, **more: Any) -> AwsProvider:
    """A provider that waits for nothing long."""
    return AwsProvider(
        aws,
        DNS,
        Sold(sold),
        heard if heard is not None else Announcing(),
        **{"windows": WINDOWS, "patience": PATIENCE, "options": Options(), **more},
    )


Work = Callable[[AwsProvider], Awaitable[Any]]


def asked(moto: Moto, work: Work, sold: Catalog = BOTH, *, alone: bool = False, **more: Any) -> Any:
    """Do something with a provider."""

    async def process(aws: Asking) -> Any:
        made = provider(aws, sold, **more)
        try:
            return await work(made)
        finally:
            await made.launcher.close()

    return in_one_loop(moto, process, alone=alone)
