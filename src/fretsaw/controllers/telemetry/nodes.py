"""Metrics of nodes: registered, drained, ended; what each offers and what its pods ask for.

What is told of a node is made once and kept until the node, its claim or its pods change: a page of many nodes is
mostly a matter of putting known lines together.

Source: Karpenter v1.14 pkg/metrics, pkg/controllers/node/termination, pkg/controllers/metrics/node.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec
from msgspec.structs import replace

from fretsaw.api.labels import NODEPOOL, WELL_KNOWN, ZONE
from fretsaw.api.meta import Object
from fretsaw.api.node import Node
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.pod import Container, Pod, PodSpec, ResourceRequirements
from fretsaw.api.resources import units
from fretsaw.api.times import DAY, HOUR, MINUTE, SECOND, Millis
from fretsaw.controllers.telemetry.changes import became_true, lost_finalizers, since
from fretsaw.controllers.telemetry.families import Counter, Family, Histogram, Summary, inner, line, seconds
from fretsaw.controllers.telemetry.group import Group, Told
from fretsaw.controllers.telemetry.words import amount, resource_type
from fretsaw.engine.lifecycle import TERMINATION
from fretsaw.engine.machines import Machine
from fretsaw.engine.pdbs import owned_by
from fretsaw.engine.requests import Amounts, add, pod_requests
from fretsaw.engine.state import ClusterState

LIFETIMES = tuple(
    span / SECOND
    for span in (
        *(n * MINUTE for n in (15, 30, 45)),
        *(n * HOUR for n in (1, 2, 4, 6, 8, 10, 12, 16, 20)),
        *(n * DAY for n in (1, 2, 3, 5, 10, 15, 20, 25, 30)),
    )
)
KEYS = {key.rpartition("/")[2].lower().replace("-", "_"): key for key in sorted(WELL_KNOWN)}
"""Well-known label by the name of the metric's label. Of two with one name the last counts; there is no such pair."""
NODE = (*KEYS, "node_name", "phase", "managed")
"""Labels of what is told of a node."""
RESOURCE = (*NODE, "resource_type")

CREATED = Family("karpenter_nodes_created_total", "counter", ("nodepool", "zone"), "Nodes that have registered.")
TERMINATED = Family("karpenter_nodes_terminated_total", "counter", ("nodepool", "zone"), "Nodes that ended.")
DRAINED = Family("karpenter_nodes_drained_total", "counter", ("nodepool",), "Nodes that were drained.")
TERMINATION_DURATION = Family(
    "karpenter_nodes_termination_duration_seconds",
    "summary",
    ("nodepool",),
    "From the deletion of a node until it was gone.",
)
LIFETIME = Family(
    "karpenter_nodes_lifetime_duration_seconds",
    "histogram",
    ("nodepool",),
    "How old nodes became.",
    LIFETIMES,
)
ALLOCATABLE = Family("karpenter_nodes_allocatable", "gauge", RESOURCE, "What pods may use of a node.")
REQUESTS = Family("karpenter_nodes_total_pod_requests", "gauge", RESOURCE, "What a node's pods ask for, daemons too.")
LIMITS = Family("karpenter_nodes_total_pod_limits", "gauge", RESOURCE, "The limits of a node's pods, daemons too.")
DAEMON_REQUESTS = Family(
    "karpenter_nodes_total_daemon_requests", "gauge", RESOURCE, "What a node's DaemonSet pods ask for."
)
DAEMON_LIMITS = Family("karpenter_nodes_total_daemon_limits", "gauge", RESOURCE, "The limits of its DaemonSet pods.")
OVERHEAD = Family("karpenter_nodes_system_overhead", "gauge", RESOURCE, "A node's capacity less its allocatable.")
AGE = Family("karpenter_nodes_current_lifetime_seconds", "gauge", NODE, "How old a node is.")
UTILIZATION = Family(
    "karpenter_cluster_utilization_percent",
    "gauge",
    ("resource_type",),
    "What all pods on nodes ask for, in percent of what all nodes offer.",
)
AMOUNTS = (ALLOCATABLE, REQUESTS, LIMITS, DAEMON_REQUESTS, DAEMON_LIMITS, OVERHEAD)


class _Page(msgspec.Struct):
    """What is told of one node until something of it changes."""

    machine: Machine
    labels: str
    born: Millis
    lines: tuple[list[str], ...]
    """For each family of AMOUNTS."""
    allocatable: Amounts
    requests: Amounts


