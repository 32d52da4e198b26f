"""Files to objects with all problems, and back."""

import json
import os

import pytest

from fretsaw.api.manifest import dump, load, parse

POD = """apiVersion: v1
kind: Pod
metadata:
  name: train
  labels: {app: train}
spec:
  containers:
    - name: main
      image: trainer
      resources:
        limits: {nvidia.com/gpu: 1, cpu: "4"}
"""


def problems(text):
    return [str(problem) for problem in parse(text, "f.yaml").problems]


def test_a_pod_becomes_an_object():
    (document,) = parse(POD).documents
    assert (document.file, document.line, document.object, document.namespace) == ("<text>", 1, "Pod/train", "")
    assert document.obj.spec.containers[0].resources.limits == {"nvidia.com/gpu": 1, "cpu": "4"}
    assert document.problems == ()


def test_lines_point_at_fields_even_with_dots_in_keys():
    (document,) = parse("# a comment\n" + POD).documents
    assert document.line == 2
    assert document.line_of("spec.containers[0].image") == 10
    assert document.line_of("spec.containers[0].resources.limits[nvidia.com/gpu]") == 12
    assert document.line_of("spec.containers[0].resources.limits.nvidia.com/gpu") == 12
    assert document.line_of("spec.containers[0].nothing.here") == 9


def test_all_wrong_types_of_an_object_are_reported_at_once():
    text = """apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {tier: 1}
spec:
  replicas: "three"
  paused: "true"
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: yes}}
    spec:
      nodeSelector: [gpu]
      containers:
        name: main
"""
    assert problems(text) == [
        'f.yaml:5 deployment/web metadata.labels[tier]: must be text: 1 (put it in quotes: "1")',
        'f.yaml:7 deployment/web spec.replicas: must be an integer: "three"',
        "f.yaml:11 deployment/web spec.template.metadata.labels[app]: must be text: true "
        '(YAML reads yes, no, on, off, true and false as booleans: put it in quotes, such as "true")',
        "f.yaml:14 deployment/web spec.template.spec.containers: must be a list: a map with name",
        "f.yaml:13 deployment/web spec.template.spec.nodeSelector: must be a map: a list of 1",
        'f.yaml:8 deployment/web spec.paused: must be true or false: "true" (without quotes: true)',
    ]
    assert parse(text).objects("Deployment") == ()


def test_missing_required_field_and_null_item():
    text = (
        POD
        + "  tolerations:\n    - null\n  affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{operator: In}]}]}}}\n"
    )
    assert [(p.path, p.message, p.right) for p in parse(text).problems] == [
        (
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].key",
            "missing",
            "write text",
        ),
        ("spec.tolerations[0]", "must be a map", ""),
    ]


