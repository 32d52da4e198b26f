"""The cluster as the engine knows it. `apply` is the only writer; everything else reads.

Objects are immutable and kept by kind and key; what decisions ask again and again (the pods of a node, the machine of a
claim) is indexed as events come in. `version` counts the changes that can make a different disruption possible.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from typing import Any

from fretsaw.api.catalog import Catalog
from fretsaw.api.labels import NODEPOOL
from fretsaw.api.meta import Object
from fretsaw.api.node import Node, VolumeAttachment
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.nodeclass import EC2NodeClass
from fretsaw.api.nodepool import NodePool
from fretsaw.api.pod import Pod
from fretsaw.api.policy import PodDisruptionBudget
from fretsaw.api.times import Millis
from fretsaw.engine import events as e
from fretsaw.engine.guards import is_guard
from fretsaw.engine.machines import Machine
from fretsaw.engine.pdbs import owned_by
from fretsaw.engine.roster import Roster
from fretsaw.engine.taints import DISRUPTED, same

CLUSTER_WIDE = frozenset(
    {
        "Node", "NodePool", "NodeClaim", "NodeOverlay", "EC2NodeClass", "PersistentVolume", "StorageClass", "CSINode",
        "VolumeAttachment", "Namespace", "PriorityClass", "RuntimeClass",
    }
)  # fmt: skip
"""Kinds without namespaces."""
SEEN = (
    "NodePool", "EC2NodeClass", "NodeClaim", "Node", "NodeOverlay", "CapacityBuffer", "Namespace", "StorageClass",
    "PersistentVolume", "PersistentVolumeClaim", "CSINode", "VolumeAttachment", "PodDisruptionBudget", "DaemonSet",
    "Deployment", "ReplicaSet", "StatefulSet", "PodTemplate", "Pod",
)  # fmt: skip
"""Kinds that the engine is told of."""
_SEEN_BY_PASSES = (e.Changed, e.Gone, e.CatalogRead, e.OfferingsOut, e.CommandStarted, e.CommandEnded)
HISTORY = 4
"""Registrations that a pool's health remembers."""


def key_of(obj: Object) -> str:
    """`namespace/name`, or the name of a kind without namespaces."""
    if type(obj).__name__ in CLUSTER_WIDE:
        return obj.metadata.name
    return obj.metadata.key


