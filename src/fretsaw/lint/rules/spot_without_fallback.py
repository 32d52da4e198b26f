"""A Spot pool with nothing behind it

The pool buys Spot only, and no other pool would sell On-Demand for the pods that use it.

Why: When Spot runs out in the pool's zones, which happens to GPUs for hours, pods stay Pending: the service is down
although On-Demand capacity is there.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu-spot}
    spec:
      template:
        metadata: {labels: {node-type: gpu-spot}}
        spec:
          requirements:
            - {key: karpenter.sh/capacity-type, operator: In, values: [spot]}
            - {key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [l4, a10g]}
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}

Fix: Add a pool with a lower weight and `capacity-type: on-demand` that the same pods can use, or allow both capacity
types in this one: Spot is bought while there is any. Pools for batch work that can wait may stay as they are.

Source: Karpenter documentation, NodePools (weight) and capacity types.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fretsaw.api.labels import CAPACITY_TYPE
from fretsaw.engine.requirement import Requirement
from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import listed
from fretsaw.lint.placing import Landing
from fretsaw.lint.pool import Pool
from fretsaw.lint.rule import rule
from fretsaw.lint.work import Work


@rule("SPOT104", "warning", on=Pool)
def spot_without_fallback(pool: Pool, given: Input) -> Iterator[Found]:
    """Spot-only pools whose pods have no other place."""
    if not pool.offer or not pool.is_spot_only or pool.is_static or "batch" in pool.words:
        return
    here = given.landing_in(pool)
    if here:
        stuck = [
            work
            for work in here
            if not work.runs_to_an_end and not _has_fallback(given.landing(work)) and not _wants_spot(work)
        ]
        if not stuck:
            return
        who = f"for {listed([work.title for work in stuck])}"
    elif any(_could_stand_in(pool, other) for other in given.pools):
        return
    else:
        who = "for what this pool sells"
    on_demand = pool.offer_with(Requirement(CAPACITY_TYPE, ("on-demand",)))
    yield Found(
        pool.path_of(CAPACITY_TYPE),
        f"Spot only, and no pool sells On-Demand {who}: without Spot capacity they wait",
        fix="add a pool of lower weight with capacity-type on-demand, or allow both here",
        proof=f"On-Demand {on_demand} would be there; here {pool.offer} on Spot" if on_demand else "",
        severity=None if len(given.pools) > 1 or here else "info",
    )


def _wants_spot(work: Work) -> bool:
    """Whether the pods themselves ask for Spot, and so would not go anywhere else."""
    asked = [one for alternative in work.alternatives if (one := alternative.get(CAPACITY_TYPE)) is not None]
    return bool(asked) and not any(one.has("on-demand") for one in asked)


def _has_fallback(landings: Iterable[Landing]) -> bool:
    return any("on-demand" in one.offer.capacity_types for one in landings)


def _could_stand_in(pool: Pool, other: Pool) -> bool:
    """Whether another pool sells some of the same types On-Demand, to pods that tolerate the same taints."""
    same = {(t.key, t.effect) for t in other.taints} <= {(t.key, t.effect) for t in pool.taints}
    return (
        same
        and "on-demand" in other.offer.capacity_types
        and bool(other.resources & pool.resources or not pool.resources)
    )
