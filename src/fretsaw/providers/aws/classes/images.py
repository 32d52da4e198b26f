"""Images as EC2 describes them → `status.amis`; and which of these an instance type gets.

Pure. The launch path asks `image_for`.
Source: AWS provider v1.14 pkg/providers/amifamily (ami.go, types.go, MapToInstanceTypes).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from fretsaw.api.catalog import InstanceType
from fretsaw.api.labels import ARCH, AWS_DOMAIN, normalize
from fretsaw.api.nodeclass_status import ResolvedAMI
from fretsaw.api.selection import NodeSelectorRequirement as Asked
from fretsaw.api.times import Millis, millis
from fretsaw.engine.requirement import Requirement
from fretsaw.engine.requirements import Requirements
from fretsaw.providers.aws.classes.aliases import ACCELERATORS, GPUS

Variant = tuple[Asked, ...]
_TELLING = (GPUS, ACCELERATORS, f"{AWS_DOMAIN}/instance-cpu")
"""Every type has the last; who has it without the others has no devices."""
_ARCHES = {"x86_64": "amd64", "arm64": "arm64"}


class Image(msgspec.Struct, frozen=True):
    """One image for one kind of instance types."""

    id: str
    name: str
    created: Millis
    deprecated: bool
    requirements: Variant


def read(item: Mapping[str, Any], variants: Sequence[Variant], now: Millis) -> list[Image]:
    """An entry of DescribeImages, once for each variant; none where its architecture runs no nodes.

    variants: what the image's parameter says of it; `((),)` where nothing is known but the architecture.
    """
    arch = _ARCHES.get(item.get("Architecture", ""))
    if arch is None:
        return []
    ends = _time(item.get("DeprecationTime"))
    return [
        Image(
            id=item["ImageId"],
            name=item.get("Name") or "",
            created=_time(item.get("CreationDate")) or 0,
            deprecated=ends is not None and ends <= now,
            requirements=_sorted((Asked(ARCH, "In", (arch,)), *variant)),
        )
        for variant in variants
    ]


def amis(images: Iterable[Image]) -> tuple[ResolvedAMI, ...]:
    """The best image for each set of requirements, the newest first.

    Better is one that is not deprecated, then the newer, then the one with the greater name.
    """
    best: dict[Variant, Image] = {}
    for image in images:
        there = best.get(image.requirements)
        if there is None or _rank(image) > _rank(there):
            best[image.requirements] = image
    ordered = sorted(best.values(), key=lambda one: (-one.created, one.id, _text(one.requirements)))
    return tuple(ResolvedAMI(one.id, one.requirements, one.name, True if one.deprecated else None) for one in ordered)


def image_for(amis: Iterable[ResolvedAMI], machine: Requirements) -> ResolvedAMI | None:
    """The first image that fits an instance type, None where none does; machine: `of_type` or `of_labels`.

    What an image asks for has to be known of the type.
    """
    return next((ami for ami in amis if machine.conflict(_requirements(ami.requirements), frozenset()) is None), None)


def of_type(type_: InstanceType) -> Requirements:
    """What is known of an instance type."""
    return Requirements(Requirement(normalize(key), values) for key, values in type_.labels.items())


def of_labels(labels: Mapping[str, str]) -> Requirements | None:
    """What is known of a machine by its NodeClaim's labels, which have every label of its type that has one value.

    None where they say nothing of its devices: it would get an image without drivers.
    """
    return Requirements.of_labels(labels) if any(key in labels for key in _TELLING) else None


@lru_cache(maxsize=256)
def _requirements(asked: Variant) -> Requirements:
    """Asked for each of a thousand types, and always the same few."""
    return Requirements(Requirement.of(one.key, one.operator, one.values) for one in asked)


def _rank(image: Image) -> tuple[bool, Millis, str, str]:
    return (not image.deprecated, image.created, image.name, image.id)


def _sorted(requirements: Iterable[Asked]) -> Variant:
    return tuple(sorted(requirements, key=lambda one: (len(one.key), one.key)))


def _text(requirements: Variant) -> str:
    return " ".join(f"{one.key} {one.operator} {','.join(one.values)}" for one in requirements)


def _time(text: Any) -> Millis | None:
    """EC2 writes times of images as texts; one that cannot be read counts as none."""
    try:
        return millis(text) if isinstance(text, str) and text else None
    except ValueError:
        return None
