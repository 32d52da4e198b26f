"""`--fail-if METRIC OP VALUE`: when a comparison is a failure, and how sure that is.

A value with a sign is about the difference of the second scenario from the first: `+5%` relative, `+10m` in the
figure's own unit, `+5pp` in points of a share. A value without one is about the second scenario alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from fretsaw.errors import UserError
from fretsaw.sim.many.figures import Figure, figure
from fretsaw.sim.many.intervals import Interval, Pair, interval, paired
from fretsaw.sim.scenario.expect import parse as expectation
from fretsaw.sim.scenario.expect import shown
from fretsaw.sim.scenario.units import BadText

_CONDITION: Final = re.compile(r"(?P<left>.+?)\s*(?P<op>[<>]=?)\s*(?P<value>[+-]?[^\s+-]\S*)")
_PERCENT: Final = re.compile(r"[+-][0-9]{1,6}(?:\.[0-9]{1,6})?%", re.ASCII)
_POINTS: Final = re.compile(r"[+-][0-9]{1,3}(?:\.[0-9]{1,6})?pp", re.ASCII)
_EXAMPLE: Final = "such as cost > +5%, p99 wait > 10m or planned landing < 90%"
Against = Literal["relative", "difference", "value"]


class Condition(msgspec.Struct, frozen=True):
    """When a comparison has failed."""

    text: str
    figure: Figure
    op: str
    against: Against
    threshold: float

    def excess(self, a: float, b: float) -> float:
        """How far a pair of runs is above the threshold; below it where negative."""
        if self.against == "relative":
            return b - a - self.threshold * abs(a)
        return b - self.threshold if self.against == "value" else b - a - self.threshold


def parse(text: str) -> Condition:
    """The condition that a text says. Raises UserError with what would be right."""
    plain = " ".join(text.split())
    where = f'--fail-if "{plain}"'
    match = _CONDITION.fullmatch(plain)
    if match is None:
        raise UserError(where, "not a condition", "", _EXAMPLE)
    try:
        return _read(plain, match["left"], match["op"], match["value"])
    except BadText as error:
        raise UserError(where, error.what.removeprefix("an expectation: "), "", error.right) from error


def _read(text: str, left: str, op: str, value: str) -> Condition:
    found = figure(left)
    signed = value[0] in "+-"
    if _PERCENT.fullmatch(value):
        return Condition(text, found, op, "relative", float(value[:-1]) / 100)
    if _POINTS.fullmatch(value) and found.unit == "share":
        return Condition(text, found, op, "difference", float(value[:-2]) / 100)
    if not signed and value.endswith("%") and found.unit != "share":
        raise BadText(f'"{value}" of what', f"did you mean +{value}, compared with the first scenario?")
    threshold, unit = _number(found, value.lstrip("+-") if signed else value)
    if unit == "money/h":
        found = _an_hour(found)
    if value[0] == "-":
        threshold = -threshold
    return Condition(text, found, op, "difference" if signed else "value", threshold)


def _number(found: Figure, value: str) -> tuple[float, str]:
    """The value in the figure's unit, and whether it is by the hour."""
    # "expectations failed" is no measure of expectations; it counts as pods do.
    name = "pending pods" if found.name == "expectations failed" else found.name
    read = expectation(f"{name} = {value}")
    return read.value, read.unit


def _an_hour(found: Figure) -> Figure:
    def rate(result: dict[str, object]) -> float:
        return found.measure(result) / (float(str(result["virtualSeconds"])) / 3600)

    return Figure(f"{found.name} an hour", "money/h", rate)


def failure(condition: Condition, a: Sequence[float], b: Sequence[float]) -> str:
    """What to say where the condition holds for pairs of runs; empty where it does not.

    What could be measured in no pair of runs cannot be judged, and fails: a gate that is silent then is none.
    """
    if not a:
        return f"{condition.text}: cannot be judged: in no pair of runs was there anything to measure"
    beyond = interval([condition.excess(first, second) for first, second in zip(a, b, strict=True)])
    if not _holds(condition.op, beyond.mean, paired(a, b)):
        return ""
    return f"{condition.text}: {_told(condition.figure, paired(a, b))}; {_sure(beyond)}"


def _holds(op: str, excess: float, pair: Pair) -> bool:
    # A millionth apart is rounding of sums; expectations are as lenient.
    slack = 1e-6 * max(abs(pair.a), abs(pair.b), 1e-3)
    return {">": excess > slack, ">=": excess >= -slack, "<": excess < -slack, "<=": excess <= slack}[op]


def _told(found: Figure, pair: Pair) -> str:
    change = pair.relative
    by = "" if not change else f", {change:+.1%}"
    return f"{shown(pair.b, found.unit)} against {shown(pair.a, found.unit)}{by}"


def _sure(beyond: Interval) -> str:
    if beyond.clear or beyond.low == beyond.high is not None:
        return "statistically clear"
    return "not statistically clear: it may be chance, and more runs would tell"
