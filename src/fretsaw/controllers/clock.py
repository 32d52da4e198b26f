"""A clock that does not go back.

The engine reckons with spans of time: a clock that is set back by an hour must not hold everything up for that hour.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from fretsaw.api.times import SECOND, Millis

FORWARD: Millis = 2 * SECOND
"""A step forward of more than this is followed at once."""
SLOWED = 2
"""While the clock is ahead of the time of day it runs slower by this factor."""


class SteadyClock:
    """The time of day, followed when it steps forward; when it steps back, time goes on at half the speed until both
    agree again. Implements `ports.Clock`."""

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        """wall, steady: seconds, of the time of day and of a clock that nobody sets."""
        self._wall, self._steady = wall, steady
        self._now = round(wall() * 1000)
        self._at = steady()

    def now(self) -> Millis:
        """See ports.Clock. It never goes back."""
        at, wall = self._steady(), round(self._wall() * 1000)
        passed = round((at - self._at) * 1000)
        ahead = self._now + passed - wall
        if passed > 0:
            if ahead < -FORWARD or -FORWARD <= ahead <= 0 or ahead <= passed:
                self._now = max(self._now, wall)
            else:
                self._now += passed // SLOWED
            self._at = at
        return self._now
