"""Option values that click does not read by itself, as callbacks of options."""

from __future__ import annotations

import re

import click

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}


def duration(_context: click.Context | None, _parameter: click.Parameter | None, value: str) -> float:
    """Seconds of `2s`, `500ms`, `1m`, or of plain seconds. Raises BadParameter with examples of what would be right."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)?", value)
    if match is None:
        raise click.BadParameter(f"not a duration: {value!r} (such as 2s, 500ms or 1m)")
    return float(match[1]) * _SECONDS[match[2]]


def dollars(_context: click.Context | None, _parameter: click.Parameter | None, value: str) -> int:
    """Nano-USD of `0.001` or `$0.25`, rounded to the nearest. Raises BadParameter for anything else."""
    match = re.fullmatch(r"\$?(\d+(?:\.\d*)?|\.\d+)", value)
    if match is None:
        raise click.BadParameter(f"not an amount in USD: {value!r} (such as 0.001)")
    return round(float(match[1]) * 1e9)


def span(_context: click.Context | None, _parameter: click.Parameter | None, value: str | None) -> int | None:
    """Milliseconds of `7d`, `12h`, `1h30m`. Raises BadParameter with examples of what would be right."""
    if value is None:
        return None
    match = re.fullmatch(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", value)
    found = 0
    if match is not None:
        for number, unit in zip(match.groups(), (86400, 3600, 60, 1), strict=True):
            found += int(number or 0) * unit * 1000
    if found <= 0:
        raise click.BadParameter(f"not a duration: {value!r} (such as 12h, 7d or 1h30m)")
    return found
