"""Spot is allowed, and not sold for any of the types

The pool admits Spot, but none of its types has a Spot offering.

Why: The saving that the pool was made for never comes: every node is On-Demand, without a word. P5 and newer are
mostly sold On-Demand and in Capacity Blocks.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu-large}
    spec:
      template:
        spec:
          requirements:
            - {key: karpenter.sh/capacity-type, operator: In, values: [spot, on-demand]}
            - {key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [b200]}
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}

Fix: Take Spot out, so that nobody counts on it; or add types that have Spot.

Source: EC2 Spot Instance advisor (types without an entry are not sold as Spot).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.api.labels import CAPACITY_TYPE
from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import dollars
from fretsaw.lint.pool import Pool
from fretsaw.lint.rule import rule


@rule("SPOT106", "info", on=Pool)
def spot_not_sold(pool: Pool, given: Input) -> Iterator[Found]:
    """Pools that allow Spot in vain."""
    asked = pool.requirements.get(CAPACITY_TYPE)
    if asked is None or not asked.has("spot") or not pool.offer or "spot" in pool.offer.capacity_types:
        return
    yield Found(
        pool.path_of(CAPACITY_TYPE),
        f"Spot is allowed, and none of its types is sold so: a node costs {dollars(pool.offer.cheapest.usd)}/h or more",
        fix="leave spot out, or add types that are sold as Spot",
        proof=f"{pool.offer}; Spot offerings: none",
    )
