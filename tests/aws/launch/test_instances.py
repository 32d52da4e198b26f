"""Launching, listing and ending against moto: how many calls it takes, and what is learnt from what goes wrong."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from aws.launch.worlds import BOTH, ZONES, all_of, in_one_loop, launcher, named, node_class, run
from fretsaw.api.nodeclass import NetworkInterface
from fretsaw.engine.events import InstanceCreated
from fretsaw.errors import InstanceNotFound, LaunchFailed, OutOfCapacity
from fretsaw.providers.aws.calls import Asking
from fretsaw.providers.aws.launch.launcher import Launcher
from fretsaw.providers.aws.launch.templates import Templates
from support.aws import Moto
from support.virtual_ec2 import capacity, catalog, instance_type, offering, reserved

SPOT, ON_DEMAND = capacity("spot"), capacity("on-demand")
KIND = "karpenter.sh/capacity-type"


def fleets(moto: Moto) -> list[dict[str, Any]]:
    """What each CreateFleet was asked."""
    return [one.parameters for one in moto.asked if one.call == "ec2:CreateFleet"]


def values(parameters: dict[str, Any], name: str) -> set[str]:
    """Of all overrides of a fleet."""
    return {value for key, value in parameters.items() if ".Overrides." in key and key.endswith(name)}


# Batches


def test_equal_claims_are_one_call_each_of_finding_and_launching(moto: Moto) -> None:
    claims = [named(f"c-{i:02}") for i in range(40)]
    the_class = node_class(moto)
    answers = run(moto, lambda made: all_of(made, claims, the_class))
    assert len({one.provider_id for one in answers}) == 40
    counts = {call: moto.count(f"ec2:{call}") for call in ("DescribeInstances", "CreateFleet", "CreateLaunchTemplate")}
    assert counts == {"DescribeInstances": 1, "CreateFleet": 1, "CreateLaunchTemplate": 1}
    assert moto.count("ec2:DescribeSubnets") == 1


def test_claims_that_want_other_things_are_other_calls(moto: Moto) -> None:
    the_class = node_class(moto)
    claims = [
        named("c-0", SPOT),
        named("c-1", ON_DEMAND),
        named("c-2", ON_DEMAND),
        named("c-3", ON_DEMAND, efa="1", gpu="1"),
    ]
    answers = run(moto, lambda made: all_of(made, claims, the_class))
    assert [one.labels[KIND] for one in answers] == ["spot", "on-demand", "on-demand", "on-demand"]
    assert [one.capacity.get("vpc.amazonaws.com/efa") for one in answers] == [None, None, None, "1"]
    assert moto.count("ec2:CreateFleet") == 3


def test_a_batch_that_comes_in_part_refuses_the_rest_with_all_errors(moto: Moto) -> None:
    moto.sell_out("*")
    moto.stock("g6.xlarge", ZONES[1], "spot", 2)
    the_class = node_class(moto)

    async def work(made: Launcher) -> tuple[list[Any], frozenset[Any]]:
        return await all_of(made, [named(f"c-{i}", SPOT) for i in range(5)], the_class), made.unavailable.all()

    answers, avoided = run(moto, work)
    assert [type(one) for one in answers] == [InstanceCreated, InstanceCreated, *([OutOfCapacity] * 3)]
    assert avoided == {(name, zone, "spot") for name in ("g5.xlarge", "g6.xlarge") for zone in ZONES}
    assert "g5.xlarge capacity" in str(answers[-1])


def test_instances_are_ended_together_and_those_that_are_gone_are_told_so(moto: Moto) -> None:
    the_class = node_class(moto)

    async def work(made: Launcher) -> list[Any]:
        created = await all_of(made, [named(f"c-{i}") for i in range(5)], the_class)
        moto.gate.asked.clear()
        ids = [*(one.provider_id for one in created), "aws:///us-east-1a/i-0123456789abcdef0"]
        return await asyncio.gather(*map(made.terminate, ids), return_exceptions=True)

    answers = run(moto, work)
    assert answers[:5] == [None] * 5
    assert isinstance(answers[5], InstanceNotFound)
    assert moto.count("ec2:TerminateInstances") == 1
    assert moto.count("ec2:DescribeInstances") == 1
    assert moto.instances() == []


# What is learnt


def test_a_full_subnet_is_left_for_another_of_its_zone(moto: Moto) -> None:
    zone = ZONES[0]
    full, other = moto.seeded.subnets[zone], moto.seeded.public_subnets[zone]
    the_class = node_class(moto)

    two = [one for one in the_class.status.subnets if one.zone == zone]
    the_class = replace(the_class, status=replace(the_class.status, subnets=(*two, replace(two[0], id=other))))

    async def work(made: Launcher) -> InstanceCreated:
        moto.fill_subnet(full)
        made_subnets = made._asks._subnets
        made_subnets._free.update({full: 4000, other: 10})
        made_subnets._read_at.update({full: made._monotonic(), other: made._monotonic()})
        with pytest.raises(OutOfCapacity, match="InsufficientFreeAddressesInSubnet"):
            await made.launch(named("c-0"), the_class, BOTH)
        assert made.unavailable.all() == frozenset()
        return await made.launch(named("c-1"), the_class, BOTH)

    assert isinstance(run(moto, work), InstanceCreated)
    assert moto.instances()[0].subnet_id == other


def test_a_zone_without_another_subnet_is_avoided(moto: Moto) -> None:
    the_class = node_class(moto)
    moto.fill_subnet(moto.seeded.subnets[ZONES[0]])

    async def work(made: Launcher) -> frozenset[Any]:
        await all_of(made, [named("c-0", SPOT)], the_class)
        return made.unavailable.all()

    assert run(moto, work) == {("g6.xlarge", ZONES[0], "spot")}


def test_without_the_role_for_spot_all_spot_is_avoided_and_on_demand_is_bought(moto: Moto) -> None:
    the_class = node_class(moto)
    moto.refuse("*", "*", "spot", "AuthFailure.ServiceLinkedRoleCreationNotPermitted")

    async def work(made: Launcher) -> InstanceCreated:
        with pytest.raises(OutOfCapacity, match="create-service-linked-role"):
            await made.launch(named("c-0", capacity("spot", "on-demand")), the_class, BOTH)
        assert made.unavailable.all() == {("*", "*", "spot")}
        return await made.launch(named("c-1", capacity("spot", "on-demand")), the_class, BOTH)

    assert run(moto, work).labels[KIND] == "on-demand"


def test_failures_are_counted_by_reason(moto: Moto) -> None:
    the_class = node_class(moto)
    moto.refuse("*", ZONES[0], "*", "VcpuLimitExceeded")

    async def work(made: Launcher) -> Any:
        await all_of(made, [named("c-0", SPOT)], the_class)
        return dict(made.failures)

    assert run(moto, work) == {(ZONES[0], "use1-az-a", "spot", "VCPULimitExceeded"): 1}


def test_spot_that_costs_more_than_on_demand_is_not_bought(moto: Moto) -> None:
    sold = catalog(instance_type("g5.xlarge", offering(ZONES[0], "spot", 1.2), offering(ZONES[1], "on-demand", 1.0)))
    the_class = node_class(moto)
    created = run(moto, lambda made: made.launch(named("c-0", capacity("spot", "on-demand")), the_class, sold))
    assert created.labels[KIND] == "on-demand"


# Reservations


def test_a_capacity_block_is_bought_as_one(moto: Moto) -> None:
    block = moto.reserve("p5.48xlarge", ZONES[0], 1, ReservationType="capacity-block")
    sold = catalog(instance_type("p5.48xlarge", reserved(ZONES[0], block, 1, type="capacity-block"), gpus=8))
    the_class = node_class(moto)
    created = run(moto, lambda made: made.launch(named("c-0", capacity("reserved")), the_class, sold))
    assert created.labels["karpenter.k8s.aws/capacity-reservation-id"] == block
    asked = fleets(moto)[0]
    assert asked["TargetCapacitySpecification.DefaultTargetCapacityType"] == "capacity-block"
    assert not any("AllocationStrategy" in key for key in asked)
    template = next(one.parameters for one in moto.asked if one.call == "ec2:CreateLaunchTemplate")
    assert template["LaunchTemplateData.InstanceMarketOptions.MarketType"] == "capacity-block"


def test_an_instance_of_a_reservation_is_found_again_as_one(moto: Moto) -> None:
    id_ = moto.reserve("p5.48xlarge", ZONES[0], 1)
    sold = catalog(instance_type("p5.48xlarge", reserved(ZONES[0], id_, 1), gpus=8))
    the_class, claim = node_class(moto), named("c-0", capacity("reserved"))

    async def work(aws: Asking) -> list[InstanceCreated]:
        return [await launcher(aws).launch(claim, the_class, sold) for _ in range(2)]

    first, again = in_one_loop(moto, work)
    assert first == again
    assert first.labels[KIND] == "reserved"


# Launch templates


def test_types_that_take_other_numbers_of_pods_have_launch_templates_of_their_own(moto: Moto) -> None:

    big, small = BOTH.instance_types
    sold = catalog(replace(big, capacity={**big.capacity, "pods": "110"}), small)
    the_class = node_class(moto)
    run(moto, lambda made: made.launch(named("c-0", SPOT), the_class, sold))
    assert moto.count("ec2:CreateLaunchTemplate") == 2
    assert values(fleets(moto)[0], "InstanceType") == {"g5.xlarge", "g6.xlarge"}


def test_launch_templates_are_kept_while_they_are_used_and_deleted_afterwards(moto: Moto) -> None:
    seconds = 0.0
    the_class = node_class(moto)

    def templates() -> int:
        return len(moto.backend("ec2").launch_templates)

    async def work(made: Launcher) -> None:
        nonlocal seconds
        await made.launch(named("c-0"), the_class, BOTH)
        seconds = 59.0
        await made.launch(named("c-1"), the_class, BOTH)
        seconds = 118.0
        await made.machines()
        assert templates() == 1
        seconds = 120.0
        await made.machines()
        assert templates() == 0
        await made.launch(named("c-2"), the_class, BOTH)
        assert templates() == 1

    run(moto, work, monotonic=lambda: seconds)


def test_launch_templates_of_an_earlier_process_are_deleted_and_those_of_others_are_not(moto: Moto) -> None:
    seconds = 0.0
    the_class = node_class(moto)

    async def work(aws: Asking) -> list[str]:
        nonlocal seconds
        await launcher(aws).launch(named("c-0"), node_class(moto, tags={"old": "yes"}), BOTH)
        other = Templates(aws, "other", lambda: seconds)
        await other.ensure({"karpenter.k8s.aws/1": {"ImageId": "ami-1"}}, {"eks:eks-cluster-name": "other"})
        made = launcher(aws, monotonic=lambda: seconds)
        await made.machines()  # a process that does not launch deletes nothing
        seconds = 61.0
        await made.machines()
        assert len(moto.backend("ec2").launch_templates) == 2
        await made.launch(named("c-1"), the_class, BOTH)
        seconds = 121.0
        await made.machines()
        return [one.name for one in moto.backend("ec2").launch_templates.values()]

    assert in_one_loop(moto, work) == ["karpenter.k8s.aws/1"]


def test_a_launch_template_that_was_taken_away_is_made_again(moto: Moto) -> None:
    the_class = node_class(moto)

    async def work(made: Launcher) -> InstanceCreated:
        await made.launch(named("c-0"), the_class, BOTH)
        ec2 = moto.backend("ec2")
        for name in list(ec2.launch_template_name_to_ids):
            ec2.delete_launch_template(name, None)
        return await made.launch(named("c-1"), the_class, BOTH)

    assert isinstance(run(moto, work), InstanceCreated)
    assert moto.count("ec2:CreateFleet") == 3


def test_a_launch_template_that_cannot_be_deleted_hinders_nothing_and_is_tried_again(moto: Moto) -> None:
    seconds = 0.0
    the_class = node_class(moto)

    async def work(made: Launcher) -> int:
        nonlocal seconds
        created = await made.launch(named("c-0"), the_class, BOTH)
        moto.deny("ec2:DeleteLaunchTemplate")
        seconds = 61.0
        for _ in range(2):
            assert [one.provider_id for one in await made.machines()] == [created.provider_id]
        assert moto.count("ec2:DeleteLaunchTemplate") == 1
        moto.allow()
        seconds = 122.0
        await made.machines()
        return len(moto.backend("ec2").launch_templates)

    assert run(moto, work, monotonic=lambda: seconds) == 0


# What cannot be launched


def test_what_is_missing_is_named(moto: Moto) -> None:

    the_class = node_class(moto)
    nowhere = replace(the_class, status=replace(the_class.status, subnets=()))
    answers = run(moto, lambda made: all_of(made, [named("c-0")], nowhere))
    assert isinstance(answers[0], LaunchFailed)
    assert answers[0].reason == "SubnetResolutionFailed"
    imageless = replace(the_class, status=replace(the_class.status, amis=()))
    (error,) = run(moto, lambda made: all_of(made, [named("c-1")], imageless))
    assert "no instance types satisfy requirements of amis" in str(error)


def test_interfaces_of_the_class_are_those_of_the_instance(moto: Moto) -> None:
    the_class = node_class(
        moto, network_interfaces=(NetworkInterface(0, 0, "interface"), NetworkInterface(0, 1, "efa-only"))
    )
    run(moto, lambda made: made.launch(named("c-0"), the_class, BOTH))
    kinds = [nic.interface_type for nic in moto.instances()[0].nics.values()]
    assert kinds == ["interface", "efa-only"]
