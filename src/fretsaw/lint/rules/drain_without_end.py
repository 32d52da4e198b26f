"""Expired nodes that cannot be drained

The pool's nodes expire, protected pods run on them, and there is no `terminationGracePeriod`.

Why: An expired node is cordoned and drained. Pods with do-not-disrupt are not evicted, so the node stays
half-drained, takes no new pods and is billed for as long as the run takes; with hung runs, for ever.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu}
    spec:
      template:
        spec:
          requirements: [{key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [a10g]}]
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}
          expireAfter: 168h
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: training, annotations: {karpenter.sh/do-not-disrupt: 'true'}}
    spec:
      containers: [{name: training, image: 'training:v1', resources: {limits: {nvidia.com/gpu: '1'}}}]

Fix: Say how long a drain may take (`terminationGracePeriod: 24h`), longer than a checkpoint needs; or `expireAfter:
Never`.

Source: Karpenter v1.14 documentation, terminationGracePeriod.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import listed
from fretsaw.lint.pool import SPEC, Pool
from fretsaw.lint.rule import rule


@rule("DRAIN108", "info", on=Pool)
def drain_without_end(pool: Pool, given: Input) -> Iterator[Found]:
    """Pools that expire under protected pods without an end of draining."""
    if pool.template.expire_after == "Never" or pool.template.termination_grace_period is not None:
        return
    held = [work.title for work in given.first_in(pool) if work.is_protected]
    if held:
        yield Found(
            f"{SPEC}.terminationGracePeriod",
            f"nodes expire after {pool.template.expire_after} and {listed(held)} will not be evicted: they stay",
            fix="write terminationGracePeriod (such as 24h), or expireAfter: Never",
            usd_per_hour=pool.offer.cheapest.usd,
        )