class Nodes(Group):
    """Counts nodes, and tells what they are full of."""

    title = "Nodes"
    families = (CREATED, TERMINATED, DRAINED, TERMINATION_DURATION, LIFETIME, *AMOUNTS, AGE, UTILIZATION)

    def __init__(self) -> None:
        self.created = Counter(CREATED)
        self.terminated = Counter(TERMINATED)
        self.drained = Counter(DRAINED)
        self.termination = Summary(TERMINATION_DURATION)
        self.lifetime = Histogram(LIFETIME)
        self.stores = (self.created, self.terminated, self.drained, self.termination, self.lifetime)
        self._pages: dict[str, _Page] = {}
        self._asked: dict[str, tuple[PodSpec, Amounts, Amounts]] = {}
        """Requests and limits of each pod on a node."""

    def changed(self, at: Millis, old: Object | None, new: Object | None, state: ClusterState) -> None:
        """Count what became of a node."""
        match new if new is not None else old:
            case NodeClaim() as claim:
                self._claim(old, new, claim)
            case Node() as node if TERMINATION in lost_finalizers(old, new):
                self._ended(at, node)
            case Pod() as pod if new is None:
                self._asked.pop(pod.key, None)

    def _claim(self, old: Object | None, new: Object | None, claim: NodeClaim) -> None:
        before = old if isinstance(old, NodeClaim) else None
        after = new if isinstance(new, NodeClaim) else None
        pool = claim.metadata.labels.get(NODEPOOL, "")
        if became_true(before, after, "Registered"):
            self.created.add(pool, claim.metadata.labels.get(ZONE, ""))
        if became_true(before, after, "Drained"):
            self.drained.add(pool)

    def _ended(self, at: Millis, node: Node) -> None:
        pool = node.metadata.labels.get(NODEPOOL, "")
        self.terminated.add(pool, node.metadata.labels.get(ZONE, ""))
        self.termination.observe(at, seconds(since(node.metadata.deletion_timestamp, at), at), pool)
        self.lifetime.observe(seconds(since(node.metadata.creation_timestamp, at), at), pool)

    # Gauges

    def gauges(self, now: Millis, state: ClusterState) -> Iterator[Told]:
        """Every node, those that nobody manages too."""
        pages = self._renewed(state, now)
        for i, family in enumerate(AMOUNTS):
            yield family, (text for page in pages for text in page.lines[i])
        yield AGE, (line(AGE.name, page.labels, seconds(page.born, now)) for page in pages)
        yield UTILIZATION, _utilization(pages)

    def _renewed(self, state: ClusterState, now: Millis) -> list[_Page]:
        known, self._pages = self._pages, {}
        for name, machine in state.machines.items():
            if machine.node is not None:
                page = known.get(name)
                fresh = page is None or page.machine is not machine
                self._pages[name] = self._page(machine, machine.node, now) if fresh or page is None else page
        return list(self._pages.values())

    def _page(self, machine: Machine, node: Node, now: Millis) -> _Page:
        labels = inner(NODE, _labels(machine, node))
        allocatable = _amounts(node.status.allocatable)
        requests, limits, daemon_requests, daemon_limits = self._sums(machine.pods)
        overhead = {r: total - allocatable.get(r, 0) for r, total in _amounts(node.status.capacity).items()}
        told = (allocatable, requests, limits, daemon_requests, daemon_limits, overhead)
        lines = tuple(list(_lines(family, labels, what)) for family, what in zip(AMOUNTS, told, strict=True))
        return _Page(machine, labels, since(node.metadata.creation_timestamp, now), lines, allocatable, requests)

    def _sums(self, pods: Iterable[Pod]) -> tuple[Amounts, Amounts, Amounts, Amounts]:
        requests: Amounts = {}
        limits: Amounts = {}
        daemon_requests: Amounts = {}
        daemon_limits: Amounts = {}
        for pod in pods:
            if pod.is_terminal:
                continue
            asked, limited = self._of(pod)
            add(requests, asked)
            add(limits, limited)
            if owned_by(pod, "DaemonSet"):
                add(daemon_requests, asked)
                add(daemon_limits, limited)
        return requests, limits, daemon_requests, daemon_limits

    def _of(self, pod: Pod) -> tuple[Amounts, Amounts]:
        known = self._asked.get(pod.key)
        if known is None or known[0] is not pod.spec:
            known = self._asked[pod.key] = (pod.spec, pod_requests(pod.spec), pod_limits(pod.spec))
        return known[1], known[2]


def _labels(machine: Machine, node: Node) -> Iterator[str]:
    own = node.metadata.labels
    yield from (own.get(key, "") for key in KEYS.values())
    yield from (node.metadata.name, "", "true" if machine.claim is not None else "false")


def _amounts(quantities: Mapping[str, str | int | float]) -> Amounts:
    return {resource: units(resource, text, up=False) for resource, text in quantities.items()}


def _lines(family: Family, labels: str, amounts: Amounts) -> Iterator[str]:
    for resource, base in amounts.items():
        yield line(family.name, f'{labels},resource_type="{resource_type(resource)}"', amount(resource, base))


def _utilization(pages: Iterable[_Page]) -> Iterator[str]:
    offered: Amounts = {}
    asked: Amounts = {}
    for page in pages:
        add(offered, page.allocatable)
        add(asked, page.requests)
    for resource, total in offered.items():
        if total:
            labels = inner(UTILIZATION.labels, (resource_type(resource),))
            yield line(UTILIZATION.name, labels, 100 * asked.get(resource, 0) / total)


def pod_limits(spec: PodSpec) -> Amounts:
    """What a pod may use at most, by resource that has a limit, with one `pods` slot: as requests are added up.

    Overhead counts only for what is limited. Source: Kubernetes component-helpers resource.PodLimits.
    """
    pod_level = spec.resources
    as_requests = replace(
        spec,
        containers=tuple(_limited(c) for c in spec.containers),
        init_containers=tuple(_limited(c) for c in spec.init_containers),
        resources=ResourceRequirements(requests=pod_level.limits) if pod_level is not None else None,
        overhead={},
    )
    found = pod_requests(as_requests)
    for resource, text in spec.overhead.items():
        if found.get(resource):
            found[resource] += units(resource, text)
    return found


def _limited(container: Container) -> Container:
    """The container as if it asked for what it may use."""
    return replace(container, resources=ResourceRequirements(requests=container.resources.limits))
