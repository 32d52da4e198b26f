"""Means and paired differences by hand, and how often an interval holds the truth."""

from __future__ import annotations

from random import Random

import pytest

from fretsaw.sim.many.intervals import Interval, Pair, interval, paired


def test_a_paired_difference_by_hand() -> None:
    """Differences 1, 2, 0, 2: mean 1.25, sum of squares 2.75, deviation sqrt(2.75/3), t(0.975, 3) = 3.182446."""
    found = paired([10, 12, 11, 13], [11, 14, 11, 15])
    half = 3.182446 * (2.75 / 3) ** 0.5 / 2
    assert (found.a, found.b, found.difference.mean) == (11.5, 12.75, 1.25)
    assert found.difference.low == pytest.approx(1.25 - half, abs=1e-6)
    assert found.difference.high == pytest.approx(1.25 + half, abs=1e-6)
    assert found.relative == pytest.approx(1.25 / 11.5)
    assert not found.difference.clear  # -0.27 to 2.77


def test_a_clear_difference_by_hand() -> None:
    """Differences 2, 3, 4: mean 3, deviation 1, t(0.975, 2) = 4.302653."""
    found = paired([100, 50, 10], [102, 53, 14]).difference
    assert found.low == pytest.approx(3 - 4.302653 / 3**0.5, abs=1e-6)
    assert found.clear
    assert paired([102, 53, 14], [100, 50, 10]).difference.clear


def test_what_both_runs_of_a_pair_share_cancels_out() -> None:
    a, b = [100, 50, 10], [102, 53, 14]
    alone = interval(b).half
    together = paired(a, b).difference.half
    assert alone is not None
    assert together is not None
    assert together < alone / 20


@pytest.mark.parametrize("value", [0.1, 1e9 + 0.3])
def test_equal_differences_leave_no_doubt(value: float) -> None:
    found = paired([0.0] * 7, [value] * 7)
    assert found == Pair(0.0, value, Interval(value, value, value))
    assert found.difference.clear
    assert found.relative is None  # of nothing


def test_no_difference_is_none() -> None:
    found = paired([0.0, 0.0], [0.0, 0.0])
    assert not found.difference.clear
    assert found.relative == 0


def test_one_value_has_no_interval_and_none_no_mean() -> None:
    assert interval([3.5]) == Interval(3.5, None, None)
    assert not interval([3.5]).clear
    assert interval([3.5]).half is None
    with pytest.raises(ValueError, match="no values"):
        interval([])
    with pytest.raises(ValueError, match="shorter"):
        paired([1, 2], [1])


@pytest.mark.parametrize("size", [2, 5, 20])
def test_the_interval_holds_the_truth_in_95_of_100_cases(size: int) -> None:
    random = Random(size)
    held = 0
    for _ in range(2000):
        found = interval([random.gauss(3, 2) for _ in range(size)])
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 3 <= found.high
    assert 0.935 < held / 2000 < 0.965  # three deviations of such a share
