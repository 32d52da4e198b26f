"""Topology the plain way: for each constraint, count the log of placements anew, then say which domains are left."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from fretsaw.api.affinity import PodAffinityTerm, Toleration, TopologySpreadConstraint
from fretsaw.api.labels import HOSTNAME, normalize
from fretsaw.api.meta import LabelSelector, SelectorExpression
from fretsaw.api.node import Taint
from fretsaw.api.pod import Pod
from fretsaw.engine.cluster import Cluster
from fretsaw.engine.nodes import StateNode
from support import plain_requirements as rq
from support.plain_wishes import Wishes, tolerated, wishes_of

SPREAD, NEAR, FAR = "spread", "near", "far"


def namespace_of(pod: Pod) -> str:
    """The pod's namespace."""
    return pod.metadata.home


@dataclass
class Entry:
    """A pod that this pass has placed, with the node as it was right after."""

    pod: Pod
    wishes: Wishes
    hostname: str
    taints: tuple[Taint, ...]
    needs: rq.Needs


@dataclass(frozen=True)
class Constraint:
    """One spread or one term, ready to be counted."""

    kind: str
    key: str
    namespaces: frozenset[str]
    selector: LabelSelector | None
    max_skew: int = 0
    min_domains: int | None = None
    ways: tuple[rq.Needs, ...] = field(default=({},), hash=False)
    filter_taints: tuple[Toleration, ...] | None = None
    domain_taints: tuple[Toleration, ...] | None = None

    def selects(self, pod: Pod) -> bool:
        """Whether a pod counts."""
        chosen = self.selector is not None and self.selector.matches(pod.metadata.labels)
        return chosen and namespace_of(pod) in self.namespaces

    def looks_at(self, taints: tuple[Taint, ...], needs: rq.Needs) -> bool:
        """Whether a node's pods count."""
        if self.filter_taints is not None and not tolerated(taints, self.filter_taints):
            return False
        return any(rq.conflict(needs, way) is None for way in self.ways)


@dataclass
class Counts:
    """Matching pods by domain; `seen` also when they are in no domain that is known."""

    by_domain: dict[str, int]

    def add(self, domain: str) -> None:
        """One more pod."""
        self.by_domain[domain] = self.by_domain.get(domain, 0) + 1


class Topology:
    """What runs, what was placed, and the domains that pools can make."""

    def __init__(
        self,
        cluster: Cluster,
        states: Sequence[StateNode],
        batch: Sequence[Pod],
        domains: Sequence[tuple[str, str, tuple[Taint, ...]]],
    ) -> None:
        self.namespaces = {n.metadata.name: dict(n.metadata.labels) for n in cluster.namespaces}
        self.states = {s.node_name: s for s in states if s.node_name}
        self.domains = domains
        self.log: list[Entry] = []
        waiting = {p.key for p in batch}
        self.running = [
            p for p in cluster.pods if p.spec.node_name in self.states and not p.is_terminal and p.key not in waiting
        ]
        self.shy = [
            constraint
            for pod in (*batch, *self.running)
            for constraint in self._terms(FAR, wishes_of(pod.spec).far, pod)
        ]

    def narrowed(
        self,
        pod: Pod,
        wishes: Wishes,
        original: Wishes,
        base: rq.Needs,
        hostname: str,
        may_be_absent: Collection[str] | None,
    ) -> Iterator[rq.Needs]:
        """The needs that a node would have with the pod, for each choice of domains that is left.

        may_be_absent: keys that a new node may still get; None for a node that exists.
        """
        allowed: dict[str, list[list[tuple[str, ...]]]] = {}
        for constraint, counts in self._all(pod, wishes, original):
            if constraint.key == HOSTNAME:
                if not _host_allowed(constraint, counts, hostname, matches=constraint.selects(pod)):
                    return
                continue
            if constraint.key not in base and (may_be_absent is None or constraint.key not in may_be_absent):
                return
            wanted = wishes.strict().get(constraint.key, ())
            options = _options(
                constraint, counts, wanted, base.get(constraint.key, ()), matches=constraint.selects(pod)
            )
            allowed.setdefault(constraint.key, []).append(options)
        keys = sorted(allowed)
        for choice in itertools.product(*(_together(allowed[key]) for key in keys)):
            yield rq.merged(base, {k: (("In", values),) for k, values in zip(keys, choice, strict=True)})

    def _all(self, pod: Pod, wishes: Wishes, original: Wishes) -> Iterator[tuple[Constraint, Counts]]:
        """The pod's own constraints as they are left, and those of pods that want it away."""
        for spread in wishes.spreads:
            constraint = _spread(spread, original, pod)
            yield constraint, self._count(constraint)
        for constraint in self._terms(NEAR, (*wishes.near, *wishes.preferred_near), pod):
            yield constraint, self._count(constraint)
        for constraint in self._terms(FAR, (*wishes.far, *wishes.preferred_far), pod):
            yield constraint, self._count(constraint)
        for constraint in self.shy:
            if constraint.selects(pod):
                yield constraint, self._owners(constraint)

    def _terms(self, kind: str, terms: Iterable[PodAffinityTerm], pod: Pod) -> Iterator[Constraint]:
        for term in terms:
            if term.namespace_selector is None:
                spaces = set(term.namespaces) or {namespace_of(pod)}
            else:
                chosen = {n for n, labels in self.namespaces.items() if term.namespace_selector.matches(labels)}
                spaces = chosen | set(term.namespaces)
            key = normalize(term.topology_key)
            yield Constraint(kind, key, frozenset(spaces), term.label_selector, domain_taints=pod.spec.tolerations)

    def _start(self, constraint: Constraint) -> Counts:
        return Counts(
            {
                value: 0
                for key, value, taints in self.domains
                if key == constraint.key
                and key != HOSTNAME
                and (constraint.domain_taints is None or tolerated(taints, constraint.domain_taints))
            }
        )

    def _count(self, constraint: Constraint) -> Counts:
        """Pods that match, by domain: those that run, then those that were placed where the domain is settled."""
        counts = self._start(constraint)
        for state in self.states.values():
            if constraint.key in state.labels and constraint.looks_at(state.taints, rq.of_labels(state.labels)):
                counts.by_domain.setdefault(state.labels[constraint.key], 0)
        for pod in self.running:
            nil = constraint.selector is None and namespace_of(pod) in constraint.namespaces
            state = self.states[pod.spec.node_name]
            if pod.metadata.deletion_timestamp or not (nil or constraint.selects(pod)):
                continue
            if constraint.looks_at(state.taints, rq.of_labels(state.labels)):
                _add(counts, constraint.key, state)
        for entry in self.log:
            if constraint.selects(entry.pod) and constraint.looks_at(entry.taints, entry.needs):
                _add_entry(counts, constraint, entry)
        return counts

    def _owners(self, constraint: Constraint) -> Counts:
        """Pods that want others away by this very constraint, by every domain that they may be in."""
        counts = self._start(constraint)
        for pod in self.running:
            for other in self._terms(FAR, wishes_of(pod.spec).far, pod):
                if other == constraint:
                    _add(counts, constraint.key, self.states[pod.spec.node_name])
        for entry in self.log:
            for other in self._terms(FAR, entry.wishes.far, entry.pod):
                if other == constraint:
                    _add_entry(counts, constraint, entry)
        return counts


