"""From the cluster's objects to what the pass works on: templates, places, kinds of pods, topology.

Everything that can be decided once for all pods is decided here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

import msgspec

from fretsaw.api.catalog import Catalog
from fretsaw.api.labels import NODEPOOL, WELL_KNOWN, normalize
from fretsaw.api.node import Taint
from fretsaw.api.nodepool import NodePool
from fretsaw.api.pod import Pod, PodSpec
from fretsaw.engine.buffers import buffer_pods
from fretsaw.engine.cluster import Cluster
from fretsaw.engine.nodes import StateNode, state_nodes
from fretsaw.engine.overlay import overlaid
from fretsaw.engine.pending import is_daemon, is_leaving, is_pending, refusal
from fretsaw.engine.places import ExistingNode
from fretsaw.engine.plan import Refusal, Unplaced
from fretsaw.engine.ports import host_ports
from fretsaw.engine.requests import Amounts, add, pod_requests, total
from fretsaw.engine.requirements import Requirements
from fretsaw.engine.settings import Settings
from fretsaw.engine.shape import Kind, Mold, MoldKey, Shape
from fretsaw.engine.taints import untolerated
from fretsaw.engine.template import Daemon, any_prefers, requirements_of, templates
from fretsaw.engine.topology import Domains, Host, Running, Topology
from fretsaw.engine.universe import Universe
from fretsaw.engine.volumes import Storage
from fretsaw.engine.wishes import Wishes

_NO_POOL = Refusal("", "there is no NodePool that could make a node, so nothing is planned", "nodepool")


class Prepared:
    """Everything that a pass starts from. It changes the topology's counts and the molds' memories, nothing else."""

    def __init__(self, cluster: Cluster, settings: Settings) -> None:
        self.settings = settings
        self.storage = Storage.of(cluster.claims, cluster.volumes, cluster.storage_classes)
        self.universes, self.notes = _universes(cluster)
        daemons = [Daemon.of(d, cluster.pods) for d in cluster.daemon_sets]
        dynamic = [p for p in cluster.pools if p.metadata.name in self.universes]
        self.any_pool = any(p.spec.replicas is None for p in dynamic)
        """Without any dynamic pool the peer plans nothing at all, not even on nodes that exist."""
        self.templates, unusable = templates(dynamic, self.universes, daemons, settings)
        self.unusable: dict[str, str] = {**cluster.unready, **unusable}
        self.tolerate_preferences = any_prefers(dynamic)
        self.well_known = frozenset().union(*(u.well_known for u in self.universes.values()))
        self._selectable = WELL_KNOWN | self.well_known | {k for p in dynamic for k in _class_label(p)}
        """Labels that pods may ask for although their domain is reserved."""
        self.state_nodes = state_nodes(cluster.nodes, cluster.node_claims, cluster.csi_nodes)
        self._daemons = daemons
        self._by_node = _running_by_node(cluster.pods)
        self.remaining = self._remaining(cluster.pools)
        self.topology = Topology(Domains(partial(_domains, dynamic, self.universes)), cluster.namespaces)
        self._molds: dict[MoldKey, Mold] = {}
        self._requirements: dict[Requirements, Requirements] = {}
        self.refused: list[Unplaced] = []
        self.virtual: frozenset[str] = frozenset()
        batch = self._batch(cluster)
        self.kinds = self._plannable(self._kinds(batch))
        for kind in self.kinds:
            kind.owned = self.topology.own(
                Wishes.of(kind.sample.spec, respect_preferences=settings.respect_preferences),
                kind.namespace,
                kind.labels,
            )
        self._count_running(cluster, {p.key for p in batch})
        self.queue = self._queue(batch)
        self.negated_keys = frozenset(key for kind in self.kinds for key in _negated(kind.sample.spec))
        """Labels that some pod asks not to have certain values."""

    def existing(self) -> list[ExistingNode]:
        """The nodes that may take pods, initialised ones first, then by name; fresh objects for a new pass."""
        targets = [n for n in self.state_nodes if not n.deleting]
        targets.sort(key=lambda n: (not n.initialized, n.name))
        return [self._existing(node, i) for i, node in enumerate(targets)]

    def _existing(self, state: StateNode, index: int) -> ExistingNode:
        requirements = self._intern(Requirements.of_labels(state.labels))
        pods = self._by_node.get(state.node_name, [])
        taken = total(pod_requests(pod.spec, pod.status) for pod in pods)
        add(taken, self._daemons_to_come(state, requirements, pods))
        # What the node does not list, it cannot run short of: else one daemon's device would close it to every pod.
        free = {resource: amount - taken.get(resource, 0) for resource, amount in state.allocatable.items()}
        node = ExistingNode(state.name, state.hostname, 1 << index, requirements, state.taints, free)
        node.limits = dict(state.volume_limits)
        for pod in pods:
            namespace = pod.metadata.namespace or "default"
            node.hold(host_ports(pod.spec), self.storage.attachments(pod.metadata.name, namespace, pod.spec))
        return node

    def _daemons_to_come(self, state: StateNode, requirements: Requirements, pods: Iterable[Pod]) -> Amounts:
        """Requests of the daemon pods that the node will get, less those that run there already; never below 0."""
        expected = total(
            d.requests
            for d in self._daemons
            if not d.needs_devices
            and untolerated(state.taints, d.tolerations) is None
            and any(requirements.conflict(wanted) is None for wanted in d.wishes.alternatives())
        )
        running = total(pod_requests(p.spec, p.status) for p in pods if is_daemon(p))
        return {resource: max(amount - running.get(resource, 0), 0) for resource, amount in expected.items()}

    def _remaining(self, pools: Iterable[NodePool]) -> dict[str, Amounts]:
        """What each pool's limits leave, from the capacity of its nodes that stay."""
        used: dict[str, Amounts] = defaultdict(dict)
        for node in self.state_nodes:
            if node.pool and not node.deleting:
                add(used[node.pool], node.capacity)
                add(used[node.pool], {"nodes": 1})
        return {t.name: {r: limit - used[t.name].get(r, 0) for r, limit in t.limits.items()} for t in self.templates}

    def _batch(self, cluster: Cluster) -> list[Pod]:
        """The pods to place: those that wait, those of nodes that go, and the buffers' virtual ones."""
        deleting = {n.node_name for n in self.state_nodes if n.deleting and n.node_name}
        leaving = [
            p
            for name in sorted(deleting)
            for p in self._by_node.get(name, [])
            if is_leaving(p, cluster.disruption_budgets)
        ]
        pending = [pod for pod in cluster.pods if is_pending(pod)]
        virtual = buffer_pods(cluster)
        self.virtual = frozenset(p.key for p in virtual)
        return [*pending, *leaving, *virtual]

    def _plannable(self, kinds: Iterable[Kind]) -> list[Kind]:
        """The kinds that a pool could take; pods of the others are refused, each with the reason."""
        found = []
        for kind in kinds:
            leaves = kind.sample.spec.node_name or kind.sample.key in self.virtual
            why = (
                None if leaves else refusal(kind.sample, self.storage, self._selectable) if self.any_pool else _NO_POOL
            )
            if why is None:
                found.append(kind)
            else:
                self.refused.extend(Unplaced(pod.key, (why,)) for pod in kind.pods)
        return found

    def _kinds(self, batch: Iterable[Pod]) -> list[Kind]:
        """The batch in groups of equal pods, in the order in which they first appear."""
        found: dict[bytes, Kind] = {}
        seen: dict[tuple[int, int, str], bytes] = {}
        encoder = msgspec.json.Encoder()
        for pod in batch:
            namespace = pod.metadata.namespace or "default"
            identity = (id(pod.spec), id(pod.metadata.labels), namespace)
            own_claims = any(v.ephemeral is not None for v in pod.spec.volumes)
            status = pod.status.container_statuses or pod.status.init_container_statuses
            key = seen.get(identity) if not (own_claims or status) else None
            if key is None:
                extra = (pod.metadata.name if own_claims else "", pod.status if status else None)
                key = encoder.encode((namespace, pod.metadata.labels, pod.spec, extra))
                seen[identity] = key
            kind = found.get(key)
            if kind is None:
                kind = Kind(pod, namespace, pod.metadata.labels, pod_requests(pod.spec, pod.status))
                found[key] = kind
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
                wishes = kind.chain[-1].wishes.relaxed(tolerate_preferences=self.tolerate_preferences)
            else:
                wishes = Wishes.of(kind.sample.spec, respect_preferences=self.settings.respect_preferences)
            if wishes is None:
                return None
            kind.chain.append(self._shape(kind, wishes))
        return kind.chain[depth]

    def _shape(self, kind: Kind, wishes: Wishes) -> Shape:
        spec, name = kind.sample.spec, kind.sample.metadata.name
        key = MoldKey(
            requests=tuple(sorted((r, a) for r, a in kind.requests.items() if a)),
            requirements=self._intern(wishes.requirements()),
            tolerations=wishes.tolerations,
            ports=host_ports(spec),
            alternatives=tuple(map(self._intern, self.storage.alternatives(name, kind.namespace, spec))),
            attachments=self.storage.attachments(name, kind.namespace, spec),
        )
        mold = self._molds.get(key)
        if mold is None:
            mold = self._molds[key] = Mold(key)
            mold.requirements = self._intern(mold.requirements)
        return Shape(
            wishes,
            mold,
            key.requirements,
            kind.owned,
            self.topology.selecting(kind.namespace, kind.labels),
            self.topology.shunning(kind.namespace, kind.labels),
        )

    def _intern(self, requirements: Requirements) -> Requirements:
        return self._requirements.setdefault(requirements, requirements)

    def _count_running(self, cluster: Cluster, batch: set[str]) -> None:
        running = [
            Running(
                p.metadata.namespace or "default",
                p.metadata.labels,
                Wishes.of(p.spec, respect_preferences=False),
                p.spec.node_name,
                bool(p.metadata.deletion_timestamp),
            )
            for p in cluster.pods
            if p.spec.node_name and not p.is_terminal and p.key not in batch
        ]
        bits = {node.name: node.bit for node in self.existing()}
        hosts = [
            Host(
                s.node_name,
                s.hostname,
                s.labels,
                self._intern(Requirements.of_labels(s.labels)),
                s.taints,
                bits.get(s.name, 0) if not s.deleting else 0,
                not s.deleting,
            )
            for s in self.state_nodes
            if s.node_name
        ]
        self.topology.count_running(running, hosts)

    def reset(self) -> None:
        """Forget what a pass has learned and placed, so that another can start."""
        self.topology.reset()
        for mold in self._molds.values():
            mold.dead = [0, 0]
        for kind in self.kinds:
            kind.failed_at = -1


