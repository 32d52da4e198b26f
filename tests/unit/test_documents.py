"""The pages name modules and options that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fretsaw.cli.plan_cmd import plan

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "module",
    sorted(
        set(
            re.findall(
                r"`((?:api|engine|providers|cli|sim|trace|report)/[\w/]+\.py)`",
                (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"),
            )
        )
    ),
)
def test_modules_of_the_architecture_page_exist(module: str) -> None:
    assert (ROOT / "src" / "fretsaw" / module).is_file()


def test_the_plan_page_has_every_option_and_no_other() -> None:
    options = {name for param in plan.params for name in param.opts if name.startswith("--")} - {
        "--filename",
        "--output",
        "--help",
    }
    page = (ROOT / "docs" / "plan.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(--[\w-]+)", page, re.M)) == options
