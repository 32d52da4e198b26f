"""Figures in the words that people read."""

from __future__ import annotations

import pytest

from fretsaw.report import words
from fretsaw.report.markup import Html, data, el


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (0, "$0.00"),
        (1234.56, "$1,234.56"),
        (0.0042, "$0.0042"),
        (0.00001, "$0.0000"),
        (-12.5, "-$12.50"),
        (0.005, "$0.01"),
        (1e6, "$1,000,000.00"),
    ],
)
def test_money(amount: float, shown: str) -> None:
    assert words.usd(amount) == shown


@pytest.mark.parametrize(
    ("price", "shown"), [(0.4026, "$0.403/h"), (98.32, "$98.32/h"), (-1.5, "-$1.500/h"), (0, "$0.000/h")]
)
def test_prices(price: float, shown: str) -> None:
    assert words.rate(price) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"),
        (0.04, "0.1s"),
        (0.4, "0.4s"),
        (0.97, "1s"),
        (59.6, "1m"),
        (750, "12m 30s"),
        (3600, "1h"),
        (3605, "1h"),
        (7500, "2h 5m"),
        (86400 * 3 + 4 * 3600, "3d 4h"),
        (-90, "-1m 30s"),
    ],
)
def test_spans(seconds: float, shown: str) -> None:
    assert words.span(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (7 * 86400, "7 days"),
        (86400, "1 day"),
        (12 * 3600, "12 hours"),
        (1800, "30 minutes"),
        (207360, "2d 9h"),
        (0, "0s"),
    ],
)
def test_lengths(seconds: float, shown: str) -> None:
    assert words.length(seconds) == shown


@pytest.mark.parametrize(
    ("part", "shown"), [(0.412, "41.2%"), (0.5, "50%"), (0, "0%"), (1.2346, "123.5%"), (0.0004, "0%")]
)
def test_shares(part: float, shown: str) -> None:
    assert words.share(part) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(3, "3"), (3.0, "3"), (3.26, "3.3"), (12767.9, "12,768"), (999.94, "999.9")]
)
def test_numbers(value: float, shown: str) -> None:
    assert words.number(value) == shown


def test_days_and_hours_count_from_the_start_in_utc() -> None:
    clock = words.Calendar("2026-01-05T22:30:00+01:00")
    assert clock.moment(0) == "Mon 5 Jan 21:30"
    assert clock.moment(3 * 3600) == "Tue 6 Jan 00:30"
    assert clock.moment(None) == "–"


def test_why_nodes_came_and_went() -> None:
    assert words.came("provisioned") == "pods had no place"
    assert words.came("") == "ordered by its static pool"
    assert words.went("spot-reclaim") == "spot instance taken back"
    assert words.went("") == ""
    assert words.went("a_new_reason") == "a new reason"


def test_natural_order() -> None:
    assert sorted(["web-10", "web-2", "api-1"], key=words.natural) == ["api-1", "web-2", "web-10"]


def test_text_is_escaped_and_markup_is_not() -> None:
    assert el("b", "<i>", Html("<i></i>"), [None, 3]) == "<b>&lt;i&gt;<i></i>3</b>"
    assert el("p", title='"&', hidden=True, id=None, data_v=0) == '<p title="&quot;&amp;" hidden data-v="0"></p>'
    assert (
        data("x", {"a": "</script>&"})
        == '<script type="application/json" id="x">{"a":"\\u003c/script\\u003e\\u0026"}</script>'
    )
