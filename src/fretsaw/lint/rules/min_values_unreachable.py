"""More variety asked for than there is

`minValues` of a requirement is larger than the number of values that the pool's types have.

Why: Nothing is bought at all: under the strict policy every launch is refused.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu}
    spec:
      template:
        spec:
          requirements:
            - {key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [l4, a10g]}
            - {key: karpenter.k8s.aws/instance-family, operator: Exists, minValues: 10}
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}

Fix: Lower `minValues`, or widen the other requirements.

Source: Karpenter documentation, NodePools (minValues).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import counted
from fretsaw.lint.pool import SPEC, Pool, own_key
from fretsaw.lint.rule import rule


@rule("POOL110", "error", on=Pool)
def min_values_unreachable(pool: Pool, given: Input) -> Iterator[Found]:
    """Requirements whose minValues the offer does not reach."""
    if not pool.offer:
        return
    for number, one in enumerate(pool.template.requirements):
        have = pool.universe.distinct_values(own_key(one.key), pool.offer.types)
        if one.min_values is not None and have < one.min_values and pool.universe.carries(own_key(one.key)):
            yield Found(
                f"{SPEC}.requirements[{number}].minValues",
                f"asks for {one.min_values} values of {one.key}, and its types have {have}: nothing is bought",
                fix=f"write {have} or less, or widen the other requirements",
                proof=f"{pool.offer} with {counted(have, 'value')} of it",
            )
