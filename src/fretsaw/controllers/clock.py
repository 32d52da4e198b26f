"""A clock that does not go back, and does not run ahead of the API server's.

The engine reckons with spans of time: a clock that is set back by an hour must not hold everything up for that hour.
Many spans begin with a time that the API server has written, such as an object's creation. To be behind it delays
things; to be ahead of it makes every new node look too old, ends it, and orders the next one. So of two clocks that
disagree the slower one counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

from fretsaw.api.times import Millis

SLOWED = 2
"""While the clock is ahead of the time of day it runs slower by this factor."""
WHOLE_S = 1.0
"""A Date header leaves out the part of a second: the server's clock may be so much further."""


class SteadyClock:
    """The time of day, followed at once when it steps forward; when it steps back, time goes on at half the speed until
    both agree again. Implements `ports.Clock`."""

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        """wall, steady: seconds, of the time of day and of a clock that nobody sets."""
        self._wall, self._steady = wall, steady
        self._now_s = 0.0
        """Not in whole milliseconds: of many short spans the rests add up. Nobody has been told a time yet."""
        self._at_s = steady()
        self._lead_s: float | None = None
        """The server's clock is ahead of the steady one by less than this; None before it was heard."""

    def heard(self, date: str, took_s: float) -> None:
        """The API server has dated an answer. took_s: seconds since it was asked, at most so old is the date.

        A date that cannot be read says nothing.
        """
        try:
            date_s = parsedate_to_datetime(date).timestamp()
        except ValueError:
            return
        self._lead_s = date_s + WHOLE_S + took_s - self._steady()

    def now(self) -> Millis:
        """See ports.Clock. It never goes back."""
        at_s = self._steady()
        passed_s, self._at_s = max(0.0, at_s - self._at_s), at_s
        wall_s = self._wall() if self._lead_s is None else min(self._wall(), at_s + self._lead_s)
        self._now_s = max(wall_s, self._now_s + passed_s / SLOWED)
        return int(self._now_s * 1000)
