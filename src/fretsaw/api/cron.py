"""Whether a budget's schedule is one that controllers can read.

Source: robfig/cron v3 ParseStandard, which Karpenter v1.14 asks with `TZ=UTC ` put in front of the text: five fields or
a descriptor; Sunday is 0 only; `?` means the same as `*`.
"""

from __future__ import annotations

from typing import Final

from fretsaw.api.labels import as_int64
from fretsaw.api.resources import BadDuration, duration_ns

_DESCRIPTORS: Final = frozenset({"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"})
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
