"""Renews what `fretsaw plan` prints for the example in README.md and in docs/demo.svg. `make picture` runs it.

Neither is ever written by hand; a test compares the README with a fresh plan.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI

from fretsaw import load, plan
from fretsaw.cli.render import Prices, console, draw
from fretsaw.engine.plan import Plan
from fretsaw.providers.aws.snapshot import load_region

ROOT = Path(__file__).parents[1]
EXAMPLE = "examples/gpu-platform"
COMMAND = f"fretsaw plan -f {EXAMPLE}"
REGION = "us-east-1"
PICTURE_WIDTH = 88


def main() -> None:
    """Write both files."""
    answer = plan(load([ROOT / EXAMPLE]), region=REGION)
    readme = ROOT / "README.md"
    readme.write_text(with_output(readme.read_text(encoding="utf-8"), output(answer)), encoding="utf-8")
    (ROOT / "docs" / "demo.svg").write_text(picture(answer), encoding="utf-8")


def output(answer: Plan) -> str:
    """What the command prints on a terminal of 80 columns."""
    file = io.StringIO()
    draw(console(file, 80), answer, prices())
    return file.getvalue()


def with_output(readme: str, text: str) -> str:
    """The README with `text` below the first line that shows the command."""
    return re.sub(
        rf"(\$ {re.escape(COMMAND)}\n).*?(?=^```)", lambda found: found[1] + text, readme, count=1, flags=re.S | re.M
    )


def picture(answer: Plan) -> str:
    """The same as an SVG, without the fonts that rich would fetch from elsewhere: any monospace font does."""
    terminal = Console(
        record=True,
        width=PICTURE_WIDTH,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        highlight=False,
    )
    terminal.print(f"[bold]$[/] {COMMAND}")
    draw(terminal, answer, prices())
    svg = terminal.export_svg(title="fretsaw", theme=MONOKAI, unique_id="demo")
    svg = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL).replace(
        "Fira Code", "ui-monospace, Menlo, Consolas"
    )
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def prices() -> Prices:
    """The shipped catalog, as the command names it."""
    return Prices(REGION, load_region(REGION).as_of)


if __name__ == "__main__":
    main()
