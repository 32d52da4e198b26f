"""What is taken out of an object before it is kept, and what is not."""

from __future__ import annotations

from typing import Any

import pytest

from fretsaw.live.clean import APPLIED, REMOVED, cleaned

ENV = [
    {"name": "PASSWORD", "value": "hunter2"},
    {"name": "EMPTY"},
    {"name": "REF", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
]
WITHOUT = [{"name": "PASSWORD", "value": REMOVED}, *ENV[1:]]


def spec(env: list[dict[str, Any]]) -> dict[str, Any]:
    """A pod's spec with the same env in containers of each sort."""
    return {
        "containers": [{"name": "main", "env": env}, {"name": "plain"}],
        "initContainers": [{"name": "init", "env": env}],
        "ephemeralContainers": [{"name": "debug", "env": env}],
        "nodeSelector": {"a": "b"},
    }


def obj(kind: str, body: dict[str, Any]) -> dict[str, Any]:
    """An object of a kind."""
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "x"}, **body}


def in_kind(kind: str, env: list[dict[str, Any]]) -> dict[str, Any]:
    """An object of a kind whose pods have this env."""
    if kind == "Pod":
        return obj(kind, {"spec": spec(env)})
    if kind == "PodTemplate":
        return obj(kind, {"template": {"spec": spec(env)}})
    template = {"spec": {"template": {"spec": spec(env)}}}
    return obj(kind, {"spec": {"schedule": "* * * * *", "jobTemplate": template}} if kind == "CronJob" else template)


WORKLOADS = ["Deployment", "ReplicaSet", "ReplicationController", "StatefulSet", "DaemonSet", "Job", "CronJob"]


@pytest.mark.parametrize("kind", ["Pod", "PodTemplate", *WORKLOADS])
def test_values_of_env_are_replaced_wherever_a_kind_has_containers(kind: str) -> None:
    assert cleaned(in_kind(kind, ENV)) == in_kind(kind, WITHOUT)
    assert cleaned(in_kind(kind, ENV), with_env=True) == in_kind(kind, ENV)


def test_user_data_of_a_node_class_is_replaced() -> None:
    tree = obj("EC2NodeClass", {"spec": {"role": "r", "userData": "#!/bin/sh\nTOKEN=1"}})
    assert cleaned(tree)["spec"] == {"role": "r", "userData": REMOVED}
    assert cleaned(tree, with_env=True) == tree
    assert cleaned(obj("EC2NodeClass", {"spec": {"role": "r"}}))["spec"] == {"role": "r"}


def test_managed_fields_and_the_applied_copy_go_in_any_case() -> None:
    metadata = {"name": "x", "managedFields": [{}], "annotations": {APPLIED: "{}", "kept": "yes"}, "labels": {"a": "b"}}
    tree = {"apiVersion": "v1", "kind": "Node", "metadata": metadata}
    expected = {"name": "x", "annotations": {"kept": "yes"}, "labels": {"a": "b"}}
    assert cleaned(tree)["metadata"] == cleaned(tree, with_env=True)["metadata"] == expected


def test_annotations_go_with_their_last_one() -> None:
    tree = {"kind": "Node", "metadata": {"name": "x", "annotations": {APPLIED: "{}"}}}
    assert cleaned(tree) == {"kind": "Node", "metadata": {"name": "x"}}


def test_the_object_itself_is_left_as_it_was() -> None:
    tree = in_kind("Deployment", ENV)
    cleaned(tree)
    assert tree == in_kind("Deployment", ENV)


@pytest.mark.parametrize("body", [{}, {"spec": None}, {"spec": {"containers": None}}, {"spec": {"template": {}}}])
def test_objects_without_what_is_looked_for_pass(body: dict[str, Any]) -> None:
    assert cleaned(obj("Deployment", body)) == obj("Deployment", body)
    assert cleaned(obj("Pod", body)).keys() == obj("Pod", body).keys()
