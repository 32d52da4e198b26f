"""A budget's schedule: whether controllers can read it, when it fires next, and whether a window of it is open.

All in UTC. Source: robfig/cron v3 ParseStandard, which Karpenter v1.14 asks with `TZ=UTC ` put in front of the text:
five fields or a descriptor; Sunday is 0 only; `?` means the same as `*`.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Final, NamedTuple

from fretsaw.api.labels import as_int64
from fretsaw.api.resources import NANO, BadDuration, duration_ns
from fretsaw.api.times import DAY, MINUTE, SECOND, Millis

_DESCRIPTORS: Final = frozenset({"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"})
_FULL: Final = {
    **dict.fromkeys(("@yearly", "@annually"), "0 0 1 1 *"),
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    **dict.fromkeys(("@daily", "@midnight"), "0 0 * * *"),
    "@hourly": "0 * * * *",
}
"""What the descriptors stand for."""
_HORIZON_YEARS: Final = 5
"""A schedule that does not fire within so many calendar years counts as one that never does."""
_MOST_HITS: Final = 1000
"""Firings that a search for the end of overlapping windows looks at before it settles for a time before the end."""
_MONTHS: Final = dict(zip("jan feb mar apr may jun jul aug sep oct nov dec".split(), range(1, 13), strict=True))  # noqa: SIM905
_DAYS: Final = dict(zip("sun mon tue wed thu fri sat".split(), range(7), strict=True))  # noqa: SIM905 (reads better)
_FIELDS: Final[tuple[tuple[str, int, int, dict[str, int]], ...]] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 6, _DAYS),
)


def schedule_problem(text: str) -> str | None:
    """Why a schedule cannot be read, or None when it can."""
    body = text.strip()
    if body.startswith("@"):
        return _descriptor_problem(body)
    fields = body.split()
    if len(fields) != len(_FIELDS):
        return f"{len(fields)} fields where minute, hour, day of month, month and day of week are expected"
    for field, (name, low, high, names) in zip(fields, _FIELDS, strict=True):
        for part in filter(None, field.split(",")):
            if (why := _part_problem(part, low, high, names)) is not None:
                return f'{name} "{field}": {why}'
    return None


def _descriptor_problem(text: str) -> str | None:
    if text in _DESCRIPTORS:
        return None
    if text.startswith("@every "):
        try:
            duration_ns(text.removeprefix("@every "))
        except BadDuration as error:
            return str(error)
        return None
    return f"unknown descriptor (known: {', '.join(sorted(_DESCRIPTORS))})"


def _part_problem(part: str, low: int, high: int, names: dict[str, int]) -> str | None:
    """One range with an optional step: `*`, `5`, `1-5`, `*/15`, `8-18/2`, `mon-fri`."""
    bounds, *steps = part.split("/")
    ends = bounds.split("-")
    if len(steps) > 1 or (len(ends) > 2 and ends[0] not in ("*", "?")):
        return f'"{part}" is no range'
    begin, end = low, high
    if ends[0] not in ("*", "?"):
        numbers = [_number(end_text, names) for end_text in ends]
        if (wrong := next((t for t, n in zip(ends, numbers, strict=True) if n is None), None)) is not None:
            return f'"{wrong}" is no number' + (f" and none of {', '.join(names)}" if names else "")
        known = [number for number in numbers if number is not None]
        begin, end = known[0], (high if steps and len(ends) == 1 else known[-1])
    if steps and not _number(steps[0], {}):
        return f'"{steps[0]}" is no step'
    if begin < low or end > high:
        return f"{begin if begin < low else end} is not within {low} and {high}"
    return f"{begin} is after {end}" if begin > end else None


def _number(text: str, names: dict[str, int]) -> int | None:
    number = names.get(text.lower())
    number = as_int64(text) if number is None else number
    return None if number is None or number < 0 else number


class _Times(NamedTuple):
    """A schedule as sorted minutes of the day, and sets of days."""

    minutes: tuple[int, ...]
    doms: frozenset[int]
    months: frozenset[int]
    dows: frozenset[int]
    both_days: bool
    """Whether day of month and day of week both have to fit: one of them is a star."""

    def fits(self, day: date) -> bool:
        """Whether the schedule fires on that day of one of its months."""
        by_month, by_week = day.day in self.doms, day.isoweekday() % 7 in self.dows
        return (by_month and by_week) if self.both_days else (by_month or by_week)


def next_after(schedule: str, when: Millis) -> Millis | None:
    """The first firing strictly after `when`, None where there is none within five calendar years.

    `@every 90m` has no firings of its own: it fires that long after whatever time it is asked for, in whole seconds.
    Raises ValueError for a schedule that cannot be read.
    Source: robfig/cron v3 spec.go (Next), constantdelay.go.
    """
    times = _parsed(schedule)
    if isinstance(times, int):
        return when + times - when % SECOND
    earliest = when - when % SECOND + SECOND
    for day in _days(times, earliest):
        start = _midnight(day)
        for minute in times.minutes:
            if start + minute * MINUTE >= earliest:
                return start + minute * MINUTE
    return None


def window_is_open(schedule: str, duration: Millis, now: Millis) -> bool:
    """Whether a window of `duration` from some firing holds now: from the firing on, its end excluded.

    A schedule that never fires counts as open, as with the peer, whose next time is then the zero time, which is past.
    Raises ValueError for a schedule that cannot be read. Source: Karpenter v1.14 pkg/apis/v1 nodepool.go (IsActive).
    """
    hit = next_after(schedule, now - duration)
    return hit is None or hit <= now


def next_change(schedule: str, duration: Millis, now: Millis) -> Millis | None:
    """When `window_is_open` changes next, or a time before that to ask again; None where it stays as it is.

    Overlapping windows are one. Raises ValueError for a schedule that cannot be read.
    """
    hit = next_after(schedule, now - duration)
    if hit is None or isinstance(_parsed(schedule), int):
        return None
    if hit > now:
        return hit if duration > 0 else None
    for _ in range(_MOST_HITS):
        following = next_after(schedule, hit)
        if following is None or following > hit + duration:
            break
        hit = following
    return hit + duration


@lru_cache(maxsize=1024)
def _parsed(schedule: str) -> _Times | Millis:
    """The schedule as times, or as the delay of an `@every`."""
    if (why := schedule_problem(schedule)) is not None:
        raise ValueError(f"not a schedule: {schedule!r} ({why})")
    body = schedule.strip()
    if body.startswith("@every "):
        return max(duration_ns(body.removeprefix("@every ")) // NANO, 1) * SECOND
    fields = _FULL.get(body, body).split()
    minutes, hours, doms, months, dows = (_values(f, bounds) for f, bounds in zip(fields, _FIELDS, strict=True))
    return _Times(
        minutes=tuple(h * 60 + m for h in sorted(hours) for m in sorted(minutes)),
        doms=doms,
        months=months,
        dows=dows,
        both_days=_has_star(fields[2]) or _has_star(fields[4]),
    )


def _values(field: str, bounds: tuple[str, int, int, dict[str, int]]) -> frozenset[int]:
    return frozenset(n for part in field.split(",") if part for n in _range(part, *bounds[1:]))


def _range(part: str, low: int, high: int, names: dict[str, int]) -> range:
    ends, _, step_text = part.partition("/")
    step = int(step_text or 1)
    if ends.split("-")[0] in ("*", "?"):
        return range(low, high + 1, step)
    first, dash, last = ends.partition("-")
    begin = _number(first, names) or 0
    end = (_number(last, names) or 0) if dash else high if step_text else begin
    return range(begin, end + 1, step)


def _has_star(field: str) -> bool:
    """Whether a part of the field stands for every day; `*/2` does not, `*/1` does."""
    parts = (part.partition("/") for part in field.split(",") if part)
    return any(ends.split("-")[0] in ("*", "?") and int(step or 1) <= 1 for ends, _, step in parts)


def _days(times: _Times, earliest: Millis) -> Iterator[date]:
    """The days on which the schedule fires, from that of `earliest` on, up to the horizon."""
    first = datetime.fromtimestamp(earliest // SECOND, UTC).date()
    for year in range(first.year, min(first.year + _HORIZON_YEARS, date.max.year) + 1):
        for month in sorted(times.months):
            if (year, month) < (first.year, first.month):
                continue
            for day in range(1, monthrange(year, month)[1] + 1):
                found = date(year, month, day)
                if found >= first and times.fits(found):
                    yield found


def _midnight(day: date) -> Millis:
    return (day.toordinal() - date(1970, 1, 1).toordinal()) * DAY
