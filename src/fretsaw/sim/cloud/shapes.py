"""Recorded preemptions as a shape: gaps between bursts, and the share of the fleet that each burst took.

Reads the three layouts of the Bamboo traces (Thorpe et al., "Bamboo: Making Preemptible Instances Resilient for
Affordable Training of Large DNNs", NSDI 2023; github.com/uclasystem/bamboo, MIT). Nothing of them ships with Fretsaw:
a scenario names its own copy.

    milliseconds,add|remove,node     events; removals of one moment are one burst
    hours,count                      a step function of how many ran
    date, time, count                about once a minute; where the clock goes back, another log begins
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby, pairwise
from pathlib import Path

from fretsaw.api.times import HOUR, Millis
from fretsaw.errors import UserError
from fretsaw.sim.cloud.settings import Replay

Drop = tuple[Millis, float]
"""(when, share of those that ran)."""


def read_shape(path: str | Path, **more: object) -> Replay:
    """The shape of a trace file, with further fields of Replay. Raises UserError where the file is not one of them."""
    lines = _lines(path)
    try:
        drops = list(_drops([line.replace(" ", "").split(",") for line in lines]))
    except ValueError as error:
        right = "rows are `ms,add|remove,node`, `hours,count` or `date, time, count`"
        raise UserError(str(path), "is no trace of preemptions", str(error), right) from error
    if not drops:
        raise UserError(str(path), "has no preemption in it")
    times = [0, *(when for when, _ in drops)]
    gaps = tuple(after - before for before, after in pairwise(times))
    return Replay(gaps=gaps, shares=tuple(share for _, share in drops), **more)  # type: ignore[arg-type]


def _lines(path: str | Path) -> list[str]:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(str(path), "cannot be read", str(error)) from error
    return [line for line in text.splitlines() if line.strip()]


def _drops(rows: list[list[str]]) -> Iterator[Drop]:
    if rows and len(rows[0]) == 2:
        return _of_counts([(round(float(hours) * HOUR), int(count)) for hours, count in rows])
    if rows and rows[0][0].isdigit():
        return _of_events([(int(when), what) for when, what, _ in rows])
    return _of_logs(rows)


def _of_events(events: list[tuple[Millis, str]]) -> Iterator[Drop]:
    """Bursts of `add` and `remove` events; the share is of those that were up before the moment."""
    up = 0
    unknown = sorted({what for _, what in events} - {"add", "remove"})
    if unknown:
        raise ValueError(f"unknown event {unknown[0]!r}")
    for when, group in groupby(events, key=lambda event: event[0]):
        now = [what for _, what in group]
        removed = now.count("remove")
        if removed and up:
            yield when, min(removed / up, 1.0)
        up += len(now) - 2 * removed


def _of_counts(counts: list[tuple[Millis, int]]) -> Iterator[Drop]:
    for (_, before), (when, now) in pairwise(counts):
        if now < before:
            yield when, (before - now) / before


def _of_logs(rows: list[list[str]]) -> Iterator[Drop]:
    """One log after the other, each from where the one before ended."""
    ended: Millis = 0
    for log in _logs([(_stamp(day, time), int(count)) for day, time, count in rows]):
        yield from _of_counts([(ended + when - log[0][0], count) for when, count in log])
        ended += log[-1][0] - log[0][0]


def _logs(samples: list[tuple[Millis, int]]) -> Iterator[list[tuple[Millis, int]]]:
    """The samples, cut where the clock goes back."""
    log: list[tuple[Millis, int]] = []
    for sample in samples:
        if log and sample[0] < log[-1][0]:
            yield log
            log = []
        log.append(sample)
    if log:
        yield log


def _stamp(day: str, time: str) -> Millis:
    return round(datetime.fromisoformat(f"{day}T{time}").replace(tzinfo=UTC).timestamp() * 1000)
