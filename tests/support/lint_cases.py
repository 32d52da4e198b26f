"""The tables of cases of lint rules, made into manifests.

A table is `{fail: [case], pass: [case]}`; a case is `{name, given, at?, says?, count?, severity?}`. `given` lists bases of
`tests/lint/bases.yaml`: by name, or as `{name: {field: value}}` with some fields changed (`a.b` and `a.0.b` reach inside,
null takes away), or as `{text: …}` for what is no base.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parents[1] / "lint"
CASES = HERE / "cases"
_REACH = re.compile(r"[A-Za-z][A-Za-z0-9]*(\.[A-Za-z0-9]+)+")


@dataclass(frozen=True, slots=True)
class Case:
    """One input, and what its rule finds in it."""

    table: str
    name: str
    text: str
    fails: bool
    at: str | None = None
    """The path of a finding."""
    says: str = ""
    """What a finding's message, proof or fix holds."""
    count: int | None = None
    severity: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.table}: {self.name}"


@cache
def bases() -> dict[str, dict[str, Any]]:
    """The clean objects."""
    loaded: dict[str, dict[str, Any]] = yaml.safe_load((HERE / "bases.yaml").read_text())
    return loaded


def table(name: str) -> list[Case]:
    """The cases of a rule's module. Raises ValueError where a case has a word that is not known."""
    tree = yaml.safe_load((CASES / f"{name}.yaml").read_text())
    if set(tree) != {"fail", "pass"}:
        raise ValueError(f"{name}: a table has fail and pass")
    return [_case(name, one, fails=sort == "fail") for sort in ("fail", "pass") for one in tree[sort]]


def _case(name: str, one: dict[str, Any], *, fails: bool) -> Case:
    rest = dict(one)
    given = rest.pop("given")
    text = "---\n".join(_text(item) for item in given)
    return Case(name, rest.pop("name"), text, fails, **rest)


def _text(item: Any) -> str:
    if isinstance(item, dict) and "text" in item:
        return str(item["text"])
    base, changes = (item, {}) if isinstance(item, str) else next(iter(item.items()))
    return str(yaml.safe_dump(changed(bases()[base], changes), sort_keys=False, width=1000))


def changed(tree: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A tree with some fields set; None takes one away."""
    found = copy.deepcopy(tree)
    for path, value in changes.items():
        steps: list[Any] = path.split(".") if _REACH.fullmatch(path) else [path]
        _set(found, [int(step) if step.isdigit() else step for step in steps], value)
    return found


def _set(tree: Any, steps: list[Any], value: Any) -> None:
    for step in steps[:-1]:
        tree = tree.setdefault(step, {}) if isinstance(tree, dict) else tree[step]
    if value is None:
        tree.pop(steps[-1], None)
    elif isinstance(tree, list) and steps[-1] == len(tree):
        tree.append(value)
    else:
        tree[steps[-1]] = value
