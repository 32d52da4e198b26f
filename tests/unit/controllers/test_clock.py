"""The steady clock: never back, never far off, whatever happens to the time of day."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fretsaw.controllers.clock import SteadyClock

NOON = 1_700_000_000.0


class Times:
    """Time that passes as a test says, and a time of day that somebody sets."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.set = NOON

    def clock(self) -> SteadyClock:
        return SteadyClock(wall=self.wall, steady=lambda: self.passed)

    def wall(self) -> float:
        return self.set + self.passed


def test_follows_the_time_of_day() -> None:
    times = Times()
    clock = times.clock()
    assert clock.now() == NOON * 1000
    times.passed += 1.5
    assert clock.now() == NOON * 1000 + 1500


def test_step_forward_is_followed_at_once() -> None:
    times = Times()
    clock = times.clock()
    times.set += 3600
    assert clock.now() == (NOON + 3600) * 1000


def test_step_back_makes_time_go_half_as_fast_until_both_agree() -> None:
    times = Times()
    clock = times.clock()
    assert clock.now() == NOON * 1000
    times.set -= 10
    assert clock.now() == NOON * 1000
    times.passed += 8
    assert clock.now() == (NOON + 4) * 1000
    times.passed += 12
    assert clock.now() == (NOON + 10) * 1000 == times.wall() * 1000
    times.passed += 1
    assert clock.now() == times.wall() * 1000


def test_who_looks_often_sees_no_other_time() -> None:
    """The rests of many short spans add up: it would stand still, else."""
    times = Times()
    clock = times.clock()
    clock.now()
    times.set -= 10
    for _ in range(16_000):
        times.passed += 1 / 2048
        clock.now()
    assert abs(clock.now() - round((NOON + 16_000 / 4096) * 1000)) <= 1


STEPS = st.lists(st.tuples(st.floats(0, 1000), st.floats(-5000, 5000)), max_size=40)


@given(STEPS)
def test_never_goes_back_and_is_never_behind(steps: list[tuple[float, float]]) -> None:
    times = Times()
    clock, before = times.clock(), 0
    for passed, change in steps:
        times.passed += passed
        times.set += change
        now = clock.now()
        assert now >= max(before, int(times.wall() * 1000))
        before = now


def _date(seconds: float) -> str:
    return formatdate(seconds, usegmt=True)


@pytest.mark.parametrize("known", [True, False])
def test_clock_that_is_ahead_of_the_servers_does_not_count(known: bool) -> None:
    """Also not in a process whose clock was wrong from its start: nobody has been told a time by then."""
    times = Times()
    clock = times.clock()
    if known:
        clock.now()
        clock.heard(_date(times.wall()), 0)
        times.passed += 60
    server = NOON + times.passed
    times.set += 3600
    clock.heard(_date(server), 0.25)
    assert server * 1000 <= clock.now() <= (server + 1.25) * 1000
    times.passed += 1000
    assert (server + 1000) * 1000 <= clock.now() <= (server + 1001.25) * 1000, "not heard of since"
    times.set -= 3600
    assert clock.now() <= (server + 1001.25) * 1000


def test_server_whose_clock_is_ahead_does_not_count() -> None:
    times = Times()
    clock = times.clock()
    clock.heard(_date(NOON + 3600), 0)
    times.passed += 5
    assert clock.now() == times.wall() * 1000


def test_clock_that_agrees_with_the_servers_is_as_exact_as_it_was() -> None:
    times = Times()
    clock = times.clock()
    times.passed += 0.9
    clock.heard(_date(times.wall()), 0.01)
    for _ in range(10):
        assert clock.now() == int(times.wall() * 1000)
        times.passed += 0.37


def test_date_that_is_none_says_nothing() -> None:
    times = Times()
    clock = times.clock()
    clock.heard("yesterday", 0)
    clock.heard("", 0)
    assert clock.now() == NOON * 1000


@given(STEPS)
def test_meets_the_time_of_day_again(steps: list[tuple[float, float]]) -> None:
    times = Times()
    clock = times.clock()
    for passed, change in steps:
        times.passed += passed
        times.set += change
        clock.now()
    ahead = clock.now() / 1000 - times.wall()
    times.passed += 2 * max(ahead, 0) + 0.01
    assert clock.now() == int(times.wall() * 1000)
