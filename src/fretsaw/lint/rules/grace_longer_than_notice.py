"""More time to end than a Spot notice gives

`terminationGracePeriodSeconds` is two minutes or more, and the pod may run on Spot.

Why: EC2 ends the instance two minutes after its notice. What a pod does after that, such as the rest of a checkpoint,
does not happen; with exactly 120 s nothing is left for the notice to arrive and for the node to be drained.

Example:
    apiVersion: v1
    kind: Pod
    metadata: {name: training-job}
    spec:
      terminationGracePeriodSeconds: 300
      tolerations: [{key: nvidia.com/gpu, operator: Exists}]
      containers: [{name: training, image: 'training:v1', resources: {limits: {nvidia.com/gpu: '1'}}}]

Fix: End within about 90 seconds, by checkpoints that are written in between, or choose On-Demand.

Source: EC2 user guide, Spot interruption notices (two minutes); kubernetes.io, Pod Lifecycle (termination).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.kinds import may_be_spot, where_it_lands
from fretsaw.lint.rule import rule
from fretsaw.lint.work import SPOT_NOTICE_S, Work


@rule("SPOT103", "warning", on=Work)
def grace_longer_than_notice(work: Work, given: Input) -> Iterator[Found]:
    """Pods that may be on Spot, and take as long as the notice or longer."""
    spot = may_be_spot(work, given)
    if work.is_daemon or work.grace_s < SPOT_NOTICE_S or not spot:
        return
    over = work.grace_s - SPOT_NOTICE_S
    what = f"{over} s more than a Spot notice gives" if over else "all that a Spot notice gives"
    yield Found(
        work.path("spec.terminationGracePeriodSeconds"),
        f"{work.grace_s} s to end is {what}: the node is gone before the pod has finished",
        fix="end within 90 s or so (checkpoints in between), or choose On-Demand",
        proof=where_it_lands(spot) if not isinstance(spot, bool) else "nothing keeps it off Spot; no NodePool is given",
        severity="info" if not over or isinstance(spot, bool) else None,
    )
