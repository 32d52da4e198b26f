"""What EC2's data does not say about accelerators: speed, true memory, links, formats, MIG.

Curated in `data/inputs/facts.yaml`, shipped as `data/facts.json`; for listings and for ranking, never for capacity.
"""

from __future__ import annotations

from functools import cache

import msgspec


class DeviceFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """One accelerator model. TFLOPS are dense, per device; bandwidth is of its memory."""

    name: str
    product: str
    architecture: str
    memory_gb: int
    memory_mib: int | None = None
    """Only where models share a name: the memory that EC2 reports for this one."""
    true_memory_mib: int | None = None
    """Where EC2's figure is known to be wrong."""
    memory_kind: str = ""
    bandwidth_gbs: int | None = None
    compute_capability: str = ""
    fp16_tflops: float | None = None
    fp8_tflops: float | None = None
    bf16: bool | None = None
    fp8: bool | None = None
    mig_instances: int | None = None
    """MIG instances that one device can be cut into; None where unknown."""
    tdp_w: int | None = None
    unverified: tuple[str, ...] = ()
    recalled: tuple[str, ...] = ()
    note: str = ""


class FamilyFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the devices of a family are linked, and what people use it for."""

    link: str
    use: str
    link_gbs: int | None = None


class TypeFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is special about one type."""

    device_fraction: float = 1.0
    """Share of a device that the type has; EC2 then reports a count of 0 and the memory of the slice."""
    link: str = ""
    note: str = ""
    unverified: bool = False


class Facts(msgspec.Struct, frozen=True):
    """`facts.json`."""

    source: str
    devices: tuple[DeviceFacts, ...]
    families: dict[str, FamilyFacts]
    types: dict[str, TypeFacts]
    outside: dict[str, TypeFacts]
    """Documented types that no source of the catalog has."""


@cache
def load() -> Facts:
    """The shipped facts."""
    from fretsaw.providers.aws.snapshot import DATA

    return msgspec.json.decode((DATA / "facts.json").read_bytes(), type=Facts)


def device(name: str, memory_mib: int | None = None) -> DeviceFacts | None:
    """Facts of a device by its label value, such as `a100`; memory tells models of one name apart."""
    named = [facts for facts in load().devices if facts.name == name]
    exact = [facts for facts in named if facts.memory_mib == memory_mib]
    found = exact or [facts for facts in named if facts.memory_mib is None]
    return found[0] if found else None


def family(name: str) -> FamilyFacts | None:
    """Facts of a family such as `p4d`."""
    return load().families.get(name)


def of_type(name: str) -> TypeFacts:
    """Facts of a type; those of an ordinary one when nothing special is known."""
    return load().types.get(name) or TypeFacts()
