"""The clouds that `fretsaw run` can work with, made from its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fretsaw.controllers.settings import Run
from fretsaw.errors import UserError

if TYPE_CHECKING:
    from fretsaw.controllers.telemetry import Log
    from fretsaw.ports import Clock, CloudProvider
    from fretsaw.providers.aws.classes.part import Trouble

FAKE_REGION = "us-east-1"


async def cloud(name: str, settings: Run, log: Log, clock: Clock, *, region: str, fake_cloud: str) -> CloudProvider:
    """The provider of a name. region: empty for that of the environment, or the fake cloud's usual one.

    Raises UserError for settings that it cannot do with.
    """
    if name == "fake":
        from fretsaw.providers.fake.provider import FakeProvider

        return FakeProvider(f"http://{fake_cloud}", region=region or FAKE_REGION)
    return await _aws(settings, log, clock, region)


async def _aws(settings: Run, log: Log, clock: Clock, region: str) -> CloudProvider:
    from fretsaw.providers.aws.boot.values import Cluster
    from fretsaw.providers.aws.calls import Aws
    from fretsaw.providers.aws.classes.classes import Options
    from fretsaw.providers.aws.interruption import Interruptions
    from fretsaw.providers.aws.live import Live
    from fretsaw.providers.aws.provider import AwsProvider
    from fretsaw.providers.aws.settings import Settings

    name = settings["cluster-name"]
    if not name:
        raise UserError("--cluster-name", "is missing", "", "the name of the EKS cluster, also as CLUSTER_NAME")

    def told(node_class: str, trouble: Trouble) -> None:
        log.error("aws", trouble.text, object=f"EC2NodeClass/{node_class}")

    aws = await Aws.connect(region)
    live = Live(
        aws,
        clock,
        settings=Settings(settings["vm-memory-overhead-percent"], settings["reserved-enis"]),
        isolated=settings["isolated-vpc"],
        free=lambda: provider.classes.looking.instances_left,  # the market reads what the classes have found
    )
    provider = AwsProvider(
        aws,
        Cluster(name, settings["cluster-endpoint"], settings["cluster-ca-bundle"]),
        live,
        Interruptions(aws, name, settings["interruption-queue"], clock),
        options=Options(
            reserved_capacity=settings["feature-gates"]["ReservedCapacity"],
            dry_run=not settings["disable-dry-run"],
            isolated=settings["isolated-vpc"],
        ),
        told=told,
        now=clock.now,
    )
    return provider
