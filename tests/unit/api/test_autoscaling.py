"""HorizontalPodAutoscalers as manifests: what is read, and what an API server would refuse."""

from __future__ import annotations

from typing import Any

import pytest

from fretsaw.planner import from_objects

METRIC = {"type": "Pods", "pods": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "70"}}}


def problems(version: str = "v2", **spec: Any) -> list[tuple[str, str]]:
    whole = {"scaleTargetRef": {"kind": "Deployment", "name": "d"}, "maxReplicas": 5, "metrics": [METRIC]} | spec
    raw = {
        "apiVersion": f"autoscaling/{version}",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "h"},
        "spec": {key: value for key, value in whole.items() if value is not None},
    }
    (document,) = from_objects([raw]).documents
    return [(problem.path, problem.severity) for problem in document.located()]


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"scaleTargetRef": {"kind": "Deployment"}}, "spec.scaleTargetRef.name"),
        ({"maxReplicas": 0}, "spec.maxReplicas"),
        ({"maxReplicas": 5, "minReplicas": 6}, "spec.maxReplicas"),
        ({"minReplicas": 0}, "spec.minReplicas"),
        ({"metrics": [{"type": "Pod"}]}, "spec.metrics[0].type"),
        ({"metrics": [{"type": "Pods"}]}, "spec.metrics[0].pods"),
        (
            {"metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"}}}]},
            "spec.metrics[0].resource.target",
        ),
        (
            {"metrics": [{"type": "External", "external": {"target": {"type": "Value", "value": "-1"}}}]},
            "spec.metrics[0].external.target.value",
        ),
        (
            {"metrics": [{"type": "External", "external": {"target": {"type": "Value", "value": "1 k"}}}]},
            "spec.metrics[0].external.target.value",
        ),
        (
            {"behavior": {"scaleUp": {"stabilizationWindowSeconds": 3601}}},
            "spec.behavior.scaleUp.stabilizationWindowSeconds",
        ),
        ({"behavior": {"scaleDown": {"selectPolicy": "Most"}}}, "spec.behavior.scaleDown.selectPolicy"),
        (
            {"behavior": {"scaleUp": {"policies": [{"type": "Pods", "value": 0, "periodSeconds": 60}]}}},
            "spec.behavior.scaleUp.policies[0].value",
        ),
        (
            {"behavior": {"scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 1801}]}}},
            "spec.behavior.scaleUp.policies[0].periodSeconds",
        ),
    ],
)
def test_what_an_api_server_refuses(spec: dict[str, Any], path: str) -> None:
    assert problems(**spec) == [(path, "error")]


def test_what_it_accepts() -> None:
    assert problems() == []
    assert problems(metrics=None) == []
    assert problems(version="v1", metrics=None, targetCPUUtilizationPercentage=60) == []
    whole = {"type": "External", "external": {"metric": {"name": "q"}, "target": {"type": "Value", "value": "10"}}}
    assert problems(minReplicas=0, metrics=[whole]) == []
    assert problems(behavior={"scaleUp": {"tolerance": "0.05"}, "scaleDown": {"selectPolicy": "Disabled"}}) == []


def test_an_unknown_field_is_a_warning() -> None:
    assert problems(behavior={"scaleUp": {"stabilisationWindowSeconds": 5}}) == [
        ("spec.behavior.scaleUp.stabilisationWindowSeconds", "warning")
    ]


def test_versions_that_are_gone_are_refused() -> None:
    assert problems(version="v2beta2") == [("apiVersion", "error")]
