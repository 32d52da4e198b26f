"""Expectations: sentences about a run's result, read with the scenario and checked after the run.

Two forms: a comparison such as `p99 wait of ml-serving <= 5m`, and a sentence that stands for one, such as
`no pod of ml-training waits longer than 10m`. `measures` has what can be compared.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from fretsaw.api.rules_text import near
from fretsaw.sim.journal import Journal
from fretsaw.sim.scenario.measures import MEASURES, REASONS, Query, Scope, Unmeasured, Window
from fretsaw.sim.scenario.units import CLOCK, DURATION, BadText

OPERATORS: Final = {
    "<=": "<=", ">=": ">=", "<": "<", ">": ">", "==": "=", "=": "=",
    "is at most": "<=", "is at least": ">=", "at most": "<=", "at least": ">=", "is": "=",
}  # fmt: skip
_NAME = r"[\w*?.\-/\[\]]+"
_OPERATOR = "|".join(sorted(map(re.escape, OPERATORS), key=len, reverse=True))
_COMPARISON = re.compile(rf"(?P<left>.+?)\s*(?P<op>{_OPERATOR})\s*(?P<value>\S+)")
_SENTENCES: Final[tuple[tuple[str, str], ...]] = (
    (rf"no pod(?P<of> of {_NAME})? waits (?:longer|more) than (?P<value>\S+)", "longest wait{of} <= {value}"),
    (rf"no pod(?P<of> of {_NAME})? is pending at the end", "pending pods{of} = 0"),
    (rf"every pod(?P<of> of {_NAME})? runs", "pending pods{of} = 0"),
    (rf"every pod(?P<of> of {_NAME})? succeeds", "success{of} = 100%"),
    (rf"no pod(?P<of> of {_NAME})? fails", "failed pods{of} = 0"),
    (rf"no pod(?P<of> of {_NAME})? is interrupted", "interruptions{of} = 0"),
    (rf"no interruptions?(?P<of> of {_NAME})?", "interruptions{of} = 0"),
    (r"no disruptions?(?P<rest> .*)?", "disruptions{rest} = 0"),
    (rf"no nodes? (?:of|in) pool (?P<of>{_NAME})", "launched nodes of pool {of} = 0"),
    (rf"no nodes? of type (?P<type>{_NAME})(?P<of> (?:of|in) pool {_NAME})?", "launched nodes of type {type}{of} = 0"),
    (
        rf"a node of type (?P<type>{_NAME})(?P<of> (?:of|in) pool {_NAME})? is used",
        "launched nodes of type {type}{of} >= 1",
    ),
    (rf"pool (?P<of>{_NAME}) is used", "launched nodes of pool {of} >= 1"),
    (rf"pool (?P<of>{_NAME}) is (?:not|never) used", "launched nodes of pool {of} = 0"),
    (r"no violations?", "violations = 0"),
)
_KNOWN: Final = tuple((re.compile(pattern), meaning) for pattern, meaning in _SENTENCES)
_PARTS: Final = (
    ("type", re.compile(rf" of type ({_NAME})")),
    ("pool", re.compile(rf" (?:of|in) pool ({_NAME})")),
    ("scope", re.compile(rf" of ({_NAME})")),
    ("reason", re.compile(r" for (\w+)")),
    ("window", re.compile(r" between (\S+) and (\S+)")),
    ("days", re.compile(r" on (weekdays|weekends)")),
)
_NUMBERS: Final = {
    unit: re.compile(rf"{before}(?P<number>[0-9]{{1,12}}(?:\.[0-9]{{1,6}})?)(?P<suffix>{after})", re.ASCII)
    for unit, before, after in (
        ("share", "", "%"),
        ("hours", "", "h?"),
        ("money", r"\$?", "(?:/h)?"),
        ("count", "", ""),
    )
}
_EXAMPLES: Final = {
    "duration": ("duration", "10m"),
    "money": ("amount of money", "900 or 50/h"),
    "share": ("share", "80%"),
    "count": ("number", "3"),
    "hours": ("number of hours", "120h"),
}
DAYS: Final = {"weekdays": (0, 1, 2, 3, 4), "weekends": (5, 6)}


class Expectation(msgspec.Struct, frozen=True):
    """One sentence as it was read."""

    text: str
    query: Query
    op: str
    value: float
    unit: str
    """What the value is: duration (seconds), money, money/h, share, count or hours."""


def parse(text: str) -> Expectation:
    """What a sentence says. Raises BadText with what would be right."""
    plain = " ".join(text.split())
    left, op, value = _comparison(plain)
    rest, found = _split(" " + left)
    name = rest.strip()
    measure = MEASURES.get(name)
    if measure is None and name.startswith("noted "):
        measure = MEASURES["noted"]
        found["what"], name = name.removeprefix("noted ").strip(), "noted"
    if measure is None:
        meant = near(name, tuple(MEASURES))
        right = f"did you mean {meant}?" if meant else f"known: {', '.join(MEASURES)}"
        raise BadText(f'an expectation: "{name}" is nothing that can be measured', right)
    query = _query(name, found, measure.scopes)
    number, unit = _value(value, measure.unit)
    return Expectation(plain, query, OPERATORS[op], number, unit)


def check(expectation: Expectation, result: dict[str, Any], journal: Journal | None = None) -> tuple[bool, str]:
    """Whether a run's result is as expected, and what was seen instead or as well.

    What cannot be measured, such as the wait of a workload that had no pods, is not as expected.
    """
    try:
        seen = MEASURES[expectation.query.measure].value(expectation.query, result, journal)
    except Unmeasured as error:
        return False, str(error)
    if expectation.unit == "money/h":
        seen = seen / (float(result["virtualSeconds"]) / 3600) if result["virtualSeconds"] else 0.0
    # A millionth apart is rounding of sums, not a broken expectation.
    slack = 1e-6 * max(1.0, abs(expectation.value))
    difference = seen - expectation.value
    ok = {
        "<=": difference <= slack,
        ">=": difference >= -slack,
        "<": difference < -slack,
        ">": difference > slack,
        "=": abs(difference) <= slack,
    }[expectation.op]
    return ok, shown(seen, expectation.unit)


def _comparison(text: str) -> tuple[str, str, str]:
    for pattern, meaning in _KNOWN:
        match = pattern.fullmatch(text)
        if match is not None:
            text = meaning.format(**{name: part or "" for name, part in match.groupdict().items()})
            break
    match = _COMPARISON.fullmatch(text)
    if match is None:
        raise BadText(
            "an expectation", "such as `p99 wait of ml-serving <= 5m` or `no pod of ml-training waits longer than 10m`"
        )
    return match["left"], match["op"], match["value"]


def _split(text: str) -> tuple[str, dict[str, Any]]:
    """The measure's name, and the parts that say of what and when."""
    found: dict[str, Any] = {}
    for name, pattern in _PARTS:
        match = pattern.search(text)
        if match is not None:
            found[name] = match.groups() if name == "window" else match[1]
            text = text[: match.start()] + text[match.end() :]
    return text, found


