"""The stories that `fretsaw story` prints, byte for byte, on a usual and on a narrow terminal.

After a wanted change: `FRETSAW_UPDATE_GOLDEN=1 pytest tests/golden`, then read the difference before committing it.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from fretsaw.cli import story_view
from fretsaw.cli.render import console
from fretsaw.report import words
from fretsaw.trace.codec import Reader
from fretsaw.trace.story import Chronicle
from golden.lives import script
from support.traces import START

FOLDER = Path(__file__).parent
ASKED = {
    "claim": "nodeclaim/gpu-a1",
    "replacement": "node/ip-10-0-0-2",
    "node": "node/system-1",
    "pod": "pod/ml/web-0",
    "waiting": "pod/ml/huge-0",
    "pool": "nodepool/gpu",
    "all": "",
}


@pytest.fixture(scope="module")
def chronicle() -> Chronicle:
    found = Chronicle(words)
    for line in Reader(script().lines()):
        found.read(line)
    return found


def draw(out: Console, chronicle: Chronicle, asked: str) -> None:
    if asked:
        story_view.tell(out, chronicle.lives.life(asked), asked, START, chronicle.now)
    else:
        story_view.listing(out, chronicle.lives, {"scenario": "two nodes", "seed": 1, "start": START}, chronicle.now)


def printed(chronicle: Chronicle, asked: str, width: int) -> str:
    file = io.StringIO()
    draw(console(file, width), chronicle, asked)
    return file.getvalue()


@pytest.mark.parametrize("width", [80, 48])
@pytest.mark.parametrize("name", ASKED)
def test_tells_what_it_told_before(name: str, width: int, chronicle: Chronicle) -> None:
    text, path = printed(chronicle, ASKED[name], width), FOLDER / f"story-{name}-{width}.txt"
    if os.environ.get("FRETSAW_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [80, 48])
@pytest.mark.parametrize("name", ASKED)
def test_lines_fit_the_terminal_and_end_without_spaces(name: str, width: int, chronicle: Chronicle) -> None:
    for line in printed(chronicle, ASKED[name], width).splitlines():
        assert len(line) <= width
        assert line == line.rstrip()


@pytest.mark.parametrize("name", ASKED)
def test_colour_changes_no_letter(name: str, chronicle: Chronicle) -> None:
    file = io.StringIO()
    coloured = Console(file=file, width=80, highlight=False, force_terminal=True, color_system="truecolor", record=True)
    draw(coloured, chronicle, ASKED[name])
    assert "\x1b[" in file.getvalue()
    assert coloured.export_text() == printed(chronicle, ASKED[name], 80)
