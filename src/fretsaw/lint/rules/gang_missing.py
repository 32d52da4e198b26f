"""Workers that need each other and are placed one by one

A run on several pods starts only when all are there, and nothing places them together: no Kueue queue, no pod group,
no scheduler for gangs.

Why: Three of four workers get their nodes and wait, paid for, for the fourth, which finds no capacity. Two such runs
can hold each other up for ever.

Example:
    apiVersion: batch/v1
    kind: Job
    metadata: {name: pretraining}
    spec:
      completionMode: Indexed
      parallelism: 4
      completions: 4
      template:
        spec:
          restartPolicy: OnFailure
          containers:
            - name: t
              image: training:v1
              command: [torchrun, --nnodes=4, train.py]
              resources: {limits: {nvidia.com/gpu: '1'}}

Fix: Queue the run with Kueue (all-or-nothing), or use a scheduler with pod groups (Volcano, coscheduling). Neither
Karpenter nor the default scheduler does it.

Source: Kueue documentation, all-or-nothing scheduling; kubernetes-sigs scheduler-plugins, coscheduling.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.gangs import has_gang
from fretsaw.lint.given import Input
from fretsaw.lint.kinds import first_landing
from fretsaw.lint.market import dollars
from fretsaw.lint.rule import rule
from fretsaw.lint.work import Work


@rule("WORK103", "info", on=Work)
def gang_missing(work: Work, given: Input) -> Iterator[Found]:
    """Training of several pods without anything that starts them together."""
    if work.copies < 2 or not work.trains or has_gang(work):
        return
    landing = first_landing(work, given)
    usd = landing.offer.cheapest.usd * (work.copies - 1) if landing else None
    yield Found(
        work.prefix.removesuffix(".template") or "spec",
        f"{work.copies} workers start only together, and are placed one by one",
        fix="queue it with Kueue, or use a scheduler with pod groups",
        proof=f"{work.copies - 1} of them that wait for the last cost {dollars(usd)}/h or more" if usd else "",
        usd_per_hour=usd,
    )
