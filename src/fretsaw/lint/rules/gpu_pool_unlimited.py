"""A GPU pool without a limit on GPUs

`limits` does not name the accelerator that the pool buys.

Why: A loop that makes pods, a wrong `replicas` or an autoscaler gone wild is answered with as many GPU nodes as the
account's quota allows. A limit on CPU alone caps GPUs only by accident.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu}
    spec:
      template:
        spec:
          requirements: [{key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [a100, h100]}]
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}

Fix: Add `limits: {nvidia.com/gpu: "N"}`.

Source: Karpenter documentation, NodePools (spec.limits).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import NEURON, dollars, listed
from fretsaw.lint.pool import Pool
from fretsaw.lint.rule import rule


@rule("COST101", "warning", on=Pool)
def gpu_pool_unlimited(pool: Pool, given: Input) -> Iterator[Found]:
    """Accelerated pools whose limits do not count accelerators."""
    if not pool.is_accelerated or pool.is_static or not pool.resources:
        return
    limits = pool.spec.limits
    if (
        pool.resources & limits.keys()
        or "nodes" in limits
        or (NEURON in pool.resources and "aws.amazon.com/neuroncore" in limits)
    ):
        return
    dearest, each = pool.offer.dearest, pool.offer.usd_per_device()
    has = f"limits only {listed(sorted(limits))}" if limits else "has no limit"
    yield Found(
        "spec.limits",
        f"{has}: nothing caps how many of {pool.resource} it buys",
        fix=f"add {pool.resource} to spec.limits",
        proof=f"a device costs {dollars(each)}/h or more, and a node up to {dearest}",
        usd_per_hour=dearest.usd,
        severity="info" if limits else None,
    )
