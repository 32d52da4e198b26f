"""A clock that does not go back.

The engine reckons with spans of time: a clock that is set back by an hour must not hold everything up for that hour.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from fretsaw.api.times import Millis

SLOWED = 2
"""While the clock is ahead of the time of day it runs slower by this factor."""


class SteadyClock:
    """The time of day, followed at once when it steps forward; when it steps back, time goes on at half the speed until
    both agree again. Implements `ports.Clock`."""

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        """wall, steady: seconds, of the time of day and of a clock that nobody sets."""
        self._wall, self._steady = wall, steady
        self._now_s = wall()
        """Not in whole milliseconds: of many short spans the rests add up."""
        self._at_s = steady()

    def now(self) -> Millis:
        """See ports.Clock. It never goes back."""
        at_s = self._steady()
        passed_s, self._at_s = max(0.0, at_s - self._at_s), at_s
        self._now_s = max(self._wall(), self._now_s + passed_s / SLOWED)
        return int(self._now_s * 1000)
