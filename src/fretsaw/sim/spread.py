"""How long something takes: a fixed time, or a distribution to draw from."""

from __future__ import annotations

from random import Random

import msgspec

from fretsaw.api.times import Millis


class Spread(msgspec.Struct, frozen=True):
    """A triangular distribution between `low` and `high` with the peak at `typical`; all equal: a fixed time.

    With `mean` set, an exponential distribution with that mean instead.
    """

    low: Millis
    typical: Millis
    high: Millis
    mean: Millis | None = None

    @classmethod
    def fixed(cls, time: Millis) -> Spread:
        """Always the same time."""
        return cls(time, time, time)

    def draw(self, random: Random) -> Millis:
        """One time, whole milliseconds."""
        if self.mean is not None:
            return round(random.expovariate(1 / self.mean)) if self.mean else 0
        if self.low == self.high:
            return self.low
        return round(random.triangular(self.low, self.high, self.typical))
