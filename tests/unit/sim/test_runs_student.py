"""Quantiles of Student's t against printed tables, closed forms and the distribution's own laws."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fretsaw.sim.many.student import quantile, within

# Source: NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2, critical values of Student's t distribution.
TABLE = {
    0.95: {1: 6.314, 2: 2.920, 3: 2.353, 4: 2.132, 5: 2.015, 10: 1.812, 19: 1.729, 30: 1.697, 100: 1.660},
    0.975: {
        1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228,
        11: 2.201, 15: 2.131, 19: 2.093, 20: 2.086, 29: 2.045, 30: 2.042, 40: 2.021, 60: 2.000, 100: 1.984,
    },
    0.995: {1: 63.657, 2: 9.925, 3: 5.841, 4: 4.604, 5: 4.032, 10: 3.169, 19: 2.861, 30: 2.750, 100: 2.626},
}  # fmt: skip


@pytest.mark.parametrize(
    ("share", "freedom", "value"), [(share, n, value) for share, row in TABLE.items() for n, value in row.items()]
)
def test_the_printed_table(share: float, freedom: int, value: float) -> None:
    assert quantile(share, freedom) == pytest.approx(value, abs=0.00051)


@given(st.floats(0.001, 0.999))
def test_one_and_two_degrees_have_formulas(share: float) -> None:
    middle = 2 * share - 1
    assert quantile(share, 1) == pytest.approx(math.tan(math.pi * middle / 2), rel=1e-9, abs=1e-9)
    assert quantile(share, 2) == pytest.approx(middle * math.sqrt(2 / (1 - middle * middle)), rel=1e-9, abs=1e-9)


@given(st.floats(0.5001, 0.9999), st.integers(1, 200))
def test_the_quantile_is_where_the_share_lies(share: float, freedom: int) -> None:
    found = quantile(share, freedom)
    assert within(math.atan(found / math.sqrt(freedom)), freedom) == pytest.approx(2 * share - 1, abs=1e-12)
    assert quantile(1 - share, freedom) == pytest.approx(-found, rel=1e-9)


def test_more_degrees_need_less_and_many_come_to_the_normal_distribution() -> None:
    found = [quantile(0.975, freedom) for freedom in range(1, 200)]
    assert found == sorted(found, reverse=True)
    assert quantile(0.975, 5000) == pytest.approx(1.959964, abs=0.0005)
    assert quantile(0.5, 7) == 0


@pytest.mark.parametrize(("share", "freedom"), [(0, 5), (1, 5), (0.9, 0), (float("nan"), 3)])
def test_what_is_no_share_or_has_no_freedom_is_refused(share: float, freedom: int) -> None:
    with pytest.raises(ValueError, match="no quantile"):
        quantile(share, freedom)
