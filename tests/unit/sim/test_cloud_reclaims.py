"""Spot: notices, hazards and bands, bursts, rebalance recommendations, recorded shapes."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from fretsaw.api.times import DAY, HOUR, MINUTE, SECOND
from fretsaw.engine.events import InstanceGone, Interrupted, OfferingsOut
from fretsaw.errors import UserError
from fretsaw.sim.cloud import Bursts, Hazard, Rebalance, Replay, Selector
from fretsaw.sim.cloud.advisor import hazard, read_bands, shipped_bands
from fretsaw.sim.cloud.shapes import read_shape
from fretsaw.sim.instance import Instance
from fretsaw.sim.spread import Spread
from support.shared import shared
from support.virtual_ec2 import G5, G6, START, Ec2, both, capacity, claim, instance_type

SPOT = capacity("spot")
MONTH = 730 * HOUR


def _fleet(ec2: Ec2, count: int) -> list[Instance]:
    answers = ec2.launch(*(claim(f"c-{n}", SPOT) for n in range(count)))
    return [answer for answer in answers if isinstance(answer, Instance)]


def test_the_notice_comes_two_minutes_before_the_end() -> None:
    # Source: EC2 User Guide, Spot Instance interruption notices.
    ec2 = Ec2(G6)
    instance = ec2.one(SPOT)
    ec2.run(HOUR)
    ec2.cloud.reclaim(Selector())
    ec2.run(HOUR + 119_999)
    assert instance.alive
    ec2.run(2 * HOUR)
    assert (instance.ended, instance.why_ended) == (START + HOUR + 2 * MINUTE, "spot-reclaim")
    assert ec2.said(Interrupted) == [
        (HOUR, Interrupted(instance.provider_id, "spot_interrupted")),
        (HOUR + 2 * MINUTE, Interrupted(instance.provider_id, "instance_terminated")),
    ]
    assert ec2.said(InstanceGone) == [(HOUR + 2 * MINUTE + 30 * SECOND, InstanceGone(instance.provider_id))]
    (fact,) = ec2.facts("spot-interrupted")
    assert fact.data["ends"] == START + HOUR + 2 * MINUTE


def test_who_leaves_in_time_is_not_reclaimed() -> None:
    ec2 = Ec2(G6)
    instance = ec2.one(SPOT)
    ec2.cloud.reclaim(Selector())
    ec2.run(MINUTE)
    ec2.cloud.terminate(instance.provider_id)
    ec2.run(HOUR)
    assert (instance.ended, instance.why_ended) == (START + MINUTE, "terminated")
    assert [f.data["why"] for f in ec2.facts("instance-ended")] == ["terminated"]


def test_a_second_reclaim_during_the_notice_changes_nothing() -> None:
    ec2 = Ec2(G6)
    instance = ec2.one(SPOT)
    assert ec2.cloud.reclaim(Selector()) == 1
    ec2.run(MINUTE)
    assert ec2.cloud.reclaim(Selector()) == 0
    ec2.run(HOUR)
    assert instance.ended == START + SECOND + 2 * MINUTE


def test_on_demand_is_never_reclaimed() -> None:
    ec2 = Ec2(G6, hazards=(Hazard(Selector(), 50.0),))
    instance = ec2.one(capacity("on-demand"))
    assert ec2.cloud.reclaim(Selector()) == 0
    ec2.run(DAY)
    assert instance.alive


def test_the_interrupted_offering_is_avoided_for_three_minutes() -> None:
    # Source: Karpenter AWS provider v1.14 pkg/controllers/interruption (spot: unavailable 3 min).
    ec2 = Ec2(G6)
    instance = ec2.one(SPOT)
    ec2.run(HOUR)
    ec2.cloud.reclaim(Selector())
    ec2.run(2 * HOUR)
    out = frozenset({("g6.xlarge", instance.zone, "spot")})
    assert ec2.said(OfferingsOut) == [(HOUR, OfferingsOut(out)), (HOUR + 3 * MINUTE, OfferingsOut(frozenset()))]


def test_the_queue_takes_its_time() -> None:
    ec2 = Ec2(G6, queue_lag=Spread.fixed(3 * SECOND))
    ec2.one(SPOT)
    ec2.cloud.reclaim(Selector())
    ec2.run(MINUTE)
    assert [at for at, _ in ec2.said(Interrupted)] == [4 * SECOND]


def test_without_a_queue_nobody_hears_but_the_machine_ends() -> None:
    # Source: Karpenter AWS provider v1.14 pkg/operator/options (INTERRUPTION_QUEUE empty: disabled).
    ec2 = Ec2(G6, interruption_queue=False)
    instance = ec2.one(SPOT)
    ec2.cloud.reclaim(Selector())
    ec2.run(HOUR)
    assert ec2.said(Interrupted) == ec2.said(OfferingsOut) == []
    assert instance.why_ended == "spot-reclaim"
    assert len(ec2.said(InstanceGone)) == 1


def test_a_fault_ends_the_machine_without_notice() -> None:
    # Source: Karpenter AWS provider v1.14 pkg/controllers/interruption (instance state-change notification).
    ec2 = Ec2(G6)
    instance = ec2.one(SPOT)
    ec2.cloud.fail(instance.provider_id, "host-failure")
    assert (instance.ended, instance.why_ended) == (START + SECOND, "host-failure")
    ec2.run(MINUTE)
    assert ec2.said(Interrupted) == [(SECOND, Interrupted(instance.provider_id, "instance_terminated"))]


def test_an_announcement_does_nothing_more() -> None:
    ec2 = Ec2(G6)
    instance = ec2.one(SPOT)
    ec2.cloud.announce(instance.provider_id, "scheduled_change")
    ec2.run(HOUR)
    assert [event for _, event in ec2.said(Interrupted)] == [Interrupted(instance.provider_id, "scheduled_change")]
    assert instance.alive


# Hazards


def test_reclaims_come_at_the_hazards_rate() -> None:
    # Exponential lifetimes: of 400 instances at 0.05 an hour, 1 - exp(-0.5) = 39 % are reclaimed within 10 hours.
    ec2 = Ec2(G6, seed=21, hazards=(Hazard(Selector(), 0.05),))
    instances = _fleet(ec2, 400)
    ec2.run(SECOND + 10 * HOUR)
    assert len(ec2.facts("spot-interrupted")) / len(instances) == pytest.approx(1 - math.exp(-0.5), abs=0.06)


def test_the_last_matching_hazard_counts() -> None:
    ec2 = Ec2(hazards=(Hazard(Selector(), 1.0), Hazard(Selector.of("g5"), 0.0)), bands={"g5.xlarge": 4})
    assert ec2.cloud.reclaims.hazard(("g5.xlarge", "z-a", "spot")) == 0.0
    assert ec2.cloud.reclaims.hazard(("g6.xlarge", "z-a", "spot")) == 1.0


def test_reclaims_do_not_depend_on_what_else_runs() -> None:
    def ends(others: int) -> int | None:
        ec2 = Ec2(G5, G6, seed=3, hazards=(Hazard(Selector(), 0.2),))
        instance = ec2.one(SPOT, ("node.kubernetes.io/instance-type", "In", "g5.xlarge"), name="mine")
        for n in range(others):
            ec2.cloud.launch(claim(f"c-{n}", SPOT, ("node.kubernetes.io/instance-type", "In", "g6.xlarge")))
        ec2.run(30 * DAY)
        return instance.ended

    assert ends(0) == ends(9) is not None


def test_a_later_instance_meets_the_same_market() -> None:
    """Whoever holds an offering's first place is hit when that place is."""

    def hits(delay: int) -> list[int]:
        ec2 = Ec2(instance_type("g6.xlarge", *both(0.8, 0.3, zones="a")), seed=8, hazards=(Hazard(Selector(), 0.1),))
        ec2.run(delay)
        ec2.one(SPOT)
        ec2.run(10 * DAY)
        return [fact.at for fact in ec2.facts("spot-interrupted")]

    (first,) = hits(0)
    assert first - START > 5 * MINUTE
    assert hits(4 * MINUTE) == [first]


