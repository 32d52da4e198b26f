"""The nodes of a cluster with the room on them, and what pods have in common: made once for all passes over a state.

A pass copies the places that it fills, so that the next one finds them as they were. Between two states only what
changed is made anew: objects are immutable, so what is the same object needs no second look.

Source: Karpenter v1.14 scheduler.go (calculateExistingNodeClaims), existingnode.go.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from fretsaw.api.labels import HOSTNAME
from fretsaw.api.pod import Pod
from fretsaw.engine.cluster import Cluster
from fretsaw.engine.guards import is_guard, looks_at_others
from fretsaw.engine.nodes import StateNode, state_nodes
from fretsaw.engine.pending import is_daemon
from fretsaw.engine.places import ExistingNode
from fretsaw.engine.ports import host_ports
from fretsaw.engine.requests import Amounts, add, pod_requests, total
from fretsaw.engine.requirement import Requirement
from fretsaw.engine.requirements import Requirements
from fretsaw.engine.settings import Settings
from fretsaw.engine.shape import Mold, MoldKey, Shape
from fretsaw.engine.supply import Supply
from fretsaw.engine.taints import untolerated
from fretsaw.engine.universe import Bits
from fretsaw.engine.volumes import Storage


class Ground:
    """All places of a cluster. It changes nothing but memories of answers already given."""

    def __init__(
        self, cluster: Cluster, settings: Settings, before: Ground | None = None, supply: Supply | None = None
    ) -> None:
        """before: the ground of an earlier state, for what is still the same. supply: the cluster's, where the caller
        has it."""
        self.supply: Supply = supply or Supply(cluster, settings)
        self.storage = Storage.of(cluster.claims, cluster.volumes, cluster.storage_classes)
        same = before is not None and before.supply is self.supply and before.storage == self.storage
        self.memory: _Memory = before.memory if before is not None and same else _Memory()
        memory = self.memory
        self.states = state_nodes(cluster.nodes, cluster.node_claims, cluster.csi_nodes, memory.states)
        self.on_node = _by_node(cluster.pods) if cluster.on_nodes is None else cluster.on_nodes
        self.held = cluster.held
        self.leaving = tuple(s for s in self.states if s.deleting or s.machine in cluster.leaving)
        """Machines that take no more pods."""
        gone = {s.machine for s in self.leaving}
        targets = [s for s in self.states if s.machine not in gone]
        targets.sort(key=lambda s: (not s.initialized, s.name))
        self.places = tuple(self._place(state, 1 << i) for i, state in enumerate(targets))
        """Initialised nodes first, then by name."""
        self.target_of = {place.bit: state for place, state in zip(self.places, targets, strict=True)}
        self.bit_of = {state.machine: place.bit for place, state in zip(self.places, targets, strict=True)}
        """The place of each machine that may take pods."""
        self.remaining = self._remaining(targets)
        self.refusing: dict[Mold, Bits] = {}
        """Places that refuse a mold as they stand, as far as they were asked."""
        self._pods: Sequence[Pod] = cluster.pods
        self._given_guards = cluster.guards
        self._running: list[tuple[Pod, str]] | None = None
        self._guards: list[tuple[Pod, str]] | None = None

    @property
    def running(self) -> list[tuple[Pod, str]]:
        """(pod, its node or machine) of those that have a place and have not ended, in the order of the cluster."""
        if self._running is None:
            self._running = [(p, p.spec.node_name) for p in self._pods if p.spec.node_name and not p.is_terminal]
            names = {s.machine: s.node_name or s.machine for s in self.states}
            self._running += [(p, names[m]) for m, pods in self.held.items() if m in names for p in pods]
        return self._running

    @property
    def guards(self) -> list[tuple[Pod, str]]:
        """Those of them that keep others away by a required anti-affinity."""
        if self._guards is None and self._given_guards is not None:
            names = {s.machine: s.node_name or s.machine for s in self.states}
            held = {p.key: names[m] for m, pods in self.held.items() if m in names for p in pods}
            places = ((p, p.spec.node_name or held.get(p.key, "")) for p in self._given_guards)
            self._guards = [(p, node) for p, node in places if node and not p.is_terminal]
        if self._guards is None:
            self._guards = [(pod, node) for pod, node in self.running if is_guard(pod)]
        return self._guards

    def mold(self, key: MoldKey) -> Mold:
        """The one mold of this key."""
        known = self.memory.molds.get(key)
        if known is None:
            known = self.memory.molds[key] = Mold(key)
            known.requirements = self.intern(known.requirements)
        return known

    def intern(self, requirements: Requirements) -> Requirements:
        """The one object among equal requirements, so that looking up answers about it is quick."""
        return self.memory.requirements.setdefault(requirements, requirements)

    def refuse(self, mold: Mold, places: Bits) -> None:
        """Remember that these places, as they stand, refuse the mold."""
        self.refusing[mold] = self.refusing.get(mold, 0) | places

    def kind_of(self, pod: Pod) -> Likeness:
        """What the pod has in common with others."""
        own_claims = any(v.ephemeral is not None for v in pod.spec.volumes)
        status = pod.status.container_statuses or pod.status.init_container_statuses
        if own_claims or (status and _is_resized(pod)):
            extra = (pod.metadata.name if own_claims else "", pod.status if status else None)
            return Likeness(_identity(pod, extra), pod_requests(pod.spec, pod.status), looks_at_others(pod.spec))
        memory, namespace = self.memory.kinds, pod.metadata.home
        known = memory.get((id(pod.spec), namespace))
        if known is None:
            found = Likeness(_identity(pod, ("", None)), pod_requests(pod.spec), looks_at_others(pod.spec))
            known = memory[id(pod.spec), namespace] = (found, pod.spec)
        return known[0]

    def chain(self, key: bytes) -> list[Shape]:
        """The shapes of equal pods that nobody else has a say about: the same in every pass."""
        return self.memory.chains.setdefault(key, [])

    def _place(self, state: StateNode, bit: Bits) -> ExistingNode:
        """The node with the room that is left on it: as it was before, where nothing about it changed."""
        pods = self._pods_of(state)
        known = self.memory.places.get(state.machine)
        if known is not None and known[0] is state and (known[1] is pods or _identical(known[1], pods)):
            place = known[2]
            if place.bit == bit:
                return place
            place = place.moved(bit)
        else:
            place = self._made(state, [p for p in pods if not p.is_terminal], bit)
        self.memory.places[state.machine] = (state, pods, place)
        return place

    def _pods_of(self, state: StateNode) -> Sequence[Pod]:
        """The pods on a machine, and those that have a place on it."""
        pods = self.on_node.get(state.node_name, ()) if state.node_name else ()
        held = self.held.get(state.machine)
        return (*pods, *held) if held else pods

    def _made(self, state: StateNode, pods: Sequence[Pod], bit: Bits) -> ExistingNode:
        requirements = self.intern(Requirements.of_labels(state.labels))
        taken = total(self._requests(pod) for pod in pods)
        add(taken, self._daemons_to_come(state, requirements, pods))
        # What the node does not list, it cannot run short of: else one daemon's device would close it to every pod.
        free = {resource: amount - taken.get(resource, 0) for resource, amount in state.allocatable.items()}
        own = requirements.replaced(Requirement(HOSTNAME, (state.hostname,)))
        node = ExistingNode(state.name, state.hostname, bit, own, state.taints, free)
        node.limits = dict(state.volume_limits)
        for pod in pods:
            namespace = pod.metadata.home
            node.hold(host_ports(pod.spec), self.storage.attachments(pod.metadata.name, namespace, pod.spec))
        return node

    def _requests(self, pod: Pod) -> Mapping[str, int]:
        return self.kind_of(pod).requests

    def _daemons_to_come(self, state: StateNode, requirements: Requirements, pods: Iterable[Pod]) -> Amounts:
        """Requests of the daemon pods that the node will get, less those that run there already; never below 0."""
        if not self.supply.daemons:
            return {}
        expected = total(
            d.requests
            for d in self.supply.daemons
            if not d.needs_devices
            and untolerated(state.taints, d.tolerations) is None
            and any(requirements.conflict(wanted) is None for wanted in d.wishes.alternatives())
        )
        running = total(self._requests(p) for p in pods if is_daemon(p))
        return {resource: max(amount - running.get(resource, 0), 0) for resource, amount in expected.items()}

    def _remaining(self, staying: Iterable[StateNode]) -> dict[str, Amounts]:
        """What each pool's limits leave, from the capacity of its nodes that stay."""
        limits = {t.name: t.limits for t in self.supply.templates}
        used: dict[str, Amounts] = defaultdict(dict)
        for node in staying:
            if node.pool and limits.get(node.pool):
                add(used[node.pool], node.capacity)
                add(used[node.pool], {"nodes": 1})
        return {name: {r: limit - used[name].get(r, 0) for r, limit in own.items()} for name, own in limits.items()}


