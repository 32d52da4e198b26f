"""The reference's cases of which objects are accepted, made into objects.

A file is `{bases: {name: object}, cases: [{name, why, base, patch | update, expect, field}], crds?: aws}`; the README
beside the files says what the words mean.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True, slots=True)
class Case:
    """One object, what becomes of it, and at which field."""

    id: str
    """`file:name`."""
    why: str
    expect: str
    """accept, reject (by the API server), runtime-reject (by the controllers: the API server takes it)."""
    field: str
    """The path that the problem names, or a part of it."""
    new: Any
    old: Any
    """What `new` replaces; None when it is created."""
    aws: bool
    """True when the AWS provider's rule about label domains holds."""


def cases(folder: Path) -> list[Case]:
    """Every case of every file, in the order of their names and lines."""
    return [case for path in sorted(folder.glob("*.yaml")) for case in _cases(path)]


def _cases(path: Path) -> list[Case]:
    loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [_case(path.stem, loaded, case) for case in loaded["cases"]]


def _case(stem: str, loaded: Any, case: Any) -> Case:
    base, update = loaded["bases"][case["base"]], case.get("update")
    old = _merged(base, _expanded(update["from"])) if update else None
    return Case(
        id=f"{stem}:{case['name']}",
        why=case["why"],
        expect=case["expect"],
        field=case.get("field", ""),
        new=_merged(old, _expanded(update["to"])) if update else _merged(base, _expanded(case.get("patch") or {})),
        old=old,
        aws=loaded.get("crds") == "aws",
    )


def _expanded(tree: Any) -> Any:
    """The tree with `x-count` items and `x-entries` unfolded; `{i}` in them is the index from 0."""
    if isinstance(tree, list):
        return [made for item in tree for made in _items(item)]
    if isinstance(tree, dict):
        made = {key: _expanded(value) for key, value in tree.items() if key != "x-entries"}
        entries = tree.get("x-entries") or {"count": 0}
        for index in range(entries["count"]):
            made[_indexed(entries["key"], index)] = _indexed(entries["value"], index)
        return made
    return tree


def _items(item: Any) -> list[Any]:
    if not isinstance(item, dict) or "x-count" not in item:
        return [_expanded(item)]
    rest = {key: value for key, value in item.items() if key != "x-count"}
    return [_expanded(_indexed(rest.get("x-value", rest), index)) for index in range(item["x-count"])]


def _indexed(tree: Any, index: int) -> Any:
    if isinstance(tree, str):
        return tree.replace("{i}", str(index))
    if isinstance(tree, list):
        return [_indexed(item, index) for item in tree]
    if isinstance(tree, dict):
        return {_indexed(key, index): _indexed(value, index) for key, value in tree.items()}
    return tree


def _merged(base: Any, patch: Any) -> Any:
    """JSON merge patch: null deletes a key, a list replaces."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    made = dict(base) if isinstance(base, dict) else {}
    for key, value in patch.items():
        if value is None:
            made.pop(key, None)
        else:
            made[key] = _merged(made.get(key), value)
    return made
