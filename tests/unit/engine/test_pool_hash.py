"""The template hash equals what Karpenter v1.14.1 computes: every number here was recorded from its `NodePool.Hash()`."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fretsaw.api.nodepool import NodePool
from fretsaw.engine.pool_hash import pool_hash

CLASS = {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"}


def pool(metadata: dict[str, Any] | None = None, requirements: tuple[Any, ...] = (), **spec: Any) -> NodePool:
    template = {"spec": {"nodeClassRef": CLASS, "requirements": requirements, "expireAfter": "720h", **spec}}
    if metadata:
        template["metadata"] = metadata
    return msgspec.convert({"metadata": {"name": "p"}, "spec": {"template": template}}, NodePool)


GPU = {"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}
BATCH = {"key": "batch", "effect": "NoExecute"}
CNI = {"key": "cni", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        pytest.param({}, "6821555240594823858", id="bare"),
        pytest.param({"expireAfter": "Never"}, "17369979337536258260", id="never expires"),
        pytest.param({"expireAfter": "0s"}, "15640125381500602090", id="expires at once"),
        pytest.param({"metadata": {"labels": {"team": "ml", "tier": "spot"}, "annotations": {"a": "1", "b": ""}}}, "872476755355771117", id="labels and annotations"),
        pytest.param({"taints": [GPU, BATCH], "startupTaints": [CNI]}, "7445020085409777663", id="taints"),
        pytest.param({"taints": [{"key": "a", "effect": "NoSchedule", "timeAdded": "2026-01-02T03:04:05Z"}]}, "9359460079929171056", id="a taint with a time"),
        pytest.param({"expireAfter": "1h30m", "terminationGracePeriod": "48h"}, "18157000723588817353", id="a grace period"),
        pytest.param({"terminationGracePeriod": "0s"}, "10356118934572431967", id="no grace"),
    ],
)  # fmt: skip
def test_the_hash_is_the_peers(given: dict[str, Any], answer: str) -> None:
    assert pool_hash(pool(**given)) == answer


def test_order_texts_of_durations_and_requirements_do_not_count() -> None:
    assert pool_hash(pool(taints=[GPU, BATCH])) == pool_hash(pool(taints=[BATCH, GPU]))
    assert pool_hash(pool(expireAfter="90m")) == pool_hash(pool(expireAfter="1h30m"))
    assert pool_hash(pool(requirements=({"key": "team", "operator": "Exists"},))) == pool_hash(pool())


def test_two_equal_taints_cancel_each_other_out() -> None:
    assert pool_hash(pool(taints=[GPU, GPU, BATCH, BATCH])) == pool_hash(pool(taints=[CNI, CNI]))
    assert pool_hash(pool(taints=[GPU, GPU])) != pool_hash(pool())
