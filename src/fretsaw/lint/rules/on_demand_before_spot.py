"""On-Demand is asked for before Spot

For a server, a pool that buys On-Demand comes before one that buys Spot: it has the higher weight, or the later name.

Why: Weights are the order in which pools are asked. The Spot pool is there, and never used while On-Demand can be
bought.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu-od}
    spec:
      template:
        spec:
          requirements:
            - {key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [l4]}
            - {key: karpenter.sh/capacity-type, operator: In, values: [on-demand]}
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}
      weight: 50
    ---
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu-spot}
    spec:
      template:
        spec:
          requirements:
            - {key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [l4]}
            - {key: karpenter.sh/capacity-type, operator: In, values: [spot]}
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}
      weight: 10
    ---
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: llm}
    spec:
      replicas: 2
      selector: {matchLabels: {app: llm}}
      template:
        metadata: {labels: {app: llm}}
        spec:
          containers: [{name: vllm, image: 'vllm/vllm-openai:v0.11.0', resources: {limits: {nvidia.com/gpu: '1'}}}]

Fix: Give the Spot pool the higher weight, or let the server select it.

Source: Karpenter documentation, NodePools (weight: higher first; equal weights by name).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.rule import rule
from fretsaw.lint.work import Work


@rule("COST112", "warning", on=Work)
def on_demand_before_spot(work: Work, given: Input) -> Iterator[Found]:
    """Servers whose first pool is On-Demand although a later one is Spot."""
    landings = given.landing(work)
    if not work.serves or not landings or "spot" in landings[0].offer.capacity_types:
        return
    first = landings[0]
    later = next((one for one in landings[1:] if one.offer.launched_as == "spot"), None)
    if later is None or later.offer.cheapest.usd >= first.offer.cheapest.usd:
        return
    saved = (first.offer.cheapest.usd - later.offer.cheapest.usd) * work.copies
    yield Found(
        work.path("spec"),
        f"pool {first.pool.name} (weight {first.pool.weight}) sells On-Demand, and is asked before {later.pool.name} "
        f"(weight {later.pool.weight}), which sells Spot",
        fix=f"give {later.pool.name} the higher weight",
        proof=f"{first.offer.cheapest} now, {later.offer.cheapest} then",
        usd_per_hour=saved,
    )
