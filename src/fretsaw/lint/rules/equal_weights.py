"""Two pools for one workload, and no order between them

The first two pools that take a workload have the same weight, or none.

Why: At equal weight the later name in the alphabet is asked first. Nobody means that: a renamed pool changes where
everything runs, and what it costs.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu-a}
    spec:
      template:
        spec:
          requirements: [{key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [l4]}]
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}
    ---
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu-b}
    spec:
      template:
        spec:
          requirements: [{key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [a10g]}]
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: llm}
    spec:
      containers: [{name: vllm, image: 'vllm/vllm-openai:v0.11.0', resources: {limits: {nvidia.com/gpu: '1'}}}]

Fix: Give the pools different weights.

Source: Karpenter documentation, NodePools (weight; mutually exclusive pools are recommended).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.rule import rule
from fretsaw.lint.work import Work


@rule("POOL105", "info", on=Work)
def equal_weights(work: Work, given: Input) -> Iterator[Found]:
    """Workloads with devices whose first two pools weigh the same."""
    landings = given.landing(work)
    if not work.devices or work.is_daemon or len(landings) < 2 or landings[0].pool.weight != landings[1].pool.weight:
        return
    first, second = landings[0], landings[1]
    yield Found(
        work.path("spec.nodeSelector"),
        f"{first.pool.name} and {second.pool.name} take it at weight {first.pool.weight}: the later name comes first",
        fix="give the pools different weights, or select one of them",
        proof=f"{first.pool.name} buys {first.offer.cheapest}, {second.pool.name} {second.offer.cheapest}",
    )
