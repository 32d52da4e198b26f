"""All topology groups of a pass: made from the pods' constraints, filled with the pods that run already.

Source: Karpenter v1.14 pkg/controllers/provisioning/scheduling topology.go.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

from fretsaw.api.affinity import PodAffinityTerm, Toleration, TopologySpreadConstraint
from fretsaw.api.labels import HOSTNAME, normalize
from fretsaw.api.meta import LabelSelector, SelectorExpression
from fretsaw.api.node import Taint
from fretsaw.api.policy import Namespace
from fretsaw.engine.groups import AFFINITY, ANTI_AFFINITY, EVERY_NODE, SPREAD, Group, GroupKey, NodeFilter
from fretsaw.engine.requirements import Requirements
from fretsaw.engine.taints import untolerated
from fretsaw.engine.wishes import Wishes

NO_SKEW = 2**31 - 1


class Domains:
    """The domains that pools can make: for each label key its values, each with the taints of its pools."""

    def __init__(self, source: Callable[[str], Iterable[tuple[str, tuple[Taint, ...]]]] | None = None) -> None:
        """source: gives the (value, taints) of a key when it is first asked for."""
        self._source = source
        self._asked: set[str] = set()
        self._values: dict[str, dict[str, list[tuple[Taint, ...]]]] = defaultdict(dict)

    def insert(self, key: str, value: str, taints: tuple[Taint, ...]) -> None:
        """Note that a pool with these taints can make nodes with `key=value`."""
        known = self._values[key].setdefault(value, [])
        if taints not in known:
            known.append(taints)

    def of(self, key: str, tolerations: Sequence[Toleration] | None) -> frozenset[str]:
        """The values of `key`; with tolerations given, only where a pool's taints are tolerated."""
        if self._source is not None and key not in self._asked:
            self._asked.add(key)
            for value, taints in self._source(key):
                self.insert(key, value, taints)
        return frozenset(
            value
            for value, pools in self._values.get(key, {}).items()
            if tolerations is None or any(untolerated(taints, tolerations) is None for taints in pools)
        )


class Running(msgspec.Struct, frozen=True):
    """A pod that has a node already, as far as topology is concerned."""

    namespace: str
    labels: Mapping[str, str]
    wishes: Wishes
    node: str
    terminating: bool = False


class Host(msgspec.Struct, frozen=True):
    """A node of the cluster, as far as topology is concerned."""

    name: str
    hostname: str
    labels: Mapping[str, str]
    requirements: Requirements
    taints: tuple[Taint, ...]
    bit: int = 0
    """Its place among the nodes that may take pods; 0 where it may not."""
    target: bool = True


class Owned(msgspec.Struct, frozen=True):
    """The groups that one pod's constraints made, and those that keep others away from it.

    `by_constraint` goes by the identity of the constraint object, which a relaxed pod still shares with the original.
    """

    by_constraint: Mapping[int, Group]
    inverse: tuple[Group, ...]

    def still(self, wishes: Wishes) -> tuple[Group, ...]:
        """The groups of the constraints that are left in `wishes`, without repetition."""
        left = (
            *wishes.spreads,
            *wishes.affinity,
            *wishes.preferred_affinity,
            *wishes.anti_affinity,
            *wishes.preferred_anti_affinity,
        )
        return tuple(dict.fromkeys(self.by_constraint[id(constraint)] for constraint in left))


class GroupSet:
    """Groups by their key, filed under one of their exact labels: a pod is not held against every group."""

    def __init__(self) -> None:
        self._by_key: dict[GroupKey, Group] = {}
        self._by_label: dict[tuple[str, str], list[Group]] = {}
        self._others: list[Group] = []

    def __iter__(self) -> Iterator[Group]:
        return iter(self._by_key.values())

    def __len__(self) -> int:
        return len(self._by_key)

    def of(self, spec: GroupKey, selector: LabelSelector | None) -> Group:
        """The group of this key, made where it is new."""
        group = self._by_key.get(spec)
        if group is None:
            group = self._by_key[spec] = Group(spec, selector, len(self._by_key))
            where = self._by_label.setdefault(spec.labels[0], []) if spec.labels else self._others
            where.append(group)
        return group

    def selecting(self, namespace: str, labels: Mapping[str, str]) -> tuple[Group, ...]:
        """The groups that count a pod with these labels."""
        filed = [g for pair in sorted(labels.items()) for g in self._by_label.get(pair, ())]
        return tuple(g for g in (*filed, *self._others) if g.selects(namespace, labels))


