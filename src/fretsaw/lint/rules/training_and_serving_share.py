"""Training and serving in one pool

The first pool of a training run is that of a model server, too.

Why: They want opposite things: servers want to be consolidated and may be interrupted, runs must not be. In one pool
the runs' do-not-disrupt keeps half-empty nodes of servers alive, and the servers' consolidation works around the
runs.

Example:
    apiVersion: karpenter.sh/v1
    kind: NodePool
    metadata: {name: gpu}
    spec:
      template:
        spec:
          requirements: [{key: karpenter.k8s.aws/instance-gpu-name, operator: In, values: [a10g]}]
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
          containers: [{name: vllm, image: 'vllm/vllm-openai:v0.11.0', resources: {limits: {nvidia.com/gpu: '1'}}}]
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: training}
    spec:
      containers: [{name: training, image: 'training:v1', resources: {limits: {nvidia.com/gpu: '1'}}}]

Fix: Make a pool for each, with a label that the workloads select.

Source: Karpenter documentation, best practices (separate pools for workloads with different needs).
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import listed
from fretsaw.lint.pool import Pool
from fretsaw.lint.rule import rule


@rule("POOL107", "info", on=Pool)
def training_and_serving_share(pool: Pool, given: Input) -> Iterator[Found]:
    """Pools that are the first choice of both."""
    here = given.first_in(pool)
    runs, servers = [w.title for w in here if w.trains], [w.title for w in here if w.serves]
    if runs and servers:
        yield Found(
            "spec.template.metadata.labels",
            f"serves {listed(servers)}, and trains {listed(runs)}: what is good for one disturbs the other",
            fix="make a pool for each, with a label that the workloads select",
        )
