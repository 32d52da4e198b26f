"""A GPU server without a PodDisruptionBudget

Several replicas of a server on accelerators, and no PodDisruptionBudget that selects them.

Why: Consolidation, drift and expiry may drain all its nodes at the same time; each replica needs minutes to be ready
again on a new node. That is an outage that nobody had to have.

Example:
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: llm, namespace: ml}
    spec:
      replicas: 2
      selector: {matchLabels: {app: llm}}
      template:
        metadata: {labels: {app: llm}}
        spec:
          containers: [{name: vllm, image: 'vllm/vllm-openai:v0.11.0', resources: {limits: {nvidia.com/gpu: '1'}}}]

Fix: Add a PodDisruptionBudget with `maxUnavailable: 1` for the pods' labels.

Source: kubernetes.io, Specifying a Disruption Budget; Karpenter documentation, disruption (evictions respect
budgets).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import counted, listed
from fretsaw.lint.rule import rule
from fretsaw.lint.work import Work


@rule("DRAIN105", "warning", on=Work)
def server_without_pdb(work: Work, given: Input) -> Iterator[Found]:
    """Servers with several replicas that no budget selects."""
    scaled_up = [one.at("spec", "maxReplicas") for one in given.autoscalers(work)]
    many = work.copies > 1 or any(isinstance(most, int) and most > 1 for most in scaled_up)
    if not work.serves or not many or work.kind not in ("Deployment", "StatefulSet"):
        return
    budgets = given.by_kind.get("PodDisruptionBudget", [])
    if given.budgets_of(work):
        return
    labels = [f"{key}={value}" for key, value in work.pod_labels.items()]
    yield Found(
        "",
        f"{counted(work.copies, 'replica')} on GPUs and no PodDisruptionBudget: all of them may be drained at once",
        fix=f"add a PodDisruptionBudget with maxUnavailable: 1 for {listed(labels)}",
        severity=None if budgets else "info",
    )
