"""Catalogs as they count in decisions: with the NodeOverlays applied, once for each set of both."""

from __future__ import annotations

from collections.abc import Mapping

from fretsaw.api.catalog import Catalog
from fretsaw.engine.cluster import Cluster
from fretsaw.engine.overlay import overlaid
from fretsaw.engine.state import ClusterState


class Overlaid:
    """Remembers the last answer."""

    def __init__(self) -> None:
        self._made_from: tuple[tuple[object, ...], object] = ((), None)
        self._catalogs: Mapping[str, Catalog] = {}

    def catalogs(self, state: ClusterState) -> Mapping[str, Catalog]:
        """By pool; those of the state themselves where there are no overlays."""
        overlays = tuple(state.objects.get("NodeOverlay", {}).values())
        if not overlays:
            return state.catalogs
        pools = tuple(state.pools.values())
        objects = (*overlays, *state.catalogs.values())
        labels = [(pool.metadata.name, pool.spec.template.metadata.labels) for pool in pools]
        known, known_labels = self._made_from
        same = len(known) == len(objects) and all(a is b for a, b in zip(known, objects, strict=True))
        if not same or known_labels != labels:
            self._catalogs, _ = overlaid(Cluster(pools=pools, catalogs=state.catalogs, overlays=overlays))
            self._made_from = (objects, labels)
        return self._catalogs
