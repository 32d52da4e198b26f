"""CapacityBuffers: how many virtual pods, and what they are like."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fretsaw.api.capacitybuffer import CapacityBuffer
from fretsaw.api.pod import Pod
from fretsaw.api.workload import Deployment, PodTemplate
from fretsaw.engine.buffers import FAKE_POD, PRIORITY, buffer_pods
from fretsaw.engine.cluster import Cluster

SPEC: dict[str, Any] = {
    "containers": [{"name": "c", "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}}],
    "volumes": [
        {"name": "a", "persistentVolumeClaim": {"claimName": "data"}},
        {"name": "b", "ephemeral": {}},
        {"name": "c"},
    ],
    "nodeName": "somewhere",
}
TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": SPEC}


def virtual(spec: dict[str, Any], replicas: int | None = 10, namespace: str = "default") -> list[Pod]:
    if not spec.keys() & {"podTemplateRef", "scalableRef"}:
        spec = {**spec, "scalableRef": {"apiGroup": "apps", "kind": "Deployment", "name": "web"}}
    body: dict[str, Any] = {"template": TEMPLATE, "selector": {"matchLabels": {"app": "web"}}}
    if replicas is not None:
        body["replicas"] = replicas
    head = {"name": "web", "namespace": "default"}
    return buffer_pods(
        Cluster(
            buffers=(
                msgspec.convert({"metadata": {"name": "spare", "namespace": namespace}, "spec": spec}, CapacityBuffer),
            ),
            deployments=(msgspec.convert({"metadata": head, "spec": body}, Deployment),),
            pod_templates=(msgspec.convert({"metadata": head, "template": TEMPLATE}, PodTemplate),),
        )
    )


@pytest.mark.parametrize(
    ("spec", "replicas", "size"),
    [
        pytest.param({"replicas": 3}, 10, 3, id="a number"),
        pytest.param({"replicas": 0}, 10, 0, id="nothing"),
        pytest.param({"percentage": 25}, 10, 3, id="a share is rounded up"),
        pytest.param({"percentage": 20}, 10, 2, id="but not beyond a whole number"),
        pytest.param({"percentage": 1}, 10, 1, id="and is at least one"),
        pytest.param({"percentage": 0}, 10, 0, id="unless it is nothing"),
        pytest.param({"percentage": 50}, 0, 0, id="of a workload that is scaled to nothing"),
        pytest.param({"percentage": 50}, None, 1, id="a workload without a number has one"),
        pytest.param({"percentage": 100, "replicas": 3}, 10, 10, id="the larger of both"),
        pytest.param({"percentage": 10, "replicas": 3}, 10, 3, id="whichever it is"),
        pytest.param({"replicas": 5, "limits": {"cpu": "1900m"}}, 10, 3, id="limits cut"),
        pytest.param({"replicas": 5, "limits": {"cpu": "4", "memory": "2Gi"}}, 10, 2, id="the tightest of them"),
        pytest.param(
            {"replicas": 5, "limits": {"nvidia.com/gpu": "1"}},
            10,
            5,
            id="limits on what the pod does not ask for do not",
        ),
        pytest.param({"limits": {"cpu": "2"}}, 10, 4, id="limits alone are filled"),
        pytest.param({"podTemplateRef": {"name": "web"}, "replicas": 2}, 10, 2, id="from a template"),
        pytest.param(
            {"podTemplateRef": {"name": "web"}, "percentage": 50, "replicas": 1}, 10, 1, id="which has no share"
        ),
        pytest.param({"podTemplateRef": {"name": "gone"}, "replicas": 2}, 10, 0, id="a template that is not there"),
        pytest.param(
            {"scalableRef": {"apiGroup": "apps", "kind": "Deployment", "name": "gone"}, "replicas": 2},
            10,
            0,
            id="a workload that is not there",
        ),
        pytest.param(
            {"scalableRef": {"apiGroup": "apps", "kind": "StatefulSet", "name": "web"}, "replicas": 2},
            10,
            0,
            id="of another kind",
        ),
        pytest.param(
            {"scalableRef": {"apiGroup": "batch", "kind": "Deployment", "name": "web"}, "replicas": 2},
            10,
            0,
            id="of another group",
        ),
    ],
)
def test_the_size_of_a_buffer(spec: dict[str, Any], replicas: int | None, size: int) -> None:
    assert len(virtual(spec, replicas)) == size


def test_a_buffer_looks_in_its_own_namespace() -> None:
    assert virtual({"replicas": 2}, namespace="other") == []


def test_virtual_pods_are_like_the_workloads_but_have_no_storage_and_no_node() -> None:
    first, second = virtual({"replicas": 2})
    assert (first.key, second.key) == ("default/capacity-buffer-spare-1", "default/capacity-buffer-spare-2")
    assert first.metadata.labels == {"app": "web"}
    assert first.metadata.annotations == {FAKE_POD: "true"}
    assert (first.spec.priority, first.spec.node_name) == (PRIORITY, "")
    assert [v.name for v in first.spec.volumes] == ["c"]
