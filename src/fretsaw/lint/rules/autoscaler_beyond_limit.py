"""An autoscaler that wants more GPUs than its pools may buy

`maxReplicas` times the GPUs of a replica is more than the limits of the pools that take it.

Why: At the peak, when it matters, the last replicas stay Pending: the limit was reached long before the maximum.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu}
    spec:
      template:
        spec:
          requirements: [{key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [l4]}]
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}
      limits: {nvidia.com/gpu: '4'}
    ---
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: llm}
    spec:
      selector: {matchLabels: {app: llm}}
      template:
        metadata: {labels: {app: llm}}
        spec:
          containers: [{name: vllm, image: 'vllm/vllm-openai:v0.11.0', resources: {limits: {nvidia.com/gpu: '1'}}}]
    ---
    apiVersion: autoscaling/v2
    kind: HorizontalPodAutoscaler
    metadata: {name: llm}
    spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: llm}, maxReplicas: 10}

Fix: Raise the pools' limits, or lower `maxReplicas` to what you would pay for.

Source: Karpenter documentation, NodePools (spec.limits); kubernetes.io, HorizontalPodAutoscaler.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import DEVICES, listed
from fretsaw.lint.rule import rule
from fretsaw.lint.work import Work


@rule("POOL112", "warning", on=Work)
def autoscaler_beyond_limit(work: Work, given: Input) -> Iterator[Found]:
    """Autoscaled workloads whose maximum the limits do not allow."""
    landings = given.landing(work)
    resource = next((r for r in work.devices if r in DEVICES), None)
    if resource is None or not landings:
        return
    limits = [one.pool.mould.limits.get(resource) for one in landings]
    if any(limit is None for limit in limits):
        return
    most = sum(limit for limit in limits if limit is not None)
    for scaler in given.autoscalers(work):
        replicas = scaler.at("spec", "maxReplicas")
        if isinstance(replicas, int) and replicas * work.devices[resource] > most:
            shown = [f"{one.pool.name} {one.pool.spec.limits[resource]}" for one in landings]
            wanted = replicas * work.devices[resource]
            yield Found(
                work.path("spec"),
                f"{scaler.name} goes up to {replicas} replicas, which need {wanted} {resource}; pools may buy {most}",
                fix="raise the limits, or lower maxReplicas",
                proof=f"limits: {listed(shown)}",
            )
