"""Expectations: what they say, and what a result says to them."""

from __future__ import annotations

import pytest

from fretsaw.api.times import HOUR
from fretsaw.sim.journal import Journal
from fretsaw.sim.loop import Loop
from fretsaw.sim.scenario.expect import check, parse, shown
from fretsaw.sim.scenario.measures import Window, matches
from fretsaw.sim.scenario.units import BadText
from support.scenarios import result

SEEN = [
    ("cost <= 100", True, "100.00"), ("cost <= $99.99", False, "100.00"), ("cost <= 10/h", True, "10.00/h"), ("cost < 10/h", False, "10.00/h"),
    ("cost of pool gpu-a <= 60", True, "60.00"), ("cost of pool gpu-* is 100", True, "100.00"), ("cost of ml at most 50", True, "50.00"),
    ("cost of deployment/serving/web < 30", False, "30.00"), ("spot cost = 20", True, "20.00"), ("on-demand cost of gpu-b = 40", True, "40.00"),
    ("reserved cost = 0", True, "0.00"), ("idle GPU cost <= 5", True, "5.00"), ("saving against on-demand >= 50%", True, "50.0%"),
    ("p50 wait <= 30s", True, "30s"), ("p99 wait of ml <= 9m", False, "10m"), ("p90 wait of serving/web is at most 1m", True, "1m"),
    ("longest wait <= 15m", True, "15m"), ("no pod waits longer than 10m", False, "15m"), ("no pod of serving waits longer than 2m", True, "2m"),
    ("no pod of * waits more than 9m", False, "10m"), ("created pods = 8", True, "8"), ("succeeded pods of job/ml/train >= 4", True, "4"),
    ("failed pods = 0", True, "0"), ("pending pods of serving = 0", False, "1"), ("every pod of ml runs", True, "0"), ("every pod runs", False, "1"),
    ("no pod of ml is pending at the end", True, "0"), ("every pod of ml succeeds", True, "100.0%"), ("every pod succeeds", False, "50.0%"),
    ("no pod of ml fails", True, "0"), ("no pod of ml is interrupted", False, "1"), ("interruptions <= 3", True, "3"),
    ("no interruptions of serving", False, "2"), ("lost work <= 30m", True, "30m"), ("lost work of serving = 0", True, "0s"),
    ("disruptions = 4", True, "4"), ("disruptions for Empty = 2", True, "2"), ("no disruption for Underutilized", True, "0"),
    ("disruptions of gpu-b = 2", True, "2"), ("no disruption of gpu-a", False, "2"), ("no disruption of gpu-a for Drifted", True, "0"),
    ("no disruption of gpu-b between 09:00 and 19:00", False, "1"), ("no disruption of gpu-b between 10:00 and 19:00", True, "0"),
    ("disruptions for Empty of gpu-b between 08:00 and 09:00 = 1", True, "1"), ("disruptions between 22:00 and 02:00 = 1", True, "1"),
    ("no disruption of gpu-b between 08:30 and 09:00", True, "0"),  # a failed one took nothing
    ("no disruption on weekends", True, "0"), ("disruptions on weekdays = 4", True, "4"), ("disruptions for Expired of gpu-a between 05:00 and 06:00 = 1", True, "1"),
    ("launched nodes = 2", True, "2"), ("no node of pool gpu-a", False, "1"), ("pool gpu-b is used", True, "1"), ("pool gpu-b is never used", False, "1"),
    ("pool gpu-c is not used", True, "0"), ("a node of type p4d.* is used", True, "1"), ("a node of type p4d.* of pool gpu-a is used", False, "0"),
    ("no node of type g5.*", False, "1"), ("no nodes of type p5.*", True, "0"), ("terminated nodes of pool gpu-a = 1", True, "1"), ("terminated nodes = 1", True, "1"),
    ("peak nodes = 2", True, "2"), ("peak nodes of gpu-* = 2", True, "2"), ("peak nodes of gpu-a = 1", True, "1"), ("spot share >= 50%", False, "48.6%"),
    ("GPU hours <= 50h", True, "50.0h"), ("GPU use >= 40%", True, "40.0%"), ("GPU allocation > 80%", False, "80.0%"), ("planned landing >= 90%", True, "90.0%"),
    ("insufficient capacity >= 1", True, "7"), ("no violations", True, "0"), ("noted xid = 2", True, "2"), ("noted xid between 00:00 and 00:30 = 1", True, "1"),
]  # fmt: skip


def _journal() -> Journal:
    loop = Loop(1_767_571_200_000)
    journal = Journal(loop)
    journal.note("xid", "Node/a-1", code=79)
    loop.at(loop.now + HOUR, journal.note, "xid", "Node/a-1")
    loop.run(loop.now + 2 * HOUR)
    return journal


