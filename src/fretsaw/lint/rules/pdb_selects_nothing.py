"""A PodDisruptionBudget that selects no pod

The namespace has workloads in the input, and none of them carries the labels that the budget selects.

Why: The budget protects nothing, and looks as if it did: all replicas may be drained at once.

Example:
    apiVersion: policy/v1
    kind: PodDisruptionBudget
    metadata: {name: llm, namespace: ml}
    spec: {maxUnavailable: 1, selector: {matchLabels: {app: llm-server}}}
    ---
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: llm, namespace: ml}
    spec:
      replicas: 2
      selector: {matchLabels: {app: llm}}
      template:
        metadata: {labels: {app: llm}}
        spec: {containers: [{name: llm, image: 'llm:v1'}]}

Fix: Select labels of the pod template.

Source: kubernetes.io, Specifying a Disruption Budget.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import listed
from fretsaw.lint.rule import rule
from fretsaw.lint.views import Thing


@rule("DRAIN113", "warning", on="PodDisruptionBudget")
def pdb_selects_nothing(thing: Thing, given: Input) -> Iterator[Found]:
    """Budgets beside workloads of their namespace, of which they select none."""
    near = given.works_in(thing.namespace)
    if not near or given.selected_by(thing) or not thing.at("spec", "selector", "matchLabels"):
        return
    labels = sorted({f"{key}={value}" for work in near for key, value in work.pod_labels.items()})
    yield Found(
        "spec.selector",
        f"selects no pod of the namespace {thing.namespace}",
        fix=f"select labels of its pods: {listed(labels)}" if labels else "give the pods these labels",
    )
