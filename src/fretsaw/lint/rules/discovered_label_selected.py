"""A pod that selects a label which exists only once the node is there

GPU Feature Discovery labels nodes (`nvidia.com/gpu.product` and others) after they have started. The autoscaler does
not know these labels of a node that it could buy.

Why: No node is ever bought for the pod: it stays Pending with "label does not have known values" until somebody
happens to start such a node in another way.

Example:
    apiVersion: v1
    kind: Pod
    metadata: {name: train}
    spec:
      nodeSelector: {nvidia.com/gpu.product: NVIDIA-A10G}
      tolerations: [{key: nvidia.com/gpu, operator: Exists}]
      containers: [{name: train, image: 'train:v1', resources: {limits: {nvidia.com/gpu: '1'}}}]

Fix: Select what the instance type says: `karpenter.k8s.aws/instance-gpu-name: a10g`, `instance-gpu-count`,
`instance-gpu-memory`.

Source: NVIDIA GPU Feature Discovery, labels; Karpenter documentation, well-known labels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.market import AWS_LABEL
from fretsaw.lint.rule import rule
from fretsaw.lint.work import Work

_FOUND_LATER = re.compile(r"nvidia\.com/(gpu\.(?!deploy)|mig\.|cuda\.)|feature\.node\.kubernetes\.io/")
_INSTEAD = {
    "nvidia.com/gpu.product": "instance-gpu-name",
    "nvidia.com/gpu.count": "instance-gpu-count",
    "nvidia.com/gpu.memory": "instance-gpu-memory",
    "nvidia.com/gpu.family": "instance-gpu-name",
    "nvidia.com/gpu.machine": "node.kubernetes.io/instance-type",
}


@rule("GPU109", "error", on=Work)
def discovered_label_selected(work: Work, given: Input) -> Iterator[Found]:
    """Node selectors and required affinities on labels of feature discovery."""
    if work.is_daemon:
        return
    told = {key for pool in given.pools for key in pool.spec.template.metadata.labels}
    asked = [(key, work.path("spec.nodeSelector")) for key in work.spec.node_selector]
    affinity = work.spec.affinity.node_affinity if work.spec.affinity else None
    for term in affinity.required.node_selector_terms if affinity and affinity.required else ():
        asked += [(one.key, work.path("spec.affinity.nodeAffinity")) for one in term.match_expressions]
    for key, path in asked:
        if _FOUND_LATER.match(key) and key not in told:
            instead = _INSTEAD.get(key, "instance-gpu-name")
            instead = instead if "/" in instead else AWS_LABEL.removesuffix("instance-") + instead
            yield Found(
                path,
                f"selects {key}, which a node gets only after it has started: no node is bought for it",
                fix=f"select {instead} instead",
                severity=None if given.pools else "warning",
            )
