"""A PodDisruptionBudget that never lets a pod go

`maxUnavailable` is 0, or `minAvailable` is as many pods as there are.

Why: A node with such a pod cannot be drained: not for consolidation, not for a new image, not for expiry. It is
billed until somebody notices, or `terminationGracePeriod` ends and the pod is killed.

Example:
    apiVersion: policy/v1
    kind: PodDisruptionBudget
    metadata: {name: llm, namespace: ml}
    spec: {maxUnavailable: 0, selector: {matchLabels: {app: llm}}}

Fix: Write `maxUnavailable: 1`, and run enough replicas that one may be missing.

Source: kubernetes.io, Specifying a Disruption Budget.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import listed
from fretsaw.lint.rule import rule
from fretsaw.lint.views import Thing
from fretsaw.lint.work import Work


@rule("DRAIN106", "error", on="PodDisruptionBudget")
def pdb_blocks_for_ever(thing: Thing, given: Input) -> Iterator[Found]:
    """Budgets that allow no disruption even when all pods are well."""
    least, most = thing.at("spec", "minAvailable"), thing.at("spec", "maxUnavailable")
    if most in (0, "0", "0%"):
        yield Found(
            "spec.maxUnavailable", "no pod may ever be evicted: nodes with these pods cannot be drained", fix=_FIX
        )
        return
    if least == "100%":
        yield Found("spec.minAvailable", "100% means that no pod may ever be evicted", fix=_FIX)
        return
    pods_of = given.selected_by(thing)
    works = [w for w in pods_of if w.kind in ("Deployment", "StatefulSet", "ReplicaSet")]
    if not works or not isinstance(least, int) or isinstance(least, bool):
        return
    pods = sum(_least(work, given) for work in works)
    if least >= pods > 0:
        yield Found(
            "spec.minAvailable",
            f"{least} of {listed([work.title for work in works])} have to be there, of {pods}: none may go",
            fix=_FIX,
        )


_FIX = "write maxUnavailable: 1, with two or more replicas"


def _least(work: Work, given: Input) -> int:
    """The fewest pods that a workload may have."""
    scalers = given.autoscalers(work)
    if not scalers:
        return work.copies
    least = scalers[0].at("spec", "minReplicas")
    return least if isinstance(least, int) else 1
