"""The lock files: everything that pyproject.toml asks for, pinned and hashed, and no word about where it comes from."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
RUN = [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["build"]]
DEV = [*RUN, *PROJECT["dependency-groups"]["dev"], *PROJECT["project"]["optional-dependencies"]["catalog"]]


@pytest.mark.parametrize(("file", "wanted"), [("requirements.lock", RUN), ("requirements-dev.lock", DEV)])
def test_lock_file_is_complete_pinned_and_hashed(file: str, wanted: list[str]) -> None:
    """`make lock` renews it."""
    text = (ROOT / file).read_text(encoding="utf-8")
    entries = re.split(r"^(?=[a-z])", text, flags=re.M)[1:]
    assert {_name(requirement) for requirement in wanted} <= {_name(entry) for entry in entries}
    assert [
        entry.split()[0] for entry in entries if "==" not in entry.split()[0] or "--hash=sha256:" not in entry
    ] == []
    assert not re.search(r"https?:|--index|--find-links|--extra-index", text)


def _name(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower().replace("_", "-").replace(".", "-")
