"""GPU models as the driver names them, and the labels that gpu-feature-discovery derives from that.

The driver's words are not EC2's: `karpenter.k8s.aws/instance-gpu-name` says `t4`, GFD says `Tesla-T4`; Karpenter knows
GFD's labels of no node that does not exist yet.
Source: NVIDIA GFD v0.20 labels; NVML names and memory sizes (A10G and newer not verified on hardware).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from fretsaw.api.labels import AWS_DOMAIN, INSTANCE_TYPE
from fretsaw.sim.gpu_sharing import Sharing

_NAME = f"{AWS_DOMAIN}/instance-gpu-name"
_MEMORY = f"{AWS_DOMAIN}/instance-gpu-memory"
MIB = 2**20


class Gpu(msgspec.Struct, frozen=True):
    """One model."""

    product: str
    memory_mib: int
    family: str
    compute: str
    """Compute capability, `major.minor`."""
    mig: bool = False
    """Whether it can be cut into MIG instances."""


_A100_40 = Gpu("NVIDIA-A100-SXM4-40GB", 40960, "ampere", "8.0", mig=True)
_A100_80 = Gpu("NVIDIA-A100-SXM4-80GB", 81920, "ampere", "8.0", mig=True)
GPUS: dict[str, Gpu] = {
    "t4": Gpu("Tesla-T4", 15360, "turing", "7.5"),
    "t4g": Gpu("NVIDIA-T4G", 15360, "turing", "7.5"),
    "v100": Gpu("Tesla-V100-SXM2-32GB", 32768, "volta", "7.0"),
    "a10g": Gpu("NVIDIA-A10G", 23028, "ampere", "8.6"),
    "l4": Gpu("NVIDIA-L4", 23034, "ada-lovelace", "8.9"),
    "l40s": Gpu("NVIDIA-L40S", 46068, "ada-lovelace", "8.9"),
    "h100": Gpu("NVIDIA-H100-80GB-HBM3", 81559, "hopper", "9.0", mig=True),
    "h200": Gpu("NVIDIA-H200", 143771, "hopper", "9.0", mig=True),
    "b200": Gpu("NVIDIA-B200", 183359, "blackwell", "10.0", mig=True),
    "b300": Gpu("NVIDIA-B300", 275040, "blackwell", "10.3", mig=True),
    "rtx-pro-server-6000": Gpu("NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition", 97887, "blackwell", "12.0", mig=True),
}
"""By EC2's name. The A100 is told by its memory: `model`."""


def model(labels: Mapping[str, str]) -> Gpu | None:
    """The GPU of a node by its EC2 labels; None where they name none. An unknown one has EC2's name and memory."""
    name = labels.get(_NAME, "")
    if not name:
        return None
    told = int(labels.get(_MEMORY) or 0)
    known = (
        _A100_80 if name == "a100" and told > _A100_40.memory_mib else _A100_40 if name == "a100" else GPUS.get(name)
    )
    if known is None:
        return Gpu(f"NVIDIA-{name.upper()}", told, "", "")
    # A part of a GPU, as in g6f, has less memory than the whole model.
    fraction = told and told < known.memory_mib // 2
    return msgspec.structs.replace(known, memory_mib=told) if fraction else known


def memory_bytes(labels: Mapping[str, str], sharing: Sharing, resource: str) -> int | None:
    """GPU memory of one device of a node; None where it is not known."""
    gpu = model(labels)
    if gpu is None or not gpu.memory_mib:
        return None
    return sharing.memory_bytes(resource, gpu.memory_mib * MIB)


def discovered(labels: Mapping[str, str], gpus: int, sharing: Sharing) -> dict[str, str]:
    """The labels that the operator and GFD give a node with `gpus` GPUs; none where the model is not known."""
    gpu = model(labels)
    if gpu is None or not gpus:
        return {}
    own = {
        "present": "true",
        "count": str(gpus),
        "product": gpu.product + ("-SHARED" if sharing.is_shared and not sharing.rename else ""),
        "memory": str(gpu.memory_mib),
        "replicas": str(sharing.shares),
        "sharing-strategy": sharing.mode if sharing.is_shared else "none",
        "mode": "compute",
        "machine": labels.get(INSTANCE_TYPE, ""),
    }
    if gpu.family:
        major, _, minor = gpu.compute.partition(".")
        own |= {"family": gpu.family, "compute.major": major, "compute.minor": minor}
    found = {f"nvidia.com/gpu.{key}": value for key, value in own.items()}
    return found | {"nvidia.com/mig.capable": str(gpu.mig).lower()} | _mig(gpu, gpus, sharing)


def _mig(gpu: Gpu, gpus: int, sharing: Sharing) -> dict[str, str]:
    """`single` speaks of the instances in place of the GPUs; `mixed` adds each profile's labels to the GPUs'."""
    if sharing.mode != "mig":
        return {}
    found: dict[str, str] = {"nvidia.com/mig.strategy": sharing.strategy}
    for profile, count in sharing.profiles.items():
        head = "nvidia.com/gpu" if sharing.strategy == "single" else f"nvidia.com/mig-{profile.replace('+', '.')}"
        memory = sharing.memory_bytes(f"nvidia.com/mig-{profile}", gpu.memory_mib * MIB) // MIB
        found |= {
            f"{head}.count": str(gpus * count),
            f"{head}.product": f"{gpu.product}-MIG-{profile}",
            f"{head}.memory": str(memory),
        }
    return found
