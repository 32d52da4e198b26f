"""The nodes of a cluster with the room on them, and what pods have in common: made once for all passes over a state.

A pass copies the places that it fills, so that the next one finds them as they were. Between two states only what
changed is made anew: objects are immutable, so what is the same object needs no second look.

Source: Karpenter v1.14 scheduler.go (calculateExistingNodeClaims), existingnode.go.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import msgspec

from fretsaw.api.labels import HOSTNAME
from fretsaw.api.pod import Pod
from fretsaw.engine.cluster import Cluster
from fretsaw.engine.guards import is_guard, looks_at_others
from fretsaw.engine.nodes import StateNode, state_node, state_nodes
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
from fretsaw.engine.tenants import Changed
from fretsaw.engine.universe import Bits, bits
from fretsaw.engine.volumes import Storage


class Ground:
    """All places of a cluster. It changes nothing but memories of answers already given."""

    def __init__(
        self,
        cluster: Cluster,
        settings: Settings,
        before: Ground | None = None,
        supply: Supply | None = None,
        changed: Changed | None = None,
    ) -> None:
        """before: the ground of an earlier state, for what is still the same; it is used up. supply: the cluster's,
        where the caller has it. changed: all machines that may differ from `before`, where the caller knows."""
        self.supply: Supply = supply or Supply(cluster, settings)
        self.storage = Storage.of(cluster.claims, cluster.volumes, cluster.storage_classes)
        same = before is not None and before.supply is self.supply and before.storage == self.storage
        self.memory: _Memory = before.memory if before is not None and same else _Memory()
        self.on_node = _by_node(cluster.pods) if cluster.on_nodes is None else cluster.on_nodes
        self.held = cluster.held
        self._leaves = cluster.leaving
        self._pods = cluster.pods
        self._given_guards = cluster.guards
        self._running: list[tuple[Pod, str]] | None = None
        self._guards: list[tuple[Pod, str]] | None = None
        self._limits = {t.name: t.limits for t in self.supply.templates}
        if before is not None and same and changed is not None and before._csi == cluster.csi_nodes:
            self._renew(before, changed)
        else:
            self._fill(cluster)
        self.remaining = {
            name: {r: limit - self._used.get(name, {}).get(r, 0) for r, limit in own.items()}
            for name, own in self._limits.items()
        }
        """What each pool's limits leave, from the capacity of its nodes that stay."""

    def _fill(self, cluster: Cluster) -> None:
        """Look at all machines."""
        self.states = state_nodes(cluster.nodes, cluster.node_claims, cluster.csi_nodes, self.memory.states)
        self._csi = cluster.csi_nodes
        self._state_of = {state.machine: state for state in self.states}
        self._number = len(self.states)
        """More than there are names only where a claim and a node of one name are not one machine."""
        self._leaving = {s.machine: s for s in self.states if self._is_leaving(s)}
        targets = sorted((s for s in self.states if s.machine not in self._leaving), key=_rank)
        self._ranks = [_rank(state) for state in targets]
        self.places = [self._place(state, 1 << i) for i, state in enumerate(targets)]
        """Initialised nodes first, then by name."""
        self.bit_of = {state.machine: 1 << i for i, state in enumerate(targets)}
        """The place of each machine that may take pods."""
        self.refusing: dict[Mold, Bits] = {}
        """Places that refuse a mold as they stand, as far as they were asked."""
        self._used: dict[str, Amounts] = {}
        """The capacity of the machines that may take pods, by pool with limits."""
        for state in targets:
            self._charge(state, 1)

    def _renew(self, before: Ground, changed: Changed) -> None:
        """Look at the machines that changed; the others are taken over, and `before` may not be asked any more."""
        self._csi = before._csi
        self._state_of, self._leaving, self._used = before._state_of, before._leaving, before._used
        self._ranks, self.places, self.bit_of = before._ranks, before.places, before.bit_of
        self.refusing = before.refusing
        self._moved = False
        drivers = {csi.metadata.name: csi for csi in self._csi}
        lowest = len(self.places)
        for name, machine in changed.items():
            new = state_node(machine.node, machine.claim, drivers, self.memory.states) if machine is not None else None
            if new is None:
                self.memory.forget(name)
            lowest = min(lowest, self._replace(self._state_of.pop(name, None), new))
        self._number = len(self._state_of)
        if self._moved:
            self.places[lowest:] = (
                place if place.bit == 1 << i else place.moved(1 << i)
                for i, place in enumerate(self.places[lowest:], lowest)
            )
            self.bit_of = {rank[3]: 1 << i for i, rank in enumerate(self._ranks)}

    def _replace(self, old: StateNode | None, new: StateNode | None) -> int:
        """Put one machine in another's stead; answers from which place on bits may be others."""
        lowest = len(self.places)
        if new is not None:
            self._state_of[new.machine] = new
        if old is not None and self._leaving.pop(old.machine, None) is None:
            lowest = at = bisect_left(self._ranks, _rank(old))
            self._charge(old, -1)
            if new is not None and not self._is_leaving(new) and _rank(new) == self._ranks[at]:
                self._charge(new, 1)
                self._stay(at, self._place(new, self.places[at].bit))
                return len(self.places)
            self._take_out(at)
        if new is not None and self._is_leaving(new):
            self._leaving[new.machine] = new
        elif new is not None:
            at = bisect_left(self._ranks, _rank(new))
            self._charge(new, 1)
            self._put_in(at, new)
            lowest = min(lowest, at)
        return lowest

    def _stay(self, at: int, place: ExistingNode) -> None:
        if place is not self.places[at]:
            self.places[at] = place
            keep = ~(1 << at)
            self.refusing = {mold: left for mold, bits in self.refusing.items() if (left := bits & keep)}

    def _take_out(self, at: int) -> None:
        self._moved = True
        del self._ranks[at], self.places[at]
        low = (1 << at) - 1
        self.refusing = {
            mold: left for mold, bits in self.refusing.items() if (left := (bits & low) | (bits >> at + 1 << at))
        }

    def _put_in(self, at: int, state: StateNode) -> None:
        self._moved = True
        self._ranks.insert(at, _rank(state))
        self.places.insert(at, self._place(state, 1 << at))
        low = (1 << at) - 1
        self.refusing = {mold: (bits & low) | (bits >> at << at + 1) for mold, bits in self.refusing.items()}

    def _is_leaving(self, state: StateNode) -> bool:
        return state.deleting or state.machine in self._leaves

    def _charge(self, state: StateNode, times: int) -> None:
        """Count a machine towards what its pool's limits are about."""
        if state.pool and self._limits.get(state.pool):
            used = self._used.setdefault(state.pool, {})
            add(used, {resource: times * amount for resource, amount in state.capacity.items()})
            add(used, {"nodes": times})

    @cached_property
    def states(self) -> tuple[StateNode, ...]:
        """All machines, by name."""
        return tuple(sorted(self._state_of.values(), key=lambda s: (s.name, s.node_name)))

    @property
    def leaving(self) -> tuple[StateNode, ...]:
        """Machines that take no more pods, by name."""
        if len(self._state_of) < self._number:
            return tuple(s for s in self.states if s.machine in self._leaving)
        return tuple(sorted(self._leaving.values(), key=lambda s: (s.name, s.node_name)))

    @cached_property
    def target_of(self) -> Mapping[Bits, StateNode]:
        """The machine of each place."""
        return {1 << i: self._state_of[rank[3]] for i, rank in enumerate(self._ranks)}

    def machine_of(self, bit: Bits) -> str:
        """The name of a place's machine."""
        return self._ranks[bit.bit_length() - 1][3]

    def named(self, machines: frozenset[str]) -> list[StateNode]:
        """The states of these machines, as far as there are any, by name."""
        if len(self._state_of) < self._number:
            return [s for s in self.states if s.machine in machines]
        return [self._state_of[name] for name in sorted(machines) if name in self._state_of]

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
        if self._guards is None and self._given_guards == ():
            self._guards = []
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

    def mask(self, machines: Iterable[str]) -> Bits:
        """The places of these machines."""
        found: Bits = 0
        for name in machines:
            found |= self.bit_of.get(name, 0)
        return found

    def takes(self, mold: Mold, wanted: Requirements, places: Bits) -> bool:
        """Whether one of these places might take such a pod."""
        for i in bits(places & ~self.refusing.get(mold, 0)):
            if self.places[i].why_not(mold, wanted) is None:
                return True
            self.refuse(mold, 1 << i)
        return False

    @cached_property
    def everywhere(self) -> Bits:
        """All places."""
        return (1 << len(self.places)) - 1

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
        requirements, own = self._requirements(state)
        taken = total(self._requests(pod) for pod in pods)
        add(taken, self._daemons_to_come(state, requirements, pods))
        # What the node does not list, it cannot run short of: else one daemon's device would close it to every pod.
        free = {resource: amount - taken.get(resource, 0) for resource, amount in state.allocatable.items()}
        node = ExistingNode(state.name, state.hostname, bit, own, state.taints, free)
        node.limits = dict(state.volume_limits)
        for pod in pods:
            namespace = pod.metadata.home
            node.hold(host_ports(pod.spec), self.storage.attachments(pod.metadata.name, namespace, pod.spec))
        return node

    def _requirements(self, state: StateNode) -> tuple[Requirements, Requirements]:
        """What the node's labels come to, without and with its host name."""
        known = self.memory.labels.get(state.machine)
        if known is not None and known[:2] == (state.labels, state.hostname):
            return known[2:]
        plain = self.intern(Requirements.of_labels(state.labels))
        own = plain.replaced(Requirement(HOSTNAME, (state.hostname,)))
        self.memory.labels[state.machine] = (state.labels, state.hostname, plain, own)
        return plain, own

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
        self.recalled: dict[str, object] = {}
        """What whoever asks about a machine wants to know again, as long as neither the supply nor volumes change."""
        self.labels: dict[str, tuple[Mapping[str, str], str, Requirements, Requirements]] = {}
        self.kinds: dict[tuple[int, str], tuple[Likeness, object]] = {}
        """By the identity of the spec; the values keep it, so that no other object can get its number."""
        self.chains: dict[bytes, list[Shape]] = {}
        self.molds: dict[MoldKey, Mold] = {}
        self.requirements: dict[Requirements, Requirements] = {}

    def forget(self, machine: str) -> None:
        """A machine is there no longer."""
        self.states.pop(machine, None)
        self.places.pop(machine, None)
        self.labels.pop(machine, None)
        self.recalled.pop(machine, None)


_ENCODER = msgspec.json.Encoder()


def _rank(state: StateNode) -> tuple[bool, str, str, str]:
    """The order in which places are tried; it ends in the machine's name."""
    return (not state.initialized, state.name, state.node_name, state.machine)


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