def test_null_fields_count_as_absent():
    text = (
        POD.replace("  labels: {app: train}", "  labels:\n  annotations: {a: }") + "  tolerations:\n  nodeSelector:\n"
    )
    (pod,) = parse(text).objects("Pod")
    assert (pod.metadata.labels, pod.metadata.annotations, pod.spec.tolerations) == ({}, {"a": ""}, ())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("kind: Pod\nmetadata: {name: a}", "f.yaml:1 pod/a apiVersion: missing (write v1)"),
        ("apiVersion: v1\nmetadata: {name: a}", "f.yaml:1 /a kind: missing (every object needs kind)"),
        ("apiVersion: v1\nkind: 3", "f.yaml:2 kind: must be text: 3"),
        ("driver: {enabled: true}\nx: 1", "f.yaml:1: not a Kubernetes object: no apiVersion and no kind: driver, x"),
        ("just text", 'f.yaml:1: not a Kubernetes object: "just text" (a map with apiVersion and kind)'),
        ("[1, 2]", "f.yaml:1: not a Kubernetes object: a list of 2 (a map with apiVersion and kind)"),
        (
            "apiVersion: extensions/v1beta1\nkind: Deployment\nmetadata: {name: a}",
            "f.yaml:1 deployment/a apiVersion: not read: extensions/v1beta1 (write apps/v1)",
        ),
        (
            "apiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nmetadata: {name: a}",
            "f.yaml:1 poddisruptionbudget/a apiVersion: not read: policy/v1beta1 (write policy/v1)",
        ),
        (
            "apiVersion: v1\nkind: NodePool\nmetadata: {name: a}",
            "f.yaml:1 nodepool/a apiVersion: not read: v1 (write karpenter.sh/v1)",
        ),
        (
            "apiVersion: karpenter.sh/v1\nkind: EC2NodeClass\nmetadata: {name: a}",
            "f.yaml:1 ec2nodeclass/a apiVersion: not read: karpenter.sh/v1 (write karpenter.k8s.aws/v1)",
        ),
        ("a: 1\nb: [", "f.yaml:2: not YAML: while parsing a flow node did not find expected node content"),
        (
            "metadata:\n  name: {{ .Values.name }}\n",
            "f.yaml:2: not YAML before its template is filled in: {{ .Values.name }} (render it first, with helm template)",
        ),
        (
            "a: [${zones}b]\nb: 1",
            "f.yaml:1: not YAML before its template is filled in: ${zones} (render it first, with envsubst or sed)",
        ),
        ("", "f.yaml:1: the file holds no object"),
        ("# only a comment\n---\n", "f.yaml:1: the file holds no object"),
    ],
)
def test_what_is_no_object_is_named(text, problem):
    assert problems(text) == [problem]


def test_other_groups_kinds_of_the_same_name_are_not_taken_for_ours():
    manifests = parse("apiVersion: batch.volcano.sh/v1alpha1\nkind: Job\nmetadata: {name: a}\nspec: {tasks: 3}\n")
    assert manifests.of("Job") == ()
    assert [p.severity for p in manifests.problems] == ["warning"]


def test_a_placeholder_in_a_wrong_field_is_named():
    text = "apiVersion: v1\nkind: Pod\nmetadata: {name: '${NAME}'}\nspec: {containers: [{name: a}]}\n"
    assert problems(text) == [
        'f.yaml:3 pod/${NAME} metadata.name: not a valid name: "${NAME}" '
        "(${NAME} has not been filled in: render the file first, with envsubst or sed)"
    ]


def test_a_misspelt_field_is_a_warning_with_the_right_name():
    text = POD + "  nodeSelectr: {a: b}\n  imagePullPolicy: Always\n"
    assert problems(text) == [
        "f.yaml:12 pod/train spec.nodeSelectr: no such field, it has no effect (did you mean nodeSelector?)",
        "f.yaml:13 pod/train spec.imagePullPolicy: no such field, it has no effect "
        "(imagePullPolicy belongs in a container)",
    ]
    assert {p.severity for p in parse(text).problems} == {"warning"}


def test_duplicate_keys_are_an_error_with_both_lines():
    assert problems(POD + "  nodeName: a\n  nodeName: b\n") == [
        'f.yaml:1 pod/train: the key "nodeName" stands twice in one map, in lines 12 and 13'
    ]


def test_the_same_object_twice_names_the_first_place():
    other_namespace = POD.replace("  name: train", "  name: train\n  namespace: ml")
    named_default = POD.replace("  name: train", "  name: train\n  namespace: default")
    assert problems(POD + "---\n" + other_namespace + "---\n" + named_default) == [
        "f.yaml:29 pod/train metadata.name: the same object stands in f.yaml:1: train"
    ]


