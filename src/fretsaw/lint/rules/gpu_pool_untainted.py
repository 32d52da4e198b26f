"""A pool of accelerators without a taint

Every type that the pool can buy has an accelerator, and nothing keeps pods off that do not need one.

Why: A pod without a GPU request may fill the CPU of a GPU node, so that the next GPU pod needs a second node; and a
node that holds such a pod is not empty and is not taken away.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu}
    spec:
      template:
        spec:
          requirements:
            - {key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [l4, a10g]}
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}

Fix: Taint the pool with the accelerator's resource, such as `nvidia.com/gpu=true:NoSchedule`: that is the taint which
the GPU Operator's own pods tolerate. Pods with a GPU request need the toleration then (GPU102).

Source: Karpenter documentation, accelerators; EKS user guide, GPU nodes.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import a_month
from fretsaw.lint.pool import SPEC, Pool
from fretsaw.lint.rule import rule


@rule("GPU101", "warning", on=Pool)
def gpu_pool_untainted(pool: Pool, given: Input) -> Iterator[Found]:
    """Pools that buy accelerators only, and keep no pod off."""
    if not pool.is_accelerated or any(taint.effect != "PreferNoSchedule" for taint in pool.taints):
        return
    cheapest = pool.offer.cheapest
    yield Found(
        f"{SPEC}.taints",
        "any pod may run on this pool's accelerators: it has no taint",
        fix=f"add to {SPEC}: taints: [{{key: {pool.resource}, value: 'true', effect: NoSchedule}}]",
        proof=f"all of {pool.offer}; each node that a pod without a GPU holds costs {a_month(cheapest.usd)} or more",
        usd_per_hour=cheapest.usd,
    )
