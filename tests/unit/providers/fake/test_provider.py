"""The promises of `fretsaw.ports.CloudProvider`, asked of the fake provider over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.nodeclass import EC2NodeClass
from fretsaw.engine.events import InstanceCreated, Interrupted
from fretsaw.errors import InstanceNotFound, LaunchFailed, NotReady, OutOfCapacity, ProviderError, Throttled
from fretsaw.planner import cluster_of, from_objects
from fretsaw.ports import CloudProvider
from fretsaw.providers.fake.cloud import FakeCloud
from fretsaw.providers.fake.faults import CallFault
from fretsaw.providers.fake.node_class import CONDITIONS, DRIFT, FINALIZER, NOT_READY
from fretsaw.providers.fake.provider import FakeProvider
from fretsaw.providers.fake.server import serve
from fretsaw.providers.fleet.offerings import Selector
from support.virtual_ec2 import G5, G6, POOL, capacity, catalog, instance_type, offering, reserved
from unit.providers.fake.worlds import named, node_class, served

Work = Callable[[FakeProvider, FakeCloud], Awaitable[None]]
SPOT = capacity("spot", "on-demand")


def asked(work: Work, found: FakeCloud | None = None, **options: Any) -> None:
    """Do something with a provider and its cloud."""

    async def run() -> None:
        the_cloud = found if found is not None else FakeCloud()
        async with served(the_cloud, **options) as provider:
            await work(provider, the_cloud)

    asyncio.run(asyncio.wait_for(run(), 60))


async def ready(provider: FakeProvider, name: str = "default", **more: Any) -> EC2NodeClass:
    """A class that has the status that it should have."""
    return await provider.class_as_it_should_be(node_class(name, **more))


def of(claim: NodeClaim, created: InstanceCreated) -> NodeClaim:
    """The claim once it has its instance."""
    return replace(claim, status=replace(claim.status, provider_id=created.provider_id, image_id=created.image_id))


async def until_gone(provider: FakeProvider, provider_id: str) -> None:
    """Ask for the end again and again, as the autoscaler does."""
    with suppress(InstanceNotFound):
        while True:
            await provider.terminate(provider_id)
            await asyncio.sleep(0.01)


def test_it_is_a_cloud_provider() -> None:
    provider: CloudProvider = FakeProvider("127.0.0.1:1")
    assert provider.unavailable() == frozenset()


# class_as_it_should_be


def test_a_class_gets_finalizer_hash_status_and_conditions_and_then_stays() -> None:
    async def work(provider: FakeProvider, _: FakeCloud) -> None:
        found = await ready(provider)
        assert found.metadata.finalizers == (FINALIZER,)
        assert found.metadata.annotations["karpenter.k8s.aws/ec2nodeclass-hash"].isdigit()
        assert [subnet.zone for subnet in found.status.subnets] == ["z-a", "z-b"]
        assert {one.requirements[0].values for one in found.status.amis} == {("amd64",), ("arm64",)}
        assert found.status.security_groups
        assert found.status.instance_profile
        assert [(c.type, c.status, c.reason, c.observed_generation) for c in found.status.conditions] == [
            (type_, "True", type_, 1) for type_ in (*CONDITIONS, "Ready")
        ]
        assert await provider.class_as_it_should_be(found) == found

    asked(work)


@pytest.mark.parametrize(
    ("reason", "condition"),
    [
        ("SubnetsNotFound", "SubnetsReady"),
        ("AMINotFound", "AMIsReady"),
        ("SecurityGroupsNotFound", "SecurityGroupsReady"),
        ("CreateFleetAuthCheckFailed", "ValidationSucceeded"),
    ],
)
def test_a_class_that_is_told_not_to_be_ready_says_why_and_launches_nothing(reason: str, condition: str) -> None:
    async def work(provider: FakeProvider, _: FakeCloud) -> None:
        found = await ready(provider, annotations={NOT_READY: reason})
        assert found.condition(condition) is not None
        assert [(c.type, c.reason) for c in found.status.conditions if c.status != "True"] == [
            (condition, reason),
            ("Ready", "UnhealthyDependents"),
        ]
        with pytest.raises(NotReady, match=reason):
            await provider.catalog(found)
        with pytest.raises(NotReady, match=reason):
            await provider.launch(named("c-0"), found)

    asked(work)


def test_a_class_without_a_spec_finds_nothing() -> None:
    async def work(provider: FakeProvider, _: FakeCloud) -> None:
        found = await provider.class_as_it_should_be(replace(node_class(), spec=None))
        ready_ = found.condition("Ready")
        assert ready_ is not None
        assert (ready_.status, ready_.message) == ("False", "AMIsReady=False")
        assert found.status.subnets == ()

    asked(work)


def test_a_class_that_is_deleted_is_let_go_once_its_instances_are() -> None:
    async def work(provider: FakeProvider, cloud: FakeCloud) -> None:
        found = await ready(provider)
        created = await provider.launch(named("c-0"), found)
        deleted = replace(found, metadata=replace(found.metadata, deletion_timestamp="2026-01-01T00:00:00Z"))
        assert await provider.class_as_it_should_be(deleted) == deleted
        with pytest.raises(NotReady, match="being deleted"):
            await provider.catalog(deleted)
        cloud.terminate(created.provider_id)
        assert (await provider.class_as_it_should_be(deleted)).metadata.finalizers == ()

    asked(work)


# catalog


def test_the_catalog_of_a_region_is_the_planners() -> None:
    async def work(provider: FakeProvider, _: FakeCloud) -> None:
        found = await ready(provider, alias="bottlerocket@latest")
        manifests = from_objects(
            [
                {
                    "apiVersion": "karpenter.sh/v1",
                    "kind": "NodePool",
                    "metadata": {"name": "p"},
                    "spec": {
                        "template": {
                            "spec": {
                                "nodeClassRef": {
                                    "group": "karpenter.k8s.aws",
                                    "kind": "EC2NodeClass",
                                    "name": "default",
                                },
                                "requirements": [{"key": "kubernetes.io/arch", "operator": "Exists"}],
                            }
                        }
                    },
                },
                {
                    "apiVersion": "karpenter.k8s.aws/v1",
                    "kind": "EC2NodeClass",
                    **msgspec.json.decode(msgspec.json.encode(found)),
                },
            ]
        )
        assert await provider.catalog(found) == cluster_of(manifests, region="eu-west-1").catalogs["p"]
        assert await provider.catalog(found) is await provider.catalog(replace(found))

    asked(work, catalog=None, region="eu-west-1")


# launch


def test_a_launch_is_the_cheapest_that_the_claim_allows() -> None:
    async def work(provider: FakeProvider, _: FakeCloud) -> None:
        found = await ready(provider)
        on_demand = await provider.launch(named("c-0"), found)
        spot = await provider.launch(named("c-1", SPOT), found)
        family = ("karpenter.k8s.aws/instance-family", "In", "g5")
        chosen = await provider.launch(named("c-2", SPOT, family), found)
        assert [one.price_usd_per_hour for one in (on_demand, spot, chosen)] == [0.35, 0.35, 0.4]
        assert spot.labels["karpenter.sh/capacity-type"] == "spot"
        assert spot.image_id == found.status.amis[0].id

    asked(work)


def test_asked_again_for_a_claim_it_answers_the_same_instance_whoever_asks() -> None:
    async def work(provider: FakeProvider, cloud: FakeCloud) -> None:
        found, claim = await ready(provider), named("c-0")
        first = await provider.launch(claim, found)
        other = FakeProvider(provider._http.url, catalog=provider._given)
        answers = await asyncio.gather(*(one.launch(claim, found) for one in (provider, other) for _ in range(5)))
        assert answers == [first] * 10
        # Even where nothing can be launched any more.
        cloud.set_stock(Selector.of("*"), 0)
        unready = await ready(provider, annotations={NOT_READY: "AMINotFound"})
        for the_class in (found, unready, None):
            assert await other.launch(claim, the_class) == first
        await other.close()
        assert len(cloud.everything()) == 1

    asked(work)


def test_a_claim_of_the_same_name_and_another_uid_gets_an_instance_of_its_own() -> None:
    async def work(provider: FakeProvider, cloud: FakeCloud) -> None:
        found, claim = await ready(provider), named("c-0")
        again = replace(claim, metadata=replace(claim.metadata, uid="another"))
        assert (await provider.launch(claim, found)).provider_id != (await provider.launch(again, found)).provider_id

    asked(work)


def test_what_could_not_be_had_is_avoided_for_a_while() -> None:
    seconds = 0.0

    async def work(provider: FakeProvider, cloud: FakeCloud) -> None:
        nonlocal seconds
        found = await ready(provider)
        cloud.set_stock(Selector.of("g6/*/spot"), 0)
        assert (await provider.launch(named("c-0", SPOT), found)).labels[
            "node.kubernetes.io/instance-type"
        ] == "g5.xlarge"
        assert provider.unavailable() == {("g6.xlarge", "z-a", "spot"), ("g6.xlarge", "z-b", "spot")}
        cloud.set_stock(Selector.of("*"), 0)
        with pytest.raises(OutOfCapacity) as refused:
            await provider.launch(named("c-1", SPOT), found)
        assert refused.value.offerings == {("g5.xlarge", "z-a", "spot"), ("g5.xlarge", "z-b", "spot")}
        for name in ("c-2", "c-3"):  # spot is out: on demand is asked for, and then there is nothing left to ask for
            with pytest.raises(OutOfCapacity) as refused:
                await provider.launch(named(name, SPOT), found)
        assert "all requested instance types were unavailable" in str(refused.value)
        assert len(provider.unavailable()) == 8
        cloud.set_stock(Selector.of("*"), None)
        with pytest.raises(OutOfCapacity):
            await provider.launch(named("c-4", SPOT), found)
        seconds = 181.0
        assert provider.unavailable() == frozenset()
        assert (await provider.launch(named("c-4", SPOT), found)).price_usd_per_hour == 0.35

    asked(work, monotonic=lambda: seconds)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (CallFault(what="OutOfCapacity"), OutOfCapacity("an injected OutOfCapacity")),
        (CallFault(what="NotReady", message="no"), NotReady("no")),
        (CallFault(what="LaunchFailed", reason="Unauthorized", message="no"), LaunchFailed("Unauthorized", "no")),
        (CallFault(what="Throttled", seconds=2.5, message="wait"), Throttled("wait", 2.5)),
    ],
    ids=lambda value: getattr(value, "what", ""),
)
def test_refusals_are_typed(fault: CallFault, error: ProviderError) -> None:
    async def work(provider: FakeProvider, cloud: FakeCloud) -> None:
        found = await ready(provider)
        cloud.inject(fault)
        with pytest.raises(type(error)) as raised:
            await provider.launch(named("c-0"), found)
        assert str(raised.value) == str(error)
        if isinstance(raised.value, Throttled):
            assert raised.value.retry_after_s == 2.5
        if isinstance(raised.value, LaunchFailed):
            assert raised.value.reason == "Unauthorized"

    asked(work)


def test_a_lost_answer_is_an_error_and_the_next_call_finds_the_instance() -> None:
    async def work(provider: FakeProvider, cloud: FakeCloud) -> None:
        found = await ready(provider)
        cloud.inject(CallFault(what="AnswerLost"))
        with pytest.raises(Throttled, match="does not answer"):
            await provider.launch(named("c-0"), found)
        (there,) = cloud.instances()
        assert (await provider.launch(named("c-0"), found)).provider_id == there.provider_id

    asked(work)


def test_a_cloud_that_hangs_is_given_up_and_launches_all_the_same() -> None:
    async def work(provider: FakeProvider, cloud: FakeCloud) -> None:
        found = await ready(provider)
        cloud.inject(CallFault(what="Hang", seconds=0.6))
        with pytest.raises(Throttled, match="timed out"):
            await provider.launch(named("c-0"), found)
        assert cloud.instances() == []
        while not cloud.instances():
            await asyncio.sleep(0.01)
        assert (await provider.launch(named("c-0"), found)).provider_id == cloud.instances()[0].provider_id

    asked(work, timeout_s=0.3)


def test_a_claim_that_nothing_fits_is_refused_without_a_call() -> None:
    async def work(provider: FakeProvider, cloud: FakeCloud) -> None:
        with pytest.raises(OutOfCapacity):
            await provider.launch(named("c-0", gpu="64"), await ready(provider))
        with pytest.raises(NotReady, match="is not there"):
            await provider.launch(named("c-0"), None)
        assert cloud.log == []

    asked(work)


def test_a_catalog_with_overlays_is_bought_from_by_its_prices() -> None:
    cheap = replace(G5, offerings=[replace(one, price=0.001) for one in G5.offerings])
    overlaid = catalog(cheap, G6)

    async def work(provider: FakeProvider, _: FakeCloud) -> None:
        found = await ready(provider)
        names = ("c-0", "c-1", "c-2")
        answers = [await provider.launch(named(name), found, None if name == "c-1" else overlaid) for name in names]
        types = [one.labels["node.kubernetes.io/instance-type"] for one in answers]
        assert types == ["g5.xlarge", "g6.xlarge", "g5.xlarge"]

    asked(work)


def test_a_reservation_is_used_as_far_as_it_goes() -> None:
    sold = catalog(instance_type("p5.48xlarge", offering("z-a", "on-demand", 98.0), reserved("z-a", "cr-1", 2), gpus=8))

    async def work(provider: FakeProvider, _: FakeCloud) -> None:
        found = await ready(provider)
        claims = [named(f"c-{i}", capacity("reserved", "on-demand")) for i in range(4)]
        kinds = [(await provider.launch(one, found)).labels["karpenter.sh/capacity-type"] for one in claims[:2]]
        with pytest.raises(OutOfCapacity, match="ReservationCapacityExceeded"):
            await provider.launch(claims[2], found)
        kinds.append((await provider.launch(claims[3], found)).labels["karpenter.sh/capacity-type"])
        assert kinds == ["reserved", "reserved", "on-demand"]

    asked(work, catalog=sold)


# terminate, instances


def test_an_instance_is_ended_and_then_not_found() -> None:
    async def work(provider: FakeProvider, cloud: FakeCloud) -> None:
        created = await provider.launch(named("c-0"), await ready(provider))
        (machine,) = await provider.instances()
        assert (machine.provider_id, machine.claim) == (created.provider_id, "c-0")
        assert machine.launched <= cloud.now()
        cloud.settings = replace(cloud.settings, shutdown_s=0.2)
        await provider.terminate(created.provider_id)
        assert await provider.instances() == ()
        await until_gone(provider, created.provider_id)
        with pytest.raises(InstanceNotFound):
            await provider.terminate("aws:///z-a/i-0")
        cloud.inject(CallFault(what="Throttled", on="terminate"))
        with pytest.raises(Throttled):
            await provider.terminate("aws:///z-a/i-0")

    asked(work)


# drift


def test_drift_names_what_has_changed() -> None:
    async def work(provider: FakeProvider, cloud: FakeCloud) -> None:
        found, claim = await ready(provider), named("c-0")
        claim = of(claim, await provider.launch(claim, found))
        told = replace(found, metadata=replace(found.metadata, annotations={DRIFT: "SubnetDrift"}))
        classes = [found, node_class(role="others"), node_class(alias="al2023@v20260101"), told]
        assert [await provider.drift(claim, one) for one in classes] == [
            "",
            "NodeClassDrift",
            "AMIDrift",
            "SubnetDrift",
        ]
        cloud.settings = replace(cloud.settings, shutdown_s=0)
        cloud.terminate(claim.status.provider_id)
        with pytest.raises(InstanceNotFound):
            await provider.drift(claim, found)

    asked(work)


# interruptions


def test_interruptions_come_as_they_are_announced_and_their_offerings_are_avoided() -> None:
    async def work(provider: FakeProvider, cloud: FakeCloud) -> None:
        created = await provider.launch(named("c-0", SPOT), await ready(provider))
        heard = provider.interruptions()
        first = asyncio.ensure_future(anext(heard))
        await asyncio.sleep(0)
        cloud.interrupt(created.provider_id, "rebalance_recommendation")
        assert await first == Interrupted(created.provider_id, "rebalance_recommendation")
        assert provider.unavailable() == frozenset()
        cloud.interrupt(created.provider_id, notice_s=0.05)
        assert await anext(heard) == Interrupted(created.provider_id, "spot_interrupted")
        assert await anext(heard) == Interrupted(created.provider_id, "instance_terminated")
        assert [one[0] for one in provider.unavailable()] == ["g6.xlarge"]
        await heard.aclose()

    asked(work)


def test_interruptions_go_on_after_failures_and_after_a_new_cloud() -> None:
    async def run() -> None:
        first, second = FakeCloud(), FakeCloud()
        async with served(first) as provider:
            created = await provider.launch(named("c-0"), await ready(provider))
            port = int(provider._http.url.rpartition(":")[2])
            heard = provider.interruptions()
            first.inject(CallFault(what="Throttled", on="interruptions"))
            for _ in range(3):
                first.interrupt(created.provider_id, "instance_status")
            assert [(await anext(heard)).kind for _ in range(3)] == ["instance_status"] * 3
            assert provider.unread == 1
        async with serve(second, port=port):
            await provider.launch(named("c-1"), await ready(provider))
            second.interrupt(second.instances()[0].provider_id, "scheduled_change")
            assert (await anext(heard)).kind == "scheduled_change"
            await heard.aclose()
            await provider.close()

    asyncio.run(asyncio.wait_for(run(), 60))


def test_a_cloud_that_is_away_is_throttling() -> None:
    async def run() -> None:
        provider = FakeProvider("127.0.0.1:1")
        for call in (provider.instances(), provider.terminate("i-0"), provider.launch(named("c-0"), node_class())):
            with pytest.raises(Throttled, match="does not answer"):
                await call
        await provider.close()

    asyncio.run(run())


def test_the_pool_is_on_the_labels() -> None:
    async def work(provider: FakeProvider, _: FakeCloud) -> None:
        created = await provider.launch(named("c-0"), await ready(provider))
        assert created.labels["karpenter.sh/nodepool"] == POOL

    asked(work)
