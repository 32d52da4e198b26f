"""Images of EKS as AWS publishes them, and the SSM parameters that name them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from support.aws.world import ACCOUNT, REGION

VERSION = "1.34"
"""The Kubernetes version of the seeded cluster."""
RELEASES = {"v20261001": datetime(2026, 10, 1, tzinfo=UTC), "v20261115": datetime(2026, 11, 15, tzinfo=UTC)}
"""Of AL2023; the newest is `recommended`."""
BOTTLEROCKET = {"1.49.0": datetime(2026, 9, 20, tzinfo=UTC), "1.50.0": datetime(2026, 11, 10, tzinfo=UTC)}

_EKS = f"/aws/service/eks/optimized-ami/{VERSION}/amazon-linux-2023"
_ARCHES = {"x86_64": ("standard", "nvidia", "neuron"), "arm64": ("standard", "nvidia")}


class Image(msgspec.Struct, frozen=True):
    """An image of Amazon's, and the parameters whose value is its id."""

    id: str
    name: str
    arch: str
    created: datetime
    parameters: tuple[str, ...]


def published() -> list[Image]:
    """Every image that is there after a reset. Ids are the same each time."""
    return [*_al2023(), *_bottlerocket()]


def _al2023() -> list[Image]:
    newest = max(RELEASES)
    found = []
    for arch, variants in _ARCHES.items():
        for variant in variants:
            for release, created in RELEASES.items():
                name = f"amazon-eks-node-al2023-{arch}-{variant}-{VERSION}-{release}"
                folder = f"{_EKS}/{arch}/{variant}"
                names = [f"{folder}/{name}/image_id"]
                if release == newest:
                    names.append(f"{folder}/recommended/image_id")
                found.append(Image(_id(name), name, arch, created, tuple(names)))
    return found


def _bottlerocket() -> list[Image]:
    newest = max(BOTTLEROCKET)
    found = []
    for arch in _ARCHES:
        for flavour in ("", "-nvidia"):
            for release, created in BOTTLEROCKET.items():
                name = f"bottlerocket-aws-k8s-{VERSION}{flavour}-{arch}-v{release}-12345678"
                folder = f"/aws/service/bottlerocket/aws-k8s-{VERSION}{flavour}/{arch}"
                names = [f"{folder}/{release}/image_id"]
                if release == newest:
                    names.append(f"{folder}/latest/image_id")
                found.append(Image(_id(name), name, arch, created, tuple(names)))
    return found


def _id(name: str) -> str:
    from hashlib import sha256

    return f"ami-{sha256(name.encode()).hexdigest()[:17]}"


def add_image(image: Image, *, owner: str = "amazon", tags: dict[str, str] | None = None) -> None:
    """Put an image into EC2. owner: `amazon`, or `self`."""
    from moto.ec2.models import ec2_backends
    from moto.ec2.models.amis import Ami

    backend: Any = ec2_backends[ACCOUNT][REGION]
    backend.amis[image.id] = Ami(
        backend,
        ami_id=image.id,
        name=image.name,
        owner_id="602401143452" if owner == "amazon" else ACCOUNT,
        owner_alias="amazon" if owner == "amazon" else None,
        public=owner == "amazon",
        virtualization_type="hvm",
        architecture=image.arch,
        creation_date=image.created,
        root_device_type="ebs",
        root_device_name="/dev/xvda",
        hypervisor="xen",
        tags=tags,
    )


def set_parameter(name: str, value: str) -> None:
    """Put a parameter into SSM, also where nobody but AWS may."""
    from moto.ssm.models import Parameter, ssm_backends

    backend: Any = ssm_backends[ACCOUNT][REGION]
    made: Any = Parameter
    there = backend._parameters[name]
    there.append(
        made(
            account_id=ACCOUNT,
            name=name,
            value=value,
            parameter_type="String",
            description=None,
            allowed_pattern=None,
            keyid=None,
            last_modified_date=datetime(2026, 11, 20, tzinfo=UTC),
            version=len(there) + 1,
            data_type="aws:ec2:image",
        )
    )


def drop_parameter(name: str) -> None:
    """Take a parameter out of SSM. Raises KeyError where there is none."""
    from moto.ssm.models import ssm_backends

    backend: Any = ssm_backends[ACCOUNT][REGION]
    del backend._parameters[name]
