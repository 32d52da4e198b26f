"""Our own placement cases, in the format of the reference cases, each with the rule that it shows.

Further keys of a case: `settings` (in Karpenter's words, see `keywords`), `packing` (only that one; both when absent). Further keys of
`expect`: `price` (total, under both packings) and `expectReason` ({pod: text or texts in its reasons}).
After each case the checker judges the plan, and a second run has to give the same bytes.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fretsaw.planner import plan_objects
from support.cases import Answer, Case, keywords, read_cases
from support.checker import check

_HERE = Path(__file__).parent
_CASES = [case for path in sorted(_HERE.glob("*.yaml")) for case in read_cases(path)]
_RUNS = [(case, packing) for case in _CASES for packing in case.packings]


@pytest.mark.parametrize(("case", "packing"), _RUNS, ids=[f"{case.id}[{packing}]" for case, packing in _RUNS])
def test_scenario(case: Case, packing: str) -> None:
    first, second = (
        plan_objects(case.objects, case.catalog, packing=packing, **keywords(case.settings)) for _ in range(2)
    )
    broken = check(
        case.objects, case.catalog, first, packing=packing, pessimistic=packing == "first-fit", settings=case.settings
    )
    assert Answer(case, first).failures() + [f"rule broken: {text}" for text in broken] == []
    first.pop("seconds"), second.pop("seconds")
    assert json.dumps(first) == json.dumps(second)


def test_every_scenario_names_its_source_once() -> None:
    names = [case.id for case in _CASES]
    assert len(names) == len(set(names))
    assert [case.id for case in _CASES if not case.why] == []
    assert len(names) >= 110
