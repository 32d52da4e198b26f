"""A fake cloud for tests: claims and node classes in a line, a clock that moves when it is told, and a server for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from fretsaw.api.catalog import Catalog
from fretsaw.api.meta import ObjectMeta
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.nodeclass import (
    AMISelectorTerm,
    EC2NodeClass,
    EC2NodeClassSpec,
    SecurityGroupSelectorTerm,
    SubnetSelectorTerm,
)
from fretsaw.api.times import Millis
from fretsaw.providers.fake.cloud import CloudSettings, FakeCloud
from fretsaw.providers.fake.provider import FakeProvider
from fretsaw.providers.fake.server import serve
from fretsaw.providers.fake.wire import Order
from support.virtual_ec2 import G5, G6, START, catalog, claim

TAGS = {"karpenter.sh/discovery": "dev"}
BOTH = catalog(G5, G6)


class Time:
    """Milliseconds since 1970 that pass when they are told to."""

    def __init__(self) -> None:
        self.now: Millis = START

    def __call__(self) -> Millis:
        return self.now

    def pass_(self, seconds: float) -> None:
        """Later."""
        self.now += round(seconds * 1000)


def cloud(time: Time | None = None, **settings: Any) -> FakeCloud:
    """A cloud in which a launch takes 10 s and an end 30 s."""
    return FakeCloud(CloudSettings(**{"pending_s": 10, "shutdown_s": 30, **settings}), time or Time())


def order(name: str = "c-0", sold: Catalog = BOTH, token: str = "", **more: Any) -> Order:
    """An order of one claim for anything on demand."""
    kept = [
        msgspec.structs.replace(
            one, offerings=[o for o in one.offerings if o.capacity_type == more.get("kind", "on-demand")]
        )
        for one in sold.instance_types
    ]
    return Order(
        token=token or f"uid-{name}", claim=named(name), catalog=msgspec.Raw(msgspec.json.encode(catalog(*kept)))
    )


def named(name: str, *requirements: tuple[Any, ...], **requests: str) -> NodeClaim:
    """A claim with a uid."""
    made = claim(name, *requirements, **requests)
    return msgspec.structs.replace(made, metadata=msgspec.structs.replace(made.metadata, uid=f"uid-{name}"))


def node_class(
    name: str = "default", *, role: str = "nodes", alias: str = "al2023@latest", **metadata: Any
) -> EC2NodeClass:
    """A node class as somebody has just applied it."""
    return EC2NodeClass(
        metadata=ObjectMeta(name=name, generation=1, **metadata),
        spec=EC2NodeClassSpec(
            subnet_selector_terms=(SubnetSelectorTerm(tags=TAGS),),
            security_group_selector_terms=(SecurityGroupSelectorTerm(tags=TAGS),),
            ami_selector_terms=(AMISelectorTerm(alias=alias),),
            role=role,
        ),
    )


@asynccontextmanager
async def served(found: FakeCloud, **options: Any) -> AsyncIterator[FakeProvider]:
    """A provider that asks this cloud over HTTP. Its catalog is two types in two zones."""
    async with serve(found) as url:
        provider = FakeProvider(url, **{"catalog": BOTH, **options})
        try:
            yield provider
        finally:
            await provider.close()
