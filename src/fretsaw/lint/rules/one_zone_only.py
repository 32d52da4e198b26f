"""A pool of one zone

The requirements leave a single availability zone, and the types are sold in more.

Why: GPU capacity is a matter of zones: when the one is out of it, or has an outage, the pool buys nothing. Elsewhere
there would have been some.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu}
    spec:
      template:
        spec:
          requirements:
            - {key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [l4, a10g]}
            - {key: topology.kubernetes.io/zone, operator: In, values: [us-east-1a]}
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}

Fix: Allow all zones of the cluster's subnets. Where nodes have to be together (EFA, a reservation), allow this with
that reason.

Source: EC2 user guide, Spot best practices; Karpenter documentation, insufficient capacity.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.api.labels import ZONE
from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import listed
from fretsaw.lint.pool import Pool
from fretsaw.lint.rule import rule


@rule("POOL108", "warning", on=Pool)
def one_zone_only(pool: Pool, given: Input) -> Iterator[Found]:
    """Pools that ask for one zone where several sell what they want."""
    asked = pool.requirements.get(ZONE)
    if asked is None or asked.complement or len(asked.values) != 1 or not pool.offer:
        return
    everywhere = pool.offer_without(ZONE).zones
    if len(everywhere) < 2:
        return
    others = [zone for zone in everywhere if zone not in asked.values]
    yield Found(
        pool.path_of(ZONE),
        f"all nodes are in {next(iter(asked.values))}; its types are sold in {listed(others)}, too",
        fix="allow all zones in which the cluster has subnets",
        severity=None if pool.is_accelerated or pool.is_spot_only else "info",
    )
