"""The pages about installing name what there is: permissions, values, commands, gates."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import click
import pytest

from fretsaw.cli.main import fretsaw
from fretsaw.controllers.permissions import LEASES, READS, WRITES
from fretsaw.controllers.settings import GATES
from support.helm import CHART

DOCS = Path(__file__).parents[3] / "docs"
PAGES = ("install.md", "from-karpenter.md")
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def test_permissions_are_those_of_the_code() -> None:
    rows = [
        f"| {f'`{rule.group}`' if rule.group else 'core'} | {', '.join(f'`{name}`' for name in rule.resources)} "
        f"| {', '.join(rule.verbs)} | {rule.why} |"
        for rule in (*READS, *WRITES, *LEASES)
    ]
    assert re.findall(r"^\| (?:core|`[a-z0-9.-]+`) \| `.*", page("install.md"), re.M) == rows


def test_gates_are_those_of_the_code() -> None:
    found = re.findall(r"^\| `(\w+)` \| (true|false|–) \| \**(true|false)\** \|$", page("from-karpenter.md"), re.M)
    assert {gate: ours == "true" for gate, _, ours in found} == GATES
    bold = re.findall(r"^\| `(\w+)` \|.*\*\*true\*\* \|$", page("from-karpenter.md"), re.M)
    assert bold == [gate for gate, theirs, ours in found if theirs != ours]


@pytest.mark.parametrize("name", PAGES)
def test_values_are_in_the_schema(name: str) -> None:
    named = re.findall(r"--set ([\w.]+)", page(name)) + re.findall(r"`((?:settings|rbac)\.[\w.]+)", page(name))
    assert named
    for value in named:
        _look_up(value.removesuffix(".").split("."))


def _look_up(path: list[str]) -> None:
    """Raises KeyError; below a map of free names anything goes."""
    schema: dict[str, Any] = SCHEMA
    for word in path:
        if schema.get("additionalProperties") is not False:
            return
        schema = schema["properties"][word]


@pytest.mark.parametrize("name", PAGES)
def test_commands_have_their_options(name: str) -> None:
    lines = [line.partition("#")[0] for line in page(name).splitlines() if line.lstrip().startswith("$ ")]
    calls = [call.strip() for line in lines for call in re.findall(r"(?:\.venv/bin/|\$ )fretsaw ([^|]*)", line)]
    assert calls
    context = click.Context(fretsaw)
    for call in calls:
        command, *words = call.split()
        found = fretsaw.get_command(context, command)
        assert found is not None, command
        options = {option for param in found.params for option in param.opts}
        assert {word for word in words if word.startswith("--")} <= options, call


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([\w-]+))?\)", page(name)):
        path = (DOCS / target).resolve() if target else DOCS / name
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.M)
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}, anchor