def _universes(cluster: Cluster) -> tuple[dict[str, Universe], list[str]]:
    """Each pool's universe: its catalog with the overlays that apply. Pools with equal catalogs share one."""
    found: dict[str, Universe] = {}
    shared: dict[int, Universe] = {}
    catalogs: dict[int, Catalog] = {}
    changed, notes = overlaid(cluster)
    for pool in cluster.pools:
        name = pool.metadata.name
        if name in cluster.unready:
            continue
        catalog = changed.get(name)
        if catalog is not None:
            catalogs[id(catalog)] = catalog
            if id(catalog) not in shared:
                shared[id(catalog)] = Universe(catalog)
            found[name] = shared[id(catalog)]
    return found, notes


def _class_label(pool: NodePool) -> tuple[str]:
    reference = pool.spec.template.spec.node_class_ref
    return (f"{reference.group}/{reference.kind.lower()}",)


def _negated(spec: PodSpec) -> Iterator[str]:
    nodes = spec.affinity.node_affinity if spec.affinity else None
    if nodes is None:
        return
    terms = [*(nodes.required.node_selector_terms if nodes.required else ()), *(t.preference for t in nodes.preferred)]
    yield from (normalize(e.key) for term in terms for e in term.match_expressions if e.operator == "NotIn")


def _running_by_node(pods: Iterable[Pod]) -> Mapping[str, list[Pod]]:
    found: dict[str, list[Pod]] = defaultdict(list)
    for pod in pods:
        if pod.spec.node_name and not pod.is_terminal:
            found[pod.spec.node_name].append(pod)
    return found


def _domains(
    pools: Iterable[NodePool], universes: Mapping[str, Universe], key: str
) -> Iterator[tuple[str, tuple[Taint, ...]]]:
    """The values that the pools' nodes can have for a label, each with the pool's taints.

    As the peer does, a pool's types give all their values that the pool's own requirement for that label admits, even
    types that another requirement rules out.
    """
    for pool in pools:
        universe = universes[pool.metadata.name]
        taints = pool.spec.template.spec.taints
        wanted = requirements_of(pool).get(key)
        yield from ((v, taints) for v in universe.values_of(key, universe.all) if wanted is None or wanted.has(v))
        if wanted is not None and wanted.operator == "In" and key != NODEPOOL:
            yield from ((value, taints) for value in sorted(wanted.values))
