"""How names of objects and resources read as label names and values."""

from __future__ import annotations

import re

from fretsaw.api.resources import Quantity, units

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def snake(camel: str) -> str:
    """`WhenEmptyOrUnderutilized` → `when_empty_or_underutilized`."""
    return _HUMP.sub("_", camel).lower()


def resource_type(resource: str) -> str:
    """`ephemeral-storage` → `ephemeral_storage`; dots and slashes stay."""
    return resource.lower().replace("-", "_")


def amount(resource: str, base: int) -> float:
    """An amount in base units as it is told: cores for cpu, the number itself for everything else."""
    return base / 1000 if resource == "cpu" else base


def quantity(resource: str, text: Quantity) -> float:
    """A quantity's text as it is told."""
    return amount(resource, units(resource, text))


def label_name(key: str) -> str:
    """A label key as the name of a metric's label: `karpenter.sh/nodepool` → `karpenter_sh_nodepool`."""
    return re.sub(r"[/.\-]", "_", key)
