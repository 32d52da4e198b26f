"""What a machine costs an hour, as the catalog says it, with and without the NodeOverlays."""

from __future__ import annotations

import math

from fretsaw.api.catalog import Catalog
from fretsaw.controllers.overlaid import Overlaid
from fretsaw.engine.machines import Machine
from fretsaw.engine.state import ClusterState

Index = dict[tuple[str, str, str], float]
MOST = 32
"""Catalogs that are remembered: each new price list makes new ones."""


class Prices:
    """Looks prices up by type, zone and capacity type; a catalog is indexed once, overlays are applied once."""

    def __init__(self) -> None:
        self._indexes: dict[int, tuple[Catalog, Index]] = {}
        self._overlaid = Overlaid()

    def listed(self, state: ClusterState, machine: Machine) -> float | None:
        """USD an hour as the catalog has it; None for what it does not sell."""
        return self._price(state.catalogs.get(machine.pool), machine)

    def adjusted(self, state: ClusterState, machine: Machine) -> float | None:
        """USD an hour as it counts in decisions: with the overlays."""
        return self._price(self._overlaid.catalogs(state).get(machine.pool), machine)

    def _price(self, catalog: Catalog | None, machine: Machine) -> float | None:
        if catalog is None:
            return None
        known = self._indexes.get(id(catalog))
        if known is None or known[0] is not catalog:
            if len(self._indexes) >= MOST:
                self._indexes.clear()
            known = self._indexes[id(catalog)] = (catalog, _index(catalog))
        return known[1].get((machine.instance_type, machine.zone, machine.capacity_type))


def _index(catalog: Catalog) -> Index:
    """The first offering of each kind, as decisions read it."""
    found: Index = {}
    for instance_type in catalog.instance_types:
        for offering in instance_type.offerings:
            if not math.isnan(offering.price):
                found.setdefault((instance_type.name, offering.zone, offering.capacity_type), offering.price)
    return found
