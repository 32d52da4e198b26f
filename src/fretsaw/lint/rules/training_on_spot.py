"""A training run on Spot that keeps no progress

The first pool that takes the pod buys Spot, and the run has no volume and no option that says where checkpoints go.

Why: A Spot node is taken away with two minutes' notice. Without a checkpoint all hours up to then are paid for and
lost; on types in demand that happens more than once in a long run.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu-spot}
    spec:
      template:
        spec:
          requirements:
            - {key: karpenter.sh/capacity-type, operator: In, values: [spot]}
            - {key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [a10g]}
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: training-job}
    spec:
      containers: [{name: training, image: 'training:v1', resources: {limits: {nvidia.com/gpu: '1'}}}]

Fix: Select a pool that buys On-Demand (`nodeSelector: {karpenter.sh/capacity-type: on-demand}` or the pool's label),
or write checkpoints to a volume that stays or to S3, and go on from the last one.

Source: EC2 user guide, Spot interruption notices; Karpenter documentation, interruption.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.kinds import first_landing, keeps_progress, where_it_lands
from fretsaw.lint.rule import rule
from fretsaw.lint.work import Work


@rule("SPOT101", "warning", on=Work)
def training_on_spot(work: Work, given: Input) -> Iterator[Found]:
    """Training without checkpoints whose first pool is Spot."""
    landing = first_landing(work, given)
    if not work.trains or landing is None or landing.offer.launched_as != "spot" or keeps_progress(work):
        return
    others = [one for one in given.landing(work) if one.offer.launched_as != "spot"]
    instead = f"; {others[0].pool.name} would sell On-Demand" if others else ""
    yield Found(
        work.path("spec.nodeSelector"),
        "a training run that lands on Spot, and keeps no checkpoint that could be seen",
        fix="select On-Demand (nodeSelector karpenter.sh/capacity-type: on-demand), or write checkpoints to a volume",
        proof=f"{where_it_lands(landing)}{instead}",
        usd_per_hour=landing.offer.cheapest.usd * work.copies,
    )
