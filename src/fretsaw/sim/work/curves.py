"""The load of a service over time: constant for a minute at a time, so that asking often costs nothing."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path
from typing import Final

from fretsaw.api.times import DAY, MINUTE, Millis
from fretsaw.sim.scenario.model import Load
from fretsaw.sim.work.traces.requests import curve

Profile = Callable[[Millis], float]
"""Requests a second at a time after the start."""
_SATURDAY: Final = 5


class LoadCurve:
    """The rate of a load. start: when the scenario begins; folder: where its recordings are."""

    def __init__(self, load: Load, start: Millis, folder: Path = Path()) -> None:
        self._profile = _profile(load, start, folder)
        self._surges = tuple((surge.at, surge.at + surge.for_, surge.times) for surge in load.surges)
        self._start = start
        self._minute = -1
        self._rate = 0.0

    def rate(self, now: Millis) -> float:
        """Requests a second: those of the minute that `now` is in, counted from the start."""
        minute = (now - self._start) // MINUTE
        if minute != self._minute:
            self._minute, self._rate = minute, self._at(minute * MINUTE)
        return self._rate

    def _at(self, when: Millis) -> float:
        rate = self._profile(when)
        for begin, end, times in self._surges:
            if begin <= when < end:
                rate *= times
        return rate


def _profile(load: Load, start: Millis, folder: Path) -> Profile:
    if load.shape == "trace" and load.trace is not None:
        recorded, repeat = curve(load.trace, folder / load.trace.file), load.trace.repeat
        return lambda when: recorded.at(when, repeat=repeat)
    if load.shape == "steps":
        return _steps(load)
    if load.shape == "day-night":
        return lambda when: _day_night(load, start + when)
    return lambda when: load.rate or 0.0


def _day_night(load: Load, when: Millis) -> float:
    """A cosine with its top at the peak: smooth, and back at the same rate every day."""
    low, high = load.low or 0.0, load.high or 0.0
    rate = low + (high - low) * (1 + math.cos(2 * math.pi * (when - load.peak) / DAY)) / 2
    # 1970-01-01 was a Thursday.
    return rate * load.weekend if (when // DAY + 3) % 7 >= _SATURDAY else rate


def _steps(load: Load) -> Profile:
    """The rate of the last step that has come; before the first, nothing, or in later rounds the last one's rate."""
    times = [step.at for step in load.steps]

    def at(when: Millis) -> float:
        if load.repeat and when >= load.repeat:
            return load.steps[bisect_right(times, when % load.repeat) - 1].rate
        index = bisect_right(times, when) - 1
        return load.steps[index].rate if index >= 0 else 0.0

    return at
