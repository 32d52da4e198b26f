"""A liveness probe that ends a server while it loads

A container with accelerators has a `livenessProbe`, no `startupProbe`, and less than five minutes until the probe's
last failure.

Why: Pulling weights and building CUDA graphs takes longer than that on a cold node. The kubelet ends the container,
it begins again, for ever, on a GPU that is paid for.

Example:
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: llm}
    spec:
      selector: {matchLabels: {app: llm}}
      template:
        metadata: {labels: {app: llm}}
        spec:
          containers:
            - name: vllm
              image: vllm/vllm-openai:v0.11.0
              livenessProbe: {httpGet: {path: /health, port: 8000}, initialDelaySeconds: 60}
              resources: {limits: {nvidia.com/gpu: '1'}}

Fix: Add a `startupProbe` with enough failures (`periodSeconds: 10, failureThreshold: 90`): liveness begins after it.

Source: kubernetes.io, Liveness, Readiness, and Startup Probes; start-up of model servers (4 to 7 minutes for 8B).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.rule import rule
from fretsaw.lint.work import Work

_ENOUGH_S = 300


@rule("WORK107", "warning", on=Work)
def liveness_kills_loading(work: Work, given: Input) -> Iterator[Found]:
    """Impatient liveness probes of containers with devices."""
    if not work.serves:
        return
    for number, container in enumerate(work.spec.containers):
        probe = container.liveness_probe
        asks = any(resource in container.resources.requests for resource in work.devices)
        if probe is None or container.startup_probe is not None or not asks:
            continue
        patience = probe.initial_delay_seconds + (probe.period_seconds or 10) * (probe.failure_threshold or 3)
        if patience < _ENOUGH_S:
            yield Found(
                work.container_path(number, "livenessProbe"),
                f"is ended after {patience} s without an answer, and loading a model takes minutes",
                fix="add startupProbe: {periodSeconds: 10, failureThreshold: 90} with the same check",
            )
