"""A pool that ends pods before their own time is over

`terminationGracePeriod` of the pool is shorter than `terminationGracePeriodSeconds` of pods that run on it.

Why: When the node's time is over, pods are deleted whatever they are doing: the checkpoint for which the pod was
given time is cut off.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu}
    spec:
      template:
        spec:
          requirements: [{key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [a10g]}]
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}
          terminationGracePeriod: 2m
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: training}
    spec:
      terminationGracePeriodSeconds: 600
      containers: [{name: training, image: 'training:v1', resources: {limits: {nvidia.com/gpu: '1'}}}]

Fix: Give the pool's drain more time than the slowest of its pods needs.

Source: Karpenter v1.14 documentation, terminationGracePeriod (pods are deleted in time for it).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.api.times import span
from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import listed
from fretsaw.lint.pool import SPEC, Pool
from fretsaw.lint.rule import rule


@rule("DRAIN112", "warning", on=Pool)
def grace_cut_short(pool: Pool, given: Input) -> Iterator[Found]:
    """Pools whose drain is shorter than their pods' end."""
    period = pool.template.termination_grace_period
    limit = span(period) if period is not None else None
    if limit is None:
        return
    slow = [f"{work.title} ({work.grace_s} s)" for work in given.first_in(pool) if work.grace_s * 1000 > limit]
    if slow:
        yield Found(
            f"{SPEC}.terminationGracePeriod",
            f"after {period} pods are deleted, and {listed(slow)} may need longer",
            fix="write a longer terminationGracePeriod than the slowest pod's",
        )
