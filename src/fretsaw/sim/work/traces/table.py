"""Recordings as tables: CSV files, packed or not, whose mistakes are told by file and line."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO, cast

import msgspec

from fretsaw.api.meta import Object
from fretsaw.api.times import Millis
from fretsaw.errors import UserError
from fretsaw.sim.behavior import Behavior

Row = tuple[int, tuple[str, ...]]
"""(line, the wanted columns)."""


class BadTrace(UserError):  # noqa: N818 (it is named for what it is, as its base)
    """A recording that cannot be played; `line` counts from 1."""

    def __init__(self, file: Path, line: int, wrong: str, seen: str = "", right: str = "") -> None:
        super().__init__(f"{file}:{line}", wrong, seen, right)
        self.file = file
        self.line = line


class Arriving(msgspec.Struct, frozen=True):
    """Objects that a recording makes at one time."""

    at: Millis
    """After the scenario's start."""
    objects: tuple[Object, ...]
    behavior: Behavior
    """Of their pods."""


def rows(file: Path, columns: tuple[str, ...]) -> Iterator[Row]:
    """The rows of a CSV file with a header. Raises BadTrace for what is no such file, at the line where it shows."""
    line = 1
    try:
        with _opened(file) as stream:
            reader = csv.reader(stream)
            header = next(reader, [])
            missing = [name for name in columns if name not in header]
            if missing:
                right = f"it has {', '.join(header[:8])}" if header else "it is empty"
                raise BadTrace(file, 1, "not such a recording: no column", ", ".join(missing), right)
            places = [header.index(name) for name in columns]
            for values in reader:
                line = reader.line_num
                if len(values) != len(header):
                    if not values:
                        continue
                    raise BadTrace(file, line, "a row of another length than the header", f"{len(values)} fields")
                yield line, tuple([values[place] for place in places])
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise BadTrace(file, line, f"cannot be read: {getattr(error, 'strerror', None) or error}") from error


def by_time(
    file: Path, columns: tuple[str, ...], time: Callable[[int, tuple[str, ...]], Millis], *, sort: bool
) -> Iterator[tuple[int, tuple[str, ...], Millis]]:
    """(line, columns, time) in the order of time. Raises BadTrace where that is not the order of the file.

    sort: put them in order instead, for which all rows are read before the first is handed out.
    """
    timed = ((line, row, time(line, row)) for line, row in rows(file, columns))
    if sort:
        yield from sorted(timed, key=lambda found: (found[2], found[0]))
        return
    before: Millis | None = None
    for line, row, now in timed:
        in_order(file, line, before, now, "sort: true puts a re-sampled recording in order")
        before = now
        yield line, row, now


def _opened(file: Path) -> TextIO:
    if file.suffix == ".gz":
        return cast(TextIO, gzip.open(file, "rt", encoding="utf-8", newline=""))
    return open(file, encoding="utf-8", newline="")


def whole(file: Path, line: int, column: str, text: str) -> int:
    """A count of a row. Raises BadTrace."""
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise BadTrace(file, line, f"{column} is no whole number", f'"{text}"')
    return int(text)


def seconds(file: Path, line: int, column: str, text: str) -> Millis:
    """A number of seconds of a row, in milliseconds. Raises BadTrace."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e11:
        raise BadTrace(file, line, f"{column} is no number of seconds", f'"{text}"')
    return round(value * 1000)


def moment(file: Path, line: int, column: str, text: str) -> Millis:
    """A date and time of a row, taken as UTC. Raises BadTrace."""
    try:
        when = datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise BadTrace(file, line, f"{column} is no time", f'"{text}"') from None
    return round(when.timestamp() * 1000)


def in_order(file: Path, line: int, before: Millis | None, now: Millis, right: str = "") -> None:
    """Raises BadTrace where a row is earlier than the one before it."""
    if before is not None and now < before:
        raise BadTrace(file, line, f"out of order: {(before - now) / 1000:g}s before the row above", "", right)
