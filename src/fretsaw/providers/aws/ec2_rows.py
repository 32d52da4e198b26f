"""EC2's description of an instance type, as one row: of an account's answer, or of the copy that moto bundles.

What is missing in a description is unknown, never an error: EC2 leaves out whole parts for some types.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fretsaw.providers.aws.snapshot import Device, TypeRow

ARCHITECTURES = {"x86_64": "amd64", "arm64": "arm64"}
"""EC2's names → Kubernetes'. Types of no such architecture (Macs) run no nodes."""

Entry = Mapping[str, Any]


def usable(entry: Entry) -> bool:
    """Whether the type can be a node: hvm, on amd64 or arm64."""
    hvm = "hvm" in entry.get("SupportedVirtualizationTypes", ())
    return hvm and any(
        arch in ARCHITECTURES for arch in _part(entry, "ProcessorInfo").get("SupportedArchitectures", ())
    )


def type_row(entry: Entry, *, network_mbps: int | None, branch_interfaces: int | None, source: str) -> TypeRow:
    """The row of a usable type. network_mbps, branch_interfaces: of tables, since EC2 does not tell them.

    Raises KeyError where even name, vCPUs or memory are missing.
    """
    network, processor = _part(entry, "NetworkInfo"), _part(entry, "ProcessorInfo")
    storage = _part(entry, "InstanceStorageInfo")
    size = storage.get("TotalSizeInGB")
    return TypeRow(
        name=entry["InstanceType"],
        arch=next(ARCHITECTURES[arch] for arch in processor["SupportedArchitectures"] if arch in ARCHITECTURES),
        vcpus=entry["VCpuInfo"]["DefaultVCpus"],
        memory_mib=entry["MemoryInfo"]["SizeInMiB"],
        cpu_manufacturer=processor.get("Manufacturer", ""),
        clock_mhz=round(processor.get("SustainedClockSpeedInGhz", 0) * 1000),
        ebs_mbps=_ebs_mbps(_part(entry, "EbsInfo")),
        network_mbps=network_mbps,
        nvme_gb=size if storage.get("NvmeSupport", "unsupported") != "unsupported" else None,
        instance_storage_gb=size,
        hypervisor=entry.get("Hypervisor", ""),
        flags=_flags(entry),
        ipv4_per_interface=network.get("Ipv4AddressesPerInterface", 0),
        default_card=network.get("DefaultNetworkCardIndex", 0),
        card_interfaces=tuple(card["MaximumNetworkInterfaces"] for card in cards(entry)),
        efa_interfaces=_part(network, "EfaInfo").get("MaximumEfaInterfaces"),
        branch_interfaces=branch_interfaces,
        gpus=_all(_part(entry, "GpuInfo").get("Gpus", ())),
        accelerators=_all(_part(entry, "InferenceAcceleratorInfo").get("Accelerators", ())),
        neuron=_all(_part(entry, "NeuronInfo").get("NeuronDevices", ())),
        other_devices=_others(entry),
        source=source,
    )


def cards(entry: Entry) -> list[Entry]:
    """The network cards, by index."""
    found = _part(entry, "NetworkInfo").get("NetworkCards", ())
    return sorted(found, key=lambda card: int(card["NetworkCardIndex"]))


def baseline_mbps(entry: Entry) -> int | None:
    """The sum over the network cards: for types that are newer than the bandwidth table."""
    return round(sum(card.get("BaselineBandwidthInGbps", 0) for card in cards(entry)) * 1000) or None


def _part(entry: Entry, name: str) -> Entry:
    return entry.get(name) or {}


def _ebs_mbps(ebs: Entry) -> int | None:
    if ebs.get("EbsOptimizedSupport") != "default":
        return None
    mbps: int | None = _part(ebs, "EbsOptimizedInfo").get("MaximumBandwidthInMbps")
    return mbps


def _flags(entry: Entry) -> str:
    """The letters of `TypeRow.flags`, sorted."""
    network, sold = _part(entry, "NetworkInfo"), entry.get("SupportedUsageClasses", ())
    found = {
        "a": network.get("EnaSupport", "unsupported") != "unsupported",
        "b": "capacity-block" in sold,
        "c": entry.get("CurrentGeneration", False),
        "e": network.get("EncryptionInTransitSupported", False),
        "n": entry.get("NitroEnclavesSupport") == "supported",
        "o": "on-demand" in sold,
        "s": "spot" in sold,
        "v": "nested-virtualization" in _part(entry, "ProcessorInfo").get("SupportedFeatures", ()),
    }
    return "".join(letter for letter, holds in found.items() if holds)


def _others(entry: Entry) -> tuple[Device, ...]:
    media = _part(entry, "MediaAcceleratorInfo").get("Accelerators", ())
    return _all([*media, *_part(entry, "FpgaInfo").get("Fpgas", ())])


def _all(devices: Any) -> tuple[Device, ...]:
    return tuple(
        Device(
            item.get("Name", ""),
            item.get("Manufacturer", "AWS"),
            item.get("Count", 0),
            _part(item, "MemoryInfo").get("SizeInMiB", 0),
            _part(item, "CoreInfo").get("Count", 0),
        )
        for item in devices
    )
