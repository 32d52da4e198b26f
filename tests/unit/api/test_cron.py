"""Schedules of budgets, as the controllers' cron parser reads them."""

import pytest

from fretsaw.api.cron import schedule_problem


@pytest.mark.parametrize(
    "text",
    [
        "0 9 * * *",
        "*/15 0,12 1-7 jan sun",
        "@daily",
        "@midnight",
        "0 9 ? * MON-FRI",
        "5/10 * * * *",
        "0 0 31 2 *",
        " 0 9 * * * ",
        "@every 1h",
    ],
)
def test_schedules_that_are_read(text: str) -> None:
    assert schedule_problem(text) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0 0 9 * * *", "6 fields"),
        ("0 9 * *", "4 fields"),
        ("TZ=UTC 0 9 * * *", "6 fields"),
        ("99 * * * *", "99 is not within 0 and 59"),
        ("0 9 * * 7", "7 is not within 0 and 6"),
        ("0 9 0 * *", "0 is not within 1 and 31"),
        ("every day at nine am", '"every" is no number'),
        ("10-5 * * * *", "10 is after 5"),
        ("*/0 * * * *", '"0" is no step'),
        ("1-2-3 * * * *", "no range"),
        ("1/2/3 * * * *", "no range"),
        ("0 9 * funday *", "none of jan"),
        ("@dailyish", "unknown descriptor"),
        ("@every soon", "not a duration"),
    ],
)
def test_schedules_that_are_not_read_have_a_reason(text: str, why: str) -> None:
    assert why in (schedule_problem(text) or "")
