"""`fretsaw story`: one object's life out of a trace, or all of them with a line each. Heavy imports wait."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from fretsaw.cli import errors
from fretsaw.cli.progress import Progress

if TYPE_CHECKING:
    from fretsaw.api.times import Millis
    from fretsaw.trace.codec import Reader
    from fretsaw.trace.life import Life
    from fretsaw.trace.story import Chronicle

EPILOG = """
\b
Examples:
  fretsaw story week.jsonl.gz                          who is there to be asked for
  fretsaw story week.jsonl.gz nodeclaim/gpu-spot-7f3k2 a node from its order to its bill
  fretsaw story week.jsonl.gz node/ip-10-0-0-7.ec2.internal
  fretsaw story week.jsonl.gz pod/ml-training/train-0  where it waited, ran, and was stopped
  fretsaw story week.jsonl.gz nodepool/gpu-spot -o json

\b
Exit codes: 0 told · 2 the file is no trace, or knows no such object
"""


@click.command(epilog=EPILOG, short_help="Tell one object's life out of a simulation's trace.")
@click.argument("trace", type=click.Path(), metavar="TRACE")
@click.argument("object_", required=False, metavar="[KIND/NAME]")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def story(trace: str, object_: str | None, output: str) -> int:
    """Tell the life of KIND/NAME in sentences: why it came, how long each phase took, why it went, what it cost.

    TRACE is a file that `fretsaw simulate --trace` has written; - is standard input. KIND/NAME is nodeclaim/NAME,
    node/NAME, pod/NAMESPACE/NAME or nodepool/NAME; without one, all that can be asked for is listed.
    """
    from fretsaw.report import words
    from fretsaw.trace.files import reading
    from fretsaw.trace.story import Chronicle

    with Progress() as progress, reading(trace) as reader:
        chronicle = Chronicle(words, reader.file)
        progress("reading the trace")
        _read(chronicle, reader)
    start = reader.about.get("start", 0)
    lives = [chronicle.lives.life(object_)] if object_ else list(chronicle.lives)
    if output == "json":
        found = _told(lives[0], start, chronicle.now) if object_ else _listed(lives, chronicle.now)
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return errors.DONE
    from fretsaw.cli import render, story_view

    out = render.console()
    if object_:
        story_view.tell(out, lives[0], object_, start, chronicle.now)
    else:
        story_view.listing(out, lives, reader.about, chronicle.now)
    return errors.DONE


def _read(chronicle: Chronicle, reader: Reader) -> None:
    from fretsaw.api.manifest import no_collection

    with no_collection():
        for line in reader:
            chronicle.read(line)


def _told(life: Life, start: Millis, now: Millis) -> dict[str, Any]:
    """A life for a program; times are seconds from the start."""
    sentences = [
        {
            "at": (sentence.at - start) / 1000,
            "text": sentence.text,
            **({"tookSeconds": sentence.took / 1000} if sentence.took is not None else {}),
        }
        for sentence in life.sentences
    ]
    return {"object": life.object, "sentences": sentences, "summary": life.summary(now)}


def _listed(lives: list[Life], now: Millis) -> dict[str, Any]:
    return {"objects": [{"object": life.object, "summary": life.summary(now)} for life in lives]}
