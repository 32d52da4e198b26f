"""`fretsaw lint` as a user runs it: streams, options and exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from fretsaw.cli.lint_cmd import lint
from fretsaw.cli.main import run
from support.listing_server import ListingServer

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
    budgets:
      - nodes: '0'  # never
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pool.yaml"
    path.write_text(POOL)
    return path


def test_text_shows_the_line_the_proof_the_money_and_the_fix(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lint", str(file), "--select", "DRAIN101"]) == 1
    out = capsys.readouterr().out
    assert out.splitlines()[:3] == [
        str(file),
        "  line 12: error DRAIN101 zero-budget  NodePool/gpu spec.disruption.budgets[0]",
        "    12 │       - nodes: '0'  # never",
    ]
    assert "proof: of 100 empty nodes the budgets let 0 go" in out
    assert "at risk: $" in out
    assert "fix: write reasons: [Underutilized, Drifted] beside it, so that empty nodes go [--fix]" in out
    assert out.endswith("1 object judged: 1 error; --fix mends 1\n")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ([], 1),
        (["--ignore", "DRAIN101"], 0),
        (["--ignore", "DRAIN101", "--fail-on", "warning"], 1),
        (["--select", "DRAIN110,COST104"], 0),
        (["--fail-on", "never"], 0),
        (["--select", "zero-budget"], 1),
        (["--select", "DRAIN", "--ignore", "DRAIN1"], 0),
    ],
)
def test_the_exit_code_is_about_what_was_asked_for(file: Path, options: list[str], code: int) -> None:
    assert run(["lint", str(file), *options]) == code


def test_fix_writes_the_file_and_diff_does_not(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lint", str(file), "--select", "DRAIN101", "--diff"]) == 0
    assert file.read_text() == POOL
    assert "\n+        reasons: [Underutilized, Drifted]\n" in capsys.readouterr().out
    assert run(["lint", str(file), "--select", "DRAIN101", "--fix"]) == 0
    assert file.read_text() == POOL + "        reasons: [Underutilized, Drifted]\n"
    assert "1 finding mended in 1 file; 0 left" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to lint"),
        (["x.yaml", "--select", "GPU999"], "no such rule: GPU999"),
        (["x.yaml", "--ignore", "zero-budgets"], "did you mean zero-budget?"),
        (["x.yaml", "--region", "us-east-11"], "did you mean us-east-1?"),
        (["--live", "--fix"], "leave out --live"),
        (["-", "--diff"], "standard input is none"),
        (["x.yaml", "--context", "prod"], "add --live"),
        (["--explain", "GPU999"], "no such rule"),
    ],
)
def test_wrong_flags_are_answered_with_what_would_be_right(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["lint", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_files_that_are_no_manifests_are_one_warning_and_broken_ones_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "chart.yaml").write_text("kind: {{ .Values.kind }}\n{{- if .x }}\nspec: {}\n{{- end }}\n")
    (tmp_path / "list.yaml").write_text("- a\n")
    (tmp_path / "values.yaml").write_text("replicas: 3\n")
    assert run(["lint", str(tmp_path)]) == 0
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(": ")[0] for line in said] == ["warning"]
    assert "not YAML before its template is filled in" in said[0]
    (tmp_path / "another.yaml").write_text("kind: {{ .Values.kind }}\n{{- if .x }}\nspec: {}\n{{- end }}\n")
    assert run(["lint", str(tmp_path)]) == 0
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("warning: 2 texts are templates to be filled in, such as ")
    (tmp_path / "broken.yaml").write_text("a: [1,\n")
    assert run(["lint", str(tmp_path)]) == 2
    assert "broken.yaml:1: not YAML" in capsys.readouterr().err
    assert run(["lint", str(tmp_path / "absent.yaml")]) == 2


def test_an_invalid_object_is_told_of_and_not_judged(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(POOL.replace("consolidateAfter: 5m", "consolidateAfter: soon"))
    assert run(["lint", str(file)]) == 0
    assert "1 object is not valid" in capsys.readouterr().err


def test_list_and_explain(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lint", "--list"]) == 0
    assert "  POOL101  one-type-left " in capsys.readouterr().out
    assert run(["lint", "--explain", "one-type-left"]) == 0
    assert "Requirements that leave one instance type" in capsys.readouterr().out


def test_json_goes_to_standard_output_alone(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(f"# fretsaw: allow GPU101\n{POOL}")
    assert run(["lint", str(file), "-o", "json"]) == 1
    captured = capsys.readouterr()
    assert "DRAIN101" in {one["rule"] for one in json.loads(captured.out)["findings"]}
    assert "without a reason" in captured.err


def test_a_live_cluster_is_judged_and_files_are_applied_to_it(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    live = yaml.safe_load(POOL)
    live["metadata"] |= {"uid": "u", "annotations": {"fretsaw.dev/allow": "GPU101 because few use it"}}
    with ListingServer(tmp_path, [live]) as server:
        access = ["--live", "--kubeconfig", server.kubeconfig, "-o", "json"]
        assert run(["lint", *access]) == 1
        found = json.loads(capsys.readouterr().out)["findings"]
        assert ("DRAIN101", "<cluster>", "NodePool/gpu") in {(one["rule"], one["file"], one["object"]) for one in found}
        assert "GPU101" not in {one["rule"] for one in found}
        file.write_text(POOL.replace("nodes: '0'", "nodes: '1'"))
        assert run(["lint", str(file), *access]) == 0
    assert run(["lint", "--live", "--kubeconfig", server.kubeconfig]) == 3


def test_the_hook_and_the_action_use_options_that_there_are() -> None:
    root = Path(__file__).parents[2]
    hooks = yaml.safe_load((root / ".pre-commit-hooks.yaml").read_text())
    action = yaml.safe_load((root / "action.yml").read_text())
    commands = [hook["entry"] for hook in hooks] + [step["run"] for step in action["runs"]["steps"][1:]]
    known = {option for one in lint.params for option in one.opts}
    used = {word for command in commands for word in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", command)}
    assert used <= known
    inputs = set(re.findall(r"inputs\.([a-z-]+)", str(action["runs"])))
    assert inputs == set(action["inputs"])
