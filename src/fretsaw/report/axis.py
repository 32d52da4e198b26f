"""Where the marks of an axis stand: round numbers for values, midnights and full hours for time."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fretsaw.report.words import Calendar

HOUR, DAY = 3600, 86400
STEPS = (60, 300, 900, 1800, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 28 * DAY, 91 * DAY, 364 * DAY)
MOST = 9
"""Marks on the time axis at most: what fits a narrow window with every second label left out."""


@dataclass(frozen=True)
class Tick:
    """A mark: its place (0 to 1 of the axis) and its label."""

    at: float
    label: str


def time_ticks(calendar: Calendar, seconds: float) -> list[Tick]:
    """Marks on round times of UTC days, from the start of the run to its end."""
    if seconds <= 0:
        return []
    step = next((step for step in STEPS if seconds / step <= MOST), STEPS[-1])
    begin = calendar.start.timestamp()
    # Epoch days begin at midnight UTC, so multiples of a step that divides a day are round times.
    first = math.ceil(begin / step) * step - begin
    if step > DAY:
        first = math.ceil(begin / DAY) * DAY - begin
    marks = []
    at = first
    while at < seconds * 0.995:
        marks.append(Tick(at / seconds, _label(calendar, at, step)))
        at += step
    return marks


def _label(calendar: Calendar, at: float, step: float) -> str:
    when = calendar.at(at)
    if step >= DAY or (when.hour, when.minute) == (0, 0):
        return calendar.day(at)
    return calendar.clock(at)


def value_top(most: float) -> float:
    """The round number at or above `most` where an axis from zero ends; 1 where all is zero."""
    if most <= 0:
        return 1.0
    step = nice(most / 4)
    return step * math.ceil(round(most / step, 9))


def value_ticks(top: float, whole: bool = False) -> list[float]:
    """Marks from zero to `top`, three to six of them. whole: no fractions."""
    step = nice(top / 5)
    if whole:
        step = max(1.0, step)
    count = math.floor(round(top / step, 9))
    return [round(i * step, 10) for i in range(count + 1)]


def nice(size: float) -> float:
    """1, 2, 2.5 or 5 times a power of ten: the least that is not below `size`."""
    power = 10.0 ** math.floor(math.log10(size))
    return next((m * power for m in (1.0, 2.0, 2.5, 5.0) if m * power >= size * (1 - 1e-9)), 10 * power)
