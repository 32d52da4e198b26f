"""A limit that no node fits under

`limits` is lower than what the smallest type of the pool has.

Why: The pool can never buy a node: every one would break the limit. Pods stay Pending, and the pool looks healthy.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu-training}
    spec:
      template:
        spec:
          requirements: [{key: node.kubernetes.io/instance-type, operator: In, values: [p4d.24xlarge, p5.48xlarge]}]
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}
      limits: {nvidia.com/gpu: '4'}

Fix: Raise the limit to a multiple of what a machine has, or allow smaller machines.

Source: Karpenter documentation, NodePools (spec.limits count whole nodes).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.api.resources import render
from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import counted
from fretsaw.lint.pool import Pool
from fretsaw.lint.rule import rule


@rule("POOL109", "error", on=Pool)
def limit_below_one_node(pool: Pool, given: Input) -> Iterator[Found]:
    """Limits under the smallest node."""
    if not pool.offer or pool.is_static:
        return
    for resource, limit in pool.mould.limits.items():
        amounts = {name: pool.offer.amount(name, resource) for name in pool.offer.names}
        least = min(amounts.values())
        if resource == "nodes" or not 0 < limit < least:
            continue
        smallest = min(amounts, key=lambda name: (amounts[name], name))
        yield Found(
            f"spec.limits.{resource}",
            f"{pool.spec.limits[resource]} is less than the smallest node has: nothing can ever be bought",
            fix=f"raise the limit of {resource}, or allow smaller machines",
            proof=f"the smallest of {counted(len(pool.offer), 'type')} is {smallest} with {_shown(resource, least)}",
        )


def _shown(resource: str, amount: int) -> str:
    return render(resource, amount) + f" of {resource}"
