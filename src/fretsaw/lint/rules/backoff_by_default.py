"""A training Job with the default number of retries

`backoffLimit` is not set: six failed pods end the Job.

Why: On a fleet of nodes that come and go six are reached within days, and the whole run is marked failed. Or the
opposite: a mistake in the code is tried six times on eight GPUs, with growing pauses in between.

Example:
    apiVersion: batch/v1
    kind: Job
    metadata: {name: pretraining}
    spec:
      parallelism: 4
      template:
        spec:
          restartPolicy: OnFailure
          containers: [{name: t, image: 'training:v1', resources: {limits: {nvidia.com/gpu: '1'}}}]

Fix: Say how many failures are too many; with `podFailurePolicy` tell disruptions, which should not count, from errors
in the code, which should end the run at once.

Source: kubernetes.io, Jobs (backoff limit defaults to 6; pod failure policy).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.rule import rule
from fretsaw.lint.tree import a_map, at
from fretsaw.lint.work import Work


@rule("WORK111", "info", on=Work)
def backoff_by_default(work: Work, given: Input) -> Iterator[Found]:
    """Training Jobs that do not say how often they may fail."""
    if not work.is_job or not work.trains:
        return
    path = work.prefix.removesuffix(".template")
    spec = a_map(at(work.raw, *path.split(".")))
    if {"backoffLimit", "backoffLimitPerIndex", "podFailurePolicy"} & spec.keys():
        return
    yield Found(
        f"{path}.backoffLimit",
        "the sixth failed pod ends the run, whether its node went or its code is wrong",
        fix="write backoffLimit, and a podFailurePolicy that ignores DisruptionTarget",
    )