class Topology:
    """Every group of the pass. Call `own` for all pods first, then `count_running`, then schedule."""

    def __init__(self, domains: Domains, namespaces: Iterable[Namespace]) -> None:
        self._domains = domains
        self._namespaces = tuple((n.metadata.name, n.metadata.labels) for n in namespaces)
        self._groups = GroupSet()
        self._inverse = GroupSet()
        self._saved: list[tuple[Group, tuple[dict[str, int], bool, list[int], list[int], list[int]]]] = []

    def own(self, wishes: Wishes, namespace: str, labels: Mapping[str, str]) -> Owned:
        """The groups of a pod's constraints, made where they are new."""
        made = {id(s): self._spread(s, wishes, namespace, labels) for s in wishes.spreads}
        for term in (*wishes.affinity, *wishes.preferred_affinity):
            made[id(term)] = self._term(AFFINITY, term, wishes.tolerations, namespace)
        for term in (*wishes.anti_affinity, *wishes.preferred_anti_affinity):
            made[id(term)] = self._term(ANTI_AFFINITY, term, wishes.tolerations, namespace)
        inverse = tuple(self._inverse_term(t, wishes.tolerations, namespace) for t in wishes.anti_affinity)
        return Owned(made, inverse)

    def selecting(self, namespace: str, labels: Mapping[str, str]) -> tuple[Group, ...]:
        """The groups that count a pod with these labels."""
        return self._groups.selecting(namespace, labels)

    def shunning(self, namespace: str, labels: Mapping[str, str]) -> tuple[Group, ...]:
        """The groups of pods that want no pod with these labels near them."""
        return self._inverse.selecting(namespace, labels)

    def count_running(self, pods: Iterable[Running], hosts: Iterable[Host]) -> None:
        """Register the nodes' domains and count the pods that have a node already."""
        by_name = {host.name: host for host in hosts}
        targets = [host for _, host in sorted(by_name.items()) if host.target]
        for group in self._groups:
            for host in targets:
                if group.key in host.labels and group.spec.node_filter.matches(host.taints, host.requirements):
                    group.register(host.labels[group.key])
        for pod in pods:
            where = by_name.get(pod.node)
            if where is not None:
                self._count(pod, where)
        self._saved = [(g, g.saved()) for g in (*self._groups, *self._inverse)]

    @property
    def counts(self) -> bool:
        """Whether anything is counted, so that it matters which pods run."""
        return bool(self._groups) or bool(self._inverse)

    def reset(self) -> None:
        """Count only the pods that ran before the pass."""
        for group, saved in self._saved:
            group.restore(saved)

    def keys(self) -> tuple[str, ...]:
        """The topology keys in use, apart from the host name, sorted."""
        used = {g.key for g in (*self._groups, *self._inverse)}
        return tuple(sorted(used - {HOSTNAME}))

    def _count(self, pod: Running, host: Host) -> None:
        for term in pod.wishes.anti_affinity:
            group = self._inverse_term(term, pod.wishes.tolerations, pod.namespace)
            _record(group, host)
        if pod.terminating:
            return
        for group in self._counting(pod):
            if group.spec.node_filter.matches(host.taints, host.requirements):
                _record(group, host)

    def _counting(self, pod: Running) -> Iterable[Group]:
        """Groups that count a running pod; without a selector all pods of the namespace count, as with the peer."""
        yield from self.selecting(pod.namespace, pod.labels)
        for group in self._groups:
            if group.spec.selects_nothing and pod.namespace in group.spec.namespaces:
                yield group

    def _spread(
        self, constraint: TopologySpreadConstraint, wishes: Wishes, namespace: str, labels: Mapping[str, str]
    ) -> Group:
        honor_taints = constraint.node_taints_policy == "Honor"
        node_filter = NodeFilter(
            alternatives=wishes.alternatives() if constraint.node_affinity_policy != "Ignore" else (Requirements(),),
            tolerations=wishes.tolerations if honor_taints else None,
        )
        selector = _with_label_keys(constraint.label_selector, constraint.match_label_keys, labels)
        spec = self._spec(
            SPREAD,
            constraint.topology_key,
            frozenset((namespace,)),
            selector,
            wishes.tolerations if honor_taints else None,
            constraint.max_skew,
            constraint.min_domains,
            node_filter,
        )
        return self._groups.of(spec, selector)

    def _term(self, kind: str, term: PodAffinityTerm, tolerations: Sequence[Toleration], namespace: str) -> Group:
        return self._groups.of(self._term_spec(kind, term, tolerations, namespace), term.label_selector)

    def _inverse_term(self, term: PodAffinityTerm, tolerations: Sequence[Toleration], namespace: str) -> Group:
        return self._inverse.of(self._term_spec(ANTI_AFFINITY, term, tolerations, namespace), term.label_selector)

    def _term_spec(
        self, kind: str, term: PodAffinityTerm, tolerations: Sequence[Toleration], namespace: str
    ) -> GroupKey:
        return self._spec(kind, term.topology_key, self._spaces(term, namespace), term.label_selector, tolerations)

    def _spec(
        self,
        kind: str,
        key: str,
        namespaces: frozenset[str],
        selector: LabelSelector | None,
        tolerations: Sequence[Toleration] | None,
        max_skew: int = NO_SKEW,
        min_domains: int | None = None,
        node_filter: NodeFilter = EVERY_NODE,
    ) -> GroupKey:
        chosen = selector or LabelSelector()
        name = normalize(key)
        return GroupKey(
            kind=kind,
            key=name,
            namespaces=namespaces,
            labels=tuple(sorted(chosen.match_labels.items())),
            expressions=tuple(sorted({(e.key, e.operator, tuple(sorted(e.values))) for e in chosen.match_expressions})),
            selects_nothing=selector is None,
            max_skew=max_skew,
            min_domains=min_domains,
            node_filter=node_filter,
            domains=frozenset() if name == HOSTNAME else self._domains.of(name, tolerations),
        )

    def _spaces(self, term: PodAffinityTerm, namespace: str) -> frozenset[str]:
        """The namespaces that a term looks at: its list and those selected, or else the pod's own."""
        if term.namespace_selector is None:
            return frozenset(term.namespaces or (namespace,))
        selected = (name for name, labels in self._namespaces if term.namespace_selector.matches(labels))
        return frozenset((*selected, *term.namespaces))


def _with_label_keys(
    selector: LabelSelector | None, keys: Iterable[str], labels: Mapping[str, str]
) -> LabelSelector | None:
    added = tuple(SelectorExpression(key, "In", (labels[key],)) for key in keys if key in labels)
    if selector is None or not added:
        return selector
    return LabelSelector(selector.match_labels, (*selector.match_expressions, *added))


def _record(group: Group, host: Host) -> None:
    if group.key == HOSTNAME:
        group.record_host(host.hostname, 0, host.bit)
    elif group.key in host.labels:
        group.record(host.labels[group.key])
