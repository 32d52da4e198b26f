"""The bill: seconds, the first minute, spot paths, sums over time; against a plain recomputation from the journal."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fretsaw.api.times import HOUR, MINUTE, SECOND, Millis
from fretsaw.engine.events import CatalogRead, InstanceCreated, InstanceGone
from fretsaw.sim.cloud import Bursts, Hazard, PriceStep, Selector, SpotPath, StockRule, Totals
from fretsaw.sim.cloud.spot_price import Path
from fretsaw.sim.dice import Dice
from fretsaw.sim.spread import Spread
from support.virtual_ec2 import G6, START, Ec2, both, capacity, claim, instance_type

NANO = 1_000_000_000
BEGIN = 21 * SECOND
"""CreateFleet answers after 1 s, the instance runs 20 s later."""
OD = 800_000_000
"""G6 on demand, nano-USD an hour."""


@pytest.mark.parametrize(
    ("ran", "seconds"),
    [
        (1, 60),
        (59_999, 60),
        (60_000, 60),
        (60_001, 61),
        (61_000, 61),
        (3_600_000, 3600),
        (3_600_001, 3601),
        (7 * 24 * HOUR, 7 * 24 * 3600),
    ],
)
def test_seconds_are_charged_sixty_at_least(ran: Millis, seconds: int) -> None:
    # Source: EC2 User Guide, On-Demand Instances: per second, with a minimum of 60 seconds.
    ec2 = Ec2(G6)
    instance = ec2.one(capacity("on-demand"))
    ec2.run(BEGIN + ran)
    ec2.cloud.terminate(instance.provider_id)
    ec2.run(BEGIN + ran + HOUR)
    assert ec2.cloud.bill.of(instance.provider_id, ec2.world.loop.now) == OD * seconds // 3600
    assert ec2.cloud.bill.total(ec2.world.loop.now) == Totals(on_demand=OD * seconds // 3600)


def test_pending_costs_nothing() -> None:
    # Source: EC2 User Guide, Instance lifecycle (pending: not billed).
    ec2 = Ec2(G6)
    instance = ec2.one(capacity("on-demand"))
    ec2.run(15 * SECOND)
    ec2.cloud.terminate(instance.provider_id)
    ec2.run(HOUR)
    assert ec2.cloud.bill.total(ec2.world.loop.now).total == 0
    assert ec2.facts("instance-running") == []
    assert [fact.at - START for fact in ec2.facts("instance-ended")] == [15 * SECOND]


def test_shutting_down_costs_nothing() -> None:
    # Source: EC2 User Guide, Instance lifecycle (shutting-down: not billed).
    ec2 = Ec2(G6, shutting_down=Spread.fixed(10 * MINUTE))
    instance = ec2.one(capacity("on-demand"))
    ec2.run(BEGIN + HOUR)
    ec2.cloud.terminate(instance.provider_id)
    ec2.run(BEGIN + HOUR + 9 * MINUTE)
    assert ec2.said(InstanceGone) == []
    assert instance.state == "shutting-down"
    ec2.run(2 * HOUR)
    assert ec2.said(InstanceGone) == [(BEGIN + HOUR + 10 * MINUTE, InstanceGone(instance.provider_id))]
    assert ec2.cloud.bill.of(instance.provider_id, ec2.world.loop.now) == OD
    assert instance.ended == START + BEGIN + HOUR


def test_a_running_instance_is_charged_as_if_it_ended_now() -> None:
    ec2 = Ec2(G6)
    instance = ec2.one(capacity("on-demand"))
    ec2.run(BEGIN + 90 * MINUTE)
    assert ec2.cloud.bill.of(instance.provider_id, ec2.world.loop.now) == OD * 3 // 2


def test_spot_without_a_path_costs_what_the_catalog_says() -> None:
    ec2 = Ec2(G6)
    instance = ec2.one(capacity("spot"))
    ec2.run(BEGIN + HOUR)
    assert ec2.cloud.bill.total(ec2.world.loop.now) == Totals(spot=350_000_000)
    assert instance.price_usd_per_hour == 0.35


def test_spot_follows_its_path_hour_by_hour() -> None:
    # Source: EC2 User Guide, Spot Instances pricing: the price in effect for each hour, billed by the second.
    ec2 = Ec2(G6, spot_path=SpotPath())
    instance = ec2.one(capacity("spot"))
    ec2.run(BEGIN + 10 * HOUR)
    path = Path(Dice(1), ("g6.xlarge", instance.zone), START, 350_000_000, OD, SpotPath())
    prices = [path.at(START + hour * HOUR) for hour in range(11)]
    assert len(set(prices)) > 5
    numerator = prices[0] * (HOUR - BEGIN) + sum(prices[1:10]) * HOUR + prices[10] * BEGIN
    assert ec2.cloud.bill.of(instance.provider_id, ec2.world.loop.now) == numerator // HOUR
    assert instance.price_usd_per_hour == prices[0] / NANO


def test_a_path_stays_around_the_catalogs_price_and_below_on_demand() -> None:
    means = []
    for seed in range(40):
        path = Path(Dice(seed), ("g6.xlarge", "z-a"), START, 350_000_000, OD, SpotPath())
        prices = [path.at(START + hour * HOUR) for hour in range(24 * 30)]
        assert all(0 < price <= OD for price in prices)
        means.append(sum(prices) / len(prices))
    assert sum(means) / len(means) == pytest.approx(350_000_000, rel=0.02)


def test_a_wild_path_is_cut_at_on_demand() -> None:
    path = Path(Dice(1), ("g6.xlarge", "z-a"), START, 350_000_000, OD, SpotPath(volatility=0.5))
    prices = {path.at(START + hour * HOUR) for hour in range(500)}
    assert max(prices) == OD


def test_a_path_does_not_depend_on_when_it_is_asked() -> None:
    one, other = (Path(Dice(1), ("g6.xlarge", "z-a"), START, 350_000_000, OD, SpotPath()) for _ in range(2))
    late = one.at(START + 50 * HOUR)
    for hour in range(50):
        other.at(START + hour * HOUR)
    assert other.at(START + 50 * HOUR) == late
    assert one.integral(START + HOUR, START + 3 * HOUR) == (one.at(START + HOUR) + one.at(START + 2 * HOUR)) * HOUR


def test_the_price_goes_its_way_whatever_runs() -> None:
    def price(before: int) -> float:
        ec2 = Ec2(G6, spot_path=SpotPath(refresh=None))
        ec2.launch(*(claim(f"b-{n}", capacity("spot")) for n in range(before)))
        ec2.run(30 * HOUR)
        return ec2.one(capacity("spot"), ("topology.kubernetes.io/zone", "In", "z-a"), name="late").price_usd_per_hour

    assert price(0) == price(7)


def test_prices_are_read_anew_every_twelve_hours() -> None:
    # Source: Karpenter AWS provider v1.14 pkg/controllers/providers/pricing (12 h).
    ec2 = Ec2(G6, spot_path=SpotPath())
    ec2.run(25 * HOUR)
    reads = ec2.said(CatalogRead)
    assert [at for at, _ in reads] == [0, 12 * HOUR, 24 * HOUR]
    path = Path(Dice(1), ("g6.xlarge", "z-b"), START, 350_000_000, OD, SpotPath())
    last = reads[-1][1].catalog
    assert last is not None
    shown = {(o.zone, o.capacity_type): o.price for o in last.instance_types[0].offerings}
    assert shown["z-b", "spot"] == path.at(START + 24 * HOUR) / NANO
    assert shown["z-b", "on-demand"] == 0.8


@pytest.mark.parametrize(
    ("kind", "step", "nano"),
    [
        ("on-demand", {"times": 0.5}, OD * 2 + OD * 3 // 2),
        ("on-demand", {"usd_per_hour": 2.0}, OD * 2 + 3 * 2 * NANO),
        ("spot", {"times": 2.0}, 350_000_000 * (2 + 3 * 2)),
        ("spot", {"times": 2.0, "where": Selector.of("g5")}, 350_000_000 * 5),
        ("spot", {"times": 2.0, "where": Selector.of("*/on-demand")}, 350_000_000 * 5),
    ],
)
def test_the_bill_follows_a_price_step(kind: str, step: dict[str, Any], nano: int) -> None:
    ec2 = Ec2(G6, price_steps=(PriceStep(at=START + BEGIN + 2 * HOUR, **step),))
    instance = ec2.one(capacity(kind))
    ec2.run(BEGIN + 5 * HOUR)
    assert ec2.cloud.bill.of(instance.provider_id, ec2.world.loop.now) == nano


def test_a_step_multiplies_what_the_path_says() -> None:
    plain, stepped = (
        Ec2(G6, spot_path=SpotPath(), price_steps=steps) for steps in ((), (PriceStep(at=START, times=3.0),))
    )
    costs = []
    for ec2 in (plain, stepped):
        instance = ec2.one(capacity("spot"))
        ec2.run(BEGIN + 9 * HOUR + 17)
        costs.append(ec2.cloud.bill.of(instance.provider_id, ec2.world.loop.now))
    assert costs[1] == pytest.approx(3 * costs[0], abs=3)


def test_of_two_steps_the_later_one_counts_and_the_autoscaler_reads_it() -> None:
    steps = (PriceStep(at=START + 2 * HOUR, usd_per_hour=0.9), PriceStep(at=START + HOUR, usd_per_hour=0.7))
    ec2 = Ec2(G6, price_steps=steps)
    ec2.run(13 * HOUR)
    reads = ec2.said(CatalogRead)
    assert [at for at, _ in reads] == [0, 12 * HOUR]
    last = reads[-1][1].catalog
    assert last is not None
    assert {offering.price for offering in last.instance_types[0].offerings} == {0.9}
    assert ec2.one(capacity("on-demand")).price_usd_per_hour == 0.9


def test_a_first_hour_that_ec2_cuts_short_costs_nothing_where_that_is_set() -> None:
    # Source: EC2 User Guide, Billing for interrupted Spot Instances.
    costs = []
    for free in (False, True):
        ec2 = Ec2(G6, free_first_hour=free)
        instance = ec2.one(capacity("spot"))
        ec2.run(BEGIN + 30 * MINUTE)
        ec2.cloud.reclaim(Selector())
        ec2.run(HOUR)
        costs.append(ec2.cloud.bill.of(instance.provider_id, ec2.world.loop.now))
    assert costs == [350_000_000 * 32 // 60, 0]


def test_all_on_demand_is_what_the_same_instances_would_have_cost() -> None:
    ec2 = Ec2(G6)
    ec2.one(capacity("spot"), name="a")
    ec2.one(capacity("on-demand"), name="b")
    ec2.run(22 * SECOND + HOUR)
    assert ec2.cloud.bill.total(ec2.world.loop.now) == Totals(350_000_000 + 350_000_000 // 3600, OD)
    assert ec2.cloud.bill.all_on_demand(ec2.world.loop.now) == 2 * OD + OD // 3600


# Against a recomputation

ACTIONS = st.lists(st.tuples(st.sampled_from(["launch", "end", "reclaim", "wait"]), st.integers(1, 5400)), max_size=25)


def _played(actions: list[tuple[str, int]], seed: int, **more: Any) -> Ec2:
    ec2 = Ec2(
        instance_type("g5.xlarge", *both(1.006, 0.4)),
        G6,
        seed=seed,
        **{
            "spot_path": SpotPath(refresh=None),
            "stock": (StockRule(where=Selector.of("g6"), count=2), StockRule(where=Selector.of("g5"), count=3)),
            "hazards": (Hazard(Selector(), 0.2),),
            "bursts": (Bursts(every=3 * HOUR, share=0.5),),
            **more,
        },
    )
    at = 0
    for number, (what, amount) in enumerate(actions):
        if what == "launch":
            ec2.cloud.launch(claim(f"c-{number}", capacity(*(("spot", "on-demand") if amount % 3 else ("on-demand",)))))
            ec2.cloud.launch(claim(f"c-{amount % (number + 1)}"))
        elif what == "end" and ec2.cloud.machines.alive():
            alive = ec2.cloud.machines.alive()
            ec2.cloud.terminate(alive[amount % len(alive)].provider_id)
        elif what == "reclaim":
            ec2.cloud.reclaim(Selector(), 0.5)
        else:
            at += amount * SECOND + amount
            ec2.run(at)
        _check_stock(ec2)
    ec2.run(at + HOUR)
    return ec2


def _check_stock(ec2: Ec2) -> None:
    for one in ec2.catalog.instance_types:
        for offering in one.offerings:
            left = ec2.cloud.stock.left((one.name, offering.zone, offering.capacity_type), ec2.world.loop.now)
            assert left >= 0


def _recomputed(ec2: Ec2, now: Millis) -> dict[str, int]:
    """Nano-USD by instance from the journal's facts: second by second's rate, added up by hours."""
    began = {f.about: f for f in ec2.facts("instance-running")}
    ended = {f.about: f.at for f in ec2.facts("instance-ended")}
    found = {}
    for about, fact in began.items():
        ran = ended.get(about, now) - fact.at
        until = fact.at + max(60, -(-ran // SECOND)) * SECOND
        sold = fact.data["type"], fact.data["zone"], fact.data["capacity_type"]
        cost, at = 0, fact.at
        while at < until:
            following = min((at // HOUR + 1) * HOUR, until)
            cost += _price(ec2, sold, at) * (following - at)
            at = following
        found[about.removeprefix("Instance/")] = cost // HOUR
    return found


def _price(ec2: Ec2, sold: tuple[str, str, str], at: Millis) -> int:
    name, zone, kind = sold
    (listed,) = (
        o.price
        for t in ec2.catalog.instance_types
        if t.name == name
        for o in t.offerings
        if (o.zone, o.capacity_type) == (zone, kind)
    )
    if kind == "on-demand":
        return round(listed * NANO)
    on_demand = {"g5.xlarge": 1_006_000_000, "g6.xlarge": OD}[name]
    return Path(Dice(ec2.world.dice.seed), (name, zone), START, round(listed * NANO), on_demand, SpotPath()).at(at)


@settings(max_examples=40, deadline=None)
@given(actions=ACTIONS, seed=st.integers(0, 1000))
def test_the_bill_is_what_the_journal_says(actions: list[tuple[str, int]], seed: int) -> None:
    ec2 = _played(actions, seed)
    now = ec2.world.loop.now
    expected = _recomputed(ec2, now)
    assert {line: ec2.cloud.bill.of(line, now) for line in ec2.cloud.bill.lines} == expected
    assert ec2.cloud.bill.total(now).total == sum(expected.values())


@settings(max_examples=25, deadline=None)
@given(actions=ACTIONS, seed=st.integers(0, 1000))
def test_a_claim_never_has_two_instances(actions: list[tuple[str, int]], seed: int) -> None:
    ec2 = _played(actions, seed)
    instances: dict[str, set[str]] = {}
    for _, created in ec2.said(InstanceCreated):
        instances.setdefault(created.claim, set()).add(created.provider_id)
    assert all(len(found) == 1 for found in instances.values())
    asked = [fact.data["claim"] for fact in ec2.facts("instance-asked")]
    assert len(asked) == len(set(asked))


@settings(max_examples=25, deadline=None)
@given(actions=ACTIONS, seed=st.integers(0, 1000))
def test_stock_and_instances_add_up(actions: list[tuple[str, int]], seed: int) -> None:
    ec2 = _played(actions, seed)
    for name, count in (("g6.xlarge", 2), ("g5.xlarge", 3)):
        for zone in ("z-a", "z-b"):
            for kind in ("spot", "on-demand"):
                there = [
                    i
                    for i in ec2.cloud.machines
                    if i.state != "terminated" and (i.type.name, i.zone, i.capacity_type) == (name, zone, kind)
                ]
                assert ec2.cloud.stock.left((name, zone, kind), ec2.world.loop.now) + len(there) == count


@settings(max_examples=25, deadline=None)
@given(actions=ACTIONS, seed=st.integers(0, 1000), step=st.integers(60, 7200))
def test_costs_of_a_row_of_times_are_the_whole(actions: list[tuple[str, int]], seed: int, step: int) -> None:
    ec2 = _played(actions, seed)
    now, bill = ec2.world.loop.now, ec2.cloud.bill
    count = -(-(now + MINUTE - START) // (step * SECOND)) + 1
    row = bill.series(START, step * SECOND, count, now)
    single = [bill.cost_between(START + i * step * SECOND, START + (i + 1) * step * SECOND, now) for i in range(count)]
    assert row == single
    assert sum(one.total for one in row) == pytest.approx(bill.total(now).total, abs=3 * count + len(bill.lines))


def test_the_series_of_a_plain_run() -> None:
    ec2 = Ec2(G6)
    instance = ec2.one(capacity("on-demand"))
    ec2.run(BEGIN + HOUR)
    ec2.cloud.terminate(instance.provider_id)
    ec2.run(3 * HOUR)
    assert ec2.cloud.bill.series(START + BEGIN, HOUR // 2, 4, ec2.world.loop.now) == [
        Totals(on_demand=OD // 2),
        Totals(on_demand=OD // 2),
        Totals(),
        Totals(),
    ]


def test_a_random_week_costs_the_same_every_time() -> None:
    draw = random.Random(7)
    actions = [(draw.choice(["launch", "wait"]), n * 300) for n in range(1, 25)]
    costs = {_played(actions, 3).cloud.bill.total(START + 100 * HOUR) for _ in range(2)}
    assert len(costs) == 1
    assert next(iter(costs)).total > 0