class ClusterState:
    """All that is known. Fields are read by everyone and written by `apply`."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = defaultdict(dict)
        """By kind, then key, in the order in which they came."""
        self.catalogs: dict[str, Catalog] = {}
        """What each pool can launch."""
        self.unusable: dict[str, str] = {}
        """Pools whose node class cannot launch anything, with the reason."""
        self.offerings_out: frozenset[tuple[str, str, str]] = frozenset()
        self.pods_on: dict[str, dict[str, Pod]] = defaultdict(dict)
        """Bound pods by node name and key."""
        self.guards: dict[str, Pod] = {}
        """Pods that keep others away by a required anti-affinity."""
        self.waiting: dict[str, Pod] = {}
        """Pods without a node that have not ended."""
        self.nominated: dict[str, Millis] = {}
        """Until when a machine is left alone for a pod."""
        self.batch: e.BatchOpened | None = None
        self.last_batch: e.BatchDone | None = None
        self.planned: dict[str, tuple[str, Millis]] = {}
        """The machine that a waiting pod is meant for, and since when; see `engine.planned`."""
        self.proposed: e.CommandProposed | None = None
        self.commands: dict[str, e.CommandStarted] = {}
        self.marked: frozenset[str] = frozenset()
        """Machines that a running command will take away."""
        self.idle: dict[str, int] = {}
        """For each disruption method the version in which it last found nothing; the latest last."""
        self.unseen_pools: tuple[str, ...] = ()
        self.looked: Millis = 0
        """When the disruption loop last ran."""
        self.quiet_until: Millis = 0
        self.standing = 0
        """Counts what can make a disruption possible that was not: room, candidates, protection, budgets, supply."""
        self.budget_version = 0
        """Counts changes of disruption budgets for pods."""
        self.opened: list[str] = []
        """Machines on which there may be more room, or room for more, than before, as it happened."""
        self.changed: list[str] = []
        """Machines that were made anew, or are gone, as it happened."""
        self.muddled = False
        """Whether there once was something odd: two nodes or two claims of one instance, a node that changed its
        instance, or a claim and a node of one name that are not one machine. Then what is kept by machine cannot be
        relied upon."""
        self.epoch = 0
        """Counts what may give any machine's pods another place: supply, limits, what waits."""
        self.looked_standing = -1
        self.health: dict[str, deque[bool]] = {}
        self.launching: dict[str, e.InstanceCreated | e.LaunchRefused] = {}
        """What the cloud answered for a claim, until the claim says so itself."""
        self.lost: set[str] = set()
        """Instances that the provider no longer finds."""
        self.listed: frozenset[str] | None = None
        """Instances of the last listing; None before the first."""
        self.unlisted: frozenset[str] = frozenset()
        """Instances of claims that were known when the last listing came, and that it did not have."""
        self.interruptions: dict[str, str] = {}
        """What was announced about an instance and not acted upon yet."""
        self.drifted: dict[str, str] = {}
        """The provider's drift reason by claim."""
        self.checked: dict[tuple[str, str], Millis] = {}
        """When a look or an order was last made, by (its name, the object's key); forgotten with the object."""
        self.pods_moved: set[str] = set()
        """Nodes on which a pod that no DaemonSet made was bound, ended or was deleted, until it is taken note of."""
        self.evictions: dict[str, e.EvictionAnswered] = {}
        """The last answer of the eviction API by pod."""
        self.version = 0
        self.supply_version = 0
        """Counts what can change what pools launch, or the daemons that come with their nodes."""
        self.events = 0
        """Counts everything."""
        self.revision = 0
        """Counts everything that a scheduling pass could see."""
        self._machines: dict[str, Machine] = {}
        self._roster = Roster()
        self._stale: set[str] = set()
        self._claim_of: dict[str, str] = {}
        """Claim by provider id."""
        self._nodes_of: dict[str, dict[str, None]] = defaultdict(dict)
        """Names of nodes by provider id, oldest first; more than one is somebody's mistake."""
        self._checks_of: dict[str, set[str]] = defaultdict(set)
        """Names of what was checked by the object's key."""
        self.unlaunched: set[str] = set()
        """Claims without an instance: until they have one, nobody knows what is on its way."""
        self.draining: set[str] = set()
        """Nodes with the taint of a disruption: nothing more comes there, and their pods will need another place."""
        self.touched: set[str] = set()
        """Machines whose claim, node or pods changed since the last turn; `settle` empties it."""
        self.touched_pools: set[str] = set()
        """Pools that changed, or whose machines or node class did, likewise."""

    # Reading

    def get(self, kind: str, key: str) -> Any:
        """One object, None where there is none."""
        return self.objects[kind].get(key)

    @property
    def pods(self) -> Mapping[str, Pod]:
        """All pods by key."""
        return self.objects["Pod"]

    @property
    def nodes(self) -> Mapping[str, Node]:
        """All nodes by name."""
        return self.objects["Node"]

    @property
    def claims(self) -> Mapping[str, NodeClaim]:
        """All NodeClaims by name."""
        return self.objects["NodeClaim"]

    @property
    def pools(self) -> Mapping[str, NodePool]:
        """All NodePools by name."""
        return self.objects["NodePool"]

    @property
    def machines(self) -> Mapping[str, Machine]:
        """All machines by name: that of the claim, or of a node without one."""
        self._refresh()
        return self._machines

    @property
    def roster(self) -> Roster:
        """What is known of all machines together."""
        self._refresh()
        return self._roster

    def nodes_with(self, provider_id: str) -> tuple[Node, ...]:
        """The nodes that name this instance, oldest first: one, or none, unless something is wrong."""
        names = self._nodes_of.get(provider_id, ()) if provider_id else ()
        return tuple(self.objects["Node"][name] for name in names)

    def machine_of(self, node: str) -> Machine | None:
        """The machine that a node is of."""
        return self.machines.get(self._name_of_node(node))

    def leaving(self, machine: Machine) -> bool:
        """Whether a machine is on its way out: deleted, or marked by a running command."""
        return machine.deleting or machine.terminating or machine.name in self.marked

    # Writing

    def settle(self) -> None:
        """A turn has looked at all that changed. Call it after the turn, before its notes and actions take effect."""
        self.touched.clear()
        self.touched_pools.clear()

    def apply(self, event: e.Event) -> None:
        """Take note of what happened."""
        self.events += 1
        if type(event) is e.Checked:  # by far the most of them
            self._checked(event.what, event.key, event.at)
            return
        self.revision += isinstance(event, _SEEN_BY_PASSES)
        self.supply_version += isinstance(event, e.CatalogRead | e.OfferingsOut)
        match event:
            case e.Changed(obj):
                self._set(obj)
            case e.Gone(kind, key):
                self._remove(kind, key)
            case e.CatalogRead(pools, catalog, why):
                self._catalog(pools, catalog, why)
            case e.OfferingsOut(offerings):
                self._moved(offerings != self.offerings_out)
                self._anything()
                self.offerings_out = offerings
            case e.InstanceCreated(claim) | e.LaunchRefused(claim):
                self.launching[claim] = event
                self.touched.add(claim)
            case e.InstanceGone(provider_id):
                self._instance_gone(provider_id)
            case e.InstancesListed(provider_ids):
                self.listed = provider_ids
                self.unlisted = frozenset(self._claim_of.keys() - provider_ids)
                self.touched.update(self._claim_of[gone] for gone in self.unlisted)
            case e.Interrupted(provider_id, kind):
                if kind != "rebalance_recommendation" or provider_id not in self.interruptions:
                    self.interruptions[provider_id] = kind
                self._touch_instance(provider_id)
            case e.DriftFound(claim, reason):
                self.drifted[claim] = reason
                if not reason:
                    del self.drifted[claim]
                self.touched.add(claim)
            case e.EvictionAnswered(pod):
                self._eviction(pod, event)
            case e.Nominated(machine, until):
                self.nominated[machine] = max(until, self.nominated.get(machine, 0))
            case _:
                self._note(event)

    def _note(self, event: e.Event) -> None:
        """The engine's own memory."""
        match event:
            case e.BatchOpened():
                self.batch = event
            case e.BatchDone():
                self.batch, self.last_batch = None, event
            case e.Planned(placements, at):
                self.planned.update((pod, (machine, at)) for pod, machine in placements if pod in self.waiting)
            case e.CommandProposed():
                self.proposed = event
            case e.CommandDropped():
                self.proposed = None
                self._moved()
                self.standing += 1
            case e.CommandStarted(command):
                self.proposed = None
                self.commands[command.id] = event
                self._mark()
                self._anything()
                self.touched.update(command.candidates)
                self._moved()
            case e.CommandEnded(command_id):
                ended = self.commands.pop(command_id, None)
                self._mark()
                self._anything()
                self.touched.update(ended.command.candidates if ended else ())
                self._moved()
            case e.MethodIdle(method, version):
                self.idle.pop(method, None)
                self.idle[method] = version
            case e.MethodCut(pools):
                self.unseen_pools = pools
            case e.Looked(at, quiet):
                self.looked, self.quiet_until, self.looked_standing = at, quiet, self.standing
            case e.Registered(pool, well):
                self.health.setdefault(pool, deque(maxlen=HISTORY)).append(well)
            case e.HealthForgotten(pool, healthy):
                self.health[pool] = deque({None: (), True: (True,), False: (False, False)}[healthy], HISTORY)
            case _:
                raise TypeError(f"no such event: {event}")

    def _checked(self, what: str, key: str, at: Millis) -> None:
        """A look is done. The order of an instance puts an earlier answer away.

        An interruption that was acted upon leaves nothing: its instance is about to go.
        """
        if what == "interruption":
            self.interruptions.pop(key, None)
            return
        self.checked[what, key] = at
        self._checks_of[key].add(what)
        if what == "launch":
            self.launching.pop(key, None)
        elif what == "pods":
            self.pods_moved.discard(key)

    def _forget_checks(self, key: str) -> None:
        for what in self._checks_of.pop(key, ()):
            self.checked.pop((what, key), None)

    def _eviction(self, pod: str, event: e.EvictionAnswered) -> None:
        found = self.objects["Pod"].get(pod)
        if found is not None:
            self.evictions[pod] = event
            self.touched.add(self._name_of_node(found.spec.node_name))

    def _instance_gone(self, provider_id: str) -> None:
        """An instance whose claim had gone before is of no more interest; others stay lost until their claim goes."""
        strays = [
            claim
            for claim, answer in self.launching.items()
            if isinstance(answer, e.InstanceCreated)
            and answer.provider_id == provider_id
            and claim not in self.objects["NodeClaim"]
        ]
        for claim in strays:
            del self.launching[claim]
            self._forget_checks(claim)
        if not strays:
            self.lost.add(provider_id)
            self._touch_instance(provider_id)

    def _mark(self) -> None:
        commands = (started.command for started in self.commands.values())
        self.marked = frozenset(name for command in commands for name in command.candidates)

    def _anything(self) -> None:
        """Pods may have other places now, wherever they are."""
        self.epoch += 1
        self.standing += 1

    def _open(self, machine: str) -> None:
        """There may be more room on a machine, or it may take pods that it did not take."""
        self.opened.append(machine)
        self.standing += 1

    def _open_for(self, pod: Pod) -> None:
        """A pod has gone, or has ended: its room is free, or it waits for none any more."""
        if pod.spec.node_name:
            self._open(self._name_of_node(pod.spec.node_name))
        else:
            self._anything()

    def _moved(self, really: bool = True) -> None:
        """Another disruption may be possible now."""
        self.version += really

    def _set(self, obj: Object) -> None:
        kind, key = type(obj).__name__, key_of(obj)
        old = self.objects[kind].get(key)
        self.supply_version += _changes_supply(kind, old, obj)
        self.objects[kind][key] = obj
        match obj:
            case Pod():
                self._set_pod(old, obj)
            case Node():
                self._set_node(old, obj)
            case NodeClaim():
                self._set_claim(old, obj)
            case NodePool():
                self._set_pool(old, obj)
            case EC2NodeClass():
                self.touched_pools.update(self.pools)
                self._moved(old is None)
                self._anything()
            case VolumeAttachment():
                self.touched.add(self._name_of_node(obj.spec.node_name))
            case PodDisruptionBudget():
                self._moved(old is None)
                self.budget_version += 1
                self.standing += old is None or (old.spec, _allows(old)) != (obj.spec, _allows(obj))
            case _:
                self._moved(old is None)
                self._anything()

    def _remove(self, kind: str, key: str) -> None:
        old = self.objects[kind].pop(key, None)
        self.supply_version += _changes_supply(kind, old, None)
        match old:
            case None:
                return
            case Pod():
                self._unbind(old)
                self._open_for(old)
                self.waiting.pop(key, None)
                self.guards.pop(key, None)
                self.planned.pop(key, None)
                self.evictions.pop(key, None)
                self._forget_checks(key)
                self._moved()
            case Node():
                self._unname(old)
                self.pods_moved.discard(key)
                self.draining.discard(key)
                self._forget_checks(key)
                self._stale_node(key, old.spec.provider_id)
                self._moved()
            case NodeClaim():
                self._forget_claim(old)
            case VolumeAttachment():
                self.touched.add(self._name_of_node(old.spec.node_name))
            case PodDisruptionBudget():
                self.budget_version += 1
                self.standing += 1
            case _:
                self._moved()
                self._anything()

    def _forget_claim(self, claim: NodeClaim) -> None:
        name = claim.metadata.name
        self.touched_pools.add(claim.metadata.labels.get(NODEPOOL, ""))
        self.unlaunched.discard(name)
        self._claim_of.pop(claim.status.provider_id, None)
        self.launching.pop(name, None)
        self.drifted.pop(name, None)
        self.nominated.pop(name, None)
        self.interruptions.pop(claim.status.provider_id, None)
        self.lost.discard(claim.status.provider_id)
        self._forget_checks(name)
        both = (name, self._node_of(claim.status.provider_id) or name)
        self._stale.update(both)
        self.touched.update(both)
        self._moved()
        # Its share of the pool's limits and budgets is free.
        self._anything()

    def _set_pool(self, old: NodePool | None, pool: NodePool) -> None:
        """What a pool says of its nodes (when they may go, what they shall be like) makes another look necessary."""
        self.touched_pools.add(pool.metadata.name)
        changed = old is None or old.spec != pool.spec
        if changed or (old is not None and old.metadata.annotations != pool.metadata.annotations):
            name = pool.metadata.name
            self.touched.update(n for n, c in self.claims.items() if c.metadata.labels.get(NODEPOOL) == name)
        self._moved(changed)
        if changed or old is None or _truths(old) != _truths(pool):
            self._anything()

    def _set_pod(self, old: Pod | None, pod: Pod) -> None:
        planned = frozenset((pod.key,)) if pod.key in self.planned else frozenset()
        if pod.spec.affinity is not None and is_guard(pod):
            self.guards[pod.key] = pod
        if old is not None and old.spec.node_name:
            del self.pods_on[old.spec.node_name][old.key]
        if pod.spec.node_name:
            self.pods_on[pod.spec.node_name][pod.key] = pod
            self.waiting.pop(pod.key, None)
            self.planned.pop(pod.key, None)
            if old is None or _standing_of(old) != _standing_of(pod):
                self._stale.add(self._name_of_node(pod.spec.node_name))
                self.touched.add(self._name_of_node(pod.spec.node_name))
        elif pod.is_terminal:
            self.waiting.pop(pod.key, None)
        else:
            self.waiting[pod.key] = pod
        bound = bool(pod.spec.node_name) and (old is None or not old.spec.node_name)
        ended = pod.is_terminal and (old is None or not old.is_terminal)
        left = bool(pod.metadata.deletion_timestamp) and (old is None or not old.metadata.deletion_timestamp)
        if ended:
            self._open_for(pod)
        if left or (bound and pod.key not in planned):
            self.standing += 1
        moved = bound or ended or left
        if moved and pod.spec.node_name in self.objects["Node"] and not owned_by(pod, "DaemonSet"):
            self.pods_moved.add(pod.spec.node_name)
        self._moved(moved)

    def _unbind(self, pod: Pod) -> None:
        node = pod.spec.node_name
        if node:
            self.pods_on[node].pop(pod.key, None)
            self._stale.add(self._name_of_node(node))
            self.touched.add(self._name_of_node(node))

    def _set_node(self, old: Node | None, node: Node) -> None:
        if old is not None and old.spec.provider_id != node.spec.provider_id:
            self._unname(old)
            self.muddled = self.muddled or bool(old.spec.provider_id)
        if node.spec.provider_id:
            self._nodes_of[node.spec.provider_id][node.metadata.name] = None
            self.muddled = self.muddled or len(self._nodes_of[node.spec.provider_id]) > 1
        self._compare(self.objects["NodeClaim"].get(node.metadata.name), node)
        self._stale_node(node.metadata.name, node.spec.provider_id)
        if any(same(taint, DISRUPTED) for taint in node.spec.taints):
            self.draining.add(node.metadata.name)
        else:
            self.draining.discard(node.metadata.name)
        if old is None or old.status.capacity != node.status.capacity:
            self.touched_pools.add(node.metadata.labels.get(NODEPOOL, ""))
        unchanged = old is not None and (
            (old.metadata.labels, old.spec, old.metadata.deletion_timestamp, old.status.allocatable)
            == (node.metadata.labels, node.spec, node.metadata.deletion_timestamp, node.status.allocatable)
        )
        self._moved(not unchanged)
        if old is not None and not unchanged:
            self._open(self._name_of_node(node.metadata.name))
        elif old is not None and (old.metadata.annotations, _is_ready(old)) != (
            node.metadata.annotations,
            _is_ready(node),
        ):
            self.standing += 1

    def _set_claim(self, old: NodeClaim | None, claim: NodeClaim) -> None:
        name = claim.metadata.name
        self.touched_pools.add(claim.metadata.labels.get(NODEPOOL, ""))
        self._compare(claim, self.objects["Node"].get(name))
        if old is not None and old.status.provider_id not in ("", claim.status.provider_id):
            self.muddled = True
        if claim.status.provider_id:
            self.muddled = self.muddled or self._claim_of.get(claim.status.provider_id, name) != name
            self._claim_of[claim.status.provider_id] = name
            self.unlaunched.discard(name)
            self.launching.pop(name, None)
            self._stale.add(self._node_of(claim.status.provider_id) or name)
        else:
            self.unlaunched.add(name)
        self._stale.add(name)
        self.touched.add(name)
        same = old is not None and (
            (old.metadata.deletion_timestamp, old.status.provider_id, _truths(old))
            == (claim.metadata.deletion_timestamp, claim.status.provider_id, _truths(claim))
        )
        self._moved(not same)
        if old is None or old.status.provider_id != claim.status.provider_id:
            self._anything()
        elif not set(_truths(claim)) <= set(_truths(old)):
            self._open(name)

    def _catalog(self, pools: tuple[str, ...], catalog: Catalog | None, why: str) -> None:
        for pool in pools:
            if catalog is None:
                self.catalogs.pop(pool, None)
                self.unusable[pool] = why
            else:
                self.catalogs[pool] = catalog
                self.unusable.pop(pool, None)
            self.touched.update(n for n, c in self.claims.items() if c.metadata.labels.get(NODEPOOL) == pool)
        self._moved()
        self._anything()

    # Machines

    def _compare(self, claim: NodeClaim | None, node: Node | None) -> None:
        """A claim and a node that have the same name had better be of the same instance."""
        if claim is not None and node is not None:
            self.muddled = self.muddled or claim.status.provider_id != node.spec.provider_id

    def _node_of(self, provider_id: str) -> str:
        """The name of the oldest node of an instance, empty for none."""
        return next(iter(self._nodes_of.get(provider_id, ())), "")

    def _unname(self, node: Node) -> None:
        """Forget that a node belongs to its instance."""
        names = self._nodes_of.get(node.spec.provider_id, {})
        names.pop(node.metadata.name, None)
        if not names:
            self._nodes_of.pop(node.spec.provider_id, None)

    def _touch_instance(self, provider_id: str) -> None:
        name = self._claim_of.get(provider_id)
        if name is not None:
            self.touched.add(name)

    def _name_of_node(self, node: str) -> str:
        found = self.objects["Node"].get(node)
        return self._claim_of.get(found.spec.provider_id, node) if found is not None else node

    def _stale_node(self, node: str, provider_id: str) -> None:
        name = self._claim_of.get(provider_id, node)
        self._stale.update((name, node))
        self.touched.add(name)

    def _refresh(self) -> None:
        """Build anew the machines of which something changed."""
        if not self._stale:
            return
        self.changed.extend(sorted(self._stale))
        for name in sorted(self._stale):
            machine = self._built(name)
            self._roster.put(name, self._machines.get(name), machine)
            if machine is None:
                self._machines.pop(name, None)
            else:
                self._machines[name] = machine
        self._stale.clear()

    def _built(self, name: str) -> Machine | None:
        claim = self.objects["NodeClaim"].get(name)
        if claim is not None:
            node = self.objects["Node"].get(self._node_of(claim.status.provider_id))
        else:
            node = self.objects["Node"].get(name)
            if node is None or node.spec.provider_id in self._claim_of:
                return None
        return Machine(claim, node, tuple(self._sorted_pods(node)))

    def _sorted_pods(self, node: Node | None) -> Iterator[Pod]:
        found = self.pods_on.get(node.metadata.name, {}) if node is not None else {}
        return (found[key] for key in sorted(found))


