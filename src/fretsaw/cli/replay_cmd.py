"""`fretsaw replay`: do the engine's decisions come out as they are recorded? Heavy imports wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fretsaw.cli import errors
from fretsaw.cli.progress import Progress

if TYPE_CHECKING:
    from rich.console import Console

    from fretsaw.trace.codec import Reader

EPILOG = """
\b
Examples:
  fretsaw replay week.jsonl.gz
  fretsaw replay week.jsonl.gz --most 100
  zcat week.jsonl.gz | fretsaw replay -

\b
Exit codes: 0 every turn decided as recorded · 1 a turn decided otherwise · 2 the file is no trace
"""


@click.command(epilog=EPILOG, short_help="Let the engine decide a trace again, and show where it decides otherwise.")
@click.argument("trace", type=click.Path(), metavar="TRACE")
@click.option("--most", type=click.IntRange(1), default=10, show_default=True, help="Stop after so many differences.")
def replay(trace: str, most: int) -> int:
    """Feed the events of TRACE to the engine and compare each of its turns with the recorded one.

    TRACE is a file that `fretsaw simulate --trace` has written; - is standard input. An unchanged engine decides
    everything as recorded; after a change of the engine, or of the file, this shows what that changes first. Later
    turns are told what was decided then, so that one difference does not cause all that follow.
    """
    from fretsaw.cli import render
    from fretsaw.trace.files import reading

    with reading(trace) as reader:
        return _compared(render.console(), reader, most)


def _compared(out: Console, reader: Reader, most: int) -> int:
    from fretsaw.api.manifest import no_collection
    from fretsaw.cli import replay_view
    from fretsaw.report import words
    from fretsaw.trace.replay import Difference, Replayed
    from fretsaw.trace.replay import replay as replayed
    from fretsaw.trace.story import Chronicle

    result, chronicle, found = Replayed(), Chronicle(words, reader.file), []
    start = reader.about.get("start", 0)
    with Progress() as progress, no_collection():
        for one in replayed(reader, result):
            if isinstance(one, Difference):
                found.append(replay_view.nearest(chronicle, one))
                if len(found) >= most:
                    break
                continue
            chronicle.read(one)
            if result.turns % 256 == 0:
                progress(f"deciding again ({words.span((one.at - start) / 1000)}, {result.turns:,} turns)")
    for shown in found:
        replay_view.show(out, shown, start)
    replay_view.conclude(out, result, cut=len(found) >= most)
    return errors.FOUND if found else errors.DONE
