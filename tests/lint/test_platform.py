"""What is known to be wrong with the GPU platform example is found, each by its rule, and mending mends.

The example is a guide's, unchanged but for what it leaves undefined; each line of the table is a place where the guide
disagrees with itself or with the software of today.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from fretsaw.api.manifest import load
from fretsaw.lint.fixing import fix, reader
from fretsaw.lint.found import Finding
from fretsaw.lint.run import lint

EXAMPLES = Path(__file__).parents[2] / "examples"
FOLDERS = [str(EXAMPLES / "gpu-platform"), str(EXAMPLES / "gpu-platform-extras")]

KNOWN = [
    # a pool for training: never expires, it says, and large machines
    ("DRAIN102", "NodePool/gpu-training", "720h"),
    ("GPU106", "NodePool/gpu-training", "only says that there is a GPU"),
    ("DRAIN101", "NodePool/gpu-training", "consolidateAfter 30m never takes effect"),
    # the image has a driver, the boot script and the operator bring one
    ("GPU114", "EC2NodeClass/gpu-optimized", "GPU Operator"),
    ("GPU113", "", "driver"),
    ("GPU113", "", "toolkit"),
    # do-not-disrupt and grace periods against Spot
    ("SPOT102", "Pod/training-job", "gpu-tier1-g5-spot"),
    ("SPOT102", "Pod/long-training-job", "gpu-tier1-g5-spot"),
    ("SPOT103", "Pod/training-job", "120 s"),
    ("SPOT103", "Pod/long-training-job", "180 s more"),
    ("SPOT101", "Pod/training-job", "gpu-training would sell On-Demand"),
    ("SPOT101", "Pod/long-training-job", "weight 100"),
    # a server without models, probes and a budget
    ("WORK105", "Deployment/gpu-inference-server", "does not start"),
    ("WORK106", "Deployment/gpu-inference-server", "loads its model"),
    # tiers that no selector reaches
    ("POOL106", "NodePool/gpu-tier1-g5-spot", "node-type"),
    ("POOL106", "NodePool/gpu-tier2-g4dn-spot", "node-type"),
    ("POOL106", "NodePool/gpu-tier3-g5-ondemand", "node-type"),
    # a budget for drift that changes nothing
    ("DRAIN104", "NodePool/gpu-training-protected", "805 of 840 hours"),
    ("COST101", "NodePool/gpu-training-protected", "no limit"),
    # metrics, labels and ports that are not there
    ("OBS101", "PrometheusRule/karpenter-gpu-alerts", "karpenter_nodepools_usage"),
    ("OBS101", "PrometheusRule/karpenter-gpu-alerts", "karpenter_nodepools_limit"),
    ("OBS102", "PrometheusRule/karpenter-gpu-alerts", "no label reason"),
    ("OBS103", "ServiceMonitor/dcgm-exporter", "gpu-metrics"),
    ("OBS104", "ServiceMonitor/karpenter", "release"),
    ("OBS104", "PrometheusRule/karpenter-gpu-alerts", "release"),
    # a distributed run that cannot start
    ("WORK101", "Job/distributed-training", "Indexed"),
    ("WORK102", "Job/distributed-training", "training-master"),
    ("WORK111", "Job/distributed-training", "sixth"),
    ("WORK103", "Job/distributed-training", "4 workers"),
    # a model that does not fit, is not called so, and is gated
    ("GPU107", "Deployment/llm-inference", "16384 MiB"),
    ("WORK110", "Deployment/llm-inference", "Meta-Llama-3-8B"),
    ("WORK109", "Deployment/llm-inference", "gated"),
    ("DRAIN105", "Deployment/llm-inference", "drained at once"),
    ("DRAIN110", "NodePool/gpu-inference", "of 3 nodes 1"),
    ("OBS105", "HorizontalPodAutoscaler/llm-inference-hpa", "gpu_utilization"),
    # a look at a GPU without asking for one, on what may be AMD's
    ("GPU104", "Pod/gpu-debug", "none is asked for"),
    ("GPU105", "NodePool/gpu-general", "g4ad"),
]


@pytest.fixture(scope="module")
def findings() -> tuple[Finding, ...]:
    return lint(load(FOLDERS)).findings


@pytest.mark.parametrize(("rule", "name", "says"), KNOWN)
def test_a_known_mistake_is_found(findings: tuple[Finding, ...], rule: str, name: str, says: str) -> None:
    texts = [f"{one.message} {one.proof} {one.fix}" for one in findings if (one.rule, one.object) == (rule, name)]
    assert any(says in text for text in texts), texts


def test_claims_and_classes_that_the_guide_left_undefined_are_defined(findings: tuple[Finding, ...]) -> None:
    assert {one.rule for one in findings} & {"POOL103", "WORK104", "WORK112"} == set()


def test_findings_stand_in_lines_that_are_about_them(findings: tuple[Finding, ...]) -> None:
    budget = next(one for one in findings if one.rule == "DRAIN101")
    line = Path(budget.file).read_text().splitlines()[budget.line - 1]
    assert line.strip() == "- nodes: '0'"
    alert = next(one for one in findings if one.rule == "OBS102")
    assert 'reason="ProvisioningFailed"' in Path(alert.file).read_text().splitlines()[alert.line - 1]


def test_mending_mends_keeps_comments_and_brings_nothing_new(tmp_path: Path) -> None:
    for folder in FOLDERS:
        shutil.copytree(folder, tmp_path / Path(folder).name)
    before = lint(load([tmp_path])).findings
    comments = {p: [line for line in p.read_text().splitlines() if "#" in line] for p in tmp_path.rglob("*.yaml")}
    fixed = fix(reader([str(tmp_path)]), None, region="us-east-1")
    assert len(fixed.findings) >= 10
    assert not [one for one in fixed.report.findings if one.edits]
    assert {
        p: [line for line in p.read_text().splitlines() if "#" in line] for p in tmp_path.rglob("*.yaml")
    } == comments
    known = {(one.rule, one.object) for one in before}
    assert {(one.rule, one.object) for one in fixed.report.findings} <= known
    assert fixed.report.findings == lint(load([tmp_path])).findings
    assert load([tmp_path]).errors == ()


def test_the_counts_in_the_guide_are_those_of_the_example(findings: tuple[Finding, ...]) -> None:
    text = (EXAMPLES.parent / "docs" / "lint.md").read_text().partition("## What it finds")[2]
    table = {row[0]: row[1] for row in re.findall(r"^\| ([A-Z]+) \| (\d+) \|", text, re.MULTILINE)[:8]}
    counts = Counter(one.rule.rstrip("0123456789") for one in findings)
    assert table == {family: str(count) for family, count in counts.items()}
    assert f"{len(findings)} findings" in text