def _changes_supply(kind: str, old: Any, new: Any) -> bool:
    """Whether a change of an object can change what pools launch. A pool's status counts only for being ready."""
    if kind == "NodePool":
        return old is None or new is None or old.spec != new.spec or _truths(old) != _truths(new)
    if kind == "Pod":
        owners = (new or old).metadata.owner_references if (new or old) is not None else ()
        spec_is_new = old is None or new is None or old.spec is not new.spec
        return spec_is_new and any(owner.kind == "DaemonSet" for owner in owners)
    return kind in ("NodeOverlay", "DaemonSet")


def _standing_of(pod: Pod) -> tuple[object, ...]:
    """What of a pod on a node any decision reads: not how its containers come along."""
    status, metadata = pod.status, pod.metadata
    return (
        metadata.deletion_timestamp,
        metadata.annotations,
        metadata.labels,
        metadata.owner_references,
        pod.spec,
        pod.is_terminal,
        status.start_time,
        _is_ready(pod),
        status.allocated_resources,
        tuple(c.allocated_resources for c in status.container_statuses if c.allocated_resources),
    )


def _allows(budget: PodDisruptionBudget) -> bool:
    return bool(budget.status.disruptions_allowed)


def _is_ready(obj: Pod | Node) -> bool:
    return any(c.type == "Ready" and c.status == "True" for c in obj.status.conditions)


def _truths(claim: NodeClaim | NodePool) -> list[tuple[str, str]]:
    """The object's conditions without their times and texts."""
    return [(c.type, c.status) for c in claim.status.conditions]
