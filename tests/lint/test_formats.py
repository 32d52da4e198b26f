"""Findings for programs: the documented JSON, SARIF 2.1.0 and workflow commands."""

from __future__ import annotations

import pytest

from fretsaw.api.manifest import parse
from fretsaw.lint.formats import as_github, as_json, as_sarif
from fretsaw.lint.rule import all_rules, chosen
from fretsaw.lint.run import Report, lint

POOL = """\
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: gpu}
spec:
  template:
    spec:
      requirements: [{key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [l4]}]
      nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}
  disruption:
    consolidateAfter: 5m
    budgets: [{nodes: '0'}]  # fretsaw: allow DRAIN101 because of the audit
"""


@pytest.fixture
def report() -> Report:
    return lint(parse(POOL, "pools, all.yaml"), chosen(["GPU101", "DRAIN101"], []))


def test_json_has_the_documented_fields(report: Report) -> None:
    (finding,) = as_json(report)["findings"]
    wanted = {"rule", "severity", "file", "line", "object", "path", "message", "fix"}
    assert wanted <= finding.keys()
    place = {key: finding[key] for key in ("rule", "severity", "file", "line", "object", "path")}
    assert place == {
        "rule": "GPU101",
        "severity": "warning",
        "file": "pools, all.yaml",
        "line": 6,
        "object": "NodePool/gpu",
        "path": "spec.template.spec.taints",
    }
    assert finding["usdPerHour"] > 0


def test_sarif_names_rules_places_and_suppressions(report: Report) -> None:
    sarif = as_sarif(report, all_rules())
    assert (sarif["version"], len(sarif["runs"])) == ("2.1.0", 1)
    driver, results = sarif["runs"][0]["tool"]["driver"], sarif["runs"][0]["results"]
    assert [rule["id"] for rule in driver["rules"]] == [rule.code for rule in all_rules()]
    assert all(rule["shortDescription"]["text"] and rule["help"]["text"] for rule in driver["rules"])
    for result in results:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
        assert result["message"]["text"]
        assert result["locations"][0]["physicalLocation"]["region"]["startLine"] >= 1
    suppressed = [result for result in results if "suppressions" in result]
    assert [one["ruleId"] for one in suppressed] == ["DRAIN101"]
    assert suppressed[0]["suppressions"] == [{"kind": "inSource", "justification": "of the audit"}]


def test_a_workflow_command_escapes_what_would_end_it(report: Report) -> None:
    (line,) = as_github(report)
    assert line.startswith("::warning file=pools%2C all.yaml,line=6,title=GPU101 gpu-pool-untainted::NodePool/gpu: ")
    assert "\n" not in line
