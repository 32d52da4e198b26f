"""Reserved capacity that no pool may use

The node class selects capacity reservations, and none of its pools allows the capacity type `reserved`.

Why: The reservation is billed whether it is used or not, and the pool buys On-Demand beside it.

Example:
    apiVersion: karpenter.k8s.aws/v1
    kind: EC2NodeClass
    metadata: {name: gpu}
    spec:
      amiSelectorTerms: [{alias: al2023@v20260801}]
      role: KarpenterNodeRole
      subnetSelectorTerms: [{tags: {karpenter.sh/discovery: ml}}]
      securityGroupSelectorTerms: [{tags: {karpenter.sh/discovery: ml}}]
      capacityReservationSelectorTerms: [{tags: {team: ml}}]
    ---
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu}
    spec:
      template:
        spec:
          requirements: [{key: karpenter.sh/capacity-type, operator: In, values: [on-demand]}]
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}

Fix: Add `reserved` to the pool's `karpenter.sh/capacity-type`: reserved capacity is then taken first.

Source: Karpenter documentation, on-demand capacity reservations; AWS provider v1.14.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.api.labels import CAPACITY_TYPE
from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import listed
from fretsaw.lint.rule import rule
from fretsaw.lint.views import NodeClass


@rule("COST111", "warning", on=NodeClass)
def reservation_unused(node_class: NodeClass, given: Input) -> Iterator[Found]:
    """Classes with reservations whose pools all refuse them."""
    pools = given.pools_of(node_class)
    if not node_class.spec.get("capacityReservationSelectorTerms") or not pools:
        return
    asked = [pool.requirements.get(CAPACITY_TYPE) for pool in pools]
    if all(one is not None and not one.has("reserved") for one in asked):
        yield Found(
            "spec.capacityReservationSelectorTerms",
            f"selects reservations, and {listed([pool.name for pool in pools])} allow no reserved capacity",
            fix="add reserved to the capacity-type of a pool that uses this class",
        )
