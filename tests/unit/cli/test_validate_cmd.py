"""`fretsaw validate` and `fretsaw crds`: shapes of the output and exit codes."""

import json
from pathlib import Path

import pytest
import yaml

from fretsaw.cli.main import run

POOL = """apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: gpu}
spec:
  weight: 5
  template:
    spec:
      nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}
      requirements: []
"""
CLASS = """apiVersion: karpenter.k8s.aws/v1
kind: EC2NodeClass
metadata: {name: gpu}
spec:
  role: nodes
  amiSelectorTerms: [{alias: al2023@latest}]
  subnetSelectorTerms: [{id: subnet-1}]
  securityGroupSelectorTerms: [{id: sg-1}]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "pools.yaml"


def test_good_objects_are_valid_and_the_exit_code_is_zero(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(f"{POOL}---\n{CLASS}")
    assert run(["validate", str(file), "-o", "json"]) == 0
    objects = json.loads(capsys.readouterr().out)["objects"]
    assert objects == [
        {"file": str(file), "line": 1, "object": "NodePool/gpu", "valid": True, "problems": []},
        {"file": str(file), "line": 11, "object": "EC2NodeClass/gpu", "valid": True, "problems": []},
    ]


def test_an_error_makes_the_object_invalid_and_the_exit_code_two(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(f"{CLASS}---\n{POOL.replace('weight: 5', 'weight: 500')}")
    assert run(["validate", str(file), "-o", "json"]) == 2
    good, bad = json.loads(capsys.readouterr().out)["objects"]
    assert good["valid"] is True
    assert bad["valid"] is False
    assert bad["problems"] == [
        {"path": "spec.weight", "message": "is too large: 500 (at most 100)", "severity": "error", "by": "schema"}
    ]


def test_a_class_that_is_not_in_the_input_is_a_warning(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(POOL)
    assert run(["validate", str(file)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        str(file),
        "  line 8: warning: NodePool/gpu spec.template.spec.nodeClassRef.name",
        "      names a node class that is not in the input: EC2NodeClass/gpu (give its file too, if it exists)",
        "",
        "1 object checked: 1 valid, 0 not; 1 warning",
    ]


def test_two_versions_of_one_object_are_each_judged_by_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(CLASS)
    assert run(["validate", str(tmp_path), "-o", "json"]) == 0
    first, second = json.loads(capsys.readouterr().out)["objects"]
    assert (first["valid"], second["valid"]) == (True, True)
    assert [problem["severity"] for problem in second["problems"]] == ["warning"]


def test_a_missing_file_is_an_error_that_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", "nowhere.yaml", "-o", "json"]) == 2
    (broken,) = json.loads(capsys.readouterr().out)["objects"]
    assert broken["file"] == "nowhere.yaml"
    assert broken["problems"][0]["by"] == "schema"


def test_nothing_to_validate_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate"]) == 2
    assert "nothing to validate" in capsys.readouterr().err


def test_crds_are_printed_in_one_order_and_in_both_forms(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["crds", "-o", "json"]) == 0
    listed = json.loads(capsys.readouterr().out)["items"]
    assert run(["crds"]) == 0
    printed = capsys.readouterr().out
    assert list(yaml.safe_load_all(printed)) == listed
    assert [item["spec"]["names"]["kind"] for item in listed] == [
        "NodePool",
        "NodeClaim",
        "NodeOverlay",
        "CapacityBuffer",
        "EC2NodeClass",
    ]
    assert run(["crds"]) == 0
    assert capsys.readouterr().out == printed


def test_one_kind_of_crd_and_the_flavour_without_the_aws_rule(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["crds", "--kind", "nodepool"]) == 0
    shipped = capsys.readouterr().out
    assert run(["crds", "--kind", "NodePool", "--any-label"]) == 0
    plain = capsys.readouterr().out
    assert len(list(yaml.safe_load_all(shipped))) == 1
    assert 'label domain "karpenter.k8s.aws" is restricted' in shipped
    assert 'label domain "karpenter.k8s.aws" is restricted' not in plain
