"""The texts of a scenario's scalars: durations, rates, shares, sizes, times. Each becomes a plain number here.

A `Unit` is both the reader and the JSON schema of a scalar, so that an editor accepts what the reader accepts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Final

from fretsaw.api.cron import schedule_problem
from fretsaw.api.resources import BadQuantity, duration_ns, units
from fretsaw.api.times import DAY, HOUR, MINUTE, SECOND, Millis, millis
from fretsaw.sim.spread import Spread

Schema = dict[str, Any]
LONGEST: Final[Millis] = 3660 * DAY
"""Ten years: longer spans are slips, and times after the year 9999 have no text."""


class BadText(ValueError):  # noqa: N818 (its readers know it by this name)
    """A scalar that is not what it should be. `what`: what it should be; `right`: an example or advice."""

    def __init__(self, what: str, right: str, path: str = "") -> None:
        super().__init__(what, right)
        self.what = what
        self.right = right
        self.path = path


class Unit:
    """One sort of scalar: how it is read, and what an editor is told of it."""

    __slots__ = ("name", "parse", "schema")

    def __init__(self, name: str, parse: Callable[[Any], Any], schema: Schema) -> None:
        self.name = name
        self.parse = parse
        """From the raw value to a number; raises BadText."""
        self.schema = schema


def _text_unit(name: str, pattern: str, example: str, convert: Callable[[re.Match[str]], Any]) -> Unit:
    """A unit whose values are texts of one pattern."""
    known = re.compile(pattern, re.ASCII)

    def parse(raw: Any) -> Any:
        match = known.fullmatch(raw) if isinstance(raw, str) else None
        if match is None:
            raise BadText(name, f"such as {example}")
        return convert(match)

    return Unit(name, parse, {"type": "string", "pattern": f"^(?:{pattern})$"})


# Durations

_DURATION = r"(?=[0-9])(?:([0-9]{1,7}(?:\.[0-9]{1,3})?)d)?((?:[0-9]{1,9}(?:\.[0-9]{1,3})?(?:h|ms|m|s))*)"


def _duration(match: re.Match[str]) -> Millis:
    days, rest = match.groups()
    total = round(float(days or 0) * DAY) + (duration_ns(rest) // 1_000_000 if rest else 0)
    if total > LONGEST:
        raise BadText("a duration of at most ten years", "such as 7d")
    return total


def _any_duration() -> Unit:
    unit = _text_unit("a duration", _DURATION, "30m, 1h30m or 7d", _duration)
    text = unit.parse

    def parse(raw: Any) -> Millis:
        if isinstance(raw, int | float) and not isinstance(raw, bool):
            if raw == 0:
                return 0
            raise BadText("a duration", f"did you mean {raw}s?")
        found: Millis = text(raw)
        return found

    return Unit(unit.name, parse, {"anyOf": [unit.schema, {"const": 0}]})


DURATION: Final = _any_duration()

# Rates, shares and sizes

_NUMBER = r"[0-9]{1,12}(?:\.[0-9]{1,9})?"
_PER: Final[dict[str, Millis]] = {"s": SECOND, "min": MINUTE, "m": MINUTE, "h": HOUR, "d": DAY}
_PER_CHANCE: Final[dict[str, Millis]] = {"h": HOUR, "d": DAY, "week": 7 * DAY, "month": 30 * DAY}
RATE: Final = _text_unit(
    "a rate",
    rf"({_NUMBER})/(s|min|m|h|d)",
    "2.5/s, 10/m or 3/h",
    lambda match: float(match[1]) / (_PER[match[2]] / SECOND),
)
HAZARD: Final = _text_unit(
    "a chance over a time",
    rf"({_NUMBER})%/(h|d|week|month)",
    "5%/h or 20%/month",
    lambda match: float(match[1]) / 100 / (_PER_CHANCE[match[2]] / HOUR),
)


def _share(raw: Any) -> float:
    if isinstance(raw, int | float) and not isinstance(raw, bool) and 0 <= raw <= 1:
        return float(raw)
    match = re.fullmatch(rf"({_NUMBER})%", raw, re.ASCII) if isinstance(raw, str) else None
    if match is None or float(match[1]) > 100:
        raise BadText("a share", "such as 5%, at most 100%")
    return float(match[1]) / 100


_PERCENT = r"^(100(\.0{1,9})?|[0-9]{1,2}(\.[0-9]{1,9})?)%$"
SHARE: Final = Unit(
    "a share",
    _share,
    {"anyOf": [{"type": "string", "pattern": _PERCENT}, {"type": "number", "minimum": 0, "maximum": 1}]},
)
_SIZE = r"([0-9]{1,15}(?:\.[0-9]{1,6})?)([kKMGT]B|[KMGT]iB|[KMGT]i|[kMGT]|B)?"


def _size(match: re.Match[str]) -> int:
    number, suffix = match.groups()
    suffix = (suffix or "").removesuffix("B")
    try:
        return units("memory", number + ("k" if suffix == "K" else suffix))
    except BadQuantity as error:  # pragma: no cover (the pattern admits no such text)
        raise BadText("a size", error.right) from error


SIZE: Final = _text_unit("a size", _SIZE, "9.35GB or 512Mi", _size)
BYTES_PER_SECOND: Final = _text_unit("a speed", _SIZE + "/s", "300MB/s", _size)

# Times


def _clock(match: re.Match[str]) -> Millis:
    return int(match[1]) * HOUR + int(match[2]) * MINUTE


CLOCK: Final = _text_unit("a time of day in UTC", r"([01][0-9]|2[0-3]):([0-5][0-9])", '"14:00"', _clock)
_LAST_START: Final = millis("9900-01-01T00:00:00Z")


def _time(raw: Any) -> Millis:
    try:
        when = millis(raw) if isinstance(raw, str) else -1
    except (ValueError, OverflowError):
        when = -1
    if not 0 <= when < _LAST_START:
        raise BadText("a time", "such as 2026-01-05T00:00:00Z")
    return when


TIME: Final = Unit("a time", _time, {"type": "string", "format": "date-time"})


def _cron(raw: Any) -> str:
    why = schedule_problem(raw) if isinstance(raw, str) else "no text"
    if why is not None:
        raise BadText("a schedule", f'such as "0 22 * * *"; {why}')
    return str(raw)


CRON: Final = Unit("a schedule", _cron, {"type": "string"})

# Spreads


def _spread(raw: Any) -> Spread:
    if not isinstance(raw, dict):
        return Spread.fixed(DURATION.parse(raw))
    if set(raw) == {"mean"}:
        mean = _part(raw, "mean")
        return Spread(mean, mean, mean, mean)
    if set(raw) - {"low", "typical", "high"} or not {"low", "high"} <= set(raw):
        raise BadText("a duration, {low, typical, high} or {mean}", "such as {low: 1m, typical: 2m, high: 5m}")
    low, high = _part(raw, "low"), _part(raw, "high")
    typical = _part(raw, "typical") if "typical" in raw else (low + high) // 2
    if not low <= typical <= high:
        raise BadText("a spread with low <= typical <= high", "such as {low: 1m, typical: 2m, high: 5m}")
    return Spread(low, typical, high)


def _part(raw: dict[str, Any], key: str) -> Millis:
    try:
        found: Millis = DURATION.parse(raw[key])
    except BadText as error:
        raise BadText(error.what, error.right, f".{key}") from error
    return found


SPREAD: Final = Unit(
    "a duration or a spread",
    _spread,
    {
        "anyOf": [
            *DURATION.schema["anyOf"],
            {
                "type": "object",
                "properties": dict.fromkeys(("low", "typical", "high"), DURATION.schema),
                "required": ["low", "high"],
                "additionalProperties": False,
            },
            {
                "type": "object",
                "properties": {"mean": DURATION.schema},
                "required": ["mean"],
                "additionalProperties": False,
            },
        ]
    },
)

# Lists that may be one text


def _texts(raw: Any) -> tuple[str, ...]:
    found = [raw] if isinstance(raw, str) else raw
    if not isinstance(found, list) or not all(isinstance(item, str) and item for item in found) or not found:
        raise BadText("a text or a list of texts", "such as g5.* or [g5.*, g6.*]")
    return tuple(found)


TEXTS: Final = Unit(
    "a text or a list of texts",
    _texts,
    {
        "anyOf": [
            {"type": "string", "minLength": 1},
            {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
        ]
    },
)


def _object(raw: Any) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise BadText("a Kubernetes object", "a map with apiVersion and kind")
    return raw


OBJECT: Final = Unit("a Kubernetes object", _object, {"type": "object"})

Duration = Annotated[Millis, DURATION]
"""A span of time, or a point in it counted from the scenario's start."""
Rate = Annotated[float, RATE]
"""Events a second."""
Hazard = Annotated[float, HAZARD]
"""Chance an hour."""
Share = Annotated[float, SHARE]
"""0 to 1."""
Size = Annotated[int, SIZE]
"""Bytes."""
Speed = Annotated[int, BYTES_PER_SECOND]
"""Bytes a second."""
Clock = Annotated[Millis, CLOCK]
"""Milliseconds after midnight, UTC."""
Time = Annotated[Millis, TIME]
"""A point in time."""
Cron = Annotated[str, CRON]
"""Five fields, UTC."""
Spreads = Annotated[Spread, SPREAD]
"""A time, or a distribution of times."""
Texts = Annotated[tuple[str, ...], TEXTS]
"""One text or several; where names are meant, `*` stands for any part."""
AnyObject = Annotated[dict[str, Any], OBJECT]
"""A Kubernetes object as it stands in a manifest."""
