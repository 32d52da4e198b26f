"""What a node's GPUs look like to Kubernetes when they are shared: time slices, MPS and MIG.

Source: NVIDIA k8s-device-plugin v0.20, Shared Access to GPUs; NVIDIA MIG user guide.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from fretsaw.errors import UserError
from fretsaw.sim.gpu_stack import NVIDIA_GPU

_GIGABYTES = re.compile(r"\dg\.(\d+)gb")


class Sharing(msgspec.Struct, frozen=True, kw_only=True):
    """How the device plugin divides GPUs; the default gives each to one pod."""

    mode: Literal["exclusive", "time-slicing", "mps", "mig"] = "exclusive"
    replicas: int = 1
    """Pods for each GPU (time-slicing, mps)."""
    rename: bool = False
    """renameByDefault: shared GPUs are `nvidia.com/gpu.shared` (time-slicing, mps)."""
    fail_multiple: bool = False
    """failRequestsGreaterThanOne: a pod that asks for two shares fails its admission."""
    strategy: Literal["single", "mixed"] = "single"
    """mig.strategy: whether instances are called `nvidia.com/gpu` or by their profile."""
    profiles: dict[str, int] = {}
    """Instances of each GPU by profile, such as `{"1g.5gb": 7}` (mig)."""

    def __post_init__(self) -> None:
        if self.replicas < 1:
            raise UserError("sharing", "replicas", str(self.replicas), "1 at least")
        if self.mode == "mig" and not self.profiles:
            raise UserError("sharing", "no profiles for MIG", "", "such as {1g.5gb: 7}")
        if self.mode == "mig" and self.strategy == "single" and len(self.profiles) > 1:
            raise UserError("sharing", "several MIG profiles", ", ".join(sorted(self.profiles)), "one, or mixed")

    @property
    def shares(self) -> int:
        """Pods that hold one GPU together, for time slices and MPS."""
        return self.replicas if self.mode in ("time-slicing", "mps") else 1

    @property
    def is_shared(self) -> bool:
        """Whether a device of the node is less than a GPU that one pod has alone."""
        return self.shares > 1

    def devices(self, gpus: int) -> dict[str, tuple[int, ...]]:
        """By resource name the GPU behind each of its devices.

        8 GPUs in ten time slices are 80 `nvidia.com/gpu`; with `mixed` MIG each profile is a resource of its own, with
        `.` for its `+`.
        """
        if self.mode != "mig":
            name = f"{NVIDIA_GPU}.shared" if self.rename and self.is_shared else NVIDIA_GPU
            return {name: tuple(gpu for gpu in range(gpus) for _ in range(self.shares))}
        found: dict[str, tuple[int, ...]] = {}
        for profile, count in self.profiles.items():
            name = NVIDIA_GPU if self.strategy == "single" else f"nvidia.com/mig-{profile.replace('+', '.')}"
            found[name] = tuple(gpu for gpu in range(gpus) for _ in range(count))
        return found

    def memory_bytes(self, resource: str, of_gpu: int) -> int:
        """What one device can use of its GPU's memory.

        MPS caps each pod at its part; time slices do not divide memory, so that each sees all of it.
        """
        if self.mode == "mps":
            return of_gpu // self.replicas
        if self.mode != "mig":
            return of_gpu
        profile = next(iter(self.profiles)) if self.strategy == "single" else resource.rpartition("mig-")[2]
        match = _GIGABYTES.match(profile)
        return int(match.group(1)) * 2**30 if match else of_gpu