class Likeness(msgspec.Struct, frozen=True):
    """What equal pods have in common, but for their labels."""

    key: bytes
    requests: Mapping[str, int]
    looks_at_others: bool
    """Whether where other pods are matters to them."""


class _Memory:
    """What later grounds take over."""

    def __init__(self) -> None:
        self.states: dict[str, tuple[object, object, object, StateNode]] = {}
        self.places: dict[str, tuple[StateNode, Sequence[Pod], ExistingNode]] = {}
        self.kinds: dict[tuple[int, str], tuple[Likeness, object]] = {}
        """By the identity of the spec; the values keep it, so that no other object can get its number."""
        self.chains: dict[bytes, list[Shape]] = {}
        self.molds: dict[MoldKey, Mold] = {}
        self.requirements: dict[Requirements, Requirements] = {}


_ENCODER = msgspec.json.Encoder()


def _identity(pod: Pod, extra: tuple[str, object]) -> bytes:
    spec = msgspec.structs.replace(pod.spec, node_name="") if pod.spec.node_name else pod.spec
    return _ENCODER.encode((pod.metadata.home, spec, extra))


def _is_resized(pod: Pod) -> bool:
    """Whether a status says what containers have been granted, apart from what they ask for."""
    statuses = (*pod.status.container_statuses, *pod.status.init_container_statuses)
    return any(s.allocated_resources or s.resources is not None for s in statuses)


def _identical(one: Sequence[object], other: Sequence[object]) -> bool:
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))


def _by_node(pods: Iterable[Pod]) -> Mapping[str, list[Pod]]:
    found: dict[str, list[Pod]] = defaultdict(list)
    for pod in pods:
        if pod.spec.node_name and not pod.is_terminal:
            found[pod.spec.node_name].append(pod)
    return found
