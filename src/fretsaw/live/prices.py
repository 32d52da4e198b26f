"""What a machine costs by its labels, with the shipped prices of its own region or a catalog of the user's."""

from __future__ import annotations

import math
from functools import cache

from fretsaw.api.catalog import Catalog
from fretsaw.engine.machines import Machine
from fretsaw.providers.aws import instance_types, snapshot

Key = tuple[str, str, str]
"""(instance type, zone, capacity type)."""


class Prices:
    """USD an hour by machine."""

    def __init__(self, catalog: Catalog | None = None) -> None:
        """catalog: for all machines, wherever they are; None for the shipped ones."""
        self._given = _table(catalog) if catalog is not None else None

    def of(self, machine: Machine) -> float | None:
        """The price; None where no catalog has it, such as for machines that no NodePool made."""
        key = (machine.instance_type, machine.zone, machine.capacity_type)
        table = self._given if self._given is not None else _shipped(machine.zone[:-1])
        return table.get(key)


@cache
def _shipped(region: str) -> dict[Key, float]:
    return _table(instance_types.catalog(region)) if region in snapshot.regions() else {}


def _table(catalog: Catalog) -> dict[Key, float]:
    return {
        (kind.name, offering.zone, offering.capacity_type): offering.price
        for kind in catalog.instance_types
        for offering in reversed(kind.offerings)  # the first of several counts
        if not math.isnan(offering.price)
    }
