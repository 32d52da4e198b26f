"""A launch takes less than a millisecond in a catalog of 800 types."""

from __future__ import annotations

import time

import pytest

from fretsaw.providers.fleet.choose import Request, request
from fretsaw.providers.fleet.fill import fill
from fretsaw.sim.cloud import SpotPath
from support.virtual_ec2 import Ec2, both, capacity, claim, instance_type

LAUNCHES = 50


@pytest.mark.parametrize(
    "requirements", [(), (capacity("on-demand"),), (("karpenter.k8s.aws/instance-family", "In", "g1", "g2", "g3"),)]
)
def test_a_launch_among_800_types_takes_less_than_a_millisecond(requirements: tuple[tuple[str, ...], ...]) -> None:
    types = [
        instance_type(f"g{n // 10}.{n % 10}xlarge", *both(1 + n / 100, 0.3 + n / 300, zones="abcdef"))
        for n in range(800)
    ]
    ec2 = Ec2(*types, spot_path=SpotPath(refresh=None))
    market = ec2.cloud.catalogs.market("gpu")
    assert market is not None
    one = claim("c-0", *requirements)
    best = float("inf")
    for round_ in range(10):
        started = time.process_time()
        for number in range(LAUNCHES):
            asked = request(market, market.wants(one), market.down(ec2.cloud.unavailable), ec2.cloud.reservations.left)
            assert isinstance(asked, Request)
            answer = fill(market, asked, ec2.cloud.supply, ec2.world.dice.once("fleet", f"{round_}/{number}"))
            assert answer.launched is not None
        best = min(best, (time.process_time() - started) / LAUNCHES)
    assert best < 0.001
