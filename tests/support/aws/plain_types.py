"""Labels, capacity and overhead of a type straight from EC2's description, by the formulas as they are documented.

A slow twin of `providers.aws.labels` and `formulas`, for the defaults of AL2023; it shares no code with them.
Source: Karpenter AWS provider v1.14 pkg/providers/instancetype types.go.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

MI = 2**20
GI = 2**30
K8A = "karpenter.k8s.aws/"


def labels(entry: dict[str, Any], network_mbps: int | None) -> dict[str, str]:
    """Label → value, of those with one value. network_mbps: of the bandwidth table."""
    name = entry["InstanceType"]
    found: dict[str, Any] = {"node.kubernetes.io/instance-type": name, "kubernetes.io/os": "linux"}
    arch = next(one for one in entry["ProcessorInfo"]["SupportedArchitectures"] if one in ("x86_64", "arm64"))
    found["kubernetes.io/arch"] = {"x86_64": "amd64", "arm64": "arm64"}[arch]
    if match := re.match(r"(^[a-z]+)(\-[0-9]+tb)?([0-9]+).*\.", name):
        found["instance-category"], found["instance-generation"] = match[1], match[3]
    family, size = name.split(".")
    found |= {"instance-family": family, "instance-size": size, "instance-capability-flex": "-flex" in family}
    found["instance-cpu"] = entry["VCpuInfo"]["DefaultVCpus"]
    found["instance-cpu-manufacturer"] = _kebab(entry["ProcessorInfo"]["Manufacturer"])
    speed = entry["ProcessorInfo"].get("SustainedClockSpeedInGhz", 0)
    found["instance-cpu-sustained-clock-speed-mhz"] = round(speed * 1000)
    found["instance-memory"] = entry["MemoryInfo"]["SizeInMiB"]
    if entry["EbsInfo"]["EbsOptimizedSupport"] == "default":
        found["instance-ebs-bandwidth"] = entry["EbsInfo"]["EbsOptimizedInfo"]["MaximumBandwidthInMbps"]
    found["instance-network-bandwidth"] = network_mbps
    storage = entry.get("InstanceStorageInfo")
    if storage and storage.get("NvmeSupport", "unsupported") != "unsupported":
        found["instance-local-nvme"] = storage["TotalSizeInGB"]
    found["instance-hypervisor"] = entry.get("Hypervisor", "")
    found["instance-encryption-in-transit-supported"] = entry["NetworkInfo"]["EncryptionInTransitSupported"]
    found["nitro-sandbox"] = entry["NitroEnclavesSupport"] == "supported"
    found |= _devices(entry)
    return {key if "/" in key else K8A + key: _text(value) for key, value in found.items() if value is not None}


def _devices(entry: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    gpus = entry.get("GpuInfo", {}).get("Gpus", [])
    if len(gpus) == 1:
        found["instance-gpu-name"] = _kebab(gpus[0]["Name"])
        found["instance-gpu-manufacturer"] = _kebab(gpus[0]["Manufacturer"])
        found["instance-gpu-count"] = gpus[0]["Count"]
        found["instance-gpu-memory"] = gpus[0]["MemoryInfo"]["SizeInMiB"]
    neuron = entry.get("NeuronInfo", {}).get("NeuronDevices", [])
    inference = entry.get("InferenceAcceleratorInfo", {}).get("Accelerators", [])
    if len(neuron) == 1:
        device, maker = neuron[0], "aws"
    elif len(inference) == 1 and "NeuronInfo" not in entry:
        device, maker = inference[0], _kebab(inference[0]["Manufacturer"])
    else:
        return found
    found["instance-accelerator-name"] = _kebab(device["Name"])
    found["instance-accelerator-manufacturer"] = maker
    found["instance-accelerator-count"] = device["Count"]
    return found


def _kebab(text: str) -> str:
    return text.lower().replace(" ", "-")


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def pods(entry: dict[str, Any]) -> int:
    """By the addresses of the default card."""
    network = entry["NetworkInfo"]
    card = network["NetworkCards"][network["DefaultNetworkCardIndex"]]
    return int(card["MaximumNetworkInterfaces"] * (network["Ipv4AddressesPerInterface"] - 1) + 2)


def capacity(entry: dict[str, Any], branch_interfaces: int) -> dict[str, int]:
    """Resource → millicores, bytes or devices. branch_interfaces: of the VPC limits' table."""
    mib = entry["MemoryInfo"]["SizeInMiB"]
    if entry["ProcessorInfo"]["SupportedArchitectures"][0] == "arm64":
        mib -= 64
    share = Fraction(mib) * Fraction(75, 1000)
    found = {
        "cpu": entry["VCpuInfo"]["DefaultVCpus"] * 1000,
        "memory": (mib - -(-share.numerator // share.denominator)) * MI,
        "ephemeral-storage": 20 * GI,
        "pods": pods(entry),
        "vpc.amazonaws.com/pod-eni": branch_interfaces,
        "vpc.amazonaws.com/efa": entry["NetworkInfo"].get("EfaInfo", {}).get("MaximumEfaInterfaces", 0),
    }
    for maker, resource in (("NVIDIA", "nvidia.com/gpu"), ("AMD", "amd.com/gpu"), ("Habana", "habana.ai/gaudi")):
        gpus = entry.get("GpuInfo", {}).get("Gpus", [])
        found[resource] = sum(gpu["Count"] for gpu in gpus if gpu["Manufacturer"] == maker)
    neuron = entry.get("NeuronInfo", {}).get("NeuronDevices", [])
    found["aws.amazon.com/neuron"] = sum(device["Count"] for device in neuron)
    if neuron:
        found["aws.amazon.com/neuroncore"] = neuron[0]["Count"] * neuron[0]["CoreInfo"]["Count"]
    return {name: amount for name, amount in found.items() if amount}


def overhead(entry: dict[str, Any]) -> dict[str, int]:
    """What the kubelet keeps and the eviction thresholds, together."""
    total, kept = entry["VCpuInfo"]["DefaultVCpus"] * 1000, 0
    for low, high, per_mille in ((0, 1000, 60), (1000, 2000, 10), (2000, 4000, 5), (4000, 10**9, 2.5)):
        if total > low:
            kept += int((min(total, high) - low) * per_mille / 1000)
    return {
        "cpu": kept,
        "memory": (11 * pods(entry) + 255 + 100) * MI,
        "ephemeral-storage": GI + 2 * GI,
    }
