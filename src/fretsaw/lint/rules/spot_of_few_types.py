"""A Spot pool with few kinds of machines

The pool buys Spot only, and what it may buy is a single family or a handful of types.

Why: Spot capacity is a matter of (type, zone). With one family the pool is empty-handed whenever that family is, and
interruptions come for all nodes at once.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu-spot}
    spec:
      template:
        spec:
          requirements:
            - {key: karpenter.sh/capacity-type, operator: In, values: [spot]}
            - {key: karpenter.k8s.aws/instance-family, operator: In, values: [g4dn]}
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}

Fix: Allow several families and sizes (g4dn, g5, g6, g6e) and all zones; pods that need more say so themselves.

Source: EC2 user guide, Spot best practices (be flexible about types and zones); Karpenter documentation, NodePools.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.api.labels import CAPACITY_TYPE, ZONE
from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import counted, listed
from fretsaw.lint.pool import SPEC, Pool, own_key
from fretsaw.lint.rule import rule

_FEW = 5


@rule("SPOT105", "warning", on=Pool)
def spot_of_few_types(pool: Pool, given: Input) -> Iterator[Found]:
    """Spot-only pools without variety."""
    if not pool.offer or not pool.is_spot_only or pool.is_static:
        return
    families = pool.offer.values("family")
    if len(pool.offer) >= _FEW and len(families) > 1:
        return
    keys = [one.key for one in pool.template.requirements if own_key(one.key) != CAPACITY_TYPE and one.key != ZONE]
    gains = [(len(pool.offer_without(own_key(key))), key) for key in dict.fromkeys(keys)]
    most, key = max(gains, default=(0, ""))
    yield Found(
        pool.path_of(own_key(key)) if key else f"{SPEC}.requirements",
        f"all Spot comes from {counted(len(pool.offer), 'type')} of {listed(families)}",
        fix="allow more families and sizes",
        proof=f"without the requirement {key} {most} types would be left" if most > len(pool.offer) else "",
        severity=None if len(pool.offer) < _FEW else "info",
    )
