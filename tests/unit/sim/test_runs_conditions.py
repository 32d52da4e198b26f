"""`--fail-if`: what its sentences mean, when they hold, and how sure that is."""

from __future__ import annotations

import pytest

from fretsaw.errors import UserError
from fretsaw.sim.many.conditions import failure, parse
from fretsaw.sim.many.figures import FIGURES, figure, known
from support import scenarios


@pytest.mark.parametrize(
    ("text", "name", "op", "against", "threshold"),
    [
        ("cost > +5%", "cost", ">", "relative", 0.05),
        ("cost>=+5.5%", "cost", ">=", "relative", 0.055),
        ("saving against on-demand < -10%", "saving against on-demand", "<", "relative", -0.1),
        ("cost > 900", "cost", ">", "value", 900),
        ("cost > $900", "cost", ">", "value", 900),
        ("cost > +10", "cost", ">", "difference", 10),
        ("cost > 50/h", "cost an hour", ">", "value", 50),
        ("p99  wait > 10m", "p99 wait", ">", "value", 600),
        ("p99 wait of ml > +90s", "p99 wait of ml", ">", "difference", 90),
        ("lost work >= 1h30m", "lost work", ">=", "value", 5400),
        ("planned landing < 90%", "planned landing", "<", "value", 0.9),
        ("planned landing < -3pp", "planned landing", "<", "difference", -0.03),
        ("planned landing < -3%", "planned landing", "<", "relative", -0.03),
        ("pending pods > 0", "pending pods", ">", "value", 0),
        ("expectations failed > 0", "expectations failed", ">", "value", 0),
        ("disruptions for Empty > +3", "disruptions for Empty", ">", "difference", 3),
        ("GPU hours <= 120h", "GPU hours", "<=", "value", 120),
    ],
)
def test_what_a_condition_says(text: str, name: str, op: str, against: str, threshold: float) -> None:
    found = parse(text)
    assert (found.figure.name, found.op, found.against) == (name, op, against)
    assert found.threshold == pytest.approx(threshold)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cost", "not a condition (such as cost > +5%"),
        ("cost = 5", "not a condition"),
        ("costs > 5", '--fail-if "costs > 5": "costs" is nothing that can be measured (did you mean cost?)'),
        ("cost > 5%", '"5%" of what (did you mean +5%, compared with the first scenario?)'),
        ("cost > five", '"five" is no amount of money (such as 900 or 50/h)'),
        ("p99 wait > 10", '"10" is no duration (such as 10m)'),
        ("p99 wait > +10", '"10" is no duration'),
        ("cost > +5pp", '"5pp" is no amount of money'),
        ("cost > +", "not a condition"),
        ("violations of ml > 0", "violations is not known by workload"),
        ("disruptions for Emty > 0", "did you mean Empty?"),
        ("noted pod-preempted > 0", "the journal"),
    ],
)
def test_what_is_no_condition_is_told(text: str, told: str) -> None:
    with pytest.raises(UserError) as error:
        parse(text)
    assert told in str(error.value)


A = [100.0, 50.0, 10.0]
B = [102.0, 53.0, 14.0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        # b - 1.05 a = -3, 0.5, 3.5: their mean is 1/3, their interval reaches far below 0
        ("cost > +5%", "cost > +5%: 56.33 against 53.33, +5.6%; not statistically clear: it may be chance, and more runs would tell"),
        ("cost > +6%", ""),
        # the differences, 2, 3 and 4, are clearly above 0.4 and above 2.9 by chance
        ("cost > +0.4", "cost > +0.4: 56.33 against 53.33, +5.6%; statistically clear"),
        ("cost > +2.9", "cost > +2.9: 56.33 against 53.33, +5.6%; not statistically clear: it may be chance, and more runs would tell"),
        ("cost > +3", ""),
        ("cost >= +3", "cost >= +3: 56.33 against 53.33, +5.6%; not statistically clear: it may be chance, and more runs would tell"),
        ("cost < -1", ""),
        ("cost > 57", ""),
        ("cost < 57", "cost < 57: 56.33 against 53.33, +5.6%; not statistically clear: it may be chance, and more runs would tell"),
        ("cost < 200", "cost < 200: 56.33 against 53.33, +5.6%; statistically clear"),
        ("cost > -1%", "cost > -1%: 56.33 against 53.33, +5.6%; statistically clear"),
    ],
)  # fmt: skip
def test_when_a_condition_holds_and_how_surely(text: str, told: str) -> None:
    assert failure(parse(text), A, B) == told


def test_no_difference_is_no_failure_and_more_than_nothing_is() -> None:
    assert failure(parse("cost > +0%"), A, A) == ""
    assert (
        failure(parse("interruptions > +5%"), [0, 0], [1, 1]) == "interruptions > +5%: 1 against 0; statistically clear"
    )
    assert failure(parse("pending pods > 0"), [0, 0], [0, 0]) == ""
    assert failure(parse("violations <= 0"), [0, 0], [0, 0]) == "violations <= 0: 0 against 0; statistically clear"


def test_what_could_never_be_measured_is_a_failure() -> None:
    assert failure(parse("planned landing < 90%"), [], []).startswith("planned landing < 90%: cannot be judged")


# Figures of one result


def test_every_figure_of_a_result() -> None:
    result = scenarios.result(expectations=[{"ok": True}, {"ok": False}, {"ok": False}])
    assert {one.name: one.of(result) for one in FIGURES} == {
        "cost": 100, "spot cost": 20, "on-demand cost": 40, "idle GPU cost": 5, "GPU hours": 50, "p50 wait": 30,
        "p90 wait": 120, "p99 wait": 600, "longest wait": 900, "pending pods": 1, "succeeded pods": 4,
        "interruptions": 3, "lost work": 1800, "disruptions for Empty": 2, "disruptions for Underutilized": 0,
        "disruptions for Drifted": 1, "disruptions for Expired": 1, "launched nodes": 2, "peak nodes": 2,
        "insufficient capacity": 7, "planned landing": 0.9, "expectations failed": 2, "violations": 0,
    }  # fmt: skip
    assert parse("cost > 5/h").figure.of(result) == 10
    assert figure("p99 wait of serving/web").of(result) == 120


def test_what_cannot_be_measured_is_none() -> None:
    assert figure("planned landing").of(scenarios.result(planned={"pods": 0, "landed": 0})) is None
    assert figure("p99 wait of nobody").of(scenarios.result()) is None


def test_columns_have_their_units_and_are_different() -> None:
    columns = [one.column for one in FIGURES]
    assert columns[:6] == [
        "cost_usd",
        "spot_cost_usd",
        "on_demand_cost_usd",
        "idle_gpu_cost_usd",
        "gpu_hours",
        "p50_wait_seconds",
    ]
    assert len(set(columns)) == len(columns)


def test_an_unknown_figure_is_told_with_what_was_meant() -> None:
    with pytest.raises(UserError, match=r'--best: no such figure: "p99 wiat" \(did you mean p99 wait\?\)'):
        known("p99 wiat", "--best")
