"""Requirements that leave one instance type

All requirements together leave a single type, and without one of them
there would be many.

Why: With one type there is no second choice when it is out of capacity, and no cheaper one when it is dear. "Only
ever one type is bought" begins here.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu}
    spec:
      template:
        spec:
          requirements:
            - {key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [t4, a10g, l4]}
            - {key: karpenter.k8s.aws/instance-size, operator: In, values: [xlarge]}
            - {key: karpenter.k8s.aws/instance-family, operator: In, values: [g4dn]}
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}

Fix: Widen the requirement that the finding names: more sizes, more families. What a single workload needs belongs
into its pod.

Source: Karpenter documentation, NodePools ("do not over-constrain"); EC2 Spot best practices.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import AWS_LABEL
from fretsaw.lint.pool import SPEC, Pool, own_key
from fretsaw.lint.rule import rule

_MANY = 3


@rule("POOL101", "warning", on=Pool)
def one_type_left(pool: Pool, given: Input) -> Iterator[Found]:
    """Pools with one type where a requirement less would leave several."""
    if len(pool.offer) != 1 or pool.is_static:
        return
    keys = {own_key(one.key): number for number, one in enumerate(pool.template.requirements)}
    if (gpu := pool.requirements.get(AWS_LABEL + "gpu-name")) and pool.universe.satisfying(gpu) == pool.offer.types:
        return  # there is no other machine with that GPU
    gains = sorted((-len(pool.offer_without(key)), number, key) for key, number in keys.items())
    if not gains or -gains[0][0] < _MANY:
        return
    without, number, key = gains[0]
    yield Found(
        f"{SPEC}.requirements[{number}]",
        f"with {key} 1 type is left: {pool.offer.cheapest.type}",
        fix="allow more values, or leave it to the pods that need it",
        proof=f"without it {-without} types, the cheapest {pool.offer_without(key).cheapest}",
    )
