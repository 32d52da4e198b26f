"""Manifests from public repositories: each loads, or says precisely what is wrong and where.

105 files of 13 projects, among them templates that are not YAML yet and Karpenter's old kinds, and the 25 manifests of
the GPU platform example.
"""

import csv
import re
from collections import Counter

import pytest

from fretsaw.api.expand import expand
from fretsaw.api.manifest import dump, load, parse
from support.shared import root, shared

_MANIFESTS = root() / "data" / "manifests"
_INDEX_FILE = _MANIFESTS / "index.csv"
_INDEX = list(csv.DictReader(_INDEX_FILE.read_text().splitlines())) if _INDEX_FILE.exists() else []
_EXAMPLE = sorted((root() / "examples" / "seed").glob("[0-9]*.yaml"))

_OLD = ("v1alpha5/Provisioner", "v1alpha1/AWSNodeTemplate", "v1beta1/NodePool", "v1beta1/EC2NodeClass")


def outcome(manifests):
    """One word for how a file went."""
    if any(error.by == "file" for error in manifests.errors):
        return "template" if all("template" in e.message for e in manifests.errors if e.by == "file") else "broken"
    if any("an old kind" in error.message for error in manifests.errors):
        return "old kinds"
    return "errors" if manifests.errors else "objects"


@pytest.mark.parametrize("row", _INDEX, ids=lambda row: row["file"])
def test_each_file_loads_or_says_why_not(row):
    file = shared("data", "manifests", row["file"])
    manifests = load([file])
    read = Counter(f"{d.api_version}/{d.kind}" for d in manifests.documents if d.kind)
    if row["yaml_ok"] == "True":
        assert set(row["kinds"].split(";")) == set(read)
    lines = file.read_text().count("\n") + 1
    for problem in manifests.problems:
        assert 1 <= problem.line <= lines
        assert problem.message
        assert problem.object or problem.by == "file"
        assert re.match(rf"{re.escape(str(file))}:\d+", str(problem))
    for document in manifests.documents:
        old = f"{document.api_version}/{document.kind}".endswith(_OLD)
        assert document.obj is not None or document.problems or document.known is None
        assert document.has_errors or not old
    expand(manifests)


def test_outcomes_in_total():
    shared("data", "manifests")
    went = {row["file"]: outcome(load([_MANIFESTS / row["file"]])) for row in _INDEX}
    assert Counter(went.values()) == Counter({"objects": 81, "old kinds": 16, "template": 5, "errors": 3})
    assert sorted(file.rsplit("/", 1)[-1] for file, how in went.items() if how == "errors") == [
        "nodepool-local-provisioner.yaml",  # kubelet settings in a v1 NodePool
        "odcr-automode.yaml",  # <<AZ>> as a zone
        "odcr.yaml",  # the same
    ]


def test_templates_name_the_placeholder_and_its_line():
    shared("data", "manifests")
    found = {}
    for row in _INDEX:
        for error in load([_MANIFESTS / row["file"]]).errors:
            if error.by == "file":
                found[row["file"].rsplit("/", 1)[-1]] = (error.line, error.seen)
    assert found == {
        "model-qwen3-embedding-4b-bf16.template.yaml": (21, "{{{KARPENTER_PREFIX}}}"),
        "model-gpt-oss-20b.template.yaml": (21, "{{{KARPENTER_PREFIX}}}"),
        "ubuntu-gpu-provisioner-spark.yaml": (18, "${azs}"),
        "trainium-provisioner.yaml": (14, "${azs}"),
        "spark-memory-optimized-provisioner.yaml": (14, "${azs}"),
    }


def test_core_kinds_cause_no_false_alarm():
    """The only complaint about all Pods, Deployments, Jobs, Services, … is a true one: a field that does not exist."""
    shared("data", "manifests")
    complaints = [
        (problem.object, problem.path, problem.right)
        for row in _INDEX
        for document in load([_MANIFESTS / row["file"]]).documents
        if document.known is not None and not document.known.is_custom
        for problem in document.located()
    ]
    assert complaints == [
        (
            "Deployment/gpu-nvidia",
            "spec.template.spec.containers[0].securityContext.allowPrivilegedEscalation",
            "did you mean allowPrivilegeEscalation?",
        )
    ]


def test_everything_survives_a_round_trip():
    manifests = load([shared("data", "manifests"), shared("examples", "seed")])
    whole = [document for document in manifests.documents if isinstance(document.raw, dict)]
    again = parse(dump(whole))
    assert [d.raw for d in again.documents] == [d.raw for d in whole]
    assert [d.obj for d in again.documents] == [d.obj for d in whole]


@pytest.mark.parametrize("file", _EXAMPLE, ids=lambda file: file.name)
def test_each_manifest_of_the_gpu_platform_loads(file):
    manifests = load([file])
    assert manifests.errors == ()
    (document,) = manifests.documents
    expected = {
        "14-fragment-disruption-business-hours.yaml": ["not a Kubernetes object: no apiVersion and no kind"],
        "18-servicemonitor-karpenter.yaml": ["the kind ServiceMonitor is not read"],
        "19-servicemonitor-dcgm-exporter.yaml": ["the kind ServiceMonitor is not read"],
        "20-prometheusrule-karpenter-gpu-alerts.yaml": ["the kind PrometheusRule is not read"],
        "24-helm-gpu-operator-values.yaml": ["not a Kubernetes object: no apiVersion and no kind"],
    }.get(file.name, [])
    assert [warning.message for warning in manifests.warnings] == expected
    assert (document.obj is None) == bool(expected)


def test_the_gpu_platform_has_these_pods():
    manifests = load([shared("examples", "seed", file.name) for file in _EXAMPLE])
    assert Counter(pod.metadata.namespace for pod in expand(manifests).pods) == Counter(
        {"ml-serving": 5, "ml-training": 4, "default": 3}
    )
