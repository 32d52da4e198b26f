"""What an offering costs at which time: constant, by the hour, or in steps.

A spot price goes its way per type and zone whether anything runs there or not; prices are whole nano-USD an hour, and
sums of price × milliseconds stay exact integers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Protocol

from fretsaw.api.times import HOUR, Millis
from fretsaw.engine.universe import nano_usd
from fretsaw.sim.cloud.settings import PriceStep, SpotPath
from fretsaw.sim.dice import Dice


class Rate(Protocol):
    """A price over time."""

    def at(self, when: Millis) -> int:
        """Nano-USD an hour then."""

    def integral(self, begin: Millis, end: Millis) -> int:
        """Price × milliseconds of the time between; an hour's price divided by HOUR is nano-USD."""


class Constant:
    """Always the same price."""

    __slots__ = ("_price",)

    def __init__(self, price: int) -> None:
        self._price = price

    def at(self, when: Millis) -> int:
        """Nano-USD an hour."""
        return self._price

    def integral(self, begin: Millis, end: Millis) -> int:
        """Price × milliseconds."""
        return self._price * max(end - begin, 0)


MILLIONTHS = 1_000_000


class Stepped:
    """A price that is another one from given times on."""

    def __init__(self, plain: Rate, steps: Iterable[PriceStep]) -> None:
        self._plain = plain
        self._steps = sorted(steps, key=lambda step: step.at)

    def at(self, when: Millis) -> int:
        """Nano-USD an hour then."""
        step = next((step for step in reversed(self._steps) if step.at <= when), None)
        return self._plain.at(when) if step is None else _at(step, self._plain, when)

    def integral(self, begin: Millis, end: Millis) -> int:
        """Price × milliseconds of the time between."""
        marks = [begin, *(step.at for step in self._steps if begin < step.at < end), end]
        return sum(self._even(low, high) for low, high in pairwise(marks)) if end > begin else 0

    def _even(self, low: Millis, high: Millis) -> int:
        """Of a time in which no step begins."""
        step = next((step for step in reversed(self._steps) if step.at <= low), None)
        if step is None:
            return self._plain.integral(low, high)
        if step.usd_per_hour is not None:
            return _at(step, self._plain, low) * (high - low)
        return sum(
            _at(step, self._plain, max(low, hour)) * (min(high, hour + HOUR) - max(low, hour))
            for hour in range(low // HOUR * HOUR, high, HOUR)
        )


def _at(step: PriceStep, plain: Rate, when: Millis) -> int:
    if step.usd_per_hour is not None:
        return nano_usd(step.usd_per_hour)
    times = 1.0 if step.times is None else step.times
    return plain.at(when) * round(times * MILLIONTHS) // MILLIONTHS


class Path:
    """A spot price: mean-reverting in its logarithm around `base`, a new one each full hour, at most `cap`."""

    def __init__(self, dice: Dice, where: tuple[str, str], start: Millis, base: int, cap: int, way: SpotPath) -> None:
        self._random = dice.once("spot-price", *where)
        self._first = start // HOUR
        self._base = base
        self._cap = max(cap, base)
        self._way = way
        kept = 1 - way.reversion
        self._variance = way.volatility**2 / (1 - kept**2) if abs(kept) < 1 else way.volatility**2
        self._deviations = [self._random.gauss(0.0, math.sqrt(self._variance))]
        self._sums = [0]
        """Sum of the prices of all hours before each hour; made only where something is billed."""

    def _price(self, hour: int) -> int:
        deviations, way = self._deviations, self._way
        while len(deviations) <= hour:
            deviations.append(deviations[-1] * (1 - way.reversion) + self._random.gauss(0.0, way.volatility))
        # Less half the variance, so that the mean is the catalog's price and not the median.
        price = round(self._base * math.exp(deviations[hour] - self._variance / 2))
        return max(1, min(self._cap, price))

    def at(self, when: Millis) -> int:
        """Nano-USD an hour then; before the run as at its start."""
        return self._price(max(when // HOUR - self._first, 0))

    def integral(self, begin: Millis, end: Millis) -> int:
        """Price × milliseconds of the time between, which is within the run."""
        return self._before(end) - self._before(begin) if end > begin else 0

    def _before(self, when: Millis) -> int:
        hour, into = divmod(when - self._first * HOUR, HOUR)
        while len(self._sums) <= hour:
            self._sums.append(self._sums[-1] + self._price(len(self._sums) - 1))
        return self._sums[hour] * HOUR + self._price(hour) * into
