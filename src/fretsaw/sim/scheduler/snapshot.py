"""The cluster as the scheduler sees it: columns, counts, volumes and images, kept from the store's changes.

Only takes note. Who wants to know what a change may be good for hands in `told`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from fretsaw.api.node import CSINode, Node
from fretsaw.api.pod import Pod
from fretsaw.api.policy import Namespace
from fretsaw.engine.requests import pod_requests
from fretsaw.sim.scheduler import hints
from fretsaw.sim.scheduler.census import Census
from fretsaw.sim.scheduler.columns import Columns, Placed, Row
from fretsaw.sim.scheduler.filters import Filters
from fretsaw.sim.scheduler.images import Images
from fretsaw.sim.scheduler.mold import Mold
from fretsaw.sim.scheduler.molds import Molds
from fretsaw.sim.scheduler.nominations import Nominations
from fretsaw.sim.scheduler.volumes import Volumes
from fretsaw.sim.store import Store

Told = Callable[[tuple[str, ...], hints.Hint], None]


class Snapshot:
    """Nodes, the pods on them, and what is counted of both."""

    def __init__(self, store: Store, molds: Molds, told: Told) -> None:
        self._store = store
        self._molds = molds
        self._told = told
        self._namespaces: dict[str, dict[str, str]] = {}
        self._homeless: dict[str, dict[str, tuple[Pod, Mold]]] = defaultdict(dict)
        """Pods bound to nodes that are not there, by node and key."""
        self._home: dict[str, str] = {}
        """The node that a homeless pod is bound to."""
        self.columns = Columns()
        self.census = Census(self.columns, self._namespaces)
        self.nominations = Nominations(self.columns)
        self.volumes = Volumes(store, self.columns, self.census)
        self.images = Images(self.columns)
        self.filters = Filters(self.columns, self.census, self.volumes, self.nominations)
        self.version = 0
        """Counts the changes that may change an answer."""

    def admits(self, mold: Mold, node: Node) -> bool:
        """Whether a mold's node affinity holds on a node."""
        return self.filters.views(mold)[1].admits(node)

    # Nodes

    def node(self, old: Node | None, node: Node) -> None:
        """A node came or changed."""
        if old is not None and not _matters(old, node):
            return
        self.version += 1
        new = node.metadata.name not in self.columns.by_name
        row = self.columns.put(node)
        if new or old is None or old.status.images != node.status.images:
            self.images.put(row.slot, node)
        if new:
            self.volumes.limits(row.name, self._store.get("CSINode", row.name))
            for pod, mold in self._homeless.pop(row.name, {}).values():
                del self._home[pod.key]
                self._settle(row, pod, mold)
        if new or old is None or _better(old, node):
            self._told(hints.ON_NODES, hints.node_came(node, self.admits))

    def node_gone(self, node: Node) -> None:
        """A node is there no longer; its pods are homeless until someone deletes them."""
        row = self.columns.by_name.get(node.metadata.name)
        if row is None:
            return
        self.version += 1
        for key, placed in list(row.pods.items()):
            self._unsettle(placed)
            self._homeless[row.name][key] = (placed.pod, placed.mold)
            self._home[key] = row.name
        self.volumes.limits(row.name, None)
        self.images.put(row.slot, None)
        self.columns.drop(row.name)
        # A domain with few pods may be gone, so that the least of the others counts.
        self._told(("PodTopologySpread",), lambda mold, kin, plugin: True)

    # Pods

    def holds(self, key: str) -> bool:
        """Whether a pod is known to be bound."""
        return key in self.census.placed or key in self._home

    def place(self, pod: Pod, mold: Mold | None) -> None:
        """A pod is bound, or has changed since. mold: if it is known."""
        placed = self.census.placed.get(pod.key)
        if placed is not None:
            if placed.pod.spec.node_name == pod.spec.node_name and self._same(placed, pod):
                return
            self.displace(pod.key, placed.pod.metadata.labels != pod.metadata.labels)
        else:
            self._forget_homeless(pod.key)
        self.version += 1
        node = pod.spec.node_name
        mold = mold if mold is not None else self._molds.of(pod)[0]
        row = self.columns.by_name.get(node)
        if row is None:
            self._homeless[node][pod.key] = (pod, mold)
            self._home[pod.key] = node
        else:
            self._settle(row, pod, mold)
            self._told(hints.ON_POD_COMING, hints.pod_came(pod, self.census))

    def displace(self, key: str, tell: bool = True) -> None:
        """A pod holds no node any more."""
        self._forget_homeless(key)
        placed = self.census.placed.get(key)
        if placed is None:
            return
        self.version += 1
        row = self._unsettle(placed)
        if tell:
            self._told(hints.ON_POD_LEAVING, hints.pod_left(placed, row.node, self.census, self.admits))

    def _same(self, placed: Placed, pod: Pod) -> bool:
        """Whether a change of a placed pod changes nothing here but the object; if so, it is taken over."""
        old = placed.pod
        if pod.metadata is not old.metadata and pod.metadata.labels != old.metadata.labels:
            return False
        if pod.spec is not old.spec and pod.spec != old.spec:
            return False
        if pod.status.container_statuses is not old.status.container_statuses and _resized(pod, placed):
            return False
        if pod.metadata.deletion_timestamp and not old.metadata.deletion_timestamp:
            self.version += 1
            self.census.leaves(placed, pod)
        placed.pod = pod
        return True

    def _forget_homeless(self, key: str) -> None:
        node = self._home.pop(key, None)
        if node is not None:
            del self._homeless[node][key]

    def _settle(self, row: Row, pod: Pod, mold: Mold) -> None:
        placed = Placed(pod, mold, _amounts(pod, mold), row.slot)
        row.pods[pod.key] = placed
        self.columns.take(row.slot, placed.amounts, mold.scored)
        self.census.add(placed)
        if mold.claims:
            self.volumes.attach(placed)

    def _unsettle(self, placed: Placed) -> Row:
        row = self.columns.rows[placed.slot]
        assert row is not None
        del row.pods[placed.pod.key]
        self.columns.take(placed.slot, placed.amounts, placed.mold.scored, -1)
        self.census.remove(placed)
        if placed.volumes:
            self.volumes.detach(placed)
        return row

    # The rest

    def csi_node(self, old: CSINode | None, new: CSINode | None) -> None:
        """What a node can attach changed."""
        self.version += 1
        name = (new or old).metadata.name  # type: ignore[union-attr]
        self.volumes.limits(name, new)
        self._told(("NodeVolumeLimits",), hints.claims_changed(None))

    def namespace(self, old: Namespace | None, new: Namespace | None) -> None:
        """A namespace came, went or was relabelled. That wakes no pod: it counts when one is tried the next time."""
        self.version += 1
        if new is None:
            assert old is not None
            self._namespaces.pop(old.name, None)
        else:
            labels = {"kubernetes.io/metadata.name": new.name, **new.metadata.labels}
            if self._namespaces.get(new.name) == labels:
                return
            self._namespaces[new.name] = labels
        self.census.namespaces_changed()

    def claims(self, claim: str | None) -> None:
        """A claim (None: a volume or a class) changed."""
        self.version += 1
        self._told(hints.ON_VOLUMES, hints.claims_changed(claim))


def _matters(old: Node, new: Node) -> bool:
    return (
        old.metadata.labels != new.metadata.labels
        or old.spec != new.spec
        or old.status.allocatable != new.status.allocatable
        or old.status.images != new.status.images
    )


def _better(old: Node, new: Node) -> bool:
    """Whether a node may take pods that it refused before."""
    return (
        old.metadata.labels != new.metadata.labels
        or old.spec.taints != new.spec.taints
        or (old.spec.unschedulable and not new.spec.unschedulable)
        or old.status.allocatable != new.status.allocatable
    )


def _amounts(pod: Pod, mold: Mold) -> tuple[tuple[str, int], ...]:
    """What a placed pod takes; a resize that is under way counts with the larger of both."""
    statuses = (*pod.status.container_statuses, *pod.status.init_container_statuses)
    if not any(s.resources is not None or s.allocated_resources for s in statuses):
        return mold.amounts
    return tuple(sorted((n, a) for n, a in pod_requests(pod.spec, pod.status).items() if a > 0))


def _resized(pod: Pod, placed: Placed) -> bool:
    return _amounts(pod, placed.mold) != placed.amounts
