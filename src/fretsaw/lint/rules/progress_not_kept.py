"""A training run that keeps nothing

A run on accelerators has no volume that stays, and no option that says where checkpoints go.

Why: A fault of a GPU, an eviction, a wrong batch: whatever ends the pod ends all its work. The larger the run, the
surer that is.

Example:
    apiVersion: batch/v1
    kind: Job
    metadata: {name: pretraining}
    spec:
      template:
        spec:
          restartPolicy: Never
          containers: [{name: t, image: 'training:v1', resources: {limits: {nvidia.com/gpu: '1'}}}]

Fix: Mount a volume for checkpoints (EFS, FSx, or an EBS claim for one pod), or write them to S3, and resume from the
last.

Source: PyTorch documentation, saving and loading checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.kinds import first_landing, keeps_progress, where_it_lands
from fretsaw.lint.rule import rule
from fretsaw.lint.work import Work


@rule("WORK113", "info", on=Work)
def progress_not_kept(work: Work, given: Input) -> Iterator[Found]:
    """Training without anywhere to keep it; on Spot SPOT101 says it."""
    if not work.trains or keeps_progress(work):
        return
    landing = first_landing(work, given)
    if landing is not None and landing.offer.launched_as == "spot":
        return
    yield Found(
        work.path("spec.volumes"),
        "no volume that stays and no checkpoint that could be seen: whatever ends a pod ends its work",
        fix="mount a volume for checkpoints, or write them to S3",
        proof=where_it_lands(landing) if landing else "",
        usd_per_hour=landing.offer.cheapest.usd * work.copies if landing else None,
    )
