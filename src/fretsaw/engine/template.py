"""What a NodePool's nodes are made from: requirements, taints, types, and the room that daemon pods leave.

Source: Karpenter v1.14 nodeclaimtemplate.go, scheduler.go (buildDaemonOverheadGroups).
Differs: a daemon pod with several affinity terms is held against each term for each type; the peer drops a term for all
later types once one type failed it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

import msgspec

from fretsaw.api.affinity import Toleration
from fretsaw.api.labels import NODEPOOL, normalize
from fretsaw.api.nodepool import NodePool
from fretsaw.api.pod import Pod
from fretsaw.api.resources import units
from fretsaw.api.workload import DaemonSet
from fretsaw.engine.ports import HostPort, clash, host_ports
from fretsaw.engine.requests import Amounts, add, pod_requests
from fretsaw.engine.requirement import Requirement
from fretsaw.engine.requirements import Conflict, Requirements
from fretsaw.engine.settings import Settings
from fretsaw.engine.taints import PREFER_NO_SCHEDULE, TOLERATE_PREFERENCES, untolerated
from fretsaw.engine.universe import Bits, Room, Universe, bits
from fretsaw.engine.wishes import Wishes

_WHEN_READY = Requirements(
    Requirement(key, ("true",)) for key in ("karpenter.sh/registered", "karpenter.sh/initialized")
)
"""Labels that every node will have: daemon pods that select them count, though no pod may ask for them."""


class Daemon(msgspec.Struct, frozen=True):
    """The pod that a DaemonSet puts on each node that suits it."""

    name: str
    wishes: Wishes
    requests: Amounts
    ports: tuple[HostPort, ...]
    needs_devices: bool

    @classmethod
    def of(cls, daemon_set: DaemonSet, pods: Iterable[Pod]) -> Daemon:
        """The newest pod that runs for the set, with the set's own node affinity; else one from its template.

        The API's defaults (a request for each limit) are expected to be filled in.
        """
        namespace = daemon_set.metadata.home
        running = [
            p
            for p in pods
            if p.metadata.home == namespace
            and any(o.kind == "DaemonSet" and o.name == daemon_set.metadata.name for o in p.metadata.owner_references)
        ]
        newest = max(running, key=lambda p: (p.metadata.creation_timestamp or "", p.metadata.name), default=None)
        template = daemon_set.spec.template.spec
        spec = newest.spec if newest is not None else template
        own = Wishes.of(spec, respect_preferences=False)
        terms = Wishes.of(template, respect_preferences=False).required_terms
        return cls(
            name=f"{namespace}/{daemon_set.metadata.name}",
            wishes=msgspec.structs.replace(own, required_terms=terms),
            requests=pod_requests(spec),
            ports=host_ports(spec),
            needs_devices=bool(spec.resource_claims),
        )

    @property
    def tolerations(self) -> tuple[Toleration, ...]:
        """Its own, and every PreferNoSchedule taint: a daemon pod does not respect preferences."""
        return (*self.wishes.tolerations, TOLERATE_PREFERENCES)


class Template:
    """A NodePool as a source of nodes. Immutable but for memories."""

    __slots__ = (
        "daemon_ports",
        "daemons",
        "limits",
        "name",
        "overheads",
        "requirements",
        "room",
        "taints",
        "types",
        "universe",
        "weight",
    )

    def __init__(self, pool: NodePool, universe: Universe, daemons: Sequence[Daemon]) -> None:
        spec = pool.spec.template.spec
        self.name = pool.metadata.name
        self.weight = pool.spec.weight or 0
        self.universe = universe
        self.taints = spec.taints
        self.requirements = requirements_of(pool)
        self.limits: Amounts = {r: units(r, q, up=False) for r, q in pool.spec.limits.items()}
        self.daemons = tuple(d for d in daemons if not d.needs_devices)
        landing = [(d, self._lands_on(d)) for d in self.daemons]
        self.overheads = _overheads(universe, landing)
        self.room = _room(universe, self.overheads)
        self.types: Bits = universe.eligible(self.requirements) & self.room.usable
        self.daemon_ports = tuple((port, types) for d, types in landing for port in d.ports)

    def _lands_on(self, daemon: Daemon) -> Bits:
        """The types whose nodes a daemon pod would run on."""
        if untolerated(self.taints, daemon.tolerations) is not None:
            return 0
        ready = self.requirements.merged(_WHEN_READY)
        found = 0
        for wanted in daemon.wishes.alternatives():
            if ready.conflict(wanted, self.universe.well_known) is None:
                found |= self.universe.compatible(wanted)
        return found

    def overhead(self, t: int) -> Mapping[str, int]:
        """What daemon pods ask for on a node of type `t`."""
        return self.overheads.get(t, {})

    def port_blocked(self, ports: Iterable[HostPort]) -> Bits:
        """The types on which a daemon pod already has one of these host ports."""
        blocked = 0
        for port in ports:
            for taken, types in self.daemon_ports:
                if clash((port,), (taken,)) is not None:
                    blocked |= types
        return blocked

    def refusal(self, requirements: Requirements, tolerations: Iterable[Toleration]) -> str | Conflict | None:
        """Why no node of this pool could take such a pod, as far as taints and labels tell."""
        taint = untolerated(self.taints, tolerations)
        if taint is not None:
            return f"taint {taint} not tolerated"
        return self.requirements.conflict(requirements, self.universe.well_known)


def requirements_of(pool: NodePool) -> Requirements:
    """What every node of a pool is: its requirements and labels, with the names of the pool and its class."""
    spec, metadata = pool.spec.template.spec, pool.spec.template.metadata
    reference = spec.node_class_ref
    labels = {
        **metadata.labels,
        NODEPOOL: pool.metadata.name,
        reference.label: reference.name,
    }
    asked = [Requirement.of(normalize(r.key), r.operator, r.values, r.min_values) for r in spec.requirements]
    return Requirements([*asked, *Requirements.of_labels(labels)])


def _overheads(universe: Universe, landing: Iterable[tuple[Daemon, Bits]]) -> dict[int, Amounts]:
    """Requests of the daemon pods, by type; types without any are left out. Types with equal daemons share one."""
    found: dict[int, Amounts] = {}
    shared: dict[tuple[str, ...], Amounts] = {}
    on_type: dict[int, list[Daemon]] = {}
    for daemon, types in landing:
        for t in bits(types):
            on_type.setdefault(t, []).append(daemon)
    for t, daemons in on_type.items():
        key = tuple(d.name for d in daemons)
        if key not in shared:
            shared[key] = {}
            for daemon in daemons:
                add(shared[key], daemon.requests)
        found[t] = shared[key]
    return found


def _room(universe: Universe, overheads: Mapping[int, Amounts]) -> Room:
    if not overheads:
        return universe.room
    left = []
    for t, allocatable in enumerate(universe.allocatable):
        taken = overheads.get(t, {})
        left.append(
            {r: allocatable.get(r, 0) - taken.get(r, 0) for r in sorted({*allocatable, *taken})}
            if taken
            else allocatable
        )
    return Room(left)


def min_values_unmet(universe: Universe, requirements: Requirements, types: Bits) -> dict[str, tuple[int, int]]:
    """Keys whose `minValues` the types do not reach: {key: (there are, needed)}."""
    if not requirements.has_min_values:
        return {}
    counts = {
        r.key: (universe.distinct_values(r.key, types), r.min_values) for r in requirements if r.min_values is not None
    }
    return {key: (have, need) for key, (have, need) in counts.items() if have < need}


def with_lowered_min_values(requirements: Requirements, unmet: Mapping[str, tuple[int, int]]) -> Requirements:
    """The requirements with each unmet `minValues` lowered to what there is."""
    for key, (have, _) in sorted(unmet.items()):
        requirement = requirements.get(key)
        if requirement is not None:
            requirements = requirements.replaced(requirement.without_min_values(have))
    return requirements


def templates(
    pools: Iterable[NodePool], universes: Mapping[str, Universe], daemons: Sequence[Daemon], settings: Settings
) -> tuple[list[Template], dict[str, str]]:
    """The usable pools in the order in which they are tried, and the reasons of those that are not usable."""
    usable, unusable = [], {}
    for pool in pools:
        name = pool.metadata.name
        if pool.spec.replicas is not None:
            unusable[name] = "it is a static pool (spec.replicas): its nodes take pods, but pods do not make it grow"
            continue
        template = Template(pool, universes[name], daemons)
        why = _unusable(template, settings)
        if why:
            unusable[name] = why
        else:
            usable.append(template)
    usable.sort(key=lambda t: t.name, reverse=True)
    usable.sort(key=lambda t: -t.weight)
    return usable, unusable


def _unusable(template: Template, settings: Settings) -> str:
    universe = template.universe
    if not universe.compatible(template.requirements):
        culprit = next((r for r in template.requirements if not universe.satisfying(r)), None)
        if culprit is not None:
            values = list(universe.values_of(culprit.key, universe.all))
            near = [m for v in sorted(culprit.values) for m in get_close_matches(v, values, n=1, cutoff=0.6)]
            there = f"; there are: {', '.join(values[:8])}{' …' if len(values) > 8 else ''}" if values else ""
            hint = f" (did you mean {near[0]}?)" if near and not culprit.complement else ""
            return f"no instance type of the catalog has {culprit}{hint}{there}"
        return "its requirements together leave no instance type of the catalog"
    if not template.types:
        return "no instance type that meets its requirements is on sale"
    unmet = min_values_unmet(universe, template.requirements, template.types)
    if unmet and not settings.best_effort_min_values:
        key, (have, need) = min(unmet.items())
        return f"its minValues {need} for {key} cannot be met: {have} left"
    return ""


def any_prefers(pools: Iterable[NodePool]) -> bool:
    """Whether any pool has a PreferNoSchedule taint."""
    return any(t.effect == PREFER_NO_SCHEDULE for pool in pools for t in pool.spec.template.spec.taints)
