"""Types of option values that click does not bring along."""

from __future__ import annotations

import re

import click

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}


class Duration(click.ParamType):
    """`2s`, `500ms`, `1m`, or plain seconds; the value is in seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds as a float; anything else fails with examples of what would be right."""
        if isinstance(value, int | float):
            return float(value)
        match = _DURATION.fullmatch(str(value))
        if match is None:
            self.fail(f"not a duration: {value!r} (such as 2s, 500ms or 1m)", param, ctx)
        return float(match[1]) * _SECONDS[match[2]]


class Dollars(click.ParamType):
    """A price such as `0.001` or `$0.25`; the value is in nano-USD, zero or above."""

    name = "usd"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Nano-USD, rounded to the nearest."""
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"\$?(\d+(?:\.\d*)?|\.\d+)", str(value))
        if match is None:
            self.fail(f"not an amount in USD: {value!r} (such as 0.001)", param, ctx)
        return round(float(match[1]) * 1e9)
