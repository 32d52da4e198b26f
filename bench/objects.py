"""Builders of plain Kubernetes objects and catalog entries, used by every mix."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

ZONE = "topology.kubernetes.io/zone"
HOSTNAME = "kubernetes.io/hostname"
ARCH = "kubernetes.io/arch"
OS = "kubernetes.io/os"
CAPACITY_TYPE = "karpenter.sh/capacity-type"
CATEGORY = "karpenter.k8s.aws/instance-category"
GPU_NAME = "karpenter.k8s.aws/instance-gpu-name"
GPU_MANUFACTURER = "karpenter.k8s.aws/instance-gpu-manufacturer"
GPU_MEMORY = "karpenter.k8s.aws/instance-gpu-memory"
NVIDIA_GPU = "nvidia.com/gpu"
GPU_TOLERATION: Json = {"key": NVIDIA_GPU, "operator": "Exists", "effect": "NoSchedule"}


def pod(name: str, requests: dict[str, str], labels: dict[str, str] | None = None, **spec: Any) -> Json:
    """A pending pod of one container; extended resources are set as limits too, as the API server demands."""
    resources: Json = {"requests": requests}
    if NVIDIA_GPU in requests:
        resources["limits"] = {NVIDIA_GPU: requests[NVIDIA_GPU]}
    container = {"name": "main", "image": "pause:3.10", "resources": resources}
    metadata = {"name": name, "namespace": "default", "labels": labels or {}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container], **spec}}


def need(key: str, operator: str, *values: str) -> Json:
    """One requirement, as NodePools and node affinities write it."""
    requirement: Json = {"key": key, "operator": operator}
    if values:
        requirement["values"] = list(values)
    return requirement


def required_affinity(*requirements: Json) -> Json:
    """An affinity that admits only nodes with all these requirements."""
    terms = {"nodeSelectorTerms": [{"matchExpressions": list(requirements)}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}


def node_pool(
    name: str, *requirements: Json, weight: int = 0, tainted: bool = False, limits: Json | None = None
) -> Json:
    """A NodePool, ready to use; `tainted` keeps pods without a GPU toleration away."""
    template: Json = {
        "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"},
        "requirements": list(requirements),
    }
    if tainted:
        template["taints"] = [{"key": NVIDIA_GPU, "value": "true", "effect": "NoSchedule"}]
    spec: Json = {"template": {"spec": template}}
    if weight:
        spec["weight"] = weight
    if limits:
        spec["limits"] = limits
    return {"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": name}, "spec": spec}
