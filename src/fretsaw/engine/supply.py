"""The NodePools as sources of nodes: what each can launch, and the daemon pods that come with its nodes.

Made once for all passes between which no pool, catalog, overlay or DaemonSet changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from fretsaw.api.catalog import Catalog
from fretsaw.api.labels import NODEPOOL, WELL_KNOWN
from fretsaw.api.node import Taint
from fretsaw.api.nodepool import NodePool
from fretsaw.api.pod import Pod
from fretsaw.engine.cluster import Cluster
from fretsaw.engine.overlay import overlaid
from fretsaw.engine.pending import is_daemon
from fretsaw.engine.settings import Settings
from fretsaw.engine.template import Daemon, any_prefers, requirements_of, templates
from fretsaw.engine.universe import Universe


class Supply:
    """All pools, ready to make nodes. Immutable but for memories of answers already given."""

    def __init__(self, cluster: Cluster, settings: Settings, before: Supply | None = None) -> None:
        """before: an earlier supply, whose universes are taken over where the catalog is the same."""
        self.settings = settings
        self._sources = _sources(cluster)
        self.universes, self.notes = _universes(cluster, before)
        self.daemons = [Daemon.of(d, cluster.pods) for d in cluster.daemon_sets]
        self.pools = tuple(p for p in cluster.pools if p.metadata.name in self.universes)
        self.any_pool = any(p.spec.replicas is None for p in self.pools)
        """Without any dynamic pool the peer plans nothing at all, not even on nodes that exist."""
        self.templates, unusable = templates(self.pools, self.universes, self.daemons, settings)
        self.unusable: dict[str, str] = {**cluster.unready, **unusable}
        self.tolerate_preferences = any_prefers(self.pools)
        self.well_known = frozenset().union(*(u.well_known for u in self.universes.values()))
        self.selectable = WELL_KNOWN | self.well_known | {key for p in self.pools for key in _class_label(p)}
        """Labels that pods may ask for although their domain is reserved."""

    def serves(self, cluster: Cluster, settings: Settings) -> bool:
        """Whether it is what would be made for this cluster, too."""
        return settings == self.settings and _same(self._sources, _sources(cluster))

    def domains(self, key: str) -> Iterator[tuple[str, tuple[Taint, ...]]]:
        """The values that the pools' nodes can have for a label, each with the pool's taints.

        As the peer does, a pool's types give all their values that the pool's own requirement for that label admits,
        even types that another requirement rules out.
        """
        for pool in self.pools:
            universe = self.universes[pool.metadata.name]
            taints = pool.spec.template.spec.taints
            wanted = requirements_of(pool).get(key)
            yield from ((v, taints) for v in universe.values_of(key, universe.all) if wanted is None or wanted.has(v))
            if wanted is not None and wanted.operator == "In" and key != NODEPOOL:
                yield from ((value, taints) for value in sorted(wanted.values))


def _sources(cluster: Cluster) -> tuple[Sequence[Any], ...]:
    """All that a supply is made from; a DaemonSet's newest pod stands for its pods."""
    return (
        cluster.pools,
        tuple(cluster.catalogs.values()),
        tuple(cluster.catalogs),
        tuple(sorted(cluster.unready.items())),
        cluster.overlays,
        cluster.daemon_sets,
        _newest_daemons(cluster.pods) if cluster.daemon_sets else (),
        (cluster.offerings_out,),
    )


def _newest_daemons(pods: Iterable[Pod]) -> tuple[Any, ...]:
    newest: dict[tuple[str, str], Pod] = {}
    for pod in pods:
        if pod.metadata.owner_references and is_daemon(pod):
            owner = (pod.metadata.home, pod.metadata.owner_references[0].name)
            known = newest.get(owner)
            if known is None or _age(pod) > _age(known):
                newest[owner] = pod
    return tuple(pod.spec for _, pod in sorted(newest.items()))


def _age(pod: Pod) -> tuple[str, str]:
    return pod.metadata.creation_timestamp or "", pod.metadata.name


def _same(one: Sequence[Sequence[Any]], other: Sequence[Sequence[Any]]) -> bool:
    """Whether two inputs hold the same objects; texts and sets may be equal instead."""
    return all(
        len(a) == len(b)
        and all(x is y or (isinstance(x, str | tuple | frozenset) and x == y) for x, y in zip(a, b, strict=True))
        for a, b in zip(one, other, strict=True)
    )


def _universes(cluster: Cluster, before: Supply | None) -> tuple[dict[str, Universe], list[str]]:
    """Each pool's universe: its catalog with the overlays that apply. Pools with equal catalogs share one."""
    known: dict[int, Universe] = {}
    if before is not None:
        known = {id(u.catalog): u.base for u in before.universes.values()}
    found: dict[str, Universe] = {}
    shared: dict[int, Universe] = {}
    changed, notes = overlaid(cluster)
    for pool in cluster.pools:
        name = pool.metadata.name
        catalog: Catalog | None = None if name in cluster.unready else changed.get(name)
        if catalog is None:
            continue
        if id(catalog) not in shared:
            made = known.get(id(catalog)) or Universe(catalog)
            shared[id(catalog)] = made.with_out(cluster.offerings_out)
        found[name] = shared[id(catalog)]
    return found, notes


def _class_label(pool: NodePool) -> tuple[str]:
    return (pool.spec.template.spec.node_class_ref.label,)
