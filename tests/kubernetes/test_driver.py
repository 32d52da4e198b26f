"""The driver itself: merging, defaults, time and trees."""

from __future__ import annotations

import pytest

from kubernetes.driver import VirtualDriver, merged

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p"},
    "spec": {
        "priorityClassName": "high",
        "containers": [{"name": "c", "image": "i", "resources": {"limits": {"nvidia.com/gpu": 1}}}],
    },
}
HIGH = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "high"}, "value": 7}


def test_an_object_gets_namespace_defaults_and_a_birth() -> None:
    driver = VirtualDriver([])
    driver.apply([HIGH, POD])
    pod = driver.get("Pod", "default/p")
    assert pod is not None
    assert pod["spec"]["priority"] == 7
    assert pod["spec"]["containers"][0]["resources"]["requests"] == {"nvidia.com/gpu": 1}
    assert pod["metadata"]["creationTimestamp"] == "2026-01-01T00:00:00Z"


def test_applying_again_merges_and_keeps_what_is_not_named() -> None:
    driver = VirtualDriver([])
    driver.apply([HIGH, POD])
    driver.apply([POD | {"spec": {}, "metadata": {"name": "p", "labels": {"a": "b"}}, "status": {"phase": "Running"}}])
    (pod,) = driver.list("Pod")
    assert (pod["metadata"]["labels"], pod["status"]["phase"]) == ({"a": "b"}, "Running")
    assert pod["spec"]["priority"] == 7


def test_an_object_with_errors_is_not_taken() -> None:
    with pytest.raises(AssertionError, match="at least one container"):
        VirtualDriver([]).apply([POD | {"spec": {"containers": []}}])


def test_deleting_by_force_and_passing_time() -> None:
    driver = VirtualDriver([])
    driver.apply([POD])
    driver.advance(1.5)
    assert driver.world.loop.now - driver.world.loop.start == 1500
    driver.delete("Pod", "default/p", force=True)
    assert driver.get("Pod", "default/p") is None


def test_null_removes_and_lists_are_replaced() -> None:
    assert merged({"a": 1, "b": {"c": [1], "d": 2}}, {"a": None, "b": {"c": [2]}}) == {"b": {"c": [2], "d": 2}}
