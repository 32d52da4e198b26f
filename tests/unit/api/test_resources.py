from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fretsaw.api.resources import (
    MAX,
    BadDuration,
    BadQuantity,
    duration_ns,
    duration_s,
    parse,
    render,
    units,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", Fraction(0)),
        ("1", Fraction(1)),
        ("100n", Fraction(1, 10**7)),
        ("3u", Fraction(3, 10**6)),
        ("500m", Fraction(1, 2)),
        ("2k", Fraction(2000)),
        ("1M", Fraction(10**6)),
        ("1G", Fraction(10**9)),
        ("1T", Fraction(10**12)),
        ("1P", Fraction(10**15)),
        ("1E", Fraction(10**18)),
        ("1Ki", Fraction(1024)),
        ("1.5Gi", Fraction(3 * 2**29)),
        ("2Ti", Fraction(2**41)),
        ("1Pi", Fraction(2**50)),
        ("1Ei", Fraction(2**60)),
        ("1e3", Fraction(1000)),
        ("1E3", Fraction(1000)),
        ("12e-1", Fraction(6, 5)),
        ("+.5", Fraction(1, 2)),
        ("5.", Fraction(5)),
        ("-1.25", Fraction(-5, 4)),
        (" 4Gi ", Fraction(2**32)),
        (8, Fraction(8)),
        (0.1, Fraction(1, 10)),
        (1e21, Fraction(MAX)),
        # finer than a billionth rounds away from zero, larger than 63 bits is capped
        ("1e-12", Fraction(1, 10**9)),
        ("-0.0000000001", Fraction(-1, 10**9)),
        ("9Ei", Fraction(MAX)),
        ("1e99999999", Fraction(MAX)),
        ("-1e99999999", Fraction(-MAX)),
        ("1e-99999999", Fraction(1, 10**9)),
        ("0e99999999", Fraction(0)),
        (10**30, Fraction(MAX)),
    ],
)
def test_quantity_has_its_exact_value(text, value):
    assert parse(text) == value


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("1GB", 'did you mean "1Gi"?'),
        ("16 Gi", 'did you mean "16Gi"?'),
        ("4K", 'did you mean "4Ki"?'),
        ("2gi", 'did you mean "2Gi"?'),
        ("2 cores", 'did you mean "2"?'),
        ("1,5", "write the decimal point as ."),
        ("", "a number with an optional suffix"),
        ("abc", "a number with an optional suffix"),
        ("1e", "a number with an optional suffix"),
        ("1.2.3", "a number with an optional suffix"),
        ("٣", "a number with an optional suffix"),
        ("9" * 300, "a number with an optional suffix"),
        (True, "a number or a text"),
        (None, "a number or a text"),
        (float("nan"), "a number with an optional suffix"),
    ],
)
def test_bad_quantity_says_what_would_be_right(text, right):
    with pytest.raises(BadQuantity) as caught:
        parse(text)
    assert caught.value.right.startswith(right)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("resource", "quantity", "up", "amount"),
    [
        ("cpu", "3920m", True, 3920),
        ("cpu", 2, True, 2000),
        ("cpu", "0.1m", True, 1),
        ("cpu", "0.1m", False, 0),
        ("cpu", "1500u", True, 2),
        ("memory", "14481Mi", True, 14481 * 2**20),
        ("memory", "128m", True, 1),
        ("memory", "128m", False, 0),
        ("nvidia.com/gpu", "8", True, 8),
        ("nvidia.com/gpu", "-1.5", True, -1),
        ("nvidia.com/gpu", "-1.5", False, -2),
    ],
)
def test_units_round_requests_up_and_capacity_down(resource, quantity, up, amount):
    assert units(resource, quantity, up=up) == amount


@pytest.mark.parametrize(
    ("resource", "amount", "text"),
    [
        ("cpu", 3920, "3920m"),
        ("cpu", 4000, "4"),
        ("cpu", 4_000_000, "4k"),
        ("cpu", 0, "0"),
        ("memory", 14481 * 2**20, "14481Mi"),
        ("memory", 10**9, "1000000000"),
        ("ephemeral-storage", 2**30, "1Gi"),
        ("hugepages-2Mi", 2**21, "2Mi"),
        ("nvidia.com/gpu", 8, "8"),
        ("pods", 110, "110"),
        ("pods", -1000, "-1k"),
    ],
)
def test_render_is_canonical(resource, amount, text):
    assert render(resource, amount) == text


@given(st.sampled_from(["cpu", "memory", "pods", "nvidia.com/gpu"]), st.integers(-(2**62) // 1000, 2**62 // 1000))
def test_rendered_amounts_read_back(resource, amount):
    assert units(resource, render(resource, amount)) == amount
    assert units(resource, render(resource, amount), up=False) == amount


@given(st.decimals(-(10**9), 10**9, places=6), st.sampled_from(["", "m", "k", "M", "Ki", "Mi", "e3", "e-2"]))
def test_rounding_brackets_the_exact_value(number, suffix):
    text = f"{number:f}{suffix}"
    exact = parse(text)
    assert units("memory", text, up=False) <= exact <= units("memory", text)
    assert units("memory", text) - units("memory", text, up=False) == (exact.denominator != 1)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1h30m", 5400.0),
        ("720h", 2_592_000.0),
        ("0", 0.0),
        ("0s", 0.0),
        ("1.5s", 1.5),
        ("100ms", 0.1),
        ("2us", 2e-6),
        ("-1m", -60.0),
        ("1m30s", 90.0),
        ("30m1h", 5400.0),
        ("Never", None),
    ],
)
def test_durations(text, seconds):
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "1 h", "h", "1d", "never", "1h-30m", "1.2.3s", "2562048h"])
def test_bad_duration_raises(text):
    with pytest.raises(BadDuration):
        duration_s(text)


def test_a_number_without_unit_suggests_seconds():
    with pytest.raises(BadDuration, match='did you mean "30s"'):
        duration_ns("30")
