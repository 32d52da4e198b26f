"""A training run that may be moved

The pods of a run on accelerators do not carry `karpenter.sh/do-not-disrupt`.

Why: Consolidation finds a cheaper place, or an image is new, and the pod is evicted in the middle of an epoch. One
evicted worker restarts the whole distributed run from its last checkpoint, if there is any.

Example:
    apiVersion: batch/v1
    kind: Job
    metadata: {name: pretraining}
    spec:
      template:
        spec:
          restartPolicy: Never
          containers: [{name: train, image: 'training:v1', resources: {limits: {nvidia.com/gpu: '1'}}}]

Fix: Add the annotation `karpenter.sh/do-not-disrupt: "true"` to the pod template. It does not help against Spot
(SPOT102).

Source: Karpenter documentation, disruption (pod-level controls).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found, Set
from fretsaw.lint.given import Input
from fretsaw.lint.kinds import first_landing
from fretsaw.lint.rule import rule
from fretsaw.lint.tree import at
from fretsaw.lint.work import DO_NOT_DISRUPT, Work


@rule("DRAIN109", "warning", on=Work, fixes=True)
def training_unprotected(work: Work, given: Input) -> Iterator[Found]:
    """Training pods without do-not-disrupt."""
    if not work.trains or DO_NOT_DISRUPT in work.pod_annotations:
        return
    landing = first_landing(work, given)
    policy = landing.pool.spec.disruption.consolidation_policy if landing else ""
    path = work.path("metadata.annotations")
    edits = (
        (Set(f"{path}.{DO_NOT_DISRUPT}", "true"),)
        if work.pod_annotations
        else (Set(path, {DO_NOT_DISRUPT: "true"}),)
        if at(work.raw, *path.split(".")[:-1])
        else ()
    )
    yield Found(
        path,
        "a training run without do-not-disrupt: it is evicted when its node can be replaced or renewed",
        fix=f"add the annotation {DO_NOT_DISRUPT}: 'true' to the pods",
        proof=f"its pool {landing.pool.name} consolidates {policy}" if landing else "",
        edits=edits if "[" not in path else (),
    )
