"""Draws what `fretsaw plan` prints for a path as an SVG: `python docs/picture.py examples/gpu-platform docs/demo.svg`.

`make picture` runs it; the picture of the README is never drawn by hand.
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI

from fretsaw import load, plan
from fretsaw.cli.render import Prices, draw
from fretsaw.providers.aws.snapshot import load_region

WIDTH = 88
REGION = "us-east-1"


def main(source: str, target: str) -> None:
    """Plan `source` and write the picture to `target`."""
    terminal = Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor", highlight=False
    )
    terminal.print(f"[bold]$[/] fretsaw plan -f {source}")
    draw(terminal, plan(load([source]), region=REGION), Prices(REGION, load_region(REGION).as_of))
    picture = terminal.export_svg(title="fretsaw", theme=MONOKAI, unique_id="demo")
    Path(target).write_text(_self_contained(picture), encoding="utf-8")


def _self_contained(picture: str) -> str:
    """Without the fonts that rich would fetch from elsewhere; any monospace font does."""
    picture = re.sub(r"\s*@font-face \{.*?\}", "", picture, flags=re.DOTALL)
    lines = [line.rstrip() for line in picture.replace("Fira Code", "ui-monospace, Menlo, Consolas").splitlines()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(*sys.argv[1:])
