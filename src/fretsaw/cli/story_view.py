"""Prints lives: sentences with their times, or one line for each object.

The text is the same with and without colour. Times stand in columns; a sentence is broken under itself, and where the
terminal is too narrow for that, it stands below its time.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from fretsaw.api.times import SECOND, Millis, rfc3339
from fretsaw.cli.render import paragraph
from fretsaw.report.words import Calendar, counted, span

if TYPE_CHECKING:
    from fretsaw.trace.life import Life, Sentence

LEAST = 40
"""Cells that a sentence needs beside its times; with fewer it stands below them."""


def tell(out: Console, life: Life, asked: str, start: Millis, now: Millis) -> None:
    """One life: its name, the sentences by day, the summary."""
    _line(out, Text(life.object, "bold"))
    if asked.partition("/")[2] != life.name and asked.startswith("node/"):
        _line(out, Text(f"{asked} is its node.", "dim"))
    told(out, life.sentences, start)
    out.print()
    paragraph(out, Text(f"In short: {life.summary(now)}.", "bold"))


def told(out: Console, sentences: Iterable[Sentence], start: Millis, indent: int = 2) -> None:
    """Sentences with the time of day and the time since the start, under the days."""
    calendar = Calendar(rfc3339(start))
    rows = [(one, (one.at - start) / SECOND) for one in sorted(sentences, key=lambda one: one.at)]
    width = max((len(_since(seconds)) for _, seconds in rows), default=0)
    for day, group in groupby(rows, key=lambda row: calendar.day(row[1])):
        _line(out, Text(" " * indent + day, "cyan"))
        for one, seconds in group:
            clock = calendar.at(seconds).strftime("%H:%M:%S")
            _row(out, Text.assemble(clock, "  ", (f"{_since(seconds):>{width}}", "dim")), _text(one), indent + 2)


def listing(out: Console, lives: Iterable[Life], about: dict[str, Any], now: Millis) -> None:
    """What can be asked for, kind by kind, with the summaries."""
    length = span(max(now - about.get("start", now), 0) / SECOND)
    name, seed = about.get("scenario", "a trace"), about.get("seed")
    _line(out, Text(f"{name}{f', seed {seed}' if seed is not None else ''}: {length} of cluster life", "bold"))
    for kind, group in groupby(lives, key=lambda life: life.KIND):
        found = list(group)
        out.print()
        _line(out, Text(counted(len(found), kind), "cyan"))
        width = max(len(life.object) for life in found)
        for life in found:
            _row(out, Text(f"{life.object:<{width}}"), Text(life.summary(now)), 2)


def _row(out: Console, begin: Text, text: Text, indent: int) -> None:
    """A text beside its beginning, broken under itself; below it where there is no room."""
    room = out.width - indent - len(begin) - 2
    pad = Text(" " * indent)
    if room < LEAST:
        begin.rstrip()
        _line(out, pad + begin)
        paragraph(out, text, indent=indent + 2)
        return
    for number, line in enumerate(text.wrap(out, room)):
        line.rstrip()
        _line(out, pad + (begin if not number else Text(" " * len(begin))) + Text("  ") + line)


def _text(one: Sentence) -> Text:
    text = Text(one.text)
    if one.took is not None and one.took > 0:
        text.append(f" ({span(one.took / SECOND)})", "dim")
    return text


def _since(seconds: float) -> str:
    return f"+{span(seconds)}"


def _line(out: Console, line: Text) -> None:
    """A line that is never broken or cut."""
    out.print(line, no_wrap=True, overflow="ignore", crop=False)
