"""A model server on On-Demand that could run on Spot

Replicas of a stateless server land in a pool that buys On-Demand only, and its types are sold as Spot.

Why: A server with several replicas bears an interruption: that is what Spot is for. On-Demand costs the difference,
every hour.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu}
    spec:
      template:
        spec:
          requirements:
            - {key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [l4, a10g]}
            - {key: karpenter.sh/capacity-type, operator: In, values: [on-demand]}
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}
    ---
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: llm}
    spec:
      replicas: 4
      selector: {matchLabels: {app: llm}}
      template:
        metadata: {labels: {app: llm}}
        spec:
          containers: [{name: vllm, image: 'vllm/vllm-openai:v0.11.0', resources: {limits: {nvidia.com/gpu: '1'}}}]

Fix: Allow `[spot, on-demand]` in the pool, or put a Spot pool with a higher weight in front of it.

Source: Karpenter documentation, capacity types; EC2 user guide, Spot best practices.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.api.labels import CAPACITY_TYPE
from fretsaw.engine.requirement import Requirement
from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import a_month, counted
from fretsaw.lint.rule import rule
from fretsaw.lint.work import Work


@rule("COST105", "info", on=Work)
def server_on_demand_only(work: Work, given: Input) -> Iterator[Found]:
    """Replicated servers none of whose pools sells Spot."""
    landings = given.landing(work)
    if not work.serves or work.copies < 2 or not landings or work.kind != "Deployment":
        return
    if any("spot" in one.offer.capacity_types for one in landings) or CAPACITY_TYPE in str(work.spec):
        return
    pool, offer = landings[0].pool, landings[0].offer
    spot = pool.offer_with(Requirement(CAPACITY_TYPE, ("spot",))).holding(work.requests)
    if not spot or spot.cheapest.usd >= offer.cheapest.usd:
        return
    saved = (offer.cheapest.usd - spot.cheapest.usd) * work.copies
    yield Found(
        work.path("spec.nodeSelector"),
        f"{counted(work.copies, 'replica')} of a server pay On-Demand; none of its pools sells Spot",
        fix=f"allow spot in pool {pool.name}, or add a Spot pool with a higher weight",
        proof=f"{offer.cheapest} now, {spot.cheapest} with Spot: {a_month(saved)} for all replicas",
        usd_per_hour=saved,
    )
