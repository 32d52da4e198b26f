"""A model server without a readiness probe

Replicas of a server on accelerators have no `readinessProbe`.

Why: A pod counts as ready the moment its process starts: for the minutes in which it loads the model it gets requests
and fails them, and a rollout ends the old pod when the new one cannot serve yet.

Example:
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: llm}
    spec:
      replicas: 2
      selector: {matchLabels: {app: llm}}
      template:
        metadata: {labels: {app: llm}}
        spec:
          containers: [{name: vllm, image: 'vllm/vllm-openai:v0.11.0', resources: {limits: {nvidia.com/gpu: '1'}}}]

Fix: Add a probe on the server's own check: `/health` (vLLM, TGI), `/v2/health/ready` (Triton).

Source: kubernetes.io, Liveness, Readiness, and Startup Probes; the servers' own documentation.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.rule import rule
from fretsaw.lint.work import Work


@rule("WORK106", "warning", on=Work)
def server_without_readiness(work: Work, given: Input) -> Iterator[Found]:
    """Servers whose container with devices has no readiness probe."""
    if not work.serves or work.kind not in ("Deployment", "StatefulSet", "ReplicaSet"):
        return
    for number, container in enumerate(work.spec.containers):
        asks = any(resource in container.resources.requests for resource in work.devices)
        if asks and container.readiness_probe is None:
            path = "/v2/health/ready" if "triton" in container.image else "/health"
            yield Found(
                work.container_path(number, "readinessProbe"),
                "counts as ready while it still loads its model: requests fail, and rollouts end old pods too early",
                fix=f"add readinessProbe: {{httpGet: {{path: {path}, port: …}}}}",
            )
