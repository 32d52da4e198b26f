"""`fretsaw run --provider aws`: the provider that its settings make, all parts together, against moto."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from click.testing import CliRunner

from aws.launch.worlds import named
from aws.provider.worlds import applied
from fretsaw.cli.clouds import cloud
from fretsaw.cli.run_cmd import run
from fretsaw.controllers.clock import SteadyClock
from fretsaw.controllers.settings import Run, found
from fretsaw.controllers.telemetry import Log
from fretsaw.engine.events import Interrupted
from fretsaw.errors import UserError
from fretsaw.ports import CloudProvider
from support.aws import Moto
from support.virtual_ec2 import capacity


def settings(**flags: str) -> Run:
    """Settings with these flags."""
    return found({name.replace("_", "-"): text for name, text in flags.items()}, {})


async def made(given: Run, lines: list[str], region: str = "us-east-1") -> CloudProvider:
    """The provider of the settings. lines: what is logged."""
    log = Log(lambda text: lines.append(text), level="info", form="json")
    return await cloud("aws", given, log, SteadyClock(), region=region, fake_cloud="")


def test_a_gpu_node_from_the_class_to_its_end(moto: Moto) -> None:
    lines: list[str] = []

    async def work() -> None:
        provider = await made(settings(cluster_name="test", interruption_queue="test"), lines)
        try:
            the_class = await provider.class_as_it_should_be(applied(moto))
            ready = the_class.condition("Ready")
            assert ready is not None
            assert (ready.status, ready.message) == ("True", "")
            sold = await provider.catalog(the_class)
            assert "p5.48xlarge" in {one.name for one in sold.instance_types}
            claim = named("c-0", capacity("on-demand"), ("node.kubernetes.io/instance-type", "In", "g6.xlarge"))
            created = await provider.launch(claim, the_class)
            assert created.allocatable["nvidia.com/gpu"] == "1"
            (machine,) = await provider.instances()
            assert (machine.provider_id, machine.claim) == (created.provider_id, "c-0")
            await heard(provider, created.provider_id)
            await provider.terminate(created.provider_id)
            assert await provider.instances() == ()
        finally:
            await provider.close()

    async def heard(provider: CloudProvider, provider_id: str) -> None:
        events = provider.interruptions()
        id_ = provider_id.rpartition("/")[2]
        moto.send(
            {
                "version": "0",
                "source": "aws.ec2",
                "detail-type": "EC2 Spot Instance Interruption Warning",
                "time": "2026-11-24T12:00:00Z",
                "detail": {"instance-id": id_, "instance-action": "terminate"},
            }
        )
        assert await anext(events) == Interrupted(provider_id, "spot_interrupted")
        await events.aclose()  # type: ignore[attr-defined]

    asyncio.run(asyncio.wait_for(work(), 120))
    assert lines == []


def test_what_aws_does_not_allow_is_logged_with_the_class_and_what_to_do(moto: Moto) -> None:
    lines: list[str] = []
    moto.deny("ec2:DescribeSubnets")

    async def work() -> None:
        provider = await made(settings(cluster_name="test"), lines)
        for _ in range(2):
            await provider.class_as_it_should_be(applied(moto))
        await provider.close()

    asyncio.run(asyncio.wait_for(work(), 60))
    told = [line for line in lines if "ec2:DescribeSubnets" in line]
    assert len(told) == 1  # once, though it was looked at twice
    assert "EC2NodeClass/default" in told[0]
    assert "fretsaw aws iam-policy" in told[0]


def test_without_a_cluster_name_nothing_starts(moto: Moto) -> None:
    with pytest.raises(UserError, match="--cluster-name: is missing"):
        asyncio.run(made(settings(), []))
    assert moto.asked == []


@pytest.mark.parametrize(
    ("flag", "text", "right"),
    [
        ("cluster-endpoint", "cluster.example", "a URL with a host"),
        ("vm-memory-overhead-percent", "-1", "a number of at least 0"),
        ("reserved-enis", "-1", "a whole number from 0"),
        ("isolated-vpc", "yes", "true or false"),
    ],
)
def test_a_setting_that_cannot_be_read_says_what_would_be_right(flag: str, text: str, right: str) -> None:
    with pytest.raises(UserError, match=f"--{flag}: cannot be read.*{right}"):
        found({flag: text}, {})


def test_settings_of_aws_are_printed_with_their_origin() -> None:
    environment = {"CLUSTER_NAME": "prod", "ISOLATED_VPC": "true"}
    told: Any = CliRunner(env=environment).invoke(run, ["--provider", "aws", "--print-settings"], standalone_mode=False)
    lines = [line.split() for line in told.output.splitlines()]
    assert ["--cluster-name", "prod", "environment"] in lines
    assert ["--isolated-vpc", "true", "environment"] in lines
    assert ["--vm-memory-overhead-percent", "0.075", "default"] in lines
