"""The plan that is paid for is the plan that happens: pods land where they were planned to, as far as we can help it."""

from __future__ import annotations

import re
import urllib.request
from collections import Counter

import pytest

from support.live import Live, free_port

MIX = (("whole", 2, 4, "8"), ("half", 3, 2, "4"), ("single", 6, 1, "2"), ("helper", 10, 0, "1"))
"""(name, pods, GPUs of each, cores of each): small ones that fit everywhere, and large ones that fit in few places."""
TYPES = ("g5.xlarge", "g5.2xlarge", "g5.4xlarge", "g5.12xlarge", "m5.xlarge", "m5.2xlarge")


def landed(live: Live, namespace: str, pool: str, handed_over: bool) -> tuple[float, int]:
    """(share of pods that run where they were planned to, nodes) of the mix on an empty pool."""
    for program in live.operators:
        if program.running:
            program.stop()
    live.operators.clear()
    port = free_port()
    live.operator(f"--metrics-port={port}", f"--feature-gates=NominatedNodeName={str(handed_over).lower()}")
    live.pool(pool, types=TYPES)
    for name, replicas, gpus, cores in MIX:
        live.deployment(name, replicas=replicas, namespace=namespace, pool=pool, gpus=gpus, cpu=cores)
    total = sum(replicas for _, replicas, _, _ in MIX)
    live.until_running(namespace, total, timeout_s=120)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    found: Counter[str] = Counter()
    for outcome, number in re.findall(r'^fretsaw_planned_pods_total\{landed="(\w+)"\} (\S+)$', text, re.M):
        found[outcome] += int(float(number))
    assert sum(found.values()) >= total, text
    return found["as_planned"] / sum(found.values()), len(live.nodes(pool))


@pytest.fixture
def shares(stage: Live, namespace: str, pool: str) -> dict[bool, float]:
    """The share with (True) and without (False) handing the plan over."""
    found = {}
    for handed_over in (False, True):
        found[handed_over], nodes = landed(stage, namespace, pool, handed_over)
        print(f"landed as planned, handed over: {handed_over}: {found[handed_over]:.0%} on {nodes} nodes")
        for name, *_ in MIX:
            stage.scale(name, namespace, 0)
        stage.until(lambda: not stage.pods(namespace), "all pods are gone", 60)
        stage.remove([pool])
    return found


def test_pods_land_as_planned_when_the_plan_is_handed_over(shares: dict[bool, float]) -> None:
    # Not always all: kube-scheduler forgets a nomination when it tries the pod before its node is ready.
    assert shares[True] >= 0.8
    assert shares[True] >= shares[False] + 0.3
