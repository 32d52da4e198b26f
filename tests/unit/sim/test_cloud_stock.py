"""Stock: numbers, outages that come and go, faults; the same for two runs of one seed whatever they launch."""

from __future__ import annotations

import math

import pytest

from fretsaw.api.times import HOUR, MINUTE, SECOND
from fretsaw.errors import BrokenInvariant, UserError
from fretsaw.sim.cloud import Selector, StockRule
from fretsaw.sim.cloud.stock import Stock
from fretsaw.sim.dice import Dice

KEY = ("g5.xlarge", "z-a", "spot")


@pytest.mark.parametrize(
    ("text", "selector"),
    [
        ("*", Selector()),
        ("g5", Selector("g5")),
        ("g5.xlarge/us-east-1a", Selector("g5.xlarge", "us-east-1a")),
        ("g5/spot", Selector("g5", "*", "spot")),
        ("*/us-east-1a/reserved", Selector("*", "us-east-1a", "reserved")),
        ("g5/us-east-1a/*", Selector("g5", "us-east-1a")),
        ("spot", Selector("*", "*", "spot")),
        ("g5.*,g6/us-east-1a,us-east-1b/spot,reserved", Selector("g5.*,g6", "us-east-1a,us-east-1b", "spot,reserved")),
    ],
)
def test_a_selector_reads(text: str, selector: Selector) -> None:
    assert Selector.of(text) == selector


@pytest.mark.parametrize("text", ["a/b/c/d", "g5/z-a/cheap"])
def test_a_wrong_selector_is_the_users_error(text: str) -> None:
    with pytest.raises(UserError, match=text):
        Selector.of(text)


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("*", True),
        ("g5", True),
        ("g5.xlarge", True),
        ("g6", False),
        ("g5.2xlarge", False),
        ("g5.*", True),
        ("g6.*", False),
        ("g6,g5", True),
        ("g*", True),
        ("*/z-b,z-a", True),
        ("*/on-demand,spot", True),
        ("*/z-b", False),
        ("*/spot", True),
    ],
)
def test_a_selector_matches(text: str, matches: bool) -> None:
    assert Selector.of(text).matches(KEY) is matches


def test_without_rules_there_is_as_much_as_one_likes() -> None:
    stock = Stock(Dice(1), 0)
    stock.take(KEY)
    assert stock.left(KEY, 0) == math.inf


def test_the_last_rule_counts() -> None:
    stock = Stock(Dice(1), 0, (StockRule(count=5), StockRule(where=Selector.of("g5"), count=2)))
    assert stock.left(KEY, 0) == 2
    assert stock.left(("g6.xlarge", "z-a", "spot"), 0) == 5


def test_more_than_there_is_cannot_be_taken() -> None:
    stock = Stock(Dice(1), 0, (StockRule(count=1),))
    stock.take(KEY)
    with pytest.raises(BrokenInvariant):
        stock.take(KEY)


def test_an_outage_ends_when_it_was_said_to() -> None:
    stock = Stock(Dice(1), 0)
    stock.set_out(Selector.of("g5/spot"), 10 * MINUTE)
    stock.set_out(Selector.of("g5/spot"), 5 * MINUTE)
    assert stock.left(KEY, 10 * MINUTE - 1) == 0
    assert stock.left(KEY, 10 * MINUTE) == math.inf
    assert stock.left(("g5.xlarge", "z-a", "on-demand"), 0) == math.inf


def test_a_fault_holds_for_offerings_that_nobody_had_asked_for() -> None:
    stock = Stock(Dice(1), 0)
    assert stock.left(("g5.2xlarge", "z-a", "spot"), 0) == math.inf
    stock.set_stock(Selector.of("g5"), 3)
    assert stock.left(("g5.2xlarge", "z-a", "spot"), 0) == 3
    assert stock.left(KEY, 0) == 3


@pytest.mark.parametrize(("on", "off"), [(2 * HOUR, 1 * HOUR), (1 * HOUR, 3 * HOUR), (10 * MINUTE, 10 * MINUTE)])
def test_outages_have_the_share_of_time_that_was_asked_for(on: int, off: int) -> None:
    # The long-run share of an alternating process is mean off / (mean on + mean off).
    rules = (StockRule(available=on, out=off),)
    stock = Stock(Dice(11), 0, rules)
    names = [(f"g{n}.xlarge", "z-a", "spot") for n in range(60)]
    samples = [stock.left(name, t * 15 * MINUTE) == 0 for name in names for t in range(400)]
    assert sum(samples) / len(samples) == pytest.approx(off / (on + off), abs=0.05)


def test_outages_begin_in_their_long_run_share() -> None:
    stock = Stock(Dice(3), 0, (StockRule(available=HOUR, out=HOUR),))
    first = [stock.left((f"g{n}.xlarge", "z-a", "spot"), 0) == 0 for n in range(400)]
    assert sum(first) / 400 == pytest.approx(0.5, abs=0.1)


def test_outages_have_the_mean_length_that_was_asked_for() -> None:
    stock = Stock(Dice(5), 0, (StockRule(available=2 * HOUR, out=30 * MINUTE),))
    runs, length = 0, 0
    before = False
    for t in range(60 * 24 * 60):
        out = stock.left(KEY, t * MINUTE) == 0
        runs += out and not before
        length += out
        before = out
    assert length / runs == pytest.approx(30, rel=0.15)


@pytest.mark.parametrize(
    ("together", "same_zone", "other_zone"), [("offering", False, False), ("zone", True, False), ("all", True, True)]
)
def test_outages_are_shared_as_asked(together: str, same_zone: bool, other_zone: bool) -> None:
    stock = Stock(Dice(2), 0, (StockRule(available=HOUR, out=HOUR, together=together),))  # type: ignore[arg-type]

    keys = (("g5.xlarge", "z-a", "spot"), ("g6.xlarge", "z-a", "spot"), ("g5.xlarge", "z-b", "spot"))
    courses = [[stock.left(key, t * 10 * MINUTE) == 0 for key in keys] for t in range(300)]
    a, b, c = zip(*courses, strict=True)
    assert (a == b, a == c) == (same_zone, other_zone)


def test_outages_do_not_depend_on_who_asks_when() -> None:
    rules = (StockRule(available=HOUR, out=HOUR),)
    busy, idle = Stock(Dice(4), 0, rules), Stock(Dice(4), 0, rules)
    for t in range(0, 20 * HOUR, 7 * SECOND):
        busy.left(KEY, t)
    other = [idle.left(("g6.xlarge", "z-a", "spot"), t * HOUR) for t in range(20)]
    assert any(other)
    assert [busy.left(KEY, t * HOUR) for t in range(20, 100)] == [idle.left(KEY, t * HOUR) for t in range(20, 100)]


def test_a_longer_outage_stretches_the_same_draws() -> None:
    short = Stock(Dice(9), 0, (StockRule(available=HOUR, out=HOUR),))
    long = Stock(Dice(9), 0, (StockRule(available=2 * HOUR, out=2 * HOUR),))
    a = [short.left(KEY, t * MINUTE) == 0 for t in range(1000)]
    b = [long.left(KEY, 2 * t * MINUTE) == 0 for t in range(1000)]
    assert a == b
