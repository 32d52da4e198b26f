"""The promises of `fretsaw.ports.CloudProvider`, asked of the AWS provider against moto: what the fake one is asked."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from msgspec.structs import replace

from aws.launch.worlds import G5, G6, ZONES, named
from aws.provider.worlds import Announcing, applied, asked, provider
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.nodeclass import EC2NodeClass, PlacementGroupSelector
from fretsaw.engine.events import InstanceCreated, Interrupted
from fretsaw.errors import InstanceNotFound, LaunchFailed, NotReady, OutOfCapacity, ProviderError, Throttled
from fretsaw.ports import CloudProvider
from fretsaw.providers.aws.provider import AwsProvider
from support.aws import Moto
from support.virtual_ec2 import POOL, capacity, catalog, instance_type, offering, reserved

SPOT = capacity("spot", "on-demand")
ON_DEMAND = capacity("on-demand")
TYPE = "node.kubernetes.io/instance-type"


async def ready(made: AwsProvider, the_class: EC2NodeClass) -> EC2NodeClass:
    """The class with the status that it should have."""
    return await made.class_as_it_should_be(the_class)


def of(claim: NodeClaim, created: InstanceCreated) -> NodeClaim:
    """The claim once it has its instance."""
    return replace(
        claim,
        metadata=replace(claim.metadata, labels={**claim.metadata.labels, **created.labels}),
        status=replace(claim.status, provider_id=created.provider_id, image_id=created.image_id),
    )


def test_it_is_a_cloud_provider(moto: Moto) -> None:
    async def work(made: AwsProvider) -> None:
        port: CloudProvider = made
        assert port.unavailable() == frozenset()

    asked(moto, work)


# class_as_it_should_be


def test_a_class_gets_finalizer_hash_status_and_conditions_and_then_stays(moto: Moto) -> None:
    async def work(made: AwsProvider) -> None:
        found = await ready(made, applied(moto))
        assert found.metadata.finalizers == ("karpenter.k8s.aws/termination",)
        assert found.metadata.annotations["karpenter.k8s.aws/ec2nodeclass-hash"].isdigit()
        assert {one.zone for one in found.status.subnets} == set(ZONES)
        assert {(c.type, c.status) for c in found.status.conditions if c.status != "True"} == set()
        assert found.condition("Ready") is not None
        assert await made.class_as_it_should_be(found) == found

    asked(moto, work)


def test_a_class_that_finds_nothing_says_why_and_launches_nothing(moto: Moto) -> None:
    async def work(made: AwsProvider) -> None:
        found = await ready(made, applied(moto, alias="al2023@v19990101"))
        with pytest.raises(NotReady, match="AMINotFound"):
            await made.catalog(found)
        with pytest.raises(NotReady, match="AMINotFound"):
            await made.launch(named("c-0"), found)
        with pytest.raises(NotReady, match="is not there"):
            await made.launch(named("c-0"), None)
        assert moto.count("ec2:CreateFleet") == 0

    asked(moto, work)


def test_a_class_that_has_changed_waits_for_a_look(moto: Moto) -> None:
    async def work(made: AwsProvider) -> None:
        found = await ready(made, applied(moto))
        newer = replace(found, metadata=replace(found.metadata, generation=2))
        with pytest.raises(NotReady, match="looked at anew"):
            await made.launch(named("c-0"), newer)
        with pytest.raises(LaunchFailed, match="nobody has looked at it yet") as raised:
            await made.launch(named("c-0"), applied(moto))
        assert raised.value.reason == "NodeClassReadinessUnknown"

    asked(moto, work)


def test_a_class_that_is_deleted_is_let_go_once_its_instances_are(moto: Moto) -> None:
    async def work(made: AwsProvider) -> None:
        found = await ready(made, applied(moto))
        created = await made.launch(named("c-0"), found)
        deleted = replace(found, metadata=replace(found.metadata, deletion_timestamp="2026-01-01T00:00:00Z"))
        assert (await made.class_as_it_should_be(deleted)).metadata.finalizers == found.metadata.finalizers
        with pytest.raises(NotReady, match="being deleted"):
            await made.catalog(deleted)
        await made.terminate(created.provider_id)
        assert (await made.class_as_it_should_be(deleted)).metadata.finalizers == ()

    asked(moto, work)


# launch


def test_a_launch_is_the_cheapest_that_the_claim_allows(moto: Moto) -> None:
    async def work(made: AwsProvider) -> None:
        found = await ready(made, applied(moto))
        on_demand = await made.launch(named("c-0", ON_DEMAND), found)
        spot = await made.launch(named("c-1", SPOT), found)
        chosen = await made.launch(named("c-2", SPOT, ("karpenter.k8s.aws/instance-family", "In", "g5")), found)
        assert [one.price_usd_per_hour for one in (on_demand, spot, chosen)] == [0.8048, 0.32, 0.4]
        assert spot.labels["karpenter.sh/capacity-type"] == "spot"
        assert spot.labels["topology.k8s.aws/zone-id"].startswith("use1-az")
        assert spot.image_id in {one.id for one in found.status.amis}
        assert (spot.capacity["nvidia.com/gpu"], spot.allocatable["cpu"]) == ("1", "3600m")
        assert spot.labels["karpenter.sh/nodepool"] == POOL

    asked(moto, work)


def test_asked_again_for_a_claim_it_answers_the_same_instance_whoever_asks(moto: Moto) -> None:
    async def work(made: AwsProvider) -> None:
        found, claim = await ready(made, applied(moto)), named("c-0")
        first = await made.launch(claim, found)
        other = provider(made._aws)
        answers = await asyncio.gather(*(one.launch(claim, found) for one in (made, other) for _ in range(5)))
        assert answers == [first] * 10
        # Even where nothing can be launched any more.
        moto.sell_out("*")
        unready = await ready(other, applied(moto, alias="al2023@v19990101"))
        for the_class in (found, unready):
            assert await provider(made._aws).launch(claim, the_class) == first
        assert (await provider(made._aws).launch(claim, None)).provider_id == first.provider_id
        assert len(moto.instances()) == 1

    asked(moto, work)


def test_a_claim_of_the_same_name_and_another_uid_gets_an_instance_of_its_own(moto: Moto) -> None:
    async def work(made: AwsProvider) -> None:
        found = await ready(made, applied(moto))
        claims = [named("c-0"), named("c-0", uid="another")]
        first, second = [await made.launch(claim, found) for claim in claims]
        assert first.provider_id != second.provider_id
        assert (await provider(made._aws).launch(claims[1], found)).provider_id == second.provider_id

    asked(moto, work)


def test_what_could_not_be_had_is_avoided_for_a_while(moto: Moto) -> None:
    seconds = 0.0

    async def work(made: AwsProvider) -> None:
        nonlocal seconds
        found = await ready(made, applied(moto))
        moto.sell_out("g6.xlarge", "*", "spot")
        assert (await made.launch(named("c-0", SPOT), found)).labels[TYPE] == "g5.xlarge"
        assert made.unavailable() == {("g6.xlarge", zone, "spot") for zone in ZONES}
        moto.sell_out("*")
        with pytest.raises(OutOfCapacity) as refused:
            await made.launch(named("c-1", SPOT), found)
        assert refused.value.offerings == {("g5.xlarge", zone, "spot") for zone in ZONES}
        for name in ("c-2", "c-3"):  # spot is out: on demand is asked for, and then there is nothing left to ask for
            with pytest.raises(OutOfCapacity) as refused:
                await made.launch(named(name, SPOT), found)
        assert "all requested instance types were unavailable" in str(refused.value)
        assert "InsufficientInstanceCapacity" in str(refused.value)
        assert len(made.unavailable()) == 12
        moto.world.stock.clear()
        with pytest.raises(OutOfCapacity):
            await made.launch(named("c-4", SPOT), found)
        seconds = 181.0
        assert made.unavailable() == frozenset()
        assert (await made.launch(named("c-4", SPOT), found)).price_usd_per_hour == 0.32

    asked(moto, work, monotonic=lambda: seconds)


def test_a_claim_that_nothing_fits_is_refused_without_an_order(moto: Moto) -> None:
    async def work(made: AwsProvider) -> None:
        with pytest.raises(OutOfCapacity):
            await made.launch(named("c-0", gpu="64"), await ready(made, applied(moto)))
        assert not moto.world.launched

    asked(moto, work)


def test_a_catalog_with_overlays_is_bought_from_by_its_prices(moto: Moto) -> None:
    cheap = replace(G5, offerings=[replace(one, price=0.001) for one in G5.offerings])
    overlaid = catalog(cheap, G6)
    claim = named("c-0", ON_DEMAND)
    by_price = replace(
        claim, metadata=replace(claim.metadata, annotations={"karpenter.sh/price-overlay-applied": "true"})
    )

    async def work(made: AwsProvider) -> None:
        found = await ready(made, applied(moto))
        answers = [await made.launch(by_price, found, overlaid), await made.launch(named("c-1", ON_DEMAND), found)]
        assert [one.labels[TYPE] for one in answers] == ["g5.xlarge", "g6.xlarge"]

    asked(moto, work)


def test_a_reservation_is_used_as_far_as_it_goes(moto: Moto) -> None:
    zone = ZONES[0]
    id_ = moto.reserve("p5.48xlarge", zone, 2)
    selling = catalog(instance_type("p5.48xlarge", offering(zone, "on-demand", 98.0), reserved(zone, id_, 2), gpus=8))

    async def work(made: AwsProvider) -> None:
        found = await ready(made, applied(moto))
        claims = [named(f"c-{i}", capacity("reserved", "on-demand")) for i in range(4)]
        kinds = [(await made.launch(one, found)).labels["karpenter.sh/capacity-type"] for one in claims]
        assert kinds == ["reserved", "reserved", "on-demand", "on-demand"]

    asked(moto, work, selling)


def test_a_reservation_that_somebody_else_has_used_up_is_left_alone_afterwards(moto: Moto) -> None:
    zone = ZONES[0]
    id_ = moto.reserve("p5.48xlarge", zone, 0)
    selling = catalog(instance_type("p5.48xlarge", offering(zone, "on-demand", 98.0), reserved(zone, id_, 2), gpus=8))

    async def work(made: AwsProvider) -> None:
        found = await ready(made, applied(moto))
        with pytest.raises(OutOfCapacity, match="ReservationCapacityExceeded"):
            await made.launch(named("c-0", capacity("reserved", "on-demand")), found)
        assert made.unavailable() == frozenset()
        second = await made.launch(named("c-1", capacity("reserved", "on-demand")), found)
        assert second.labels["karpenter.sh/capacity-type"] == "on-demand"

    asked(moto, work, selling)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("RequestLimitExceeded", Throttled),
        ("UnauthorizedOperation", LaunchFailed),
        ("ExpiredToken", Throttled),
        ("InvalidParameterValue", LaunchFailed),
    ],
)
def test_refusals_are_typed(moto: Moto, code: str, error: type[ProviderError]) -> None:
    async def work(made: AwsProvider) -> None:
        found = await ready(made, applied(moto))
        moto.fail("ec2:CreateFleet", code, times=None)
        with pytest.raises(error, match=code):
            await made.launch(named("c-0"), found)

    asked(moto, work, alone=True)


def test_an_instance_of_a_placement_group_says_so_and_does_not_drift(moto: Moto) -> None:
    id_ = moto.place("training")

    async def work(made: AwsProvider) -> None:
        selector = PlacementGroupSelector(name="training")
        found = await ready(made, applied(moto, spec_placement_group_selector=selector))
        claim = named("c-0")
        created = await made.launch(claim, found)
        assert created.labels["karpenter.k8s.aws/placement-group-id"] == id_
        assert created == await provider(made._aws).launch(claim, found)
        assert await made.drift(of(claim, created), found) == ""

    asked(moto, work)


def test_not_being_allowed_to_look_is_a_failed_launch(moto: Moto) -> None:
    async def work(made: AwsProvider) -> None:
        found = await ready(made, applied(moto))
        moto.deny("ec2:DescribeInstances")
        for claim, the_class in ((named("c-0"), found), (named("c-1", gpu="64"), found), (named("c-2"), None)):
            with pytest.raises(LaunchFailed) as raised:
                await made.launch(claim, the_class)
            assert raised.value.reason == "Unauthorized"

    asked(moto, work)


# terminate, instances


def test_an_instance_is_ended_and_then_not_found(moto: Moto) -> None:
    async def work(made: AwsProvider) -> None:
        created = await made.launch(named("c-0"), await ready(made, applied(moto)))
        (machine,) = await made.instances()
        assert (machine.provider_id, machine.claim) == (created.provider_id, "c-0")
        assert machine.launched
        await made.terminate(created.provider_id)
        assert await made.instances() == ()
        with suppress(InstanceNotFound):
            while True:
                await made.terminate(created.provider_id)
        for unknown in ("aws:///us-east-1a/i-0", "nonsense", ""):
            with pytest.raises(InstanceNotFound):
                await made.terminate(unknown)
        moto.throttle("ec2:DescribeInstances", None)
        with pytest.raises(Throttled):
            await made.terminate("aws:///us-east-1a/i-00000000000000000")

    asked(moto, work, alone=True)


def test_an_instance_that_is_not_ours_is_left_alone(moto: Moto) -> None:
    async def work(made: AwsProvider) -> None:
        image, subnet = next(iter(moto.seeded.images.values())).id, next(iter(moto.seeded.subnets.values()))
        await made._aws.ask("ec2:RunInstances", ImageId=image, MinCount=1, MaxCount=1, SubnetId=subnet)
        (theirs,) = moto.instances()
        assert await made.instances() == ()
        with pytest.raises(InstanceNotFound, match="left alone"):
            await made.terminate(f"aws:///us-east-1a/{theirs.id}")
        assert moto.count("ec2:TerminateInstances") == 0

    asked(moto, work)


def test_an_instance_that_ec2_does_not_list_yet_is_listed(moto: Moto) -> None:
    async def work(made: AwsProvider) -> None:
        found = await ready(made, applied(moto))
        moto.hide_instances(3)
        created = await made.launch(named("c-0"), found)
        assert [one.provider_id for one in await made.instances()] == [created.provider_id]

    asked(moto, work)


def test_of_two_instances_of_a_claim_neither_is_said_to_be_the_claims(moto: Moto) -> None:
    async def work(made: AwsProvider) -> None:
        found = await ready(made, applied(moto))
        for uid in ("a", "b"):
            await made.launch(named("c-0", uid=uid), found)
        assert [one.claim for one in await made.instances()] == ["", ""]

    asked(moto, work)


# drift


def test_drift_names_what_has_changed(moto: Moto) -> None:
    async def work(made: AwsProvider) -> None:
        found, claim = await ready(made, applied(moto)), named("c-0")
        claim = of(claim, await made.launch(claim, found))
        other = await ready(made, applied(moto, alias="al2023@v20261001"))
        changed = replace(found, spec=replace(found.spec, user_data="#!/bin/bash"))
        gone = replace(found, status=replace(found.status, security_groups=found.status.security_groups[:1]))
        assert [await made.drift(claim, one) for one in (found, changed, gone)] == [
            "",
            "NodeClassDrift",
            "SecurityGroupDrift",
        ]
        older = replace(found, status=replace(found.status, amis=other.status.amis))
        assert await made.drift(claim, older) == "AMIDrift"
        await made.terminate(claim.status.provider_id)
        moto.instances("terminated", "shutting-down")[0]._state.name = "terminated"
        with pytest.raises(InstanceNotFound):
            await made.drift(claim, found)

    asked(moto, work)


def test_a_node_gives_its_instance_a_name(moto: Moto) -> None:
    async def work(made: AwsProvider) -> None:
        found, claim = await ready(made, applied(moto)), named("c-0")
        claim = of(claim, await made.launch(claim, found))
        claim = replace(claim, status=replace(claim.status, node_name="ip-10-0-0-1.ec2.internal"))
        await made.instances()
        for _ in range(2):
            await made.drift(claim, found)
        tags = {tag["key"]: tag["value"] for tag in moto.instances()[0].get_tags()}
        assert tags["Name"] == "ip-10-0-0-1.ec2.internal"
        assert moto.count("ec2:CreateTags") == 1

    asked(moto, work)


# interruptions


def test_interruptions_come_as_they_are_announced_and_their_offerings_are_avoided(moto: Moto) -> None:
    heard = Announcing()

    async def work(made: AwsProvider) -> None:
        created = await made.launch(named("c-0", SPOT), await ready(made, applied(moto)))
        events = made.interruptions()
        heard.queue.put_nowait(Interrupted(created.provider_id, "rebalance_recommendation"))
        assert await anext(events) == Interrupted(created.provider_id, "rebalance_recommendation")
        assert made.unavailable() == frozenset()
        heard.queue.put_nowait(Interrupted(created.provider_id, "spot_interrupted"))
        assert await anext(events) == Interrupted(created.provider_id, "spot_interrupted")
        assert [one[0] for one in made.unavailable()] == ["g6.xlarge"]
        await events.aclose()  # type: ignore[attr-defined]

    asked(moto, work, heard=heard)


def test_a_cloud_that_is_away_is_throttling(moto: Moto) -> None:
    async def work(made: AwsProvider) -> None:
        found = await ready(made, applied(moto))
        moto.fail("*", "ServiceUnavailable", status=503, times=None)
        for call in (made.instances(), made.terminate("aws:///us-east-1a/i-1"), made.launch(named("c-0"), found)):
            with pytest.raises(Throttled, match="ServiceUnavailable"):
                await call

    asked(moto, work, alone=True)
