"""GPU nodes that are never taken away

`consolidateAfter` is Never: empty nodes stay.

Why: A GPU node that nobody uses costs as much as one that is used, until it expires.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu}
    spec:
      template:
        spec:
          requirements: [{key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [l4]}]
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}
      disruption: {consolidationPolicy: WhenEmpty, consolidateAfter: Never}

Fix: Write `consolidationPolicy: WhenEmpty` and a time after which an empty node may go. To keep spare nodes, use a
CapacityBuffer or a static pool, whose size is written down.

Source: Karpenter documentation, consolidation.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import a_month
from fretsaw.lint.rule import rule
from fretsaw.lint.views import Disrupting


@rule("COST102", "warning", on=Disrupting)
def consolidation_never(disrupting: Disrupting, given: Input) -> Iterator[Found]:
    """Accelerated pools without emptiness."""
    pool = given.pool_of(disrupting)
    if disrupting.disruption.consolidate_after != "Never" or (pool and (pool.is_static or not pool.is_accelerated)):
        return
    usd = pool.offer.cheapest.usd if pool and pool.offer else None
    age = pool.template.expire_after if pool else "its expiry"
    yield Found(
        f"{disrupting.prefix}.consolidateAfter",
        f"Never: an empty node stays until {age if age != 'Never' else 'somebody deletes it'}",
        fix="write a time, such as 5m, with consolidationPolicy: WhenEmpty",
        proof=f"an idle node costs {a_month(usd)} or more" if usd else "",
        usd_per_hour=usd,
    )
