"""A GPU workload that no pool takes

The input has pools, and none of them would buy a node for the pods: a label, a size, an architecture or the room does
not suit.

Why: The pods stay Pending for ever. The reasons are those that the engine gives.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu}
    spec:
      template:
        spec:
          requirements: [{key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [l4]}]
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: llm}
    spec:
      nodeSelector: {node-type: inference}
      containers: [{name: vllm, image: 'vllm/vllm-openai:v0.11.0', resources: {limits: {nvidia.com/gpu: '1'}}}]

Fix: Change what the reason names, in the pod or in the pool. `fretsaw plan` shows the same with all details.

Source: Karpenter v1.14 scheduling (NodePool and pod requirements).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import DEVICES, counted
from fretsaw.lint.rule import rule
from fretsaw.lint.work import Work


@rule("WORK112", "error", on=Work)
def no_pool_takes_it(work: Work, given: Input) -> Iterator[Found]:
    """Pods with devices, pools with such devices, and no landing."""
    resource = next((r for r in work.devices if r in DEVICES), None)
    pools = [pool for pool in given.pools if resource in pool.resources]
    if resource is None or work.is_daemon or not pools or given.landing(work) or work.spec.node_name:
        return
    if any(pool.is_static for pool in pools):
        return
    if all((t := pool.keeps_off(work.spec.tolerations)) and t.key == resource for pool in pools):
        return  # GPU102 says it
    refusals = given.refusals(work)
    reasons = [f"{pool.name}: {refusals[pool.name]}" for pool in pools if pool.name in refusals]
    yield Found(
        work.path("spec"),
        f"none of {counted(len(pools), 'pool')} with {resource} buys a node for it",
        fix="change what the reasons name, in the pod or in a pool",
        proof="; ".join(reasons[:3]) + (f"; and {len(reasons) - 3} more" if len(reasons) > 3 else ""),
    )