@pytest.mark.parametrize(
    ("band", "low", "high"), [(0, 0.0, 0.05), (1, 0.05, 0.10), (2, 0.10, 0.15), (3, 0.15, 0.20), (4, 0.20, 1.0)]
)
def test_a_bands_hazard_interrupts_its_share_within_a_month(band: int, low: float, high: float) -> None:
    # Source: EC2 Spot Instance Advisor: share of instances interrupted in the last month.
    share = 1 - math.exp(-hazard(band) * 730)
    assert low < share < high


def test_a_twenty_percent_month_is_about_three_ten_thousandths_an_hour() -> None:
    assert hazard(0, (0.2,)) == pytest.approx(0.0003, rel=0.05)


def test_bands_drive_reclaims() -> None:
    ec2 = Ec2(seed=6, bands={"g6.xlarge": 4})
    instances = _fleet(ec2, 300)
    assert {i.type.name for i in instances} == {"g6.xlarge"}
    ec2.run(MONTH)
    assert len(ec2.facts("spot-interrupted")) / 300 == pytest.approx(0.30, abs=0.07)


def test_a_type_without_a_band_is_never_reclaimed() -> None:
    assert Ec2(bands={"g5.xlarge": 4}).cloud.reclaims.hazard(("g6.xlarge", "z-a", "spot")) == 0.0


