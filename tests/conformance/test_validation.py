"""Which objects are accepted, judged by a real API server with the real CRDs, and by the real controllers.

A case passes when the verdict is the same and a problem names the field, or one inside it.
"""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from fretsaw.api.problem import Problem
from fretsaw.api.validate import validate
from support.shared import shared

DIFFERENCES = Path(__file__).with_name("differences.yaml")


def _expanded(tree: Any) -> Any:
    """The tree with `x-count` items and `x-entries` unfolded; `{i}` in them is the index from 0."""
    if isinstance(tree, list):
        return [made for item in tree for made in _items(item)]
    if isinstance(tree, dict):
        made = {key: _expanded(value) for key, value in tree.items() if key != "x-entries"}
        if (entries := tree.get("x-entries")) is not None:
            for index in range(entries["count"]):
                made[_indexed(entries["key"], index)] = _indexed(entries["value"], index)
        return made
    return tree


def _items(item: Any) -> list[Any]:
    if not isinstance(item, dict) or "x-count" not in item:
        return [_expanded(item)]
    rest = {key: value for key, value in item.items() if key != "x-count"}
    body = rest.get("x-value", rest)
    return [_expanded(_indexed(body, index)) for index in range(item["x-count"])]


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


def _load(path: Path) -> dict[str, Any]:
    """A file of cases: objects, not texts, so that YAML 1.1 words such as y are what Python takes them for."""
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


def _param(stem: str, loaded: dict[str, Any], case: dict[str, Any]) -> Any:
    aws = loaded.get("crds") == "aws"
    return pytest.param(loaded["bases"][case["base"]], case, aws, id=f"{stem}:{case['name']}")


def _cases() -> list[Any]:
    found = []
    for path in sorted(shared("conformance", "validation").glob("*.yaml")):
        loaded = _load(path)
        found += [_param(path.stem, loaded, case) for case in loaded["cases"]]
    return found


def _differences() -> dict[str, str]:
    listed = yaml.safe_load(DIFFERENCES.read_text(encoding="utf-8")) if DIFFERENCES.exists() else {}
    return {item["name"]: item["why"] for item in (listed or {}).get("validation") or []}


def _judged(base: dict[str, Any], case: dict[str, Any], *, aws: bool) -> list[Problem]:
    if (update := case.get("update")) is None:
        return validate(_merged(base, _expanded(case.get("patch") or {})), aws=aws)
    old = _merged(base, _expanded(update["from"]))
    return validate(_merged(old, _expanded(update["to"])), old=old, aws=aws)


def _names(problem: Problem, field: str) -> bool:
    return problem.path == field or (problem.path.startswith(field) and problem.path[len(field)] in ".[")


@pytest.mark.parametrize(("base", "case", "aws"), _cases())
def test_verdict_is_that_of_the_api_server_and_the_controllers(
    base: dict[str, Any], case: dict[str, Any], aws: bool, request: pytest.FixtureRequest
) -> None:
    name = request.node.callspec.id
    if (why := _differences().get(name)) is not None:
        pytest.skip(f"differs on purpose: {why}")
    errors = [problem for problem in _judged(base, case, aws=aws) if problem.severity == "error"]
    admission = [problem for problem in errors if problem.by != "runtime"]
    refusals = [problem for problem in errors if problem.by == "runtime"]
    if case["expect"] == "accept":
        assert not errors, case["why"]
    elif case["expect"] == "reject":
        assert any(_names(problem, case["field"]) for problem in admission), (case["why"], errors)
    else:
        assert case["expect"] == "runtime-reject"
        assert not admission, (case["why"], admission)
        assert any(_names(problem, case["field"]) for problem in refusals), (case["why"], refusals)


def test_every_listed_difference_is_a_case() -> None:
    assert _differences().keys() <= {param.id for param in _cases()}
