"""From the cluster's objects to what the pass works on: places, kinds of pods, topology.

Everything that can be decided once for all pods is decided here; what does not depend on the pods at all stands in
`engine.ground`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from fretsaw.api.labels import normalize
from fretsaw.api.pod import Pod, PodSpec
from fretsaw.engine.buffers import buffer_pods
from fretsaw.engine.cluster import Cluster
from fretsaw.engine.ground import Ground
from fretsaw.engine.nodes import StateNode
from fretsaw.engine.pdbs import Limits
from fretsaw.engine.pending import is_pending, refusal
from fretsaw.engine.places import ExistingNode
from fretsaw.engine.plan import Refusal, Unplaced
from fretsaw.engine.ports import host_ports
from fretsaw.engine.requests import Amounts, add
from fretsaw.engine.requirements import Requirements
from fretsaw.engine.settings import Settings
from fretsaw.engine.shape import Kind, MoldKey, Shape
from fretsaw.engine.topology import Domains, Host, Running, Topology
from fretsaw.engine.universe import Bits
from fretsaw.engine.wishes import Wishes

_ENCODER = msgspec.json.Encoder(order="sorted")
_NO_POOL = Refusal("", "there is no NodePool that could make a node, so nothing is planned", "nodepool")


class Prepared:
    """Everything that a pass starts from. It changes the topology's counts, nothing else."""

    def __init__(
        self,
        cluster: Cluster,
        settings: Settings,
        ground: Ground | None = None,
        *,
        without: frozenset[str] = frozenset(),
        moving: Sequence[Pod] = (),
        closed: Bits = 0,
    ) -> None:
        """ground: made from the same cluster, where the caller has it. without: machines to do without; `moving`: those
        of their pods that need another place, which may be none of `closed`."""
        self.settings = settings
        self.ground = ground or Ground(cluster, settings)
        supply = self.ground.supply
        self.supply, self.storage = supply, self.ground.storage
        self.universes, self.templates, self.unusable = supply.universes, supply.templates, supply.unusable
        self.notes = supply.notes
        self.any_pool, self.well_known = supply.any_pool, supply.well_known
        self.without = without
        removed = self.ground.named(without)
        self.removed: Bits = sum(self.ground.bit_of.get(s.machine, 0) for s in removed)
        """Places that may not be used in this pass."""
        self.remaining = self._remaining(removed)
        self.topology = Topology(Domains(supply.domains), cluster.namespaces)
        self.refused: list[Unplaced] = []
        self.virtual: frozenset[str] = frozenset()
        batch = [*self._batch(cluster), *moving]
        self.kinds = self._plannable(self._kinds(batch, {id(pod) for pod in moving}, closed))
        for kind in self.kinds:
            kind.owned = self.topology.own(
                Wishes.of(kind.sample.spec, respect_preferences=settings.respect_preferences),
                kind.namespace,
                kind.labels,
            )
        self._count_running({p.key for p in batch})
        self.queue = self._queue(batch)
        self.negated_keys = frozenset(key for kind in self.kinds for key in _negated(kind.sample.spec))
        """Labels that some pod asks not to have certain values."""

    def existing(self) -> Sequence[ExistingNode]:
        """The nodes that may take pods, initialised ones first, then by name; copy one before putting a pod on it."""
        if not self.removed:
            return self.ground.places
        return tuple(place for place in self.ground.places if not place.bit & self.removed)

    def _remaining(self, removed: Iterable[StateNode]) -> dict[str, Amounts]:
        """What each pool's limits leave, from the capacity of its nodes that stay."""
        left = {t.name: dict(self.ground.remaining[t.name]) for t in self.templates}
        for state in removed:
            if state.pool in left and state.machine in self.ground.bit_of:
                back = {**state.capacity, "nodes": 1}
                add(left[state.pool], {r: back[r] for r in left[state.pool] if r in back})
        return left

    def _batch(self, cluster: Cluster) -> list[Pod]:
        """The pods to place: those that wait, those of nodes that go, and the buffers' virtual ones."""
        limits = Limits(cluster.disruption_budgets)
        leaving = [
            p
            for state in sorted(self.ground.leaving, key=lambda s: s.node_name)
            if state.machine not in self.without
            for p in self.ground.on_node.get(state.node_name, ())
            if limits.is_currently_reschedulable(p, cluster.now)
        ]
        waiting = cluster.pods if cluster.waiting is None else cluster.waiting
        pending = [pod for pod in waiting if is_pending(pod)]
        virtual = buffer_pods(cluster) if cluster.buffers else []
        self.virtual = frozenset(p.key for p in virtual)
        return [*pending, *leaving, *virtual]

    def _plannable(self, kinds: Iterable[Kind]) -> list[Kind]:
        """The kinds that a pool could take; pods of the others are refused, each with the reason."""
        found = []
        for kind in kinds:
            leaves = kind.sample.spec.node_name or kind.sample.key in self.virtual
            why = None
            if not leaves:
                why = refusal(kind.sample, self.storage, self.supply.selectable) if self.any_pool else _NO_POOL
            if why is None:
                found.append(kind)
            else:
                self.refused.extend(Unplaced(pod.key, (why,)) for pod in kind.pods)
        return found

    def _kinds(self, batch: Iterable[Pod], moving: set[int], closed: Bits) -> list[Kind]:
        """The batch in groups of equal pods, in the order in which they first appear.

        Labels make a difference only where some pod minds which others are near it.
        """
        found: dict[tuple[bytes, bytes, bool], Kind] = {}
        batch = list(batch)
        alike = [self.ground.kind_of(pod) for pod in batch]
        minds = bool(self.ground.guards) or any(one.looks_at_others for one in alike)
        for pod, one in zip(batch, alike, strict=True):
            moves = bool(closed) and id(pod) in moving
            labels = _ENCODER.encode(pod.metadata.labels) if minds else b""
            kind = found.get((one.key, labels, moves))
            if kind is None:
                kind = Kind(pod, pod.metadata.home, pod.metadata.labels, one.requests)
                kind.closed = closed if moves else 0
                if not minds:
                    kind.chain = self.ground.chain(one.key)
                found[one.key, labels, moves] = kind
            kind.pods.append(pod)
        return list(found.values())

    def _queue(self, batch: Sequence[Pod]) -> list[tuple[Kind, str]]:
        """(kind, pod) in the order of placement: by cpu and memory, the larger first, then age, uid and input order."""
        place = {id(pod): i for i, pod in enumerate(batch)}
        entries = [
            (kind.sort_key, pod.metadata.creation_timestamp or "", pod.metadata.uid, place[id(pod)], pod.key, i)
            for i, kind in enumerate(self.kinds)
            for pod in kind.pods
        ]
        entries.sort()
        return [(self.kinds[entry[5]], entry[4]) for entry in entries]

    def shape(self, kind: Kind, depth: int) -> Shape | None:
        """The kind's shape after `depth` relaxations, None when there is nothing left to relax."""
        while len(kind.chain) <= depth:
            if kind.chain:
                wishes = kind.chain[-1].wishes.relaxed(tolerate_preferences=self.supply.tolerate_preferences)
            else:
                wishes = Wishes.of(kind.sample.spec, respect_preferences=self.settings.respect_preferences)
            if wishes is None:
                return None
            kind.chain.append(self._shape(kind, wishes))
        return kind.chain[depth]

    def _shape(self, kind: Kind, wishes: Wishes) -> Shape:
        spec, name, intern = kind.sample.spec, kind.sample.metadata.name, self.ground.intern
        key = MoldKey(
            requests=tuple(sorted((r, a) for r, a in kind.requests.items() if a)),
            requirements=intern(wishes.requirements()),
            tolerations=wishes.tolerations,
            ports=host_ports(spec),
            alternatives=tuple(map(intern, self.storage.alternatives(name, kind.namespace, spec))),
            attachments=self.storage.attachments(name, kind.namespace, spec),
        )
        return Shape(
            wishes,
            self.ground.mold(key),
            key.requirements,
            kind.owned,
            self.topology.selecting(kind.namespace, kind.labels),
            self.topology.shunning(kind.namespace, kind.labels),
        )

    def _count_running(self, batch: set[str]) -> None:
        """Count the pods that have a node; where nothing asks about other pods, there is nothing to count."""
        ground = self.ground
        pods = ground.running if self.topology.counts else ground.guards
        if not pods and not self.topology.counts:
            return
        running = [
            Running(
                p.metadata.home,
                p.metadata.labels,
                Wishes.of(p.spec, respect_preferences=False),
                node,
                bool(p.metadata.deletion_timestamp),
            )
            for p, node in pods
            if p.key not in batch
        ]
        hosts = [self._host(s) for s in ground.states if s.node_name or s.machine in ground.held]
        self.topology.count_running(running, hosts)

    def _host(self, state: StateNode) -> Host:
        bit = 0 if state.machine in self.without else self.ground.bit_of.get(state.machine, 0)
        requirements = self.ground.intern(Requirements.of_labels(state.labels))
        return Host(
            state.node_name or state.machine, state.hostname, state.labels, requirements, state.taints, bit, bool(bit)
        )

    def reset(self) -> None:
        """Forget what a pass has placed, so that another can start."""
        self.topology.reset()


def _negated(spec: PodSpec) -> Iterator[str]:
    nodes = spec.affinity.node_affinity if spec.affinity else None
    if nodes is None:
        return
    terms = [*(nodes.required.node_selector_terms if nodes.required else ()), *(t.preference for t in nodes.preferred)]
    yield from (normalize(e.key) for term in terms for e in term.match_expressions if e.operator == "NotIn")
