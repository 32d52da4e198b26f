"""The printed plan, byte for byte, at the two widths that terminals have, with and without colour.

After a wanted change: `FRETSAW_UPDATE_GOLDEN=1 pytest tests/golden`, then read the difference before committing it.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from fretsaw.cli.render import Prices, console, draw
from fretsaw.engine.plan import Plan
from golden import plans

FOLDER = Path(__file__).parent
PRICES = Prices("us-east-1", "2026-08-01", ("spot prices follow the Spot advisor's savings",))
PLANS = {"platform": plans.PLATFORM, "mixed": plans.MIXED, "empty": plans.EMPTY}


def drawn(plan: Plan, *, width: int, wide: bool) -> str:
    file = io.StringIO()
    draw(console(file, width), plan, PRICES, wide=wide)
    return file.getvalue()


def check(name: str, text: str) -> None:
    path = FOLDER / name
    if os.environ.get("FRETSAW_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("wide", [False, True], ids=["table", "wide"])
@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("plan", PLANS)
def test_prints_what_it_printed_before(plan: str, width: int, wide: bool) -> None:
    check(f"{plan}-{width}{'-wide' if wide else ''}.txt", drawn(PLANS[plan], width=width, wide=wide))


@pytest.mark.parametrize("plan", PLANS)
def test_colour_changes_no_letter(plan: str) -> None:
    file = io.StringIO()
    coloured = Console(file=file, width=80, highlight=False, force_terminal=True, color_system="truecolor", record=True)
    draw(coloured, PLANS[plan], PRICES)
    assert "\x1b[" in file.getvalue()
    assert coloured.export_text() == drawn(PLANS[plan], width=80, wide=False)


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("plan", PLANS)
def test_lines_fit_eighty_columns_and_end_without_spaces(plan: str, wide: bool) -> None:
    for line in drawn(PLANS[plan], width=80, wide=wide).splitlines():
        assert len(line) <= 80
        assert line == line.rstrip()


def test_the_platform_fits_one_screen() -> None:
    assert len(drawn(plans.PLATFORM, width=80, wide=False).splitlines()) <= 24
