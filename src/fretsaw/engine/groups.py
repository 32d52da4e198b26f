"""A topology group: where the pods that one selector matches lie, and where the next one may go.

Spread, affinity and anti-affinity constraints with the same key, selector and namespaces share one group, so that a
thousand equal pods are counted once. Groups of the host name count nodes as bit masks, since there every node is a
domain of its own; all others count by label value.

Source: Karpenter v1.14 pkg/controllers/provisioning/scheduling topologygroup.go, topologynodefilter.go;
kubernetes.io, Pod Topology Spread Constraints.
Differs: groups differ by `minDomains` and by the values of their node filter, which the peer's hash does not see, and a
self-affine pod starts in one domain instead of up to two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from fretsaw.api.affinity import Toleration
from fretsaw.api.labels import HOSTNAME
from fretsaw.api.meta import LabelSelector
from fretsaw.api.node import Taint
from fretsaw.engine.requirement import Requirement
from fretsaw.engine.requirements import EMPTY, Requirements
from fretsaw.engine.taints import untolerated

SPREAD, AFFINITY, ANTI_AFFINITY = "topology spread", "pod affinity", "pod anti-affinity"
NODES, OPEN = 0, 1
"""The two spaces of places: nodes that exist, and nodes that this plan opens."""


class NodeFilter(msgspec.Struct, frozen=True):
    """Which nodes count for a spread: those that the pod could use, by its affinity and (if asked) its tolerations."""

    alternatives: tuple[Requirements, ...] = (EMPTY,)
    tolerations: tuple[Toleration, ...] | None = None
    """None: taints do not matter (nodeTaintsPolicy Ignore)."""

    def matches(self, taints: Iterable[Taint], requirements: Requirements) -> bool:
        """Whether a node with these labels, or a planned one with these requirements, counts."""
        if self.tolerations is not None and untolerated(taints, self.tolerations) is not None:
            return False
        return any(requirements.conflict(wanted) is None for wanted in self.alternatives)

    @property
    def trivial(self) -> bool:
        """Whether every node counts."""
        return self.tolerations is None and any(not len(a) for a in self.alternatives)


EVERY_NODE = NodeFilter()


class GroupKey(msgspec.Struct, frozen=True):
    """What makes two constraints one group."""

    kind: str
    key: str
    namespaces: frozenset[str]
    labels: tuple[tuple[str, str], ...]
    expressions: tuple[tuple[str, str, tuple[str, ...]], ...]
    selects_nothing: bool
    max_skew: int
    min_domains: int | None
    node_filter: NodeFilter
    domains: frozenset[str]
    """The domains that exist at the start, which depend on the taints that the pod tolerates."""


class Group:
    """Counts of matching pods by domain. `record` is the only writer during a pass."""

    __slots__ = (
        "_memo",
        "any_pod",
        "counts",
        "full",
        "key",
        "max_skew",
        "number",
        "occupied",
        "over",
        "selector",
        "spec",
    )

    def __init__(self, spec: GroupKey, selector: LabelSelector | None, number: int = 0) -> None:
        """number: tells groups apart in an order that is the same every time."""
        self.spec = spec
        self.number = number
        self.key = spec.key
        self.selector = selector
        self.max_skew = spec.max_skew
        self.counts: dict[str, int] = dict.fromkeys(sorted(spec.domains), 0)
        self.any_pod = False
        self.occupied = [0, 0]
        """Places (per space) with a matching pod; only for the host name, like the next two."""
        self.full = [0, 0]
        """Places with `max_skew` matching pods or more: no room for one that matches."""
        self.over = [0, 0]
        """Places with more than `max_skew`: no room even for one that does not match."""
        self._memo: dict[tuple[bool, Requirement | None, Requirement], tuple[Requirement, ...]] = {}

    def saved(self) -> tuple[dict[str, int], bool, list[int], list[int], list[int]]:
        """The counts as they are, for `restore`."""
        return dict(self.counts), self.any_pod, list(self.occupied), list(self.full), list(self.over)

    def restore(self, saved: tuple[dict[str, int], bool, list[int], list[int], list[int]]) -> None:
        """The counts as they were."""
        counts, self.any_pod, occupied, full, over = saved
        self.counts, self.occupied, self.full, self.over = dict(counts), list(occupied), list(full), list(over)
        self._memo.clear()

    def selects(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Whether a pod with these labels is one of those that are counted."""
        return self.selector is not None and namespace in self.spec.namespaces and self.selector.matches(labels)

    def register(self, domain: str) -> None:
        """Note that a domain exists, without a pod."""
        if domain not in self.counts:
            self.counts[domain] = 0
            self._memo.clear()

    def record(self, domain: str) -> None:
        """Count one more pod in a domain."""
        self.counts[domain] = self.counts.get(domain, 0) + 1
        self.any_pod = True
        self._memo.clear()

    def record_host(self, host: str, space: int, bit: int) -> None:
        """Count one more pod on a place; `bit` is 0 for a node that takes no pods of this plan."""
        count = self.counts[host] = self.counts.get(host, 0) + 1
        self.any_pod = True
        self.occupied[space] |= bit
        if count >= self.max_skew:
            self.full[space] |= bit
        if count > self.max_skew:
            self.over[space] |= bit

    def hosts(self, space: int, places: int, *, matches: bool) -> int:
        """The places among `places` that have room for one more pod; matches: whether the pod itself will count."""
        match self.spec.kind:
            case "topology spread":
                return places & ~(self.full if matches else self.over)[space]
            case "pod affinity":
                return places & self.occupied[space] if self.any_pod else places if matches else 0
        return places & ~self.occupied[space]

    def options(self, *, matches: bool, pod: Requirement | None, node: Requirement) -> tuple[Requirement, ...]:
        """The ways to narrow a node's domains so that the pod may go there, the preferred first; empty: it may not.

        matches: whether the pod itself will count; pod: the domains that its own spec requires (None: any);
        node: the domains that the node may be in.
        """
        question = (matches, pod, node)
        known = self._memo.get(question)
        if known is None:
            match self.spec.kind:
                case "topology spread":
                    known = self._spread(matches, pod, node)
                case "pod affinity":
                    known = self._affinity(matches, pod, node)
                case _:
                    known = self._anti_affinity(pod, node)
            self._memo[question] = known
        return known

    def _spread(self, matches: bool, pod: Requirement | None, node: Requirement) -> tuple[Requirement, ...]:
        minimum = self._minimum(pod)
        most = self.max_skew + minimum - matches
        valid = {domain: count for domain, count in self.counts.items() if count <= most and node.has(domain)}
        if not valid:
            return ()
        least = min(valid.values())
        return tuple(Requirement(self.key, (d,)) for d in sorted(valid) if valid[d] == least)

    def _minimum(self, pod: Requirement | None) -> int:
        """The count of the emptiest domain that the pod could use; 0 while there are fewer than `minDomains`."""
        usable = [count for domain, count in self.counts.items() if pod is None or pod.has(domain)]
        if self.spec.min_domains is not None and len(usable) < self.spec.min_domains:
            return 0
        return min(usable, default=0)

    def _affinity(self, matches: bool, pod: Requirement | None, node: Requirement) -> tuple[Requirement, ...]:
        reachable = [d for d in self.counts if pod is None or pod.has(d)]
        populated = [d for d in reachable if self.counts[d]]
        near = [d for d in populated if node.has(d)]
        if near:
            return (Requirement(self.key, near),)
        if not matches or populated:
            return ()
        return tuple(Requirement(self.key, (d,)) for d in sorted(reachable) if node.has(d))

    def _anti_affinity(self, pod: Requirement | None, node: Requirement) -> tuple[Requirement, ...]:
        empty = [d for d, count in self.counts.items() if not count and node.has(d) and (pod is None or pod.has(d))]
        return (Requirement(self.key, empty),) if empty else ()

    def explain(self, pod: Requirement | None, node: Requirement | None) -> str:
        """One line: why no domain was left."""
        shown = ", ".join(f"{d}: {c}" for d, c in sorted(self.counts.items())[:5]) or "none"
        if self.key == HOSTNAME:
            return f"{self.spec.kind} over {self.key}: it needs a matching pod on its node, and a new node has none"
        wanted = f", the pod allows {pod}" if pod is not None else ""
        offered = f", the node allows {node}" if node is not None else ""
        return f"{self.spec.kind} over {self.key} leaves no domain (pods per domain {shown}{wanted}{offered})"