def test_the_shipped_bands_know_gpu_and_other_types() -> None:
    bands = shipped_bands("us-east-1")
    assert {bands["g5.xlarge"], bands["p5.48xlarge"]} <= {0, 1, 2, 3, 4}
    assert "m5.large" in bands


def test_the_shipped_bands_are_the_advisors() -> None:
    # Source: AWS Spot Instance Advisor, 2025-06-28.
    path = shared("data", "aws-spot-advisor", "spot_advisor_linux.csv.gz")
    ours, theirs = shipped_bands("us-east-1"), read_bands(path, "us-east-1")
    gpu = [name for name in theirs if name.startswith(("g4dn.", "g5.", "g6.", "p4d.", "p5.")) and name in ours]
    assert len(gpu) > 20
    assert {name: ours[name] for name in gpu} == {name: theirs[name] for name in gpu}


def test_bands_of_one_snapshot_are_read() -> None:
    path = shared("data", "aws-spot-advisor", "accelerated_2021_and_2025.csv")
    assert read_bands(path, "us-east-1", "2021-02-10")["g4ad.4xlarge"] == 0


def test_a_file_without_the_columns_or_region_is_the_users_error(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("region,type\nus-east-1,g5.xlarge\n")
    with pytest.raises(UserError, match="lacks a column: instance_type, interruption_range_index"):
        read_bands(wrong, "us-east-1")
    right = tmp_path / "right.csv"
    right.write_text("region,instance_type,interruption_range_index\nus-east-1,g5.xlarge,3\nus-east-1,g6.xlarge,7\n")
    with pytest.raises(UserError, match="is no band: 7"):
        read_bands(right, "us-east-1")
    with pytest.raises(UserError, match="no row for the region: mars-1"):
        read_bands(right, "mars-1")


# Rebalance recommendations


def test_a_recommendation_comes_before_the_notice() -> None:
    # Source: EC2 User Guide, EC2 instance rebalance recommendations; Karpenter takes no action on them.
    rebalance = Rebalance(chance=1.0, lead=Spread.fixed(10 * MINUTE))
    ec2 = Ec2(G6, seed=4, hazards=(Hazard(Selector(), 0.1),), rebalance=rebalance)
    ec2.one(SPOT)
    ec2.run(20 * DAY)
    (recommended,) = ec2.facts("rebalance-recommended")
    (interrupted,) = ec2.facts("spot-interrupted")
    assert interrupted.at - recommended.at == 10 * MINUTE
    assert [e.kind for _, e in ec2.said(Interrupted)][:2] == ["rebalance_recommendation", "spot_interrupted"]


def test_half_of_the_reclaims_are_recommended_before_by_default() -> None:
    ec2 = Ec2(G6, seed=5, hazards=(Hazard(Selector(), 0.05),), rebalance=Rebalance())
    _fleet(ec2, 200)
    ec2.run(20 * DAY)
    share = len(ec2.facts("rebalance-recommended")) / len(ec2.facts("spot-interrupted"))
    assert share == pytest.approx(0.5, abs=0.12)


# Bursts and traces


def test_a_burst_takes_its_share_at_one_moment() -> None:
    ec2 = Ec2(G6, seed=2, bursts=(Bursts(every=DAY, share=0.3),))
    _fleet(ec2, 200)
    ec2.run(20 * DAY)
    first = ec2.facts("spot-burst")[0]
    same = [fact for fact in ec2.facts("spot-interrupted") if fact.at == first.at]
    assert len(same) == first.data["taken"] == pytest.approx(60, abs=20)


def test_bursts_come_at_their_mean_interval() -> None:
    ec2 = Ec2(G6, seed=2, bursts=(Bursts(every=DAY, share=0.3),))
    ec2.run(200 * DAY)
    assert len(ec2.facts("spot-burst")) == pytest.approx(200, rel=0.2)


def test_a_burst_leaves_nothing_to_be_had() -> None:
    ec2 = Ec2(G6, seed=2, bursts=(Bursts(where=Selector.of("*/spot"), every=HOUR, share=1.0, out=30 * MINUTE),))
    ec2.run(DAY)
    at = ec2.facts("spot-burst")[0].at
    fresh = Ec2(G6, seed=2, bursts=(Bursts(where=Selector.of("*/spot"), every=HOUR, share=1.0, out=30 * MINUTE),))
    fresh.run(at - START)
    assert fresh.cloud.stock.left(("g6.xlarge", "z-a", "spot"), at) == 0
    assert fresh.cloud.stock.left(("g6.xlarge", "z-a", "on-demand"), at) == math.inf


def test_an_offering_can_be_out_after_it_took_an_instance_back() -> None:
    ec2 = Ec2(G6, out_after_reclaim=Spread.fixed(20 * MINUTE))
    instance = ec2.one(SPOT)
    ec2.cloud.reclaim(Selector())
    key = ("g6.xlarge", instance.zone, "spot")
    assert ec2.cloud.stock.left(key, START + SECOND + 20 * MINUTE - 1) == 0
    assert ec2.cloud.stock.left(key, START + SECOND + 20 * MINUTE) == math.inf


def test_a_replay_takes_the_traces_share_of_the_fleet_at_its_times() -> None:
    ec2 = Ec2(G6, replays=(Replay(gaps=(HOUR, 2 * HOUR), shares=(0.25, 0.5)),))
    _fleet(ec2, 40)
    ec2.run(4 * HOUR - 1)
    bursts = [(fact.at - START, fact.data["taken"]) for fact in ec2.facts("spot-burst")]
    assert bursts == [(HOUR, 10), (3 * HOUR, 15)]


def test_a_replay_begins_again_at_its_end() -> None:
    ec2 = Ec2(G6, replays=(Replay(gaps=(HOUR, 2 * HOUR), shares=(0.25, 0.5)),))
    ec2.run(DAY)
    assert [(fact.at - START) // HOUR for fact in ec2.facts("spot-burst")][:5] == [1, 3, 4, 6, 7]


def test_a_replay_can_be_slowed_to_a_mean_gap() -> None:
    ec2 = Ec2(G6, replays=(Replay(gaps=(HOUR, 2 * HOUR), shares=(0.25, 0.5), mean_gap=3 * HOUR),))
    ec2.run(DAY)
    assert [(fact.at - START) // HOUR for fact in ec2.facts("spot-burst")][:3] == [2, 6, 8]


def test_fractions_of_an_instance_add_up_over_many_bursts() -> None:
    ec2 = Ec2(G6, seed=3, replays=(Replay(gaps=(HOUR,), shares=(0.1,)),))
    taken = 0
    for number in range(300):
        if not ec2.cloud.machines.alive():
            ec2.cloud.launch(claim(f"c-{number}", SPOT))
        ec2.run((number + 1) * HOUR)
    taken = sum(fact.data["taken"] for fact in ec2.facts("spot-burst"))
    assert taken == pytest.approx(30, abs=14)


def test_the_bamboo_events_come_in_bulk() -> None:
    # Source: Thorpe et al., Bamboo, NSDI 2023 (p3 trace): 167 removals in 79 moments, up to 6 in one.
    shape = read_shape(shared("data", "bamboo-spot-preemption", "p3-trace.csv"))
    assert len(shape.gaps) == len(shape.shares) == 79
    assert sum(shape.gaps) < 11.4 * HOUR
    assert max(shape.shares) > 3 / 32
    assert all(0 < share <= 1 for share in shape.shares)


def test_the_bamboo_step_function_is_read() -> None:
    # Source: as above (p2.xlarge, 88.7 hours).
    path = shared("data", "bamboo-spot-preemption", "aws-spot-instances-p2-xlarge-2020-11-20-to-2020-11-23.csv")
    shape = read_shape(path)
    assert 50 < len(shape.gaps) < 200
    assert sum(shape.gaps) <= 88.8 * HOUR
    assert max(shape.shares) == 1.0


def test_the_bamboo_logs_are_cut_where_the_clock_goes_back() -> None:
    # Source: as above (GCP, 15 backward steps of concatenated logs).
    shape = read_shape(shared("data", "bamboo-spot-preemption", "gcp_v100x1-us-east1c.txt"))
    assert all(gap >= 0 for gap in shape.gaps)
    assert len(shape.gaps) > 40
    assert sum(shape.gaps) < 30 * HOUR


@pytest.mark.parametrize(
    ("text", "gaps", "shares"),
    [
        (
            "0,add,a\n0,add,b\n0,add,c\n0,add,d\n60000,remove,a\n60000,remove,b\n90000,remove,c\n",
            (60000, 30000),
            (0.5, 0.5),
        ),
        ("0.0,4\n1.0,4\n1.0,3\n1.5,3\n1.5,4\n2.0,0\n", (HOUR, HOUR), (0.25, 1.0)),
        (
            "2021-12-10, 13:00:00, 8\n2021-12-10, 13:01:00, 6\n2021-12-10, 13:00:00, 6\n2021-12-10, 13:02:00, 3\n",
            (MINUTE, 2 * MINUTE),
            (0.25, 0.5),
        ),
    ],
)
def test_small_traces_read(tmp_path: Path, text: str, gaps: tuple[int, ...], shares: tuple[float, ...]) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(text)
    assert read_shape(path) == Replay(gaps=gaps, shares=shares)


def test_further_fields_go_with_the_shape(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("0.0,4\n1.0,3\n")
    assert read_shape(path, mean_gap=DAY).mean_gap == DAY


@pytest.mark.parametrize("text", ["", "hello\n", "a,b\n", "0,add,a\n5,steal,a\n", "1.0,3\n2.0,4\n"])
def test_a_file_that_is_no_trace_is_the_users_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=r"trace\.csv"):
        read_shape(path)


def test_a_file_that_is_not_there_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_shape(tmp_path / "none.csv")