def _query(name: str, found: dict[str, Any], scopes: tuple[str, ...]) -> Query:
    pool, scope = found.get("pool", ""), found.pop("scope", "")
    if scope and scopes[:1] == ("pool",):
        pool, scope = scope, ""
    given = {"pool": pool, "workload": scope, **{key: found.get(key) for key in ("type", "reason", "window", "days")}}
    for kind, value in given.items():
        if value and kind not in scopes:
            known = f"it can be asked by {' or '.join(scopes)}" if scopes else "it is of the whole run"
            raise BadText(f"an expectation: {name} is not known by {kind}", known)
    reason = found.get("reason", "")
    if reason and reason not in REASONS:
        meant = near(reason, REASONS)
        raise BadText(
            f'an expectation: no reason is called "{reason}"',
            f"did you mean {meant}?" if meant else f"known: {', '.join(REASONS)}",
        )
    window = _window(found.get("window"), found.get("days"))
    return Query(name, Scope(pool, scope), found.get("type", ""), reason, window, found.get("what", ""))


def _window(between: tuple[str, str] | None, days: str | None) -> Window | None:
    if between is None and days is None:
        return None
    begin, end = (CLOCK.parse(text) for text in between) if between else (0, 24 * 3_600_000)
    if begin == end:
        raise BadText("an expectation: the time between is empty", "such as between 09:00 and 19:00")
    return Window(begin, end, DAYS[days] if days else ())


def _value(text: str, unit: str) -> tuple[float, str]:
    """The number to compare with: seconds, dollars, shares as fractions, plain counts."""
    if unit == "duration":
        try:
            return DURATION.parse(0 if text == "0" else text) / 1000, unit
        except BadText:
            match = None
    else:
        match = _NUMBERS[unit].fullmatch(text)
    if match is None:
        what, right = _EXAMPLES[unit]
        raise BadText(f'an expectation: "{text}" is no {what}', f"such as {right}")
    number, suffix = float(match["number"]), match["suffix"]
    return (number / 100 if suffix == "%" else number), ("money/h" if suffix == "/h" else unit)


def shown(value: float, unit: str) -> str:
    """A measured value as people write it."""
    if unit == "duration":
        return _duration(value)
    if unit == "share":
        return f"{100 * value:.1f}%"
    if unit == "hours":
        return f"{value:.1f}h"
    if unit == "count":
        return f"{value:g}" if value % 1 else str(int(value))
    return f"{value:.2f}{unit.removeprefix('money')}"


def _duration(seconds: float) -> str:
    """`1h2m3s`, without the parts that are 0."""
    whole = round(seconds)
    parts = ((whole // 3600, "h"), (whole // 60 % 60, "m"), (whole % 60, "s"))
    return "".join(f"{amount}{unit}" for amount, unit in parts if amount) or "0s"