def test_kinds_that_are_not_read_are_counted_once():
    monitor = "apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {name: %s}\n---\n"
    job = "apiVersion: kubeflow.org/v1\nkind: PyTorchJob\nmetadata: {name: j}\nspec: {replicas: {w: {template: {spec: {containers: []}}}}}\n"
    assert problems(monitor % "a" + monitor % "b" + job) == [
        "f.yaml:1 servicemonitor/a: the kind ServiceMonitor is not read: 2 objects of monitoring.coreos.com/v1",
        "f.yaml:9 pytorchjob/j: the kind PyTorchJob is not read, its pods are not planned: 1 object of kubeflow.org/v1 "
        "(give its pods as Pods or a Job)",
    ]


def test_lists_are_opened_and_typed_lists_name_their_items():
    pods = [{"metadata": {"name": f"p{n}"}, "spec": {"containers": [{"name": "a"}]}} for n in range(2)]
    text = json.dumps({"apiVersion": "v1", "kind": "PodList", "items": pods}, indent=1)
    documents = parse(text).documents
    assert [(d.object, d.line, d.problems) for d in documents] == [("Pod/p0", 5, ()), ("Pod/p1", 17, ())]
    nested = {"kind": "List", "apiVersion": "v1", "items": [{"kind": "List", "items": [documents[0].raw]}, 7]}
    assert [d.object for d in parse(json.dumps(nested)).documents] == ["Pod/p0", ""]


def test_files_folders_and_standard_input_are_read(tmp_path):
    (tmp_path / "b.yaml").write_text(POD.replace("train", "b"))
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.json").write_text(json.dumps(parse(POD.replace("train", "a")).documents[0].raw))
    (tmp_path / "notes.txt").write_text("not read")
    (tmp_path / ".hidden.yaml").write_text("a: [")
    os.symlink(tmp_path / "gone", tmp_path / "z.yml")
    os.symlink(tmp_path, tmp_path / "sub" / "loop")
    manifests = load([tmp_path, tmp_path / "b.yaml", "-"], stdin=POD.encode())
    assert [d.object for d in manifests.documents] == ["Pod/b", "", "Pod/a", "Pod/train"]
    assert [str(p) for p in manifests.problems] == [
        f"{tmp_path}/z.yml:1: a symbolic link that leads nowhere: {tmp_path}/gone"
    ]


def test_unreadable_places_are_problems(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "bin.yaml").write_bytes(b"\0\1\2")
    (tmp_path / "latin.yaml").write_bytes(b"a: 1\nb: \xe9\n")
    paths = [tmp_path / "none.yaml", tmp_path / "empty", tmp_path / "bin.yaml", tmp_path / "latin.yaml", "a\0b"]
    assert [str(p).replace(str(tmp_path), "") for p in load(paths).problems] == [
        "/none.yaml:1: cannot be read: no such file or directory",
        "/empty:1: no manifest in this folder (files that end in .yaml, .yml, .json)",
        "/bin.yaml:1: a binary file (give YAML or JSON)",
        "/latin.yaml:2: not UTF-8 text: byte 0xe9 (save it as UTF-8)",
        "a\0b:1: cannot be read: embedded null byte",
    ]


def test_errors_and_warnings_are_kept_apart():
    manifests = parse(POD + "  nodeSelectr: {}\n  restartPolicy: Sometimes\n")
    assert [p.path for p in manifests.errors] == ["spec.restartPolicy"]
    assert [p.path for p in manifests.warnings] == ["spec.nodeSelectr"]


def test_dump_reads_back_the_same():
    tricky = [
        "yes",
        "y",
        "1e3",
        "0644",
        "~",
        "",
        " lead",
        "a: b",
        "#c",
        "line\nbreak\n",
        "\n\nx",
        "é✓",
        "\t",
        "1:30",
        ".inf",
    ]
    raw = {**parse(POD).documents[0].raw, "extra": {"texts": tricky, "on": 1.5, "deep": [{}, [], None, True, 10**18]}}
    first = parse(json.dumps(raw))
    again = parse(dump(first.documents))
    assert [d.raw for d in again.documents] == [raw]
    assert [d.obj for d in again.documents] == [d.obj for d in first.documents]
