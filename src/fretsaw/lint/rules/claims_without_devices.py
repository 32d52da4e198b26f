"""A pod whose GPUs are resource claims only

The pod asks for devices by dynamic resource allocation, and for no `nvidia.com/gpu`. Karpenter ignores claims
(IGNORE_DRA_REQUESTS, on by default).

Why: The pod counts as one without a GPU: it is given a node without any, where the claim can never be met; or no node
is bought at all.

Example:
    apiVersion: v1
    kind: Pod
    metadata: {name: train}
    spec:
      resourceClaims: [{name: gpu, resourceClaimTemplateName: one-gpu}]
      containers: [{name: train, image: 'train:v1', resources: {claims: [{name: gpu}]}}]

Fix: Select GPU nodes explicitly (`karpenter.k8s.aws/instance-gpu-count` exists, or a pool's label), or use the device
plugin's resource until claims are understood.

Source: Karpenter v1.14 settings (ignore-dra-requests); kubernetes.io, Dynamic Resource Allocation.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.lint.found import Found
from fretsaw.lint.given import Input
from fretsaw.lint.rule import rule
from fretsaw.lint.work import Work


@rule("GPU117", "warning", on=Work)
def claims_without_devices(work: Work, given: Input) -> Iterator[Found]:
    """Pods with claims, without devices, and without a choice of nodes."""
    chooses = work.spec.node_selector or (work.spec.affinity and work.spec.affinity.node_affinity)
    if work.is_daemon or not work.spec.resource_claims or work.devices or chooses:
        return
    yield Found(
        work.path("spec.resourceClaims"),
        "its devices are claims, which are ignored when nodes are bought: it is given a node as if it needed no GPU",
        severity=None if given.pools else "info",
        fix="select GPU nodes by a label of the pool or of the instance type",
    )
