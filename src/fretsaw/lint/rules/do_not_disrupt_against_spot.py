"""`do-not-disrupt` as protection from Spot interruptions

The pod asks not to be disrupted, and the first pool that takes it buys Spot.

Why: The annotation holds back what the autoscaler does by choice. EC2 does not read it: two minutes after the notice
the instance is gone, and so is the work. Expiry does not wait for it either.

Example:
    apiVersion: v1
    kind: Pod
    metadata: {name: training-job, annotations: {karpenter.sh/do-not-disrupt: 'true'}}
    spec:
      tolerations: [{key: nvidia.com/gpu, operator: Exists}]
      containers: [{name: training, image: 'training:v1', resources: {limits: {nvidia.com/gpu: '1'}}}]

Fix: Work that may not be interrupted needs On-Demand or reserved capacity. Work that stays on Spot needs checkpoints,
and a handler of SIGTERM that writes one within the grace period.

Source: Karpenter documentation, disruption (do-not-disrupt: voluntary disruption only); EC2 user guide, Spot
interruption notices.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.kinds import may_be_spot, where_it_lands
from fretsaw.lint.rule import rule
from fretsaw.lint.work import DO_NOT_DISRUPT, Work


@rule("SPOT102", "warning", on=Work)
def do_not_disrupt_against_spot(work: Work, given: Input) -> Iterator[Found]:
    """Protected pods on Spot."""
    spot = may_be_spot(work, given)
    if not work.is_protected or work.is_daemon or not spot:
        return
    known = not isinstance(spot, bool)
    yield Found(
        work.path(f"metadata.annotations.{DO_NOT_DISRUPT}"),
        "do-not-disrupt does not stop a Spot interruption: EC2 takes the node two minutes after its notice",
        fix="choose On-Demand or reserved capacity, or write a checkpoint when SIGTERM comes",
        proof=where_it_lands(spot) if not isinstance(spot, bool) else "nothing keeps it off Spot; no NodePool is given",
        usd_per_hour=spot.offer.cheapest.usd * work.copies if not isinstance(spot, bool) else None,
        severity=None if known else "info",
    )
