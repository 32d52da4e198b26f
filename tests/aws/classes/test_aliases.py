"""Aliases: the SSM parameters of each family, and which instance types their images are for."""

from __future__ import annotations

import pytest

from fretsaw.providers.aws.classes.aliases import Alias, alias, parameters, unsupported

EKS = "/aws/service/eks/optimized-ami/1.32"
BOTTLEROCKET = "/aws/service/bottlerocket/aws-k8s-1.32"
STANDARD = "instance-accelerator-count DoesNotExist, instance-gpu-count DoesNotExist"
NVIDIA = "instance-gpu-count Exists"
NEURON = "instance-accelerator-count Exists"


def said(asked: str, kubernetes: str = "1.32") -> dict[str, list[str]]:
    """Parameter → its variants, in words."""

    def words(variant: object) -> str:
        return ", ".join(
            " ".join([one.key.rpartition("/")[2], one.operator, *one.values])
            for one in variant  # type: ignore[attr-defined]
        )

    return {one.name: [words(variant) for variant in one.variants] for one in parameters(alias(asked), kubernetes)}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (
            "al2@latest",
            {
                f"{EKS}/amazon-linux-2/recommended/image_id": [STANDARD],
                f"{EKS}/amazon-linux-2-arm64/recommended/image_id": [STANDARD],
                f"{EKS}/amazon-linux-2-gpu/recommended/image_id": [NEURON, NVIDIA],
            },
        ),
        (
            "al2@v20260101",
            {
                f"{EKS}/amazon-linux-2/amazon-eks-node-1.32-v20260101/image_id": [STANDARD],
                f"{EKS}/amazon-linux-2-arm64/amazon-eks-arm64-node-1.32-v20260101/image_id": [STANDARD],
                f"{EKS}/amazon-linux-2-gpu/amazon-eks-gpu-node-1.32-v20260101/image_id": [NEURON, NVIDIA],
            },
        ),
        (
            "al2023@latest",
            {
                f"{EKS}/amazon-linux-2023/x86_64/standard/recommended/image_id": [STANDARD],
                f"{EKS}/amazon-linux-2023/x86_64/nvidia/recommended/image_id": [NVIDIA],
                f"{EKS}/amazon-linux-2023/x86_64/neuron/recommended/image_id": [NEURON],
                f"{EKS}/amazon-linux-2023/arm64/standard/recommended/image_id": [STANDARD],
                f"{EKS}/amazon-linux-2023/arm64/nvidia/recommended/image_id": [NVIDIA],
            },
        ),
        (
            "al2023@v20260101",
            {
                f"{EKS}/amazon-linux-2023/{arch}/{kind}/amazon-eks-node-al2023-{arch}-{kind}-1.32-v20260101/image_id": [
                    {"standard": STANDARD, "nvidia": NVIDIA, "neuron": NEURON}[kind]
                ]
                for arch, kind in [
                    ("x86_64", "standard"),
                    ("x86_64", "nvidia"),
                    ("x86_64", "neuron"),
                    ("arm64", "standard"),
                    ("arm64", "nvidia"),
                ]
            },
        ),
        (
            "bottlerocket@latest",
            {
                f"{BOTTLEROCKET}/x86_64/latest/image_id": [STANDARD, NEURON],
                f"{BOTTLEROCKET}/arm64/latest/image_id": [STANDARD],
                f"{BOTTLEROCKET}-nvidia/x86_64/latest/image_id": [NVIDIA],
                f"{BOTTLEROCKET}-nvidia/arm64/latest/image_id": [NVIDIA],
            },
        ),
        (
            "bottlerocket@v1.50.0",
            {
                f"{BOTTLEROCKET}/x86_64/1.50.0/image_id": [STANDARD, NEURON],
                f"{BOTTLEROCKET}/arm64/1.50.0/image_id": [STANDARD],
                f"{BOTTLEROCKET}-nvidia/x86_64/1.50.0/image_id": [NVIDIA],
                f"{BOTTLEROCKET}-nvidia/arm64/1.50.0/image_id": [NVIDIA],
            },
        ),
        *(
            (
                f"windows{year}@latest",
                {
                    f"/aws/service/ami-windows-latest/Windows_Server-{year}-English-Core-EKS_Optimized-1.32/image_id": [
                        f"os In windows, windows-build In {build}"
                    ]
                },
            )
            for year, build in [("2019", "10.0.17763"), ("2022", "10.0.20348"), ("2025", "10.0.26100")]
        ),
        ("unheard@latest", {}),
        ("windows1999@latest", {}),
    ],
)
def test_an_alias_is_these_parameters_for_these_types(asked: str, expected: dict[str, list[str]]) -> None:
    assert said(asked) == expected


@pytest.mark.parametrize(
    ("asked", "mutable"),
    [
        ("al2@latest", True),
        ("al2@v20260101", False),
        ("al2023@latest", True),
        ("al2023@v20260101", False),
        ("bottlerocket@latest", True),
        ("bottlerocket@1.50.0", False),
        ("windows2022@latest", True),
    ],
)
def test_only_the_latest_image_changes_by_itself(asked: str, mutable: bool) -> None:
    assert {one.mutable for one in parameters(alias(asked), "1.32")} == {mutable}


@pytest.mark.parametrize(
    ("family", "kubernetes", "why"),
    [
        ("al2", "1.32", ""),
        ("al2", "1.33", "AL2 has no images for Kubernetes 1.33 and later; the cluster has 1.33"),
        ("al2", "1.36", "AL2 has no images for Kubernetes 1.33 and later; the cluster has 1.36"),
        ("windows2025", "1.34", "Windows2025 has images for Kubernetes 1.35 and later; the cluster has 1.34"),
        ("windows2025", "1.35", ""),
        ("windows2022", "1.26", ""),
        ("al2023", "1.36", ""),
    ],
)
def test_some_families_have_images_for_some_versions_only(family: str, kubernetes: str, why: str) -> None:
    assert unsupported(Alias(family, "latest"), kubernetes) == why
