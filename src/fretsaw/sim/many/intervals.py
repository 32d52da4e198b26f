"""Means with the interval that chance leaves them, of single samples and of pairs that met the same chance."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import msgspec

from fretsaw.sim.many.student import quantile

LEVEL = 0.95


class Interval(msgspec.Struct, frozen=True):
    """A mean, and where the true one lies in 95 of 100 cases; no ends for a single value."""

    mean: float
    low: float | None
    high: float | None

    @property
    def clear(self) -> bool:
        """Whether it leaves out zero. A mean without ends is never clear."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)

    @property
    def half(self) -> float | None:
        """From the mean to either end."""
        return None if self.high is None else self.high - self.mean


class Pair(msgspec.Struct, frozen=True):
    """Two samples whose values belong together one by one."""

    a: float
    """Mean of the first."""
    b: float
    difference: Interval
    """Of b from a."""

    @property
    def relative(self) -> float | None:
        """The difference as a share of a; None where a is zero and b is not."""
        if not self.difference.mean:
            return 0.0
        return self.difference.mean / abs(self.a) if self.a else None


def interval(values: Sequence[float], level: float = LEVEL) -> Interval:
    """The mean of independent values, with its confidence interval by Student's t. Raises ValueError for no value."""
    if not values:
        raise ValueError("no values")
    mean = statistics.mean(values)
    if len(values) == 1:
        return Interval(mean, None, None)
    # Exact sums: values that are all equal have no spread at all, and not a rounding's worth of it.
    half = quantile((1 + level) / 2, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half)


def paired(a: Sequence[float], b: Sequence[float], level: float = LEVEL) -> Pair:
    """Both means, and the interval of the mean of the differences.

    What a seed does to both runs of a pair cancels out in its difference, so this is far narrower than the distance
    of two independent samples. Raises ValueError for samples of different lengths, or of none.
    """
    differences = [second - first for first, second in zip(a, b, strict=True)]
    found = interval(differences, level)
    return Pair(statistics.mean(a), statistics.mean(b), found)
