"""The README shows what is true: its terminal is a fresh plan's, its Python runs, its links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from fretsaw.cli import main

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")),
]


def test_the_terminal_is_what_the_command_prints(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make picture` renews it."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "80")
    shown = re.search(r"^\$ fretsaw (plan -f examples/gpu-platform)\n(.*?)^```", README, re.S | re.M)
    assert shown
    assert main.run(shown[1].split()) == 0
    assert capsys.readouterr().out == shown[2]


def test_the_python_example_runs() -> None:
    example = re.search(r"^```python\n(.*?)^```", README, re.S | re.M)
    assert example
    done = subprocess.run([sys.executable, "-c", example[1]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "12 of 12 pods on " in done.stdout


@pytest.mark.parametrize("page", PAGES)
def test_links_of_the_pages_lead_to_files(page: str) -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)", (ROOT / page).read_text(encoding="utf-8"))
    assert [link for link in links if not (ROOT / page).parent.joinpath(link).exists()] == []
