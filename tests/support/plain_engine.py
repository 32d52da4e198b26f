"""The first-fit pass the plain way: the same decisions as `engine.firstfit`, without bit masks, memories or shared groups.

Every pod is held against every place in the documented order; topology is counted anew from a log of placements for each
question; instance types are found by scanning lists. Slow, short, and written from the documented rules.

Left out: capacity reservations, lowered minValues, limits on volumes of a node, offerings with labels of their own. Taken
over from the engine, as they have tests of their own: the merged view of nodes, pod requests, host ports, the ways to reach
volumes, and which pods wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fretsaw.api.affinity import Toleration
from fretsaw.api.catalog import Catalog, InstanceType, Offering
from fretsaw.api.labels import (
    AWS_TYPE_LABELS,
    CAPACITY_TYPE,
    HOSTNAME,
    INSTANCE_TYPE,
    NODEPOOL,
    WELL_KNOWN,
    ZONE,
    normalize,
)
from fretsaw.api.node import Taint
from fretsaw.api.nodepool import NodePool
from fretsaw.api.pod import Pod
from fretsaw.api.resources import units
from fretsaw.engine.cluster import Cluster
from fretsaw.engine.nodes import StateNode, state_nodes
from fretsaw.engine.pending import is_daemon, is_pending, refusal
from fretsaw.engine.ports import HostPort, clash, host_ports
from fretsaw.engine.requests import pod_requests
from fretsaw.engine.volumes import Storage
from support import plain_requirements as rq
from support.plain_topology import Entry, Topology, namespace_of
from support.plain_wishes import Wishes, tolerated, wishes_of

Amounts = dict[str, int]


@dataclass
class Waiting:
    """A pod of the batch, with its wishes as they were written."""

    pod: Pod
    wishes: Wishes
    requests: Amounts
    ports: tuple[HostPort, ...]
    volumes: list[rq.Needs]

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return self.pod.key


@dataclass
class Pool:
    """A pool as a source of nodes: the types that it may buy, and what its limits leave."""

    name: str
    weight: int
    needs: rq.Needs
    min_values: dict[str, int]
    taints: tuple[Taint, ...]
    types: list[InstanceType]
    daemons: dict[str, Amounts]
    left: Amounts


@dataclass
class Place:
    """A node that exists (`pool` is None) or that the pass opens."""

    name: str
    hostname: str
    needs: rq.Needs
    taints: tuple[Taint, ...]
    pool: Pool | None = None
    types: list[InstanceType] = field(default_factory=list)
    free: Amounts = field(default_factory=dict)
    used: Amounts = field(default_factory=dict)
    ports: list[HostPort] = field(default_factory=list)
    pods: list[str] = field(default_factory=list)
    grown: int = 0


class Market:
    """The catalog, asked by scanning it."""

    def __init__(self, catalog: Catalog) -> None:
        self.types = catalog.instance_types
        self.keys = sorted({normalize(k) for t in self.types for k in t.labels})
        self.well_known = (WELL_KNOWN - AWS_TYPE_LABELS) | set(self.keys)

    def needs_of(self, t: InstanceType) -> rq.Needs:
        """What a type is; labels that only other types carry do not exist on it."""
        own = {normalize(k): v for k, v in t.labels.items()}
        own |= {INSTANCE_TYPE: [t.name], ZONE: [o.zone for o in t.offerings]}
        own |= {CAPACITY_TYPE: [o.capacity_type for o in t.offerings]}
        return {key: (("In", tuple(own.get(key, ()))),) for key in (*self.keys, INSTANCE_TYPE, ZONE, CAPACITY_TYPE)}

    def offerings(self, t: InstanceType, needs: rq.Needs) -> list[Offering]:
        """The offerings of a type that can be bought now and that the needs admit."""
        return [
            o
            for o in t.offerings
            if o.available
            and rq.has(needs.get(ZONE, ()), o.zone)
            and rq.has(needs.get(CAPACITY_TYPE, ()), o.capacity_type)
        ]

    def suits(self, t: InstanceType, needs: rq.Needs) -> bool:
        """Whether a type has the labels and an offering for the needs."""
        return rq.conflict(self.needs_of(t), needs, None) is None and bool(self.offerings(t, needs))

    def price(self, t: InstanceType, needs: rq.Needs) -> float:
        """The lowest price of a type for a node with these needs."""
        return min(o.price for o in self.offerings(t, needs))

    def values(self, key: str, types: Iterable[InstanceType]) -> set[str]:
        """The values of a label on some types."""
        return {v for t in types for _, values in self.needs_of(t).get(key, ()) for v in values}


def capacity(t: InstanceType) -> Amounts:
    """What a type has."""
    return {r: units(r, q, up=False) for r, q in t.capacity.items()}


def fits(t: InstanceType, wanted: Mapping[str, int]) -> bool:
    """Whether a type has room for all of `wanted`, after what the machine itself takes."""
    room = {r: a - units(r, t.overhead.get(r, "0")) for r, a in capacity(t).items()}
    return all(a >= 0 for a in room.values()) and all(a <= room.get(r, 0) for r, a in wanted.items())


def plus(*parts: Mapping[str, int]) -> Amounts:
    """The sum of some amounts."""
    return {r: sum(p.get(r, 0) for p in parts) for r in {r for p in parts for r in p}}


class PlainPass:
    """One pass over a cluster. `run`, then read `existing`, `opened` and `unplaced`."""

    def __init__(self, cluster: Cluster) -> None:
        catalog = next(iter(cluster.catalogs.values()), Catalog([]))
        self.market = Market(catalog)
        self.cluster = cluster
        self.storage = Storage.of(cluster.claims, cluster.volumes, cluster.storage_classes)
        self.states = [s for s in state_nodes(cluster.nodes, cluster.node_claims, cluster.csi_nodes) if not s.deleting]
        usable = [p for p in cluster.pools if p.metadata.name in cluster.catalogs and p.spec.replicas is None]
        self.prefers = any(t.effect == "PreferNoSchedule" for p in usable for t in p.spec.template.spec.taints)
        made = [self._pool(p) for p in usable]
        self.pools = [p for p in made if p.types and self._min_values_met(p, p.types)]
        self.pools.sort(key=lambda p: p.name, reverse=True)
        self.pools.sort(key=lambda p: -p.weight)
        self.existing = [self._host(s) for s in sorted(self.states, key=lambda s: (not s.initialized, s.name))]
        self.opened: list[Place] = []
        self.steps = 0
        self.batch = [self._waiting(p) for p in cluster.pods if is_pending(p) and self._plannable(p)]
        self.unplaced = [p.key for p in cluster.pods if is_pending(p) and not self._plannable(p)]
        self.topology = Topology(cluster, self.states, [w.pod for w in self.batch], self._domains(made))

    # What there is

    def _plannable(self, pod: Pod) -> bool:
        class_labels = {
            f"{r.group}/{r.kind.lower()}" for r in (p.spec.template.spec.node_class_ref for p in self.cluster.pools)
        }
        return refusal(pod, self.storage, self.market.well_known | class_labels) is None

    def _waiting(self, pod: Pod) -> Waiting:
        ways = self.storage.alternatives(pod.metadata.name, namespace_of(pod), pod.spec)
        volumes: list[rq.Needs] = [{r.key: (("In", tuple(sorted(r.values))),) for r in way} for way in ways]
        return Waiting(pod, wishes_of(pod.spec), pod_requests(pod.spec, pod.status), host_ports(pod.spec), volumes)

    def _pool(self, pool: NodePool) -> Pool:
        spec, name = pool.spec.template.spec, pool.metadata.name
        reference = spec.node_class_ref
        labels = {normalize(k): v for k, v in pool.spec.template.metadata.labels.items()}
        needs = rq.of_labels({**labels, NODEPOOL: name, f"{reference.group}/{reference.kind.lower()}": reference.name})
        for r in spec.requirements:
            needs = rq.merged(needs, {normalize(r.key): ((r.operator, tuple(r.values)),)})
        found = Pool(
            name=name,
            weight=pool.spec.weight or 0,
            needs=needs,
            min_values={normalize(r.key): r.min_values for r in spec.requirements if r.min_values is not None},
            taints=spec.taints,
            types=[],
            daemons={t.name: plus(*self._daemons(t, needs, spec.taints)) for t in self.market.types},
            left={r: units(r, q, up=False) for r, q in pool.spec.limits.items()},
        )
        for state in self.states:
            if state.pool == name:
                gone = {**state.capacity, "nodes": 1}
                found.left = {r: a - gone.get(r, 0) for r, a in found.left.items()}
        found.types = [t for t in self.market.types if self.market.suits(t, needs) and fits(t, found.daemons[t.name])]
        return found

    def _daemons(self, t: InstanceType, needs: rq.Needs, taints: tuple[Taint, ...]) -> Iterator[Amounts]:
        """Requests of the daemon pods that will run on a node of one type."""
        own = self.market.needs_of(t)
        for daemon_set in self.cluster.daemon_sets:
            spec = daemon_set.spec.template.spec
            ways = wishes_of(spec).ways()
            tolerant = tolerated(taints, (*spec.tolerations, Toleration(operator="Exists", effect="PreferNoSchedule")))
            if tolerant and any(
                rq.conflict(needs, way, self.market.well_known) is None and rq.conflict(own, way, None) is None
                for way in ways
            ):
                yield pod_requests(spec)

    def _host(self, state: StateNode) -> Place:
        pods = [p for p in self.cluster.pods if p.spec.node_name and p.spec.node_name == state.node_name]
        pods = [p for p in pods if not p.is_terminal]
        free = dict(state.allocatable)
        to_come: Amounts = {}
        for daemon_set in self.cluster.daemon_sets:
            spec = daemon_set.spec.template.spec
            tolerations = (*spec.tolerations, Toleration(operator="Exists", effect="PreferNoSchedule"))
            labels = rq.of_labels(state.labels)
            if tolerated(state.taints, tolerations) and any(
                rq.conflict(labels, w) is None for w in wishes_of(spec).ways()
            ):
                to_come = plus(to_come, pod_requests(spec))
        there = plus(*(pod_requests(p.spec, p.status) for p in pods if is_daemon(p)))
        taken = plus(*(pod_requests(p.spec, p.status) for p in pods))
        for resource, amount in plus(taken, {r: max(a - there.get(r, 0), 0) for r, a in to_come.items()}).items():
            if resource in free:
                free[resource] -= amount
        needs = rq.of_labels({**state.labels, HOSTNAME: state.hostname})
        host = Place(state.name, state.hostname, needs, state.taints, free=free)
        host.ports = [port for p in pods for port in host_ports(p.spec)]
        return host

    def _domains(self, pools: Iterable[Pool]) -> list[tuple[str, str, tuple[Taint, ...]]]:
        """(key, value, taints) of every label value that a pool's nodes can have."""
        found: list[tuple[str, str, tuple[Taint, ...]]] = []
        for pool in pools:
            for key in (*self.market.keys, ZONE, CAPACITY_TYPE, INSTANCE_TYPE):
                values = [
                    v for v in sorted(self.market.values(key, self.market.types)) if rq.has(pool.needs.get(key, ()), v)
                ]
                found += [(key, value, pool.taints) for value in values]
            for key, rules in pool.needs.items():
                found += [(key, value, pool.taints) for value in rq.listed(rules) or () if key != NODEPOOL]
        return found

    def _min_values_met(self, pool: Pool, types: list[InstanceType]) -> bool:
        return all(len(self.market.values(key, types)) >= least for key, least in pool.min_values.items())

    # The loop

    def run(self) -> None:
        """Place what can be placed: larger pods first, those that fail again once others have found a place."""
        order = {w.key: i for i, w in enumerate(self.batch)}
        queue = sorted(
            self.batch,
            key=lambda w: (
                -w.requests.get("cpu", 0),
                -w.requests.get("memory", 0),
                w.pod.metadata.creation_timestamp or "",
                w.pod.metadata.uid,
                order[w.key],
            ),
        )
        if not any(p.spec.replicas is None for p in self.cluster.pools if p.metadata.name in self.cluster.catalogs):
            queue = []
        pushed: dict[str, int] = {}
        while queue and pushed.get(queue[0].key) != len(queue):
            pod = queue.pop(0)
            if not self._attempt(pod):
                queue.append(pod)
                pushed[pod.key] = len(queue)
        self.unplaced += [w.key for w in queue]

    def _attempt(self, pod: Waiting) -> bool:
        wishes: Wishes | None = pod.wishes
        while wishes is not None:
            if not wishes.contradicts_itself() and self._place(pod, wishes):
                return True
            wishes = wishes.relaxed(prefers=self.prefers)
        return False

    def _place(self, pod: Waiting, wishes: Wishes) -> bool:
        for host in self.existing:
            if self._needs_on_host(host, pod, wishes) is not None:
                host.free = plus(host.free, {r: -a for r, a in pod.requests.items()})
                self._take(host, pod, host.needs)
                return True
        for node in self._in_order():
            if (fit := self._fit(node, pod, wishes)) is not None:
                needs, node.types = fit
                self._take(node, pod, needs)
                return True
        for pool in self.pools:
            node = self._blank(pool)
            if (fit := self._fit(node, pod, wishes)) is not None:
                needs, node.types = fit
                self.opened.append(node)
                self._take(node, pod, needs)
                self._charge(pool, node.types)
                return True
        return False

    def _in_order(self) -> list[Place]:
        """Fewest pods first; nodes with one pod by age, above that the one that grew last first."""
        return sorted(self.opened, key=lambda n: (len(n.pods), n.grown if len(n.pods) == 1 else -n.grown))

    def _take(self, place: Place, pod: Waiting, needs: rq.Needs) -> None:
        self.steps += 1
        place.grown = self.steps
        place.needs = needs
        place.pods.append(pod.key)
        place.ports += pod.ports
        place.used = plus(place.used, pod.requests)
        self.topology.log.append(Entry(pod.pod, pod.wishes, place.hostname, place.taints, needs))

    def _blank(self, pool: Pool) -> Place:
        """A node of a pool before its first pod: without the types that its limits do not allow."""
        exhausted = any(a < 0 or (r == "nodes" and a == 0) for r, a in pool.left.items())
        types = [] if exhausted else pool.types
        types = [t for t in types if all(capacity(t).get(r, 0) <= a for r, a in pool.left.items() if r != "nodes")]
        name = f"new-{len(self.opened)}"
        return Place(name, f"host of {name}", pool.needs, pool.taints, pool, types)

    def _charge(self, pool: Pool, types: list[InstanceType]) -> None:
        """The largest that the node could become counts against the limits."""
        for resource in pool.left:
            if resource != "nodes":
                pool.left[resource] -= max(capacity(t).get(resource, 0) for t in types)

    # The checks

    def _needs_on_host(self, host: Place, pod: Waiting, wishes: Wishes) -> rq.Needs | None:
        """What an existing node has to be for the pod, None where it does not take it. Its labels are what they are."""
        if not tolerated(host.taints, wishes.tolerations) or clash(pod.ports, host.ports) is not None:
            return None
        if min(host.free.values()) < 0 or any(a > host.free.get(r, 0) for r, a in pod.requests.items()):
            return None
        wanted = wishes.needs()
        if rq.conflict(host.needs, wanted) is not None:
            return None
        together = rq.merged(host.needs, wanted)
        for way in pod.volumes:
            if rq.conflict(together, way) is None:
                base = rq.merged(together, way)
                for needs in self.topology.narrowed(pod.pod, wishes, pod.wishes, base, host.hostname, None):
                    return needs
        return None

    def _fit(self, node: Place, pod: Waiting, wishes: Wishes) -> tuple[rq.Needs, list[InstanceType]] | None:
        """What a new node is with the pod on it, and the types that it can still be; None where it does not take it."""
        pool, wanted = node.pool, wishes.needs()
        assert pool is not None
        if not tolerated(node.taints, wishes.tolerations) or clash(pod.ports, node.ports) is not None:
            return None
        if not rq.has(wanted.pop(HOSTNAME, ()), "no-such-host"):
            return None
        if rq.conflict(node.needs, wanted, self.market.well_known) is not None:
            return None
        together, asked = rq.merged(node.needs, wanted), plus(node.used, pod.requests)
        roomy = [t for t in node.types if fits(t, plus(asked, pool.daemons[t.name]))]
        for way in pod.volumes:
            if rq.conflict(together, way, self.market.well_known) is not None:
                continue
            base = rq.merged(together, way)
            for needs in self.topology.narrowed(
                pod.pod, wishes, pod.wishes, base, node.hostname, self.market.well_known
            ):
                types = [t for t in roomy if self.market.suits(t, needs)]
                if types and self._min_values_met(pool, types):
                    return needs, types
        return None

    def answer(self) -> dict[str, Any]:
        """The part of the plan that the twins share: pods by node, types cheapest first, and the pods left over."""
        return {
            "existing": [(h.name, h.pods) for h in self.existing if h.pods],
            "nodes": [(n.pool.name, n.pods, self._cheapest_first(n)) for n in self.opened if n.pool],
            "unplaced": sorted(self.unplaced),
        }

    def _cheapest_first(self, node: Place) -> list[str]:
        ordered = sorted(node.types, key=lambda t: (self.market.price(t, node.needs), t.name))
        return [t.name for t in ordered]
