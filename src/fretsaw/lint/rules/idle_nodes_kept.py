"""Empty GPU nodes are kept for a long time

`consolidateAfter` is more than half an hour.

Why: After each burst every node stays that long without work. With a few bursts a day that is a large part of the
bill.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu}
    spec:
      template:
        spec:
          requirements: [{key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [h100]}]
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}
      disruption: {consolidationPolicy: WhenEmpty, consolidateAfter: 2h}

Fix: Choose a time near what a new node takes to become useful: 5 to 10 minutes for inference, up to 30 for training.

Source: Karpenter documentation, consolidation; start-up times of GPU nodes (4 to 12 minutes).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.api.times import HOUR, span
from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import dollars
from fretsaw.lint.rule import rule
from fretsaw.lint.views import Disrupting

_LONG = HOUR // 2


@rule("COST103", "info", on=Disrupting)
def idle_nodes_kept(disrupting: Disrupting, given: Input) -> Iterator[Found]:
    """Accelerated pools that wait long before an empty node goes."""
    pool = given.pool_of(disrupting)
    after = span(disrupting.disruption.consolidate_after)
    if pool is None or pool.is_static or not pool.is_accelerated or after is None or after <= _LONG:
        return
    cheapest, dearest = pool.offer.cheapest, pool.offer.dearest
    waits = after / HOUR
    yield Found(
        f"{disrupting.prefix}.consolidateAfter",
        f"an empty node stays for {disrupting.disruption.consolidate_after}",
        fix="write 5m to 10m for inference, up to 30m for training",
        proof=f"each time that costs {dollars(cheapest.usd * waits)} to {dollars(dearest.usd * waits)} a node",
        usd_per_hour=cheapest.usd,
    )
