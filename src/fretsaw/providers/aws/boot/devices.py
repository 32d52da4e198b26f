"""Disks of a node: the user's, or those of its family.

Source: Karpenter AWS provider v1.14 pkg/providers/amifamily (DefaultBlockDeviceMappings), pkg/providers/launchtemplate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fretsaw.api.nodeclass import BlockDevice, BlockDeviceMapping
from fretsaw.api.resources import units

_GIB = 2**30
_LINUX = (("/dev/xvda", 20),)
_FAMILIES: dict[str, tuple[tuple[str, int], ...]] = {
    "AL2": _LINUX,
    "AL2023": _LINUX,
    "Bottlerocket": (("/dev/xvda", 4), ("/dev/xvdb", 20)),
    "Windows2019": (("/dev/sda1", 50),),
    "Windows2022": (("/dev/sda1", 50),),
    "Windows2025": (("/dev/sda1", 50),),
}
"""Device and GiB; none where EC2 uses the image's own."""


def mappings(given: Sequence[BlockDeviceMapping], family: str) -> list[dict[str, Any]] | None:
    """As a launch template has them; None for none, since EC2 refuses an empty list."""
    found = [_mapping(one) for one in given] or [_default(device, size) for device, size in _FAMILIES.get(family, ())]
    return found or None


def _default(device: str, gib: int) -> dict[str, Any]:
    return {"DeviceName": device, "Ebs": {"Encrypted": True, "VolumeType": "gp3", "VolumeSize": gib}}


def _mapping(one: BlockDeviceMapping) -> dict[str, Any]:
    found: dict[str, Any] = {"DeviceName": one.device_name} if one.device_name else {}
    if one.ebs is not None:
        found["Ebs"] = _ebs(one.ebs)
    return found


def _ebs(ebs: BlockDevice) -> dict[str, Any]:
    found = {
        "DeleteOnTermination": ebs.delete_on_termination,
        "Encrypted": ebs.encrypted,
        "VolumeType": ebs.volume_type,
        "Iops": ebs.iops or None,
        "Throughput": ebs.throughput or None,
        "KmsKeyId": ebs.kms_key_id,
        "SnapshotId": ebs.snapshot_id or None,
        "VolumeInitializationRate": ebs.volume_initialization_rate,
        "VolumeSize": None if ebs.volume_size is None else _gib(ebs.volume_size),
    }
    return {key: value for key, value in found.items() if value is not None}


def _gib(size: Any) -> int:
    """Rounded up: less than asked for would not do."""
    return -(-units("ephemeral-storage", size) // _GIB)
