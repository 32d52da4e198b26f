"""CreateFleet as a call: batches, tokens, backoff; listings, leaks and listeners."""

from __future__ import annotations

import pytest

from fretsaw.api.times import HOUR, MINUTE, SECOND
from fretsaw.engine.events import CatalogRead, InstanceCreated, InstanceGone, InstancesListed
from fretsaw.sim.cloud import Cloud, CloudSettings, Throttle
from fretsaw.sim.cloud.calls import Bucket
from fretsaw.sim.spread import Spread
from fretsaw.sim.world import World
from support.virtual_ec2 import FIXED, G5, G6, START, Ec2, capacity, catalog, claim


def test_a_full_bucket_allows_its_burst_and_then_its_rate() -> None:
    # Source: EC2 Developer Guide, Request throttling for the Amazon EC2 API (token bucket).
    bucket = Bucket(Throttle(burst=3, per_second=0.5), 0)
    assert [bucket.take(0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(t * SECOND) for t in range(1, 6)] == [False, True, False, True, False]


def test_a_bucket_never_holds_more_than_its_burst() -> None:
    bucket = Bucket(Throttle(burst=2, per_second=5.0), 0)
    assert [bucket.take(HOUR) for _ in range(3)] == [True, True, False]


def _different(count: int) -> list[tuple[str, str]]:
    return [(f"c-{n}", f"{n + 1}m") for n in range(count)]


def test_throttled_calls_wait_and_are_told() -> None:
    # Source: EC2 Developer Guide, Request throttling (RequestLimitExceeded), retried with backoff.
    ec2 = Ec2(throttle=Throttle(burst=2, per_second=1.0, backoff=1 * SECOND))
    for name, cpu in _different(4):
        ec2.cloud.launch(claim(name, cpu=cpu))
    ec2.run(MINUTE)
    created = [at for at, _ in ec2.said(InstanceCreated)]
    assert len(created) == 4
    assert created[:2] == [SECOND, SECOND]
    assert all(at > SECOND + 500 for at in created[2:])
    facts = ec2.facts("throttled")
    assert {fact.about for fact in facts} == {"NodeClaim/c-2", "NodeClaim/c-3"}
    assert all(500 <= fact.data["wait"] <= 1000 for fact in facts if fact.data["refused"] == 1)


def test_the_backoff_doubles_up_to_its_limit() -> None:
    ec2 = Ec2(throttle=Throttle(burst=1, per_second=0.001, backoff=1 * SECOND, backoff_max=8 * SECOND))
    for name, cpu in _different(2):
        ec2.cloud.launch(claim(name, cpu=cpu))
    ec2.run(MINUTE)
    waits = [fact.data["wait"] for fact in ec2.facts("throttled")]
    assert len(waits) > 5
    for wait, most in zip(waits, [1, 2, 4, 8, 8, 8], strict=False):
        assert most * SECOND / 2 <= wait <= most * SECOND


def test_equal_launches_share_a_call() -> None:
    # Source: Karpenter AWS provider v1.14 pkg/batcher (create_fleet: identical input).
    ec2 = Ec2(throttle=Throttle(burst=1, per_second=0.001), batch_idle=35)
    for n in range(30):
        ec2.cloud.launch(claim(f"c-{n}"))
    ec2.run(2 * SECOND)
    assert [at for at, _ in ec2.said(InstanceCreated)] == [SECOND + 35] * 30
    assert ec2.facts("throttled") == []


def test_a_batch_waits_for_its_last_launch_and_for_a_second_at_most() -> None:
    # Source: Karpenter AWS provider v1.14 pkg/batcher (35 ms idle, 1 s at most).
    ec2 = Ec2(batch_idle=35, batch_max=100)
    for n in range(21):
        ec2.run(n * 30)
        ec2.cloud.launch(claim(f"c-{n:02}"))
    ec2.run(5 * SECOND)
    answered = [at - SECOND for at, _ in ec2.said(InstanceCreated)]
    assert sorted(set(answered)) == [100, 220, 340, 460, 580, 635]
    assert len(answered) == 21


def test_the_answer_takes_its_time() -> None:
    ec2 = Ec2(create=Spread(800, 1500, 4000))
    for name, cpu in _different(50):
        ec2.cloud.launch(claim(name, cpu=cpu))
    ec2.run(MINUTE)
    times = [at for at, _ in ec2.said(InstanceCreated)]
    assert 800 <= min(times) < 1500 < max(times) <= 4000


def test_an_instance_runs_after_its_pending_time_and_the_kubelets_hear() -> None:
    ec2 = Ec2(pending=Spread(10 * SECOND, 20 * SECOND, 40 * SECOND))
    heard: list[tuple[str, int, str]] = []
    ec2.cloud.on_running(lambda i: heard.append(("running", ec2.world.loop.now - START, i.state)))
    ec2.cloud.on_ended(lambda i: heard.append(("ended", ec2.world.loop.now - START, i.state)))
    instance = ec2.one()
    assert instance.state == "pending"
    ec2.run(MINUTE)
    ec2.cloud.terminate(instance.provider_id)
    (_, running, state), ended = heard
    assert 11 * SECOND <= running <= 41 * SECOND
    assert (state, ended) == ("running", ("ended", MINUTE, "shutting-down"))
    assert instance.running_since == START + running


def test_an_instance_that_ends_while_it_is_pending_never_runs() -> None:
    ec2 = Ec2()
    heard: list[str] = []
    ec2.cloud.on_running(lambda i: heard.append("running"))
    ec2.cloud.on_ended(lambda i: heard.append("ended"))
    instance = ec2.one()
    ec2.cloud.terminate(instance.provider_id)
    ec2.cloud.terminate(instance.provider_id)
    ec2.run(HOUR)
    assert heard == ["ended"]
    assert ec2.said(InstanceGone) == [(31 * SECOND, InstanceGone(instance.provider_id))]
    assert instance.state == "terminated"


def test_the_journal_tells_an_instances_life() -> None:
    ec2 = Ec2(G6)
    instance = ec2.one(capacity("spot"))
    ec2.run(MINUTE)
    ec2.cloud.terminate(instance.provider_id)
    facts = [f for f in ec2.world.journal.facts if f.about == f"Instance/{instance.provider_id}"]
    assert [(f.what, f.at - START) for f in facts] == [
        ("instance-asked", SECOND),
        ("instance-running", 21 * SECOND),
        ("instance-ended", MINUTE),
    ]
    told = {"claim": "c-0", "pool": "gpu", "type": "g6.xlarge", "zone": instance.zone, "capacity_type": "spot"}
    assert facts[0].data == {**told, "reservation": "", "price": 0.35}
    assert facts[2].data == {**told, "reservation": "", "price": 0.35, "why": "terminated"}


def test_instances_are_listed_every_two_minutes_where_they_are_others() -> None:
    # Source: Karpenter AWS provider v1.14 pkg/providers/instance (List, at least every 2 min through garbage collection).
    ec2 = Ec2()
    ec2.run(MINUTE)
    a = ec2.one(name="a")
    ec2.run(7 * MINUTE)
    ec2.cloud.terminate(a.provider_id)
    ec2.run(20 * MINUTE)
    assert ec2.said(InstancesListed) == [
        (2 * MINUTE, InstancesListed(frozenset({a.provider_id}))),
        (8 * MINUTE, InstancesListed(frozenset())),
    ]


def test_an_instance_whose_claim_is_not_there_is_ended() -> None:
    # Source: Karpenter AWS provider v1.14 pkg/controllers/nodeclaim/garbagecollection (older than 30 s).
    ec2 = Ec2(collect_leaked=True)
    kept = claim("kept")
    ec2.world.store.put(kept)
    ec2.launch(kept, claim("leaked"))
    ec2.run(2 * MINUTE)
    assert [i.claim.metadata.name for i in ec2.cloud.machines.alive()] == ["kept"]
    assert [f.data["why"] for f in ec2.facts("instance-ended")] == ["leaked"]


def test_a_young_instance_may_wait_for_its_claim() -> None:
    ec2 = Ec2(collect_leaked=True)
    ec2.run(100 * SECOND)
    young = ec2.one()
    ec2.run(2 * MINUTE)
    assert young.alive
    ec2.run(4 * MINUTE)
    assert not young.alive


def test_pools_share_a_catalog_and_those_without_say_why() -> None:
    world = World(START, 1)
    events: list[object] = []
    world.on_report(events.append)
    one, other = catalog(G5), catalog(G6)
    Cloud(world, {"b": one, "a": one, "c": other}, CloudSettings(**FIXED), {"d": "its class is not there"})
    world.loop.run(START)
    assert events == [
        CatalogRead(("a", "b"), one),
        CatalogRead(("c",), other),
        CatalogRead(("d",), None, "its class is not there"),
    ]


@pytest.mark.parametrize("seed", range(3))
def test_times_belong_to_the_claim_and_not_to_the_order_of_launches(seed: int) -> None:
    def times(names: list[str]) -> dict[str, int]:
        ec2 = Ec2(seed=seed, create=Spread(800, 1500, 4000), pending=Spread(10_000, 20_000, 40_000))
        for name in names:
            ec2.cloud.launch(claim(name, cpu=f"{ord(name)}m"))
        ec2.run(HOUR)
        return {f.data["claim"]: f.at for f in ec2.facts("instance-running")}

    assert times(["a", "b", "c"]) == times(["c", "a", "b"])
