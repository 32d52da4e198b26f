"""Pod requests: what Kubernetes itself reserves on a node for a pod."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fretsaw.api.pod import PodSpec, PodStatus
from fretsaw.engine.requests import add, pod_requests, total

GI = 2**30


def box(cpu: str = "", memory: str = "", *, name: str = "c", sidecar: bool = False, **more: str) -> dict[str, Any]:
    asked = {"cpu": cpu, "memory": memory, **{k.replace("__", "/").replace("_", "."): v for k, v in more.items()}}
    one: dict[str, Any] = {"name": name, "resources": {"requests": {r: q for r, q in asked.items() if q}}}
    return {**one, "restartPolicy": "Always"} if sidecar else one


def asked(status: dict[str, Any] | None = None, **spec: Any) -> dict[str, int]:
    return pod_requests(
        msgspec.convert(spec, PodSpec), msgspec.convert(status, PodStatus) if status is not None else None
    )


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param({"containers": [box("500m", "1Gi"), box("1", "1Gi")]}, {"cpu": 1500, "memory": 2 * GI}, id="containers add up"),
        pytest.param({"containers": [box("100m"), box()]}, {"cpu": 100}, id="a container may ask for nothing"),
        pytest.param({"containers": [box("1")], "initContainers": [box("3"), box("2", "4Gi")]}, {"cpu": 3000, "memory": 4 * GI}, id="init steps come one at a time, resource by resource"),
        pytest.param({"containers": [box("4")], "initContainers": [box("3")]}, {"cpu": 4000}, id="a smaller init step costs nothing"),
        pytest.param({"containers": [box("1")], "initContainers": [box("500m", sidecar=True)]}, {"cpu": 1500}, id="a sidecar keeps running"),
        pytest.param({"containers": [box("1")], "initContainers": [box("1", sidecar=True), box("3")]}, {"cpu": 4000}, id="a step runs beside the sidecars before it"),
        pytest.param({"containers": [box("1")], "initContainers": [box("3"), box("1", sidecar=True)]}, {"cpu": 3000}, id="but not beside those after it"),
        pytest.param({"containers": [box("100m")], "initContainers": [box("1", sidecar=True), box("1", sidecar=True)]}, {"cpu": 2100}, id="sidecars add up"),
        pytest.param({"containers": [box("1")], "overhead": {"cpu": "250m", "memory": "1Gi"}}, {"cpu": 1250, "memory": GI}, id="the runtime's overhead comes on top"),
        pytest.param({"containers": [box("1")], "initContainers": [box("3")], "overhead": {"cpu": "250m"}}, {"cpu": 3250}, id="also of the largest step"),
        pytest.param({"containers": [box("1", "1Gi")], "resources": {"requests": {"cpu": "4"}}}, {"cpu": 4000, "memory": GI}, id="the pod's own request replaces the sum"),
        pytest.param({"containers": [box("1")], "resources": {"requests": {"cpu": "4"}}, "overhead": {"cpu": "1"}}, {"cpu": 5000}, id="and the overhead still comes on top"),
        pytest.param({"containers": [box("1", nvidia_com__gpu="1")], "resources": {"requests": {"nvidia.com/gpu": "4"}}}, {"cpu": 1000, "nvidia.com/gpu": 1}, id="which devices cannot be asked for with"),
        pytest.param({"containers": [box(**{"hugepages-2Mi": "2Mi"})], "resources": {"requests": {"hugepages-2Mi": "4Mi"}}}, {"hugepages-2Mi": 4 * 2**20}, id="huge pages can"),
        pytest.param({"containers": [box("1u", "1m")]}, {"cpu": 1, "memory": 1}, id="fractions are rounded up"),
    ],
)  # fmt: skip
def test_requests(spec: dict[str, Any], expected: dict[str, int]) -> None:
    assert asked(**spec) == {**expected, "pods": 1}


def _status(allocated: str = "", actual: str = "", *, infeasible: bool = False, name: str = "c") -> dict[str, Any]:
    one: dict[str, Any] = {"name": name}
    if allocated:
        one["allocatedResources"] = {"cpu": allocated}
    if actual:
        one["resources"] = {"requests": {"cpu": actual}}
    conditions = [{"type": "PodResizePending", "status": "True", "reason": "Infeasible" if infeasible else "Deferred"}]
    return {"containerStatuses": [one], "conditions": conditions}


@pytest.mark.parametrize(
    ("status", "cpu"),
    [
        pytest.param(_status(), 2000, id="without figures the spec counts"),
        pytest.param(_status(allocated="1"), 2000, id="growing counts as grown"),
        pytest.param(_status(allocated="3"), 3000, id="shrinking counts as it was"),
        pytest.param(_status(allocated="1", actual="4"), 4000, id="what really runs counts too"),
        pytest.param(_status(allocated="1", infeasible=True), 1000, id="a resize that can never be is ignored"),
        pytest.param(_status(infeasible=True), 2000, id="unless nothing else is known"),
        pytest.param(_status(allocated="9", name="other"), 2000, id="the figures of another container do not count"),
    ],
)
def test_a_running_pod_that_is_being_resized(status: dict[str, Any], cpu: int) -> None:
    assert asked(status, containers=[box("2")])["cpu"] == cpu


def test_sums() -> None:
    first = {"cpu": 1}
    add(first, {"cpu": 2, "memory": 3})
    assert first == {"cpu": 3, "memory": 3}
    assert total([first, {"cpu": 1}]) == {"cpu": 4, "memory": 3}
    assert total([]) == {}
