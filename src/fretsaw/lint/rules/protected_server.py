"""A server that asks never to be disrupted

The pods of a Deployment or StatefulSet carry `karpenter.sh/do-not-disrupt`.

Why: A server never ends by itself, so its node is never consolidated and never gets a new image: half-empty GPU nodes
stay, and security fixes wait until expiry, which then does not wait at all.

Example:
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: llm}
    spec:
      replicas: 2
      selector: {matchLabels: {app: llm}}
      template:
        metadata: {labels: {app: llm}, annotations: {karpenter.sh/do-not-disrupt: 'true'}}
        spec:
          containers: [{name: vllm, image: 'vllm/vllm-openai:v0.11.0', resources: {limits: {nvidia.com/gpu: '1'}}}]

Fix: Let a PodDisruptionBudget say how many may be missing, and leave the annotation to runs that end.

Source: Karpenter documentation, disruption (pod-level controls).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.kinds import first_landing, where_it_lands
from fretsaw.lint.rule import rule
from fretsaw.lint.work import DO_NOT_DISRUPT, Work


@rule("DRAIN107", "warning", on=Work)
def protected_server(work: Work, given: Input) -> Iterator[Found]:
    """Long-lived workloads with do-not-disrupt."""
    if not work.is_protected or work.kind not in ("Deployment", "StatefulSet", "ReplicaSet"):
        return
    landing = first_landing(work, given)
    yield Found(
        work.path(f"metadata.annotations.{DO_NOT_DISRUPT}"),
        "a server that never ends keeps its node for ever: no consolidation, no new image until expiry",
        fix="use a PodDisruptionBudget with maxUnavailable: 1 instead",
        proof=where_it_lands(landing) if landing else "",
        usd_per_hour=landing.offer.cheapest.usd * work.copies if landing else None,
    )
