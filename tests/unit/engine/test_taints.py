"""Taints and tolerations."""

from __future__ import annotations

import pytest

from fretsaw.api.affinity import Toleration
from fretsaw.api.node import Taint
from fretsaw.engine.taints import TOLERATE_PREFERENCES, is_ephemeral, same, tolerates, untolerated

GPU = Taint("nvidia.com/gpu", "NoSchedule", "true")


@pytest.mark.parametrize(
    ("toleration", "answer"),
    [
        pytest.param(Toleration("nvidia.com/gpu", "Equal", "true", "NoSchedule"), True, id="the same in every field"),
        pytest.param(Toleration("nvidia.com/gpu", "Equal", "true"), True, id="no effect means every effect"),
        pytest.param(Toleration("nvidia.com/gpu", "", "true"), True, id="no operator means Equal"),
        pytest.param(Toleration("nvidia.com/gpu", "Exists"), True, id="Exists covers every value"),
        pytest.param(Toleration("", "Exists"), True, id="Exists without a key covers every taint"),
        pytest.param(Toleration("", "Exists", "", "NoSchedule"), True, id="of its effect"),
        pytest.param(Toleration("", "Exists", "", "NoExecute"), False, id="and of no other"),
        pytest.param(Toleration("nvidia.com/gpu", "Equal", "false"), False, id="another value"),
        pytest.param(Toleration("nvidia.com/gpu", "Equal"), False, id="no value"),
        pytest.param(Toleration("amd.com/gpu", "Exists"), False, id="another key"),
        pytest.param(Toleration("nvidia.com/gpu", "Exists", "", "NoExecute"), False, id="another effect"),
        pytest.param(Toleration("", "Equal", "true"), False, id="Equal needs a key"),
        pytest.param(Toleration("nvidia.com/gpu", "Near", "true"), False, id="an unknown operator"),
    ],
)
def test_what_a_toleration_covers(toleration: Toleration, answer: bool) -> None:
    assert tolerates(toleration, GPU) is answer


def test_the_first_taint_that_nothing_covers_is_named() -> None:
    soft, hard = Taint("a", "PreferNoSchedule"), Taint("b", "NoExecute")
    assert untolerated((soft, GPU, hard), [TOLERATE_PREFERENCES]) == GPU
    assert untolerated((soft, GPU, hard), [TOLERATE_PREFERENCES, Toleration("nvidia.com/gpu", "Exists")]) == hard
    assert untolerated((soft,), [TOLERATE_PREFERENCES]) is None
    assert untolerated((), []) is None


def test_preferences_count_until_they_are_tolerated() -> None:
    soft = Taint("a", "PreferNoSchedule")
    assert untolerated((soft,), ()) == soft


@pytest.mark.parametrize(
    ("taint", "answer"),
    [
        (Taint("node.kubernetes.io/not-ready", "NoSchedule"), True),
        (Taint("node.kubernetes.io/not-ready", "NoExecute"), True),
        (Taint("node.kubernetes.io/not-ready", "NoSchedule", "any value"), True),
        (Taint("node.kubernetes.io/unreachable", "NoSchedule"), True),
        (Taint("node.kubernetes.io/unreachable", "NoExecute"), False),
        (Taint("node.cloudprovider.kubernetes.io/uninitialized", "NoSchedule", "true"), True),
        (Taint("karpenter.sh/unregistered", "NoExecute"), True),
        (Taint("readiness.k8s.io/network", "NoSchedule"), True),
        (Taint("karpenter.sh/disrupted", "NoSchedule"), False),
        (GPU, False),
    ],
)
def test_taints_that_a_starting_node_loses_by_itself(taint: Taint, answer: bool) -> None:
    assert is_ephemeral(taint) is answer


def test_taints_are_the_same_by_key_and_effect() -> None:
    assert same(GPU, Taint("nvidia.com/gpu", "NoSchedule", "false"))
    assert not same(GPU, Taint("nvidia.com/gpu", "NoExecute", "true"))
