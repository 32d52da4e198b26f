"""Prints how a replay went: each turn that decided otherwise, what was decided then and now, and what came before."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import msgspec
from rich.console import Console
from rich.text import Text

from fretsaw.api.times import SECOND, Millis, rfc3339
from fretsaw.cli.render import paragraph
from fretsaw.cli.story_view import told
from fretsaw.report.words import Calendar, counted, span
from fretsaw.trace.apart import Apart, apart, happened
from fretsaw.trace.life import Sentence
from fretsaw.trace.replay import Difference, Replayed

if TYPE_CHECKING:
    from fretsaw.trace.story import Chronicle

SHOWN = 8
"""Differences of one turn that are shown."""
EVENTS = 4
"""Events before the turn that are named."""
LAST = 3
"""Sentences of the nearest story."""


class Shown(msgspec.Struct, eq=False):
    """A difference with what was known when it was found."""

    difference: Difference
    apart: tuple[Apart, ...]
    object: str
    """Whose story is the nearest; empty for nobody's."""
    story: list[Sentence]
    """Its last sentences."""


def nearest(chronicle: Chronicle, difference: Difference) -> Shown:
    """The difference with the last sentences about the first object of it that has a story by then."""
    found = tuple(apart(difference.then, difference.now))
    for name in dict.fromkeys(chain.from_iterable(one.about for one in found)):
        kind, _, rest = name.partition("/")
        life = chronicle.lives.find(kind, rest)
        if life is not None and life.sentences:
            return Shown(difference, found, life.object, life.sentences[-LAST:])
    return Shown(difference, found, "", [])


def show(out: Console, shown: Shown, start: Millis) -> None:
    """One turn."""
    at = (shown.difference.at - start) / SECOND
    calendar = Calendar(rfc3339(start))
    when = f"{calendar.day(at)} {calendar.at(at).strftime('%H:%M:%S')}"
    title = f"{when} (+{span(at)}), line {shown.difference.line}"
    out.print(Text(title, "bold red"), no_wrap=True, overflow="ignore", crop=False)
    for one in shown.apart[:SHOWN]:
        if one.what:
            paragraph(out, Text(one.what), indent=2)
        for label, value, style in (("then", one.then, "green"), ("now", one.now, "red")):
            if value:
                _row(out, label, Text(_plain(value, start), style), indent=4 if one.what else 2)
    if len(shown.apart) > SHOWN:
        paragraph(out, Text(f"and {counted(len(shown.apart) - SHOWN, 'more difference')}", "dim"), indent=2)
    _before(out, shown)
    if shown.story:
        paragraph(out, Text(f"the story of {shown.object} until then:", "dim"), indent=2)
        told(out, shown.story, start, indent=4)
    out.print()


def _row(out: Console, label: str, text: Text, indent: int) -> None:
    """A text behind its label, broken under itself."""
    for number, line in enumerate(text.wrap(out, max(out.width - indent - 6, 20))):
        line.rstrip()
        begin = Text(f"{'' if number else label:<6}", "dim")
        out.print(Text(" " * indent) + begin + line, no_wrap=True, overflow="ignore", crop=False)


def _plain(value: str, start: Millis) -> str:
    """A point in time in milliseconds as the time since the start."""
    if value.startswith("at ") and value[3:].isdecimal():
        return f"at +{span((int(value[3:]) - start) / SECOND)}"
    return value


def _before(out: Console, shown: Shown) -> None:
    events = list(dict.fromkeys(happened(line.event) for line in shown.difference.told if line.event is not None))
    if events:
        more = f"; {counted(len(events) - EVENTS, 'event')} before that" if len(events) > EVENTS else ""
        paragraph(out, Text(f"just before: {'; '.join(events[-EVENTS:])}{more}", "dim"), indent=2)


def conclude(out: Console, result: Replayed, *, cut: bool) -> None:
    """What came of it, in a line."""
    seen = (
        f"{counted(result.turns, 'turn')} on {counted(result.events, 'event')}, {counted(result.decisions, 'action')}"
    )
    if not result.differences:
        paragraph(out, Text(f"Decided as recorded: {seen}.", "green"))
        return
    ended = " The rest was not looked at (see --most)." if cut else ""
    paragraph(out, Text(f"{counted(result.differences, 'turn')} decided otherwise, out of {seen}.{ended}", "bold red"))
