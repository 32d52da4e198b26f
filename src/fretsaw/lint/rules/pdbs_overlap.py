"""Two PodDisruptionBudgets for one pod

More than one budget selects the pods of a workload.

Why: The eviction API answers such a pod's eviction with an error, always: the node can never be drained, and is
billed until somebody deletes one of the budgets.

Example:
    apiVersion: policy/v1
    kind: PodDisruptionBudget
    metadata: {name: llm, namespace: ml}
    spec: {maxUnavailable: 1, selector: {matchLabels: {app: llm}}}
    ---
    apiVersion: policy/v1
    kind: PodDisruptionBudget
    metadata: {name: all, namespace: ml}
    spec: {minAvailable: 1, selector: {matchLabels: {app: llm}}}
    ---
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: llm, namespace: ml}
    spec:
      replicas: 3
      selector: {matchLabels: {app: llm}}
      template:
        metadata: {labels: {app: llm}}
        spec: {containers: [{name: llm, image: 'llm:v1'}]}

Fix: Keep one budget for each pod.

Source: kubernetes.io, API-initiated Eviction (several budgets for a pod: 500 Internal Server Error).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import counted, listed
from fretsaw.lint.rule import rule
from fretsaw.lint.work import Work


@rule("DRAIN114", "error", on=Work)
def pdbs_overlap(work: Work, given: Input) -> Iterator[Found]:
    """Workloads whose pods several budgets select."""
    budgets = [one.name for one in given.budgets_of(work)]
    if len(set(budgets)) > 1 and not work.is_daemon:
        yield Found(
            work.path("metadata.labels"),
            f"{counted(len(set(budgets)), 'PodDisruptionBudget')} select these pods ({listed(sorted(set(budgets)))}): "
            "no eviction of them ever succeeds",
            fix="keep one of them",
        )
