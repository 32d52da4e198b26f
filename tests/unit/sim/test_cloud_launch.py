"""What a claim gets: the provider's filters and EC2's allocation, by table; and what the answer carries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec.structs import replace

from fretsaw.api.selection import NodeSelectorRequirement
from fretsaw.engine.events import CatalogRead, InstanceCreated, InstanceGone, LaunchRefused, OfferingsOut
from fretsaw.providers.fleet.choose import MOST_TYPES, Request, request
from fretsaw.sim.cloud import CloudSettings, Quota, Selector, StockRule
from fretsaw.sim.instance import Instance
from support.virtual_ec2 import AWS, G5, G6, Ec2, both, capacity, claim, instance_type, offering, reserved

TABLE = yaml.safe_load((Path(__file__).parent / "cloud_launch.yaml").read_text(encoding="utf-8"))
SECOND = 1000


def _type(name: str, said: dict[str, Any]) -> Any:
    offerings = [
        offering(f"z-{zone}", kind, said[key], available=said.get("available", True))
        for zone in said.get("zones", "ab")
        for key, kind in (("od", "on-demand"), ("spot", "spot"))
        if key in said
    ]
    for one in said.get("reserved", ()):
        labels = {key: one[key] for key in ("type", "interruptible") if key in one}
        offerings.append(reserved(one["zone"], one["id"], one["left"], one.get("price", 1e-7), **labels))
    return instance_type(name, *offerings, cpu=said.get("cpu", 4), gpus=said.get("gpus", 1))


def _claim(case: dict[str, Any]) -> Any:
    requirements = [capacity(*case["allow"])] if "allow" in case else []
    one = claim("c-0", *requirements, **case.get("requests", {}))
    more = tuple(
        NodeSelectorRequirement(r["key"], r["operator"], tuple(r.get("values", ())), r.get("minValues"))
        for r in case.get("require", ())
    )
    return replace(one, spec=replace(one.spec, requirements=(*one.spec.requirements, *more)))


@pytest.mark.parametrize("case", TABLE["cases"], ids=lambda case: case["name"])
def test_a_claim_gets(case: dict[str, Any]) -> None:
    ec2 = Ec2(
        *(_type(name, said) for name, said in case["types"].items()),
        stock=tuple(StockRule(where=Selector.of(where), count=n) for where, n in case.get("rules", {}).items()),
        quotas=tuple(
            Quota(classes=tuple(q["classes"]), capacity_type=q["capacity"], vcpus=q["vcpus"])
            for q in case.get("quotas", ())
        ),
    )
    ec2.cloud.unavailable.mark(tuple(text.split("/")) for text in case.get("avoid", ()))
    (answer,) = ec2.launch(_claim(case))
    errors = {"/".join(o[:3]) for fact in ec2.facts("insufficient-capacity") for o in fact.data["offerings"]}
    if "errors" in case:
        assert errors == set(case["errors"])
        assert {"/".join(o) for o in ec2.cloud.unavailable.all()} == set(case["errors"])
    if "refused" in case:
        assert answer == LaunchRefused("c-0", "InsufficientCapacity", case["refused"])
        return
    assert isinstance(answer, Instance)
    seen = {
        "type": answer.type.name,
        "zone": answer.zone,
        "capacity": answer.capacity_type,
        "price": answer.price_usd_per_hour,
        "reservation": answer.reservation,
    }
    assert {key: seen[key] for key in case["got"]} == case["got"]


def test_every_case_names_its_source() -> None:
    assert all(case["why"].startswith("Source: ") for case in TABLE["cases"])


def test_the_catalog_is_read_before_anything_else() -> None:
    ec2 = Ec2()
    ec2.run(0)
    assert ec2.events == [(0, CatalogRead(("gpu",), ec2.catalog))]


def test_the_answer_carries_labels_capacity_allocatable_and_price() -> None:
    # Source: Karpenter AWS provider v1.14 pkg/cloudprovider (instance to NodeClaim).
    zone_id = {"topology.k8s.aws/zone-id": "use1-az2"}
    ec2 = Ec2(instance_type("g5.xlarge", offering("us-east-1a", "spot", 0.4, labels=zone_id)))
    instance = ec2.one(capacity("spot"))
    ((_, created),) = ec2.said(InstanceCreated)
    assert created == InstanceCreated(
        claim="c-0",
        provider_id=instance.provider_id,
        labels={
            "kubernetes.io/arch": "amd64",
            "kubernetes.io/os": "linux",
            "topology.kubernetes.io/region": "us-east-1",
            f"{AWS}/instance-family": "g5",
            f"{AWS}/instance-gpu-count": "1",
            f"{AWS}/instance-tenancy": "default",
            "topology.k8s.aws/zone-id": "use1-az2",
            "node.kubernetes.io/instance-type": "g5.xlarge",
            "topology.kubernetes.io/zone": "us-east-1a",
            "karpenter.sh/capacity-type": "spot",
            "karpenter.sh/nodepool": "gpu",
        },
        capacity={"cpu": "4", "memory": "16Gi", "pods": "58", "nvidia.com/gpu": "1"},
        allocatable={"cpu": "3600m", "memory": "16Gi", "pods": "58", "nvidia.com/gpu": "1"},
        price_usd_per_hour=0.4,
    )
    assert instance.provider_id.startswith("aws:///us-east-1a/i-")


def test_efa_interfaces_show_only_where_they_were_asked_for() -> None:
    # Source: Karpenter AWS provider v1.14 pkg/cloudprovider (EFA count > 0).
    ec2 = Ec2()
    ec2.one(name="plain")
    ec2.one(name="wide", efa="1")
    plain, wide = (created for _, created in ec2.said(InstanceCreated))
    assert "vpc.amazonaws.com/efa" not in {**plain.capacity, **plain.allocatable}
    assert wide.capacity["vpc.amazonaws.com/efa"] == wide.allocatable["vpc.amazonaws.com/efa"] == "1"


def test_a_claim_for_dedicated_tenancy_says_so() -> None:
    # Source: Karpenter AWS provider v1.14 pkg/providers/instance (tenancy).
    instance = Ec2().one((f"{AWS}/instance-tenancy", "In", "dedicated"))
    assert instance.labels[f"{AWS}/instance-tenancy"] == "dedicated"


def test_a_reserved_instance_says_which_reservation() -> None:
    ec2 = Ec2(instance_type("g6.xlarge", reserved("z-a", "cr-1", 1)))
    labels = ec2.one(capacity("reserved")).labels
    assert labels[f"{AWS}/capacity-reservation-id"] == "cr-1"
    assert labels[f"{AWS}/capacity-reservation-type"] == "default"


def test_sixty_types_at_most_are_asked_for_the_cheapest_ones() -> None:
    # Source: Karpenter AWS provider v1.14 pkg/providers/instance (Truncate(60)).
    names = [f"g{number}.xlarge" for number in range(100)]
    ec2 = Ec2(*(instance_type(name, *both(2.0 - number / 100, 3.0)) for number, name in enumerate(names)))
    market = ec2.cloud.catalogs.market("gpu")
    assert market is not None
    asked = request(market, market.wants(claim()), market.down(ec2.cloud.unavailable), lambda _: 0)
    assert isinstance(asked, Request)
    every = 0
    for types in asked.sale.values():
        every |= types
    assert {name for t, name in enumerate(market.universe.names) if every >> t & 1} == set(names[-MOST_TYPES:])


def test_zones_at_one_price_are_spread_over() -> None:
    ec2 = Ec2(instance_type("g6.xlarge", *both(0.8, 0.3, zones="abc")))
    answers = ec2.launch(*(claim(f"c-{n}", capacity("on-demand")) for n in range(60)))
    zones = [answer.zone for answer in answers if isinstance(answer, Instance)]
    assert len(zones) == 60
    assert all(zones.count(zone) >= 10 for zone in ("z-a", "z-b", "z-c"))


# Idempotence


def test_a_second_call_while_the_first_is_under_way_makes_no_second_instance() -> None:
    # Source: Karpenter v1.14 pkg/controllers/nodeclaim/lifecycle (launch cache).
    ec2 = Ec2()
    ec2.launch(claim(), claim())
    ec2.run(10 * SECOND)
    assert len(ec2.said(InstanceCreated)) == len(ec2.cloud.machines.alive()) == 1


def test_a_second_call_after_the_answer_is_answered_with_the_same_instance() -> None:
    ec2 = Ec2()
    ec2.one()
    ec2.cloud.launch(claim())
    ec2.run(2 * SECOND)
    (_, first), (_, second) = ec2.said(InstanceCreated)
    assert first == second
    assert len(ec2.cloud.machines.alive()) == 1


def test_a_call_after_the_end_is_answered_with_the_instance_that_was() -> None:
    ec2 = Ec2()
    instance = ec2.one()
    ec2.cloud.terminate(instance.provider_id)
    ec2.run(600 * SECOND)
    ec2.cloud.launch(claim())
    ec2.run(601 * SECOND)
    assert [e.provider_id for _, e in ec2.said(InstanceCreated)] == [instance.provider_id] * 2
    assert ec2.cloud.machines.alive() == []


def test_after_a_refusal_the_same_claim_may_try_again() -> None:
    ec2 = Ec2(stock=(StockRule(count=0),))
    (refused,) = ec2.launch(claim("c-0", capacity("spot")))
    assert isinstance(refused, LaunchRefused)
    ec2.cloud.set_stock(Selector(), 1)
    ec2.run(300 * SECOND)
    assert isinstance(ec2.launch(claim("c-0", capacity("spot")))[0], Instance)


def test_a_pool_without_a_catalog_is_refused_at_once() -> None:
    # Source: Karpenter AWS provider v1.14 pkg/cloudprovider (readiness).
    ec2 = Ec2()
    ec2.cloud.launch(claim("c-0", pool="other"))
    ec2.run(0)
    assert ec2.said(LaunchRefused) == [(0, LaunchRefused("c-0", "NodeClassNotReady", "its NodePool has no catalog"))]


def test_terminating_what_never_was_is_answered_as_gone() -> None:
    # Source: Karpenter AWS provider v1.14 pkg/providers/instance (Delete: not found).
    ec2 = Ec2()
    ec2.cloud.terminate("aws:///z-a/i-0")
    assert ec2.said(InstanceGone) == []
    ec2.run(0)
    assert ec2.said(InstanceGone) == [(0, InstanceGone("aws:///z-a/i-0"))]


# The provider's memory of shortages


def test_a_shortage_is_forgotten_after_three_minutes() -> None:
    # Source: Karpenter AWS provider v1.14 pkg/cache (unavailable offerings, 3 minutes).
    ec2 = Ec2(
        instance_type("g6.xlarge", *both(0.8, 0.3, zones="a")),
        stock=(StockRule(where=Selector.of("g6/spot"), count=0),),
    )
    ec2.launch(claim("c-0", capacity("spot")))
    ec2.run(600 * SECOND)
    out = frozenset({("g6.xlarge", "z-a", "spot")})
    assert ec2.said(OfferingsOut) == [(1 * SECOND, OfferingsOut(out)), (181 * SECOND, OfferingsOut(frozenset()))]


def test_while_it_is_remembered_nothing_is_asked_of_ec2() -> None:
    # Source: Karpenter AWS provider v1.14 pkg/providers/instance (filtering before launch).
    ec2 = Ec2(stock=(StockRule(count=0),))
    ec2.launch(claim("c-0", capacity("spot")))
    (again,) = ec2.launch(claim("c-1", capacity("spot")))
    assert isinstance(again, LaunchRefused)
    assert again.message == "all requested instance types were unavailable during launch"
    assert len(ec2.facts("insufficient-capacity")) == 1


def test_marking_again_prolongs() -> None:
    ec2 = Ec2()
    key = ("g6.xlarge", "z-a", "spot")
    ec2.cloud.unavailable.mark([key])
    ec2.run(100 * SECOND)
    ec2.cloud.unavailable.mark([key])
    ec2.run(200 * SECOND)
    assert key in ec2.cloud.unavailable
    ec2.run(281 * SECOND)
    assert key not in ec2.cloud.unavailable
    assert len(ec2.said(OfferingsOut)) == 2


def test_each_change_tells_the_whole_set() -> None:
    ec2 = Ec2()
    a, b = ("g6.xlarge", "z-a", "spot"), ("g5.xlarge", "z-b", "on-demand")
    ec2.cloud.unavailable.mark([a])
    ec2.run(60 * SECOND)
    ec2.cloud.unavailable.mark([b])
    ec2.run(600 * SECOND)
    assert [(at // SECOND, set(e.offerings)) for at, e in ec2.said(OfferingsOut)] == [
        (0, {a}),
        (60, {a, b}),
        (180, {b}),
        (240, set()),
    ]


def test_stock_is_used_up_and_comes_back_when_the_instance_is_gone() -> None:
    ec2 = Ec2(
        instance_type("g6.xlarge", *both(0.8, 0.3, zones="a")), stock=(StockRule(where=Selector.of("g6"), count=1),)
    )
    first = ec2.one(capacity("on-demand"), name="c-0")
    key = ("g6.xlarge", "z-a", "on-demand")
    assert ec2.cloud.stock.left(key, ec2.world.loop.now) == 0
    ec2.cloud.terminate(first.provider_id)
    assert ec2.cloud.stock.left(key, ec2.world.loop.now) == 0
    ec2.run(60 * SECOND)
    assert ec2.cloud.stock.left(key, ec2.world.loop.now) == 1


def test_a_quota_is_free_again_when_the_instance_is_gone() -> None:
    quota = Quota(classes=("G and VT",), capacity_type="on-demand", vcpus=4)
    ec2 = Ec2(G6, quotas=(quota,), unavailable=0)
    first = ec2.one(capacity("on-demand"), name="c-0")
    assert isinstance(ec2.launch(claim("c-1", capacity("on-demand")))[0], LaunchRefused)
    ec2.cloud.terminate(first.provider_id)
    ec2.run(60 * SECOND)
    assert isinstance(ec2.launch(claim("c-2", capacity("on-demand")))[0], Instance)


def test_two_runs_of_a_seed_are_one_run() -> None:
    def run() -> list[Any]:
        drawn = {name: getattr(CloudSettings(), name) for name in ("create", "pending", "spot_path")}
        ec2 = Ec2(G5, G6, seed=5, **drawn)
        for n in range(20):
            ec2.cloud.launch(claim(f"c-{n}"))
        ec2.run(3600 * SECOND)
        assert len(ec2.said(InstanceCreated)) == 20
        return [ec2.events, ec2.world.journal.facts]

    assert run() == run()
