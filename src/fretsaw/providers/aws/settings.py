"""What an operator can turn about instance types, apart from a node class."""

from __future__ import annotations

import msgspec


class Settings(msgspec.Struct, frozen=True):
    """The settings of the AWS provider that change capacity."""

    vm_memory_overhead_percent: float = 0.075
    """Share of memory that the hypervisor keeps (VM_MEMORY_OVERHEAD_PERCENT). The peer's default; real nodes show
    more memory than it predicts, never less."""
    reserved_enis: int = 0
    """Interfaces that custom networking keeps from pods (RESERVED_ENIS)."""


DEFAULT = Settings()
