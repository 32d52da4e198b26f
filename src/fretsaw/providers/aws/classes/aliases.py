"""Aliases of images, such as `al2023@latest`: which SSM parameters hold them, and which instance types they are for.

Source: AWS provider v1.14 pkg/providers/amifamily (al2.go, al2023.go, bottlerocket.go, windows.go, types.go).
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from fretsaw.api.labels import AWS_DOMAIN, OS, WINDOWS_BUILD
from fretsaw.api.selection import NodeSelectorRequirement as Asked

GPUS = f"{AWS_DOMAIN}/instance-gpu-count"
ACCELERATORS = f"{AWS_DOMAIN}/instance-accelerator-count"
STANDARD = (Asked(ACCELERATORS, "DoesNotExist"), Asked(GPUS, "DoesNotExist"))
NVIDIA = (Asked(GPUS, "Exists"),)
"""Any GPU, also AMD's and Habana's: only the count is looked at."""
NEURON = (Asked(ACCELERATORS, "Exists"),)
LATEST = "latest"

_EKS = "/aws/service/eks/optimized-ami"
_BOTTLEROCKET = "/aws/service/bottlerocket"
_VARIANTS = {"standard": STANDARD, "nvidia": NVIDIA, "neuron": NEURON}
_AL2023 = (
    ("x86_64", "standard"),
    ("x86_64", "nvidia"),
    ("x86_64", "neuron"),
    ("arm64", "standard"),
    ("arm64", "nvidia"),
)
_BUILDS = {"2019": "10.0.17763", "2022": "10.0.20348", "2025": "10.0.26100"}
_AL2_ENDS = 33
_WINDOWS2025_BEGINS = 35


class Alias(msgspec.Struct, frozen=True):
    """`family@version`, both as the user wrote them."""

    family: str
    version: str


class Parameter(msgspec.Struct, frozen=True):
    """An SSM parameter that holds an image's id, and for which instance types the image is, one way or another."""

    name: str
    variants: tuple[tuple[Asked, ...], ...]
    mutable: bool
    """Whether its value changes with each release."""


def alias(text: str) -> Alias:
    """The two parts; admission has checked that there are two."""
    family, _, version = text.partition("@")
    return Alias(family, version)


def unsupported(asked: Alias, kubernetes: str) -> str:
    """Why there are no images of an alias for a version of Kubernetes; empty where there are.

    kubernetes: such as `1.34`.
    """
    minor = _minor(kubernetes)
    if asked.family == "al2" and minor >= _AL2_ENDS:
        return f"AL2 has no images for Kubernetes 1.{_AL2_ENDS} and later; the cluster has {kubernetes}"
    if asked.family == "windows2025" and minor < _WINDOWS2025_BEGINS:
        return f"Windows2025 has images for Kubernetes 1.{_WINDOWS2025_BEGINS} and later; the cluster has {kubernetes}"
    return ""


def parameters(asked: Alias, kubernetes: str) -> tuple[Parameter, ...]:
    """The parameters that hold an alias's images; none for a family that nobody knows."""
    if asked.family == "al2":
        return tuple(_al2(asked.version, kubernetes))
    if asked.family == "al2023":
        return tuple(_al2023(asked.version, kubernetes))
    if asked.family == "bottlerocket":
        return tuple(_bottlerocket(asked.version, kubernetes))
    year = asked.family.removeprefix("windows")
    return (_windows(year, kubernetes),) if year in _BUILDS else ()


def _minor(kubernetes: str) -> int:
    number = kubernetes.partition(".")[2]
    return int(number) if number.isdecimal() else 0


def _release(version: str, name: str) -> str:
    return "recommended" if version == LATEST else f"{name}-{version}"


def _al2(version: str, k8s: str) -> Iterator[Parameter]:
    folders = (
        ("amazon-linux-2", "amazon-eks-node", (STANDARD,)),
        ("amazon-linux-2-arm64", "amazon-eks-arm64-node", (STANDARD,)),
        ("amazon-linux-2-gpu", "amazon-eks-gpu-node", (NEURON, NVIDIA)),
    )
    for folder, name, variants in folders:
        path = f"{_EKS}/{k8s}/{folder}/{_release(version, f'{name}-{k8s}')}/image_id"
        yield Parameter(path, variants, version == LATEST)


def _al2023(version: str, k8s: str) -> Iterator[Parameter]:
    for arch, variant in _AL2023:
        release = _release(version, f"amazon-eks-node-al2023-{arch}-{variant}-{k8s}")
        path = f"{_EKS}/{k8s}/amazon-linux-2023/{arch}/{variant}/{release}/image_id"
        yield Parameter(path, (_VARIANTS[variant],), version == LATEST)


def _bottlerocket(version: str, k8s: str) -> Iterator[Parameter]:
    kinds = (
        ("", "x86_64", (STANDARD, NEURON)),
        ("", "arm64", (STANDARD,)),
        ("-nvidia", "x86_64", (NVIDIA,)),
        ("-nvidia", "arm64", (NVIDIA,)),
    )
    release = version.lstrip("v")
    for flavour, arch, variants in kinds:
        path = f"{_BOTTLEROCKET}/aws-k8s-{k8s}{flavour}/{arch}/{release}/image_id"
        yield Parameter(path, variants, release == LATEST)


def _windows(year: str, k8s: str) -> Parameter:
    path = f"/aws/service/ami-windows-latest/Windows_Server-{year}-English-Core-EKS_Optimized-{k8s}/image_id"
    variant = (Asked(OS, "In", ("windows",)), Asked(WINDOWS_BUILD, "In", (_BUILDS[year],)))
    return Parameter(path, (variant,), True)
