"""CapacityBuffers: room kept free, planned as virtual pods beside the real ones.

Source: Karpenter v1.14 pkg/controllers/capacitybuffer, pkg/state/virtualpods.
"""

from __future__ import annotations

import math

import msgspec

from fretsaw.api.capacitybuffer import CapacityBuffer
from fretsaw.api.meta import ObjectMeta
from fretsaw.api.pod import Pod, PodTemplateSpec
from fretsaw.api.resources import units
from fretsaw.api.workload import Deployment, ReplicaSet, StatefulSet
from fretsaw.engine.cluster import Cluster
from fretsaw.engine.requests import pod_requests

FAKE_POD = "karpenter.sh/capacity-buffer-fake-pod"
PRIORITY = -(2**31)


def buffer_pods(cluster: Cluster) -> list[Pod]:
    """The virtual pods of all buffers that can be resolved, in the buffers' order."""
    return [pod for buffer in cluster.buffers for pod in _virtual(buffer, cluster)]


def _virtual(buffer: CapacityBuffer, cluster: Cluster) -> list[Pod]:
    found = _resolve(buffer, cluster)
    if found is None:
        return []
    template, replicas = found
    spec = msgspec.structs.replace(
        template.spec,
        volumes=tuple(v for v in template.spec.volumes if not v.persistent_volume_claim and not v.ephemeral),
        node_name="",
        priority=PRIORITY,
    )
    name, namespace = buffer.metadata.name, buffer.metadata.home
    return [
        Pod(
            metadata=ObjectMeta(
                name=f"capacity-buffer-{name}-{i}",
                namespace=namespace,
                labels=template.metadata.labels,
                annotations={FAKE_POD: "true"},
            ),
            spec=spec,
        )
        for i in range(1, _size(buffer, template, replicas) + 1)
    ]


def _resolve(buffer: CapacityBuffer, cluster: Cluster) -> tuple[PodTemplateSpec, int] | None:
    """(the pods' template, how many replicas its workload has), None where the reference leads nowhere."""
    namespace = buffer.metadata.home
    template, scalable = buffer.spec.pod_template_ref, buffer.spec.scalable_ref
    if template is not None:
        for t in cluster.pod_templates:
            if t.metadata.name == template.name and t.metadata.home == namespace:
                return t.template, 0
        return None
    kinds: dict[str, tuple[Deployment | StatefulSet | ReplicaSet, ...]] = {
        "Deployment": cluster.deployments,
        "StatefulSet": cluster.stateful_sets,
        "ReplicaSet": cluster.replica_sets,
    }
    if scalable is None or scalable.api_group not in ("", "apps"):
        return None
    for workload in kinds.get(scalable.kind, ()):
        if workload.metadata.name == scalable.name and workload.metadata.home == namespace:
            replicas = workload.spec.replicas
            return workload.spec.template, 1 if replicas is None else replicas
    return None


def _size(buffer: CapacityBuffer, template: PodTemplateSpec, replicas: int) -> int:
    """How many pods: the larger of `replicas` and `percentage`, cut by `limits`; nothing given means none."""
    spec = buffer.spec
    wanted = [] if spec.replicas is None else [spec.replicas]
    if spec.percentage is not None and spec.scalable_ref is not None and replicas:
        share = math.ceil(replicas * spec.percentage / 100)
        wanted.append(max(share, 1) if spec.percentage > 0 else 0)
    requests = pod_requests(template.spec)
    caps = [
        units(resource, limit, up=False) // requests[resource]
        for resource, limit in spec.limits.items()
        if requests.get(resource)
    ]
    if wanted and caps:
        return min(max(wanted), min(caps))
    return max(wanted) if wanted else min(caps, default=0)
