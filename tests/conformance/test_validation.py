"""Which objects are accepted, judged by a real API server with the real CRDs, and by the real controllers.

A case passes when the verdict is the same and a problem names the field, or one inside it.
"""

from pathlib import Path

import pytest
import yaml

from fretsaw.api.problem import Problem
from fretsaw.api.validate import validate
from support.shared import shared
from support.validation_cases import Case, cases

DIFFERENCES = Path(__file__).with_name("differences.yaml")
CASES = cases(shared("conformance", "validation"))


def _differences() -> dict[str, str]:
    listed = yaml.safe_load(DIFFERENCES.read_text(encoding="utf-8")) if DIFFERENCES.exists() else {}
    return {item["name"]: item["why"] for item in (listed or {}).get("validation") or []}


def _names(problem: Problem, field: str) -> bool:
    return problem.path == field or (problem.path.startswith(field) and problem.path[len(field)] in ".[")


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in CASES])
def test_verdict_is_that_of_the_api_server_and_the_controllers(case: Case) -> None:
    if (why := _differences().get(case.id)) is not None:
        pytest.skip(f"differs on purpose: {why}")
    problems = validate(case.new, old=case.old, aws=case.aws)
    errors = [problem for problem in problems if problem.severity == "error"]
    admission = [problem for problem in errors if problem.by != "runtime"]
    refusals = [problem for problem in errors if problem.by == "runtime"]
    if case.expect == "accept":
        assert not errors, case.why
    elif case.expect == "reject":
        assert any(_names(problem, case.field) for problem in admission), (case.why, errors)
    else:
        assert case.expect == "runtime-reject"
        assert not admission, (case.why, admission)
        assert any(_names(problem, case.field) for problem in refusals), (case.why, refusals)


def test_every_listed_difference_is_a_case() -> None:
    assert _differences().keys() <= {case.id for case in CASES}
