"""A pool whose types have only parts of a GPU

g6f and gr6f have an eighth to a half of an L4. EC2 counts them as 0 GPUs, so their nodes are planned without
`nvidia.com/gpu`.

Why: A pod that asks for a GPU never gets one of these nodes: the pool is never used, and the pod waits.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu-small}
    spec:
      template:
        spec:
          requirements:
            - {key: karpenter.k8s.aws/instance-family, operator: In, values: [g6f]}
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}

Fix: Add a NodeOverlay for these families with `capacity: {nvidia.com/gpu: "1"}` (feature gate NodeOverlay), or choose
families with whole GPUs.

Source: EC2 DescribeInstanceTypes (g6f: GPU count 0); Karpenter documentation, NodeOverlays.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import AWS_LABEL, listed
from fretsaw.lint.pool import Pool
from fretsaw.lint.rule import rule


@rule("GPU111", "warning", on=Pool)
def parts_of_gpus_only(pool: Pool, given: Input) -> Iterator[Found]:
    """Accelerated pools without any device to ask for."""
    if not pool.is_accelerated or pool.resources or given.by_kind.get("NodeOverlay"):
        return
    yield Found(
        pool.path_of(AWS_LABEL + "family"),
        "its types have parts of a GPU, which count as none: no pod with a GPU request gets a node of it",
        fix="add a NodeOverlay with capacity {nvidia.com/gpu: '1'}, or families with whole GPUs",
        proof=f"{pool.offer}: {listed(pool.offer.names)}, none with a device",
    )