def _spread(spread: TopologySpreadConstraint, original: Wishes, pod: Pod) -> Constraint:
    selector = spread.label_selector
    added = [
        SelectorExpression(k, "In", (pod.metadata.labels[k],))
        for k in spread.match_label_keys
        if k in pod.metadata.labels
    ]
    if selector is not None and added:
        selector = LabelSelector(selector.match_labels, (*selector.match_expressions, *added))
    tolerations = original.tolerations if spread.node_taints_policy == "Honor" else None
    return Constraint(
        kind=SPREAD,
        key=normalize(spread.topology_key),
        namespaces=frozenset((namespace_of(pod),)),
        selector=selector,
        max_skew=spread.max_skew,
        min_domains=spread.min_domains,
        ways=tuple(original.ways()) if spread.node_affinity_policy != "Ignore" else ({},),
        filter_taints=tolerations,
        domain_taints=tolerations,
    )


def _add(counts: Counts, key: str, state: StateNode) -> None:
    if key == HOSTNAME:
        counts.add(state.hostname)
    elif key in state.labels:
        counts.add(state.labels[key])


def _add_entry(counts: Counts, constraint: Constraint, entry: Entry) -> None:
    """A placed pod counts where its node is sure to be; for those that want others away, wherever it may be."""
    if constraint.key == HOSTNAME:
        counts.add(entry.hostname)
        return
    values = rq.listed(entry.needs[constraint.key]) if constraint.key in entry.needs else None
    if values is not None and (constraint.kind == FAR or len(values) == 1):
        for value in values:
            counts.add(value)


def _host_allowed(constraint: Constraint, counts: Counts, hostname: str, *, matches: bool) -> bool:
    here = counts.by_domain.get(hostname, 0)
    if constraint.kind == SPREAD:
        return here + matches <= constraint.max_skew
    if constraint.kind == NEAR:
        return here > 0 or (matches and not any(counts.by_domain.values()))
    return here == 0


def _options(
    constraint: Constraint, counts: Counts, pod: rq.Rules, node: rq.Rules, *, matches: bool
) -> list[tuple[str, ...]]:
    """The sets of domains of which the node may be narrowed to one."""
    found = counts.by_domain
    mine = {d: n for d, n in found.items() if rq.has(pod, d)}
    if constraint.kind == SPREAD:
        least = min(mine.values(), default=0)
        if constraint.min_domains is not None and len(mine) < constraint.min_domains:
            least = 0
        valid = {d: n for d, n in found.items() if rq.has(node, d) and n + matches - least <= constraint.max_skew}
        return [(d,) for d in sorted(valid) if valid[d] == min(valid.values())]
    reachable = sorted(d for d in mine if rq.has(node, d))
    if constraint.kind == FAR:
        return [tuple(d for d in reachable if not mine[d])]
    if any(mine[d] for d in reachable):
        return [tuple(d for d in reachable if mine[d])]
    return [(d,) for d in reachable] if matches and not any(mine.values()) else []


def _together(groups: list[list[tuple[str, ...]]]) -> list[tuple[str, ...]]:
    """The choices that all constraints of one key admit."""
    found = []
    for combination in itertools.product(*groups):
        common = set(combination[0]).intersection(*combination[1:])
        if common:
            found.append(tuple(sorted(common)))
    return found