@pytest.mark.parametrize(("text", "ok", "seen"), SEEN, ids=[text for text, _, _ in SEEN])
def test_a_result_is_as_expected_or_not(text: str, ok: bool, seen: str) -> None:
    assert check(parse(text), result(), _journal()) == (ok, seen)


UNMEASURED = [
    ("p99 wait of nobody <= 5m", {}, "there was no pod of nobody"),
    ("cost of nobody <= 5", {}, "there was no pod of nobody"),
    ("saving against on-demand >= 5%", {"cost": {"total": 0.0, "allOnDemand": 0.0}}, "nothing was bought"),
    ("GPU use >= 5%", {"gpuHours": {"bought": 0, "used": 0}}, "no GPU was bought"),
    ("longest wait <= 5m", {"pods": {"waitSeconds": {"max": None}}}, "no pod got a place"),
    ("every pod succeeds", {"pods": {"created": 0, "succeeded": 0}}, "there was no pod"),
    ("spot share of pool gpu-c >= 1%", {}, "no node ran"),
    ("noted xid = 0", {}, "the run kept no journal"),
]


@pytest.mark.parametrize(("text", "more", "why"), UNMEASURED, ids=[text for text, _, _ in UNMEASURED])
def test_what_cannot_be_measured_is_not_as_expected(text: str, more: dict, why: str) -> None:  # type: ignore[type-arg]
    assert check(parse(text), result(**more)) == (False, why)


WRONG = [
    ("hello", "an expectation", "such as `p99 wait"),
    ("cost", "an expectation", "such as `p99 wait"),
    ("p98 wait <= 5m", '"p98 wait" is nothing that can be measured', "did you mean p99 wait?"),
    ("beauty >= 5", '"beauty" is nothing that can be measured', "known: cost, spot cost"),
    ("p99 wait <= 5", '"5" is no duration', "such as 10m"),
    ("cost <= nan", '"nan" is no amount of money', "900 or 50/h"),
    ("cost <= -5", '"-5" is no amount of money', "900 or 50/h"),
    ("GPU use >= 0.5", '"0.5" is no share', "80%"),
    ("interruptions <= 5%", '"5%" is no number', "3"),
    ("GPU hours <= 5d", '"5d" is no number of hours', "120h"),
    ("disruptions for Empti = 0", 'no reason is called "Empti"', "did you mean Empty?"),
    ("disruptions for Fun = 0", 'no reason is called "Fun"', "known: Empty, Underutilized, Drifted, Expired"),
    ("cost for Empty <= 3", "cost is not known by reason", "workload or pool"),
    ("violations of ml = 0", "violations is not known by workload", "it is of the whole run"),
    ("p99 wait of pool gpu <= 3m", "p99 wait is not known by pool", "workload"),
    ("no disruption between 09:00 and 09:00", "the time between is empty", "09:00 and 19:00"),
    ("no disruption between 9 and 19:00", "a time of day in UTC", "14:00"),
]


@pytest.mark.parametrize(("text", "what", "right"), WRONG, ids=[text for text, _, _ in WRONG])
def test_a_sentence_that_says_nothing_is_told_what_would_be_right(text: str, what: str, right: str) -> None:
    with pytest.raises(BadText) as error:
        parse(text)
    assert what in error.value.what
    assert right in error.value.right


@pytest.mark.parametrize(
    ("pattern", "workload", "means"),
    [
        ("ml", "Job/ml/train", True), ("ml", "ml/train", True), ("train", "Job/ml/train", False), ("ml/*", "Job/ml/train", True),
        ("job/ml/*", "Job/ml/train", True), ("deployment/ml/*", "Job/ml/train", False), ("job/ml/train", "ml/train", True),
        ("*/ml/t*", "Job/ml/train", True), ("m*", "Job/ml/train", True), ("ml", "train", False),
    ],
)  # fmt: skip
def test_a_pattern_means_workloads_by_namespace_name_and_kind(pattern: str, workload: str, means: bool) -> None:
    assert matches(pattern, workload) is means


def test_a_window_begins_with_its_first_minute_and_may_go_over_midnight() -> None:
    monday = 1_767_571_200_000
    office = Window(9 * HOUR, 19 * HOUR, (0, 1, 2, 3, 4))
    assert [office.holds(monday + hour * HOUR) for hour in (8, 9, 18, 19, 24 * 5 + 10)] == [
        False,
        True,
        True,
        False,
        False,
    ]
    night = Window(22 * HOUR, 6 * HOUR)
    assert [night.holds(monday + hour * HOUR) for hour in (21, 22, 0, 5, 6)] == [False, True, True, True, False]
    assert Window(0, 24 * HOUR).holds(monday)


def test_seen_values_are_written_as_people_write_them() -> None:
    assert [shown(3725, "duration"), shown(0.5, "share"), shown(2, "count"), shown(2.5, "count"), shown(3, "money/h")] == [
        "1h2m5s", "50.0%", "2", "2.5", "3.00/h",
    ]  # fmt: skip
