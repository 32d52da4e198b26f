"""Capacity and overhead of an EC2 type under a node class: the arithmetic, without labels or prices.

All amounts are integers: millicores, bytes, devices. Called by `instance_types`.
Source: Karpenter AWS provider v1.14 pkg/providers/instancetype types.go (computeCapacity, kubeReservedResources,
evictionThreshold), pods.
"""

from __future__ import annotations

import math

from fretsaw.providers.aws.nodeclass_view import NodeClassView
from fretsaw.providers.aws.settings import Settings
from fretsaw.providers.aws.snapshot import TypeRow

MI = 2**20
GI = 2**30

_CPU_BANDS = ((0, 1000, 600), (1000, 2000, 100), (2000, 4000, 50), (4000, None, 25))
"""(from, to in millicores, share in 1/10000): what the kubelet keeps of each band, cut to whole millicores per band."""

_RESOURCE_OF_MANUFACTURER = {"NVIDIA": "nvidia.com/gpu", "AMD": "amd.com/gpu", "Habana": "habana.ai/gaudi"}


def memory_mib(row: TypeRow, settings: Settings) -> int:
    """Memory that the operating system is expected to see, MiB.

    arm64 loses 64 MiB to its firmware; then a share of the rest goes to the hypervisor.
    """
    mib = row.memory_mib - 64 if row.arch == "arm64" else row.memory_mib
    # The float product is Karpenter's own: an exact one would differ by 1 MiB for some sizes.
    return mib - math.ceil(mib * MI * settings.vm_memory_overhead_percent / MI)


def eni_pods(row: TypeRow, reserved: int = 0) -> int:
    """Pods by addresses of the default card's interfaces; `reserved` interfaces are not for pods."""
    interfaces = row.card_interfaces[row.default_card] if row.default_card < len(row.card_interfaces) else 0
    usable = max(interfaces - reserved, 0)
    return usable * (row.ipv4_per_interface - 1) + 2 if usable else 0


def pods(row: TypeRow, node_class: NodeClassView, settings: Settings) -> int:
    """Pods that a node takes: maxPods, else the ENI formula (Windows: 110), capped by podsPerCore."""
    if node_class.max_pods is not None:
        count = node_class.max_pods
    elif node_class.windows:
        count = 110
    else:
        count = eni_pods(row, settings.reserved_enis + node_class.efa_only_on_card(row.default_card))
    if node_class.pods_per_core:
        count = min(count, node_class.pods_per_core * row.vcpus)
    return count


def ephemeral_storage(row: TypeRow, node_class: NodeClassView) -> int:
    """Bytes of the kubelet's disk: all instance stores as RAID0, else the volume of the node class."""
    if node_class.raid0 and row.instance_storage_gb:
        return row.instance_storage_gb * 10**9
    return node_class.volume_bytes


def capacity(row: TypeRow, node_class: NodeClassView, settings: Settings) -> dict[str, int]:
    """Everything that a node of this type registers, without zero entries except pods."""
    efa = node_class.efa_only_count if node_class.network_interfaces is not None else row.efa_interfaces or 0
    amounts = {
        "cpu": row.vcpus * 1000,
        "memory": memory_mib(row, settings) * MI,
        "ephemeral-storage": ephemeral_storage(row, node_class),
        "vpc.amazonaws.com/pod-eni": row.branch_interfaces or 0,
        "vpc.amazonaws.com/efa": efa,
        **_devices(row),
    }
    if node_class.windows:
        amounts["vpc.amazonaws.com/PrivateIPv4Address"] = row.ipv4_per_interface - 1
    kept = {name: amount for name, amount in amounts.items() if amount}
    return {**kept, "pods": pods(row, node_class, settings)}


def _devices(row: TypeRow) -> dict[str, int]:
    amounts: dict[str, int] = {}
    for gpu in row.gpus:
        if resource := _RESOURCE_OF_MANUFACTURER.get(gpu.manufacturer):
            amounts[resource] = amounts.get(resource, 0) + gpu.count
    if row.neuron:
        amounts["aws.amazon.com/neuron"] = sum(device.count for device in row.neuron)
        amounts["aws.amazon.com/neuroncore"] = row.neuron[0].count * row.neuron[0].cores
    return amounts


def kube_reserved_cpu(vcpus: int) -> int:
    """Millicores that the kubelet keeps: 70 of 2 vCPUs, 80 of 4, 310 of 96."""
    total = vcpus * 1000
    kept = 0
    for low, high, share in _CPU_BANDS:
        if total > low:
            kept += ((total if high is None else min(total, high)) - low) * share // 10000
    return kept


def overhead(row: TypeRow, node_class: NodeClassView, amounts: dict[str, int]) -> dict[str, int]:
    """Kube-reserved, system-reserved and eviction thresholds together; `amounts` is the capacity."""
    # Only these families size kube-reserved memory by the resolved pod count; the others ignore maxPods here.
    counted = amounts["pods"] if node_class.pods_size_reserve else eni_pods(row)
    kube = {
        "cpu": kube_reserved_cpu(row.vcpus),
        "memory": (11 * counted + 255) * MI,
        "ephemeral-storage": GI,
        **node_class.kube_reserved,
    }
    total = dict(kube)
    for part in (node_class.system_reserved, node_class.eviction(amounts)):
        for name, amount in part.items():
            total[name] = total.get(name, 0) + amount
    return {name: amount for name, amount in total.items() if name in amounts and amount}
