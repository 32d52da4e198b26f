"""A rollout that needs a GPU which the limit forbids

All replicas together use the pools' whole limit, and a rolling update starts new pods before it ends old ones.

Why: The new pod stays Pending, the old ones stay up: the rollout hangs until its deadline, on the evening when the
fix has to go out.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu}
    spec:
      template:
        spec:
          requirements: [{key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [l4]}]
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}
      limits: {nvidia.com/gpu: '2'}
    ---
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

Fix: Leave room for `maxSurge` under the limit, or roll with `maxSurge: 0, maxUnavailable: 1`.

Source: kubernetes.io, Deployments (rolling update: maxSurge and maxUnavailable default to 25 %, the latter rounded
down).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.api.meta import scaled
from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import DEVICES, listed
from fretsaw.lint.rule import rule
from fretsaw.lint.tree import a_map
from fretsaw.lint.work import Work


@rule("WORK114", "warning", on=Work)
def rollout_over_limit(work: Work, given: Input) -> Iterator[Found]:
    """Deployments that fill their pools' limits and roll by surging."""
    landings = given.landing(work)
    resource = next((r for r in work.devices if r in DEVICES), None)
    strategy = a_map(work.at("spec", "strategy"))
    rolling = a_map(strategy.get("rollingUpdate"))
    if work.kind != "Deployment" or resource is None or not landings or strategy.get("type") == "Recreate":
        return
    gone = scaled(rolling.get("maxUnavailable", "25%"), work.copies, up=False)
    limits = [one.pool.mould.limits.get(resource) for one in landings]
    if gone > 0 or any(limit is None for limit in limits):
        return
    most, used = sum(limit for limit in limits if limit is not None), work.devices[resource] * work.copies
    if used <= most < used + work.devices[resource]:
        yield Found(
            "spec.strategy",
            f"its {work.copies} replicas use {used} of {most} that the pools may buy: a rollout needs one replica more",
            fix="write rollingUpdate: {maxSurge: 0, maxUnavailable: 1}, or raise the limit",
            proof=f"limits: {listed([f'{one.pool.name} {one.pool.spec.limits[resource]}' for one in landings])}",
        )
