"""A pod that asks for a shared GPU or a MIG instance

`nvidia.com/gpu.shared` and `nvidia.com/mig-…` are made by the device plugin on a node that runs. No instance type has
them, as far as the autoscaler knows.

Why: No node is bought for the pod; it runs only where such a node is there already.

Example:
    apiVersion: v1
    kind: Pod
    metadata: {name: notebook}
    spec:
      tolerations: [{key: nvidia.com/gpu, operator: Exists}]
      containers: [{name: notebook, image: 'jupyter:v1', resources: {limits: {nvidia.com/mig-1g.5gb: '1'}}}]

Fix: Add a NodeOverlay that gives the types this capacity (feature gate NodeOverlay), keep static nodes for it, or use
a strategy under which pods ask for `nvidia.com/gpu` (time-slicing without renaming, MIG strategy single).

Source: NVIDIA device plugin, sharing and MIG strategies; Karpenter documentation, NodeOverlays.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.rule import rule
from fretsaw.lint.tree import a_map
from fretsaw.lint.work import Work


@rule("GPU112", "warning", on=Work)
def shared_gpu_resource(work: Work, given: Input) -> Iterator[Found]:
    """Requests for what no instance type has by itself."""
    odd = [r for r in work.devices if r.startswith(("nvidia.com/mig-", "nvidia.com/gpu.shared"))]
    told = {key for one in given.by_kind.get("NodeOverlay", ()) for key in a_map(one.at("spec", "capacity"))}
    if work.is_daemon or not odd or set(odd) <= told:
        return
    for number, container in enumerate(work.spec.containers):
        for resource in odd:
            if resource in container.resources.requests:
                yield Found(
                    work.container_path(number, "resources.limits"),
                    f"asks for {resource}, which no instance type has: no node is bought for it",
                    fix=f"add a NodeOverlay with capacity {{{resource}: …}}, or share GPUs as nvidia.com/gpu",
                )
