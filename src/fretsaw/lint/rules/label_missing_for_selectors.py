"""A pool that no selector can reach

Workloads of the input ask for a node label that the pool does not set. They tolerate its taints, its types have room
for them, and still it is never asked.

Why: A tier that was meant as fallback, or as the cheap first choice, is not one: the pods stay Pending or in the
dearer pool, while pods without a selector fill the pool instead.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu-tier1-spot}
    spec:
      template:
        spec:
          requirements: [{key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [a10g]}]
          taints: [{key: nvidia.com/gpu, effect: NoSchedule}]
          nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: gpu}
    ---
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: llm}
    spec:
      selector: {matchLabels: {app: llm}}
      template:
        metadata: {labels: {app: llm}}
        spec:
          nodeSelector: {node-type: inference}
          tolerations: [{key: nvidia.com/gpu, operator: Exists}]
          containers: [{name: vllm, image: 'vllm/vllm-openai:v0.11.0', resources: {limits: {nvidia.com/gpu: '1'}}}]

Fix: Set the label in `spec.template.metadata.labels` of every pool that shall serve these workloads.

Source: Karpenter documentation, scheduling (labels that a pool defines).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import listed
from fretsaw.lint.placing import place
from fretsaw.lint.pool import Pool
from fretsaw.lint.rule import rule


@rule("POOL106", "warning", on=Pool)
def label_missing_for_selectors(pool: Pool, given: Input) -> Iterator[Found]:
    """Accelerated pools that lack a label by which workloads choose their nodes."""
    if not pool.is_accelerated or pool.is_static:
        return
    missing: dict[str, list[str]] = {}
    for work in given.works:
        if not work.devices or work.is_daemon or not work.spec.node_selector or pool.name not in given.refusals(work):
            continue
        keys = [key for key in work.spec.node_selector if key not in pool.universe.well_known]
        lacking = [key for key in keys if key not in pool.requirements]
        if lacking and len(lacking) == len(keys) and not isinstance(place(pool, work, without_selectors=True), str):
            missing.setdefault(lacking[0], []).append(work.title)
    for key, titles in missing.items():
        yield Found(
            "spec.template.metadata.labels",
            f"{listed(titles)} select {key}, which nodes of this pool do not have: it is never asked for them",
            fix=f"set the label {key} in spec.template.metadata.labels",
            proof=f"taints and room would suit: {pool.offer}",
        )
