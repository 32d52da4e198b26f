"""A GPU Job that may run for ever

`activeDeadlineSeconds` is not set on a Job with accelerators.

Why: A run that hangs, in a collective operation or for want of data, looks like one that works: it holds its GPUs
until somebody looks.

Example:
    apiVersion: batch/v1
    kind: Job
    metadata: {name: embed}
    spec:
      template:
        spec:
          restartPolicy: Never
          containers: [{name: embed, image: 'embed:v1', resources: {limits: {nvidia.com/gpu: '1'}}}]

Fix: Set `activeDeadlineSeconds` to a few times what the run should take.

Source: kubernetes.io, Jobs (job termination and cleanup).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.kinds import first_landing
from fretsaw.lint.market import dollars
from fretsaw.lint.rule import rule
from fretsaw.lint.tree import at
from fretsaw.lint.work import Work


@rule("COST109", "info", on=Work)
def gpu_job_without_deadline(work: Work, given: Input) -> Iterator[Found]:
    """Jobs with devices and without a deadline."""
    if not work.is_job or not work.devices:
        return
    prefix = work.prefix.removesuffix(".template")
    if at(work.raw, *prefix.split("."), "activeDeadlineSeconds") or work.raw_spec.get("activeDeadlineSeconds"):
        return
    landing = first_landing(work, given)
    usd = landing.offer.cheapest.usd * work.copies if landing else None
    yield Found(
        f"{prefix}.activeDeadlineSeconds",
        "no deadline: a run that hangs holds its GPUs until somebody looks",
        fix="write activeDeadlineSeconds, a few times what the run should take",
        proof=f"a hung day costs up to {dollars(usd * 24)}" if usd else "",
        usd_per_hour=usd,
    )
