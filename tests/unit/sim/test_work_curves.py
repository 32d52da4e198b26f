"""Loads over time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fretsaw.api.times import DAY, HOUR, MINUTE, Millis
from fretsaw.sim.scenario.model import Behaves, Load
from fretsaw.sim.work.curves import LoadCurve
from support.scenarios import scenario

MONDAY: Millis = 1_767_571_200_000
SATURDAY = MONDAY + 5 * DAY


def _load(text: str, folder: Path | str = ".") -> Load:
    reading = scenario(f"work: [{{for: deployment/serving/web, serves: {{capacity: 1/s, load: {text}}}}}]", folder)
    entry = reading.usable().work[0]
    assert isinstance(entry, Behaves)
    assert entry.serves is not None
    return entry.serves.load


def _rates(text: str, *times: Millis, start: Millis = MONDAY) -> list[float]:
    curve = LoadCurve(_load(text), start)
    return [round(curve.rate(start + time), 6) for time in times]


DAY_NIGHT = '{low: 2/s, high: 10/s, peak: "14:00"}'


def test_a_constant_load_is_constant() -> None:
    assert _rates("90/m", 0, DAY, 30 * DAY) == [1.5, 1.5, 1.5]


def test_day_and_night_meet_their_rates_at_the_peak_and_opposite_of_it() -> None:
    assert _rates(DAY_NIGHT, 14 * HOUR, 2 * HOUR, 8 * HOUR, 20 * HOUR, 38 * HOUR) == [10, 2, 6, 6, 10]


def test_the_day_is_that_of_the_clock_whenever_the_scenario_starts() -> None:
    assert _rates(DAY_NIGHT, 0, 12 * HOUR, start=MONDAY + 14 * HOUR) == [10, 2]


def test_weekends_have_their_share() -> None:
    load = '{low: 2/s, high: 10/s, peak: "14:00", weekend: 0.25}'
    assert _rates(load, 14 * HOUR, 38 * HOUR, 62 * HOUR, start=SATURDAY) == [2.5, 2.5, 10]


def test_steps_hold_until_the_next_one() -> None:
    load = "{steps: [{at: 1h, rate: 1/s}, {at: 3h, rate: 5/s}]}"
    assert _rates(load, 0, HOUR - MINUTE, HOUR, 3 * HOUR - MINUTE, 3 * HOUR, DAY) == [0, 0, 1, 1, 5, 5]


def test_steps_that_repeat_go_on_with_the_last_one_before_the_first_comes_again() -> None:
    load = "{steps: [{at: 1h, rate: 1/s}, {at: 3h, rate: 5/s}], repeat: 4h}"
    assert _rates(load, 0, HOUR, 3 * HOUR, 4 * HOUR, 5 * HOUR, 7 * HOUR) == [0, 1, 5, 5, 1, 5]


def test_surges_multiply_any_profile_while_they_last() -> None:
    load = "{rate: 2/s, surges: [{at: 1h, for: 1h, times: 3}, {at: 90m, for: 1h, times: 0.5}]}"
    assert _rates(load, 0, HOUR, 90 * MINUTE, 2 * HOUR, 150 * MINUTE) == [2, 6, 3, 1, 2]


def test_a_minute_has_one_rate() -> None:
    curve = LoadCurve(_load(DAY_NIGHT), MONDAY)
    assert curve.rate(MONDAY + 8 * HOUR) == curve.rate(MONDAY + 8 * HOUR + MINUTE - 1)
    assert curve.rate(MONDAY + 8 * HOUR) != curve.rate(MONDAY + 8 * HOUR + MINUTE)


@given(st.lists(st.integers(0, 7 * DAY), min_size=1, max_size=20))
def test_day_and_night_stay_between_their_rates_and_do_not_depend_on_who_asked_before(times: list[Millis]) -> None:
    curve = LoadCurve(_load(DAY_NIGHT), MONDAY)
    for time in times:
        rate = curve.rate(MONDAY + time)
        assert 2 - 1e-9 <= rate <= 10 + 1e-9
        assert rate == LoadCurve(_load(DAY_NIGHT), MONDAY).rate(MONDAY + time)


@pytest.mark.parametrize(
    ("more", "rates"),
    [
        ("", [2.0, 1.0, 2.0]),
        (", repeat: false", [2.0, 1.0, 0.0]),
        (", times: 10", [20.0, 10.0, 20.0]),
        (", counts: tokens", [24.0, 30.0, 24.0]),
        (", counts: input-tokens", [20.0, 20.0, 20.0]),
        (", counts: output-tokens", [4.0, 10.0, 4.0]),
    ],
)
def test_recorded_requests_are_counted_by_the_minute(tmp_path: Path, more: str, rates: list[float]) -> None:
    rows: list[Any] = [(second * 500, 10, 2) for second in range(120)] + [
        (60_000 + second * 1000, 20, 10) for second in range(61)
    ]
    (tmp_path / "r.csv").write_text(
        "timestamp_ms,input_length,output_length\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows)
    )
    curve = LoadCurve(_load(f"{{trace: {{file: r.csv, format: mooncake{more}}}}}", tmp_path), MONDAY, tmp_path)
    assert [round(curve.rate(MONDAY + time), 6) for time in (0, MINUTE, 2 * MINUTE)] == rates
