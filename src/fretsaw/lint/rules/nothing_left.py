"""Requirements that leave nothing to buy

No instance type of the region meets all requirements of the pool, or none that does is sold that way.

Why: The pool looks ready and never buys a node; its pods stay Pending.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu}
    spec:
      template:
        spec:
          requirements:
            - {key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [h100]}
            - {key: karpenter.k8s.aws/instance-size, operator: In, values: [xlarge]}
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}

Fix: Widen the requirement that the finding names.

Source: Karpenter documentation, NodePools (NoCompatibleInstanceTypes event).
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from fretsaw.api.labels import CAPACITY_TYPE, ZONE
from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import region_of
from fretsaw.lint.pool import SPEC, Pool, own_key
from fretsaw.lint.rule import rule


@rule("POOL102", "error", on=Pool)
def nothing_left(pool: Pool, given: Input) -> Iterator[Found]:
    """Pools whose requirements exclude each other, as far as the catalog knows."""
    asked = pool.requirements.get(CAPACITY_TYPE)
    reserved = asked is not None and asked.has("reserved")
    zone = pool.requirements.get(ZONE)
    unknown_zone = zone is not None and zone.values and not any(region_of(value) for value in zone.values)
    if pool.offer or reserved or unknown_zone:
        return
    keys = {own_key(one.key): number for number, one in enumerate(pool.template.requirements)}
    gains = sorted((-len(pool.offer_without(key)), number, key) for key, number in keys.items())
    if not gains or gains[0][0] == 0:
        yield Found(f"{SPEC}.requirements", "no instance type meets the requirements", fix="leave some of them out")
        return
    without, number, key = gains[0]
    values = pool.template.requirements[number].values
    there = list(pool.universe.values_of(key, pool.universe.all))
    near = [close for value in values for close in get_close_matches(value, there, n=1, cutoff=0.6) if close != value]
    yield Found(
        f"{SPEC}.requirements[{number}]",
        f"no instance type of {pool.region} is left: {key} excludes all that the others allow",
        fix=f"did you mean {near[0]}?" if near and not set(values) & set(there) else "allow other values",
        proof=f"without it {-without} types would be left, the cheapest {pool.offer_without(key).cheapest}",
    )
