"""Whatever is done to a manifest: never an exception, always objects or problems; and dump reads back the same."""

import copy
import functools
import json
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fretsaw.api.expand import expand
from fretsaw.api.manifest import dump, parse
from support.shared import root

_FAST = settings(
    max_examples=int(os.environ.get("FRETSAW_FUZZ", "150")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    derandomize=True,
)

_OWN = """apiVersion: v1
kind: Pod
metadata: {name: p, labels: {a: b}, ownerReferences: [{kind: Job, name: j}]}
spec:
  nodeSelector: {zone: a}
  tolerations: [{key: gpu, operator: Exists, effect: NoSchedule}]
  affinity:
    podAntiAffinity:
      requiredDuringSchedulingIgnoredDuringExecution:
        - {topologyKey: zone, labelSelector: {matchExpressions: [{key: a, operator: In, values: [b]}]}}
  topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}]
  resources: {limits: {cpu: 4}}
  containers: [{name: c, resources: {limits: {nvidia.com/gpu: 1}, requests: {cpu: 500m}}, ports: [{containerPort: 1}]}]
  volumes: [{name: v, ephemeral: {volumeClaimTemplate: {spec: {accessModes: [x]}}}}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: s}
spec:
  replicas: 2
  selector: {matchLabels: {a: b}}
  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c}]}}
  volumeClaimTemplates: [{metadata: {name: d}, spec: {resources: {requests: {storage: 1Gi}}}}]
---
apiVersion: batch/v1
kind: Job
metadata: {name: j}
spec: {parallelism: 2, template: {spec: {restartPolicy: Never, containers: [{name: c}]}}}
---
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: n}
spec:
  limits: {cpu: 10}
  template:
    spec:
      nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: c}
      requirements: [{key: kubernetes.io/arch, operator: In, values: [amd64]}]
  disruption: {consolidateAfter: 1m, budgets: [{nodes: '1'}]}
---
apiVersion: karpenter.sh/v1alpha5
kind: Provisioner
metadata: {name: o}
spec: {providerRef: {name: x}, limits: {resources: {cpu: 1}}, consolidation: {enabled: true}}
---
apiVersion: v1
kind: Node
metadata: {name: node}
spec: {taints: [{key: a, effect: NoSchedule}]}
status: {capacity: {cpu: 4}, allocatable: {cpu: 3920m}}
"""


@functools.lru_cache(maxsize=1)
def texts():
    """Our own manifest and, where the reference data is there, every fourth real one that is not large."""
    files = sorted((root() / "data" / "manifests").rglob("*.yaml"))[::4]
    return (_OWN, *(text for file in files if len(text := file.read_text()) < 6000))


@functools.lru_cache(maxsize=1)
def trees():
    return tuple(d.raw for text in texts() for d in parse(text).documents if isinstance(d.raw, dict))


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**25), 10**25),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        [
            "",
            "x",
            "${X}",
            "{{ x }}",
            "1Gi",
            "-1",
            "500M",
            "1e999",
            "Never",
            "a/b/c",
            "é",
            "\u2028",
            "[0]",
            "9" * 80,
            "{a: b}",
        ]
    ),
    st.text(max_size=8),
    st.just([]),
    st.just({}),
    st.just([None]),
    st.just({"a": {"b": [1]}}),
    st.just([[["x"]]]),
)
DEEP = st.integers(1, 300).map(lambda depth: json.loads("[" * depth + "]" * depth))


def places(tree, path=()):
    """Every (container, key) of a tree."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in list(pairs):
        yield tree, key
        yield from places(value, (*path, key))


@st.composite
def damaged(draw):
    """A real object with some of its fields deleted, renamed, retyped, doubled or nested."""
    tree = copy.deepcopy(draw(st.sampled_from(trees())))
    for _ in range(draw(st.integers(1, 5))):
        spots = list(places(tree))
        if not spots:
            break
        holder, key = draw(st.sampled_from(spots))
        match draw(st.sampled_from(["delete", "rename", "retype", "double", "nest", "deep"])):
            case "delete":
                del holder[key]
            case "rename" if isinstance(holder, dict):
                holder[draw(st.sampled_from([f"{key}s", str(key)[:-1], "", "a.b[0]", "spec", "\n"]))] = holder.pop(key)
            case "double" if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[key]))
            case "nest":
                holder[key] = [holder[key]]
            case "deep":
                holder[key] = copy.deepcopy(draw(DEEP))
            case _:
                holder[key] = copy.deepcopy(draw(JUNK))  # drawn constants are shared
    return tree


def survives(text):
    """Loads, locates, prints and expands without an exception; nothing is lost in silence."""
    manifests = parse(text)
    assert manifests.documents
    for document in manifests.documents:
        assert document.obj is not None or document.problems or document.kind
    for problem in manifests.problems:
        assert problem.line >= 1
        str(problem).encode()
    expand(manifests)
    return manifests


@_FAST
@given(damaged())
def test_damaged_objects_never_raise(tree):
    survives(json.dumps(tree))


@_FAST
@given(damaged(), damaged())
def test_dump_reads_back_what_was_read(first, second):
    before = parse(json.dumps({"kind": "List", "apiVersion": "v1", "items": [first, second]}))
    whole = [document for document in before.documents if isinstance(document.raw, dict)]
    text = dump(whole)
    again = [document for document in parse(text).documents if isinstance(document.raw, dict)]
    assert [d.raw for d in again] == [d.raw for d in whole]
    assert [d.obj for d in again] == [d.obj for d in whole]
    assert dump(again) == text


@_FAST
@given(st.sampled_from(range(len(texts()))), st.data())
def test_damaged_texts_never_raise(number, data):
    text = texts()[number]
    at = data.draw(st.integers(0, len(text)))
    to = data.draw(st.integers(at, min(len(text), at + 40)))
    match data.draw(st.sampled_from(["cut", "drop", "insert", "repeat", "bytes"])):
        case "cut":
            broken = text[:at].encode()
        case "drop":
            broken = (text[:at] + text[to:]).encode()
        case "insert":
            junk = data.draw(
                st.sampled_from(
                    [
                        "&a ",
                        "*a",
                        "!x ",
                        "- ",
                        ": ",
                        "\t",
                        "{",
                        "[",
                        "|",
                        "---\n",
                        "%",
                        "{{ x }}",
                        "${X}",
                        "'",
                        '"',
                        "? ",
                    ]
                )
            )
            broken = (text[:at] + junk + text[at:]).encode()
        case "repeat":
            broken = (text[:to] + text[at:to] + text[to:]).encode()
        case _:
            broken = text[:at].encode() + data.draw(st.binary(min_size=1, max_size=12)) + text[at:].encode()
    survives(broken)


@_FAST
@given(
    st.one_of(
        st.binary(max_size=60), st.text(alphabet="ab01:-[]{}#&*!|>'\"%@`?,. \n\t~<$", max_size=60).map(str.encode)
    )
)
def test_any_bytes_are_answered(data):
    survives(data)


@pytest.mark.parametrize("size", [101, 999, 5000])
@pytest.mark.parametrize("pair", ["[]", "{}"])
def test_depth_is_bounded_in_json_and_yaml(size, pair):
    opening = "[" if pair == "[]" else '{"a": '
    for head in ("", '{"apiVersion": "v1", "kind": "Pod", "x": '):
        assert survives(
            head + opening * size + ("1" if pair == "{}" else "") + pair[1] * size + ("}" if head else "")
        ).problems
