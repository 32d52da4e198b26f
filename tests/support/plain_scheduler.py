"""The filters and scores of kube-scheduler in loops over nodes and pods: the twin of `fretsaw.sim.scheduler`.

Everything is worked out anew for every question, one node and one pod at a time. Volumes and images are left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fretsaw.api.affinity import NodeSelectorTerm, PodAffinity, PodAffinityTerm, Toleration, TopologySpreadConstraint
from fretsaw.api.meta import LabelSelector
from fretsaw.api.node import Node, Taint
from fretsaw.api.pod import Container, ContainerPort, Pod
from fretsaw.api.resources import units
from fretsaw.engine.requests import pod_requests

HOSTNAME = "kubernetes.io/hostname"
MIB = 1024**2


@dataclass
class Cluster:
    """Nodes, and pods by the name of the node that they are on."""

    nodes: Sequence[Node]
    pods: Sequence[Pod]

    def on(self, node: Node) -> list[Pod]:
        """The pods of a node."""
        return [pod for pod in self.pods if pod.spec.node_name == node.name]

    def feasible(self, pod: Pod) -> list[Node]:
        """Where the pod may go."""
        return [node for node in self.nodes if self._takes(node, pod)]

    def _takes(self, node: Node, pod: Pod) -> bool:
        return (
            (not node.spec.unschedulable or _tolerated(Taint("node.kubernetes.io/unschedulable", "NoSchedule"), pod))
            and not _untolerated(node, pod)
            and admits(pod, node)
            and self._has_room(node, pod)
            and self._ports_free(node, pod)
            and self._stays_even(node, pod)
            and self._suits(node, pod)
        )

    def _has_room(self, node: Node, pod: Pod) -> bool:
        asked = pod_requests(pod.spec)
        return all(amount <= room(node, name) - self._used(node, name) for name, amount in asked.items() if amount)

    def _used(self, node: Node, resource: str) -> int:
        return sum(pod_requests(other.spec).get(resource, 0) for other in self.on(node))

    def _ports_free(self, node: Node, pod: Pod) -> bool:
        return not any(
            mine.protocol == theirs.protocol
            and mine.host_port == theirs.host_port
            and (not mine.host_ip or not theirs.host_ip or mine.host_ip == theirs.host_ip)
            for mine in _ports(pod)
            for other in self.on(node)
            for theirs in _ports(other)
        )

    # Spreading

    def _stays_even(self, node: Node, pod: Pod) -> bool:
        hard = [c for c in pod.spec.topology_spread_constraints if c.when_unsatisfiable == "DoNotSchedule"]
        keyed = [n for n in self.nodes if all(c.topology_key in n.metadata.labels for c in hard)]
        for constraint in hard:
            domain = node.metadata.labels.get(constraint.topology_key)
            if domain is None:
                return False
            counts: dict[str, int] = {}
            for other in keyed:
                if _counts(constraint, other, pod):
                    value = other.metadata.labels[constraint.topology_key]
                    counts[value] = counts.get(value, 0) + self._matching(other, constraint.label_selector, pod)
            if not counts and (constraint.min_domains or 1) <= 0:
                continue
            least = 0 if len(counts) < (constraint.min_domains or 1) else min(counts.values())
            own = _selects(constraint.label_selector, pod)
            if counts.get(domain, 0) + own - least > constraint.max_skew:
                return False
        return True

    def _matching(self, node: Node, selector: LabelSelector | None, pod: Pod) -> int:
        return sum(
            other.metadata.namespace == pod.metadata.namespace
            and not other.metadata.deletion_timestamp
            and _selects(selector, other)
            for other in self.on(node)
        )

    # Company

    def _domain(self, node: Node, key: str) -> list[Pod]:
        """The pods in the node's domain; none where it has none."""
        value = node.metadata.labels.get(key)
        same = [n for n in self.nodes if value is not None and n.metadata.labels.get(key) == value]
        return [other for n in same for other in self.on(n)]

    def _suits(self, node: Node, pod: Pod) -> bool:
        seeks = _required(pod.spec.affinity.pod_affinity if pod.spec.affinity else None)
        shuns = _required(pod.spec.affinity.pod_anti_affinity if pod.spec.affinity else None)
        if any(_speaks(term, pod, other) for term in shuns for other in self._domain(node, term.topology_key)):
            return False
        for other in self.pods:
            for term in _required(other.spec.affinity.pod_anti_affinity if other.spec.affinity else None):
                if _speaks(term, other, pod) and other in self._domain(node, term.topology_key):
                    return False
        return not seeks or self._finds(node, pod, seeks)

    def _finds(self, node: Node, pod: Pod, seeks: Sequence[PodAffinityTerm]) -> bool:
        if not all(term.topology_key in node.metadata.labels for term in seeks):
            return False

        def friends(pods: Iterable[Pod]) -> list[Pod]:
            return [other for other in pods if all(_speaks(term, pod, other) for term in seeks)]

        if all(friends(self._domain(node, term.topology_key)) for term in seeks):
            return True
        anywhere = [
            f
            for n in self.nodes
            for f in friends(self.on(n))
            if any(t.topology_key in n.metadata.labels for t in seeks)
        ]
        return not anywhere and all(_speaks(term, pod, pod) for term in seeks)

    # Scores

    def scores(self, pod: Pod, nodes: Sequence[Node]) -> list[int]:
        """The weighted sum for each feasible node."""
        disliked = [_disliked(node, pod) for node in nodes]
        liked = [_liked(node, pod) for node in nodes]
        parts = [
            (3, [100 - part for part in _scaled(disliked)]),
            (2, _scaled(liked)),
            (2, self._spread_scores(pod, nodes)),
            (2, self._company_scores(pod, nodes)),
            (1, [self._least_allocated(node, pod) for node in nodes]),
            (1, [self._balanced(node, pod) for node in nodes]),
        ]
        return [sum(weight * part[index] for weight, part in parts) for index in range(len(nodes))]

    def _least_allocated(self, node: Node, pod: Pod) -> int:
        parts = []
        for index, name in enumerate(("cpu", "memory")):
            have = room(node, name)
            if have:
                used = sum(_scored(other)[index] for other in (*self.on(node), pod))
                parts.append((have - used) * 100 // have if used <= have else 0)
        return sum(parts) // len(parts) if parts else 0

    def _balanced(self, node: Node, pod: Pod) -> int:
        asked = pod_requests(pod.spec)
        if not asked.get("cpu") and not asked.get("memory"):
            return 0

        def even(extra: bool) -> int:
            shares = [
                min((self._used(node, name) + extra * asked.get(name, 0)) / have, 1.0)
                for name in ("cpu", "memory")
                if (have := room(node, name))
            ]
            return int((1 - (abs(shares[0] - shares[1]) / 2 if len(shares) == 2 else 0)) * 100)

        return 50 + (50 + even(True) - even(False)) // 2

    def _spread_scores(self, pod: Pod, nodes: Sequence[Node]) -> list[int]:
        soft = [c for c in pod.spec.topology_spread_constraints if c.when_unsatisfiable == "ScheduleAnyway"]
        keyed = [n for n in nodes if all(c.topology_key in n.metadata.labels for c in soft)]
        if not soft:
            return [0] * len(nodes)
        raw: dict[str, float] = {node.name: 0.0 for node in keyed}
        for constraint in soft:
            key = constraint.topology_key
            size = len(keyed) if key == HOSTNAME else len({n.metadata.labels[key] for n in keyed})
            for node in keyed:
                same = [
                    n
                    for n in self.nodes
                    if n.metadata.labels.get(key) == node.metadata.labels[key]
                    and all(c.topology_key in n.metadata.labels for c in soft)
                    and _counts(constraint, n, pod)
                ]
                where = [node] if key == HOSTNAME else same
                count = sum(self._matching(n, constraint.label_selector, pod) for n in where)
                raw[node.name] += count * math.log(size + 2) + constraint.max_skew - 1
        whole = {name: math.floor(value + 0.5) for name, value in raw.items()}
        high, low = max(whole.values(), default=0), min(whole.values(), default=0)
        return [
            0 if n.name not in whole else 100 if not high else 100 * (high + low - whole[n.name]) // high for n in nodes
        ]

    def _company_scores(self, pod: Pod, nodes: Sequence[Node]) -> list[int]:
        raw = []
        for node in nodes:
            total = 0
            for term, weight in _wishes(pod):
                total += weight * sum(_speaks(term, pod, o) for o in self._domain(node, term.topology_key))
            for other in self.pods:
                seeks = _required(other.spec.affinity.pod_affinity if other.spec.affinity else None)
                drawn = [(term, 1) for term in seeks]
                for term, weight in (*drawn, *_wishes(other)):
                    if _speaks(term, other, pod) and other in self._domain(node, term.topology_key):
                        total += weight
            raw.append(total)
        low, high = min(raw, default=0), max(raw, default=0)
        return [int(100 * ((value - low) / (high - low))) if high > low else 0 for value in raw]


def room(node: Node, resource: str) -> int:
    """What a node gives of a resource."""
    return units(resource, node.status.allocatable.get(resource, 0), up=False)


def admits(pod: Pod, node: Node) -> bool:
    """Node selector and required node affinity."""
    labels = node.metadata.labels
    affinity = pod.spec.affinity and pod.spec.affinity.node_affinity
    terms = affinity.required.node_selector_terms if affinity and affinity.required is not None else None
    return all(labels.get(key) == value for key, value in pod.spec.node_selector.items()) and (
        terms is None or any(_holds(term, node) for term in terms)
    )


def _holds(term: NodeSelectorTerm, node: Node) -> bool:
    labels = node.metadata.labels
    answers = [field.operator == "In" and node.name in field.values for field in term.match_fields]
    for asked in term.match_expressions:
        value = labels.get(asked.key)
        number = int(value) if value is not None and value.lstrip("-").isdecimal() else None
        answers.append(
            {
                "In": value in asked.values,
                "NotIn": value not in asked.values,
                "Exists": value is not None,
                "DoesNotExist": value is None,
                "Gt": number is not None and bool(asked.values) and number > int(asked.values[0]),
                "Lt": number is not None and bool(asked.values) and number < int(asked.values[0]),
            }[asked.operator]
        )
    return bool(answers) and all(answers)


def _tolerated(taint: Taint, pod: Pod) -> bool:
    def covers(toleration: Toleration) -> bool:
        return (
            toleration.effect in ("", taint.effect)
            and toleration.key in ("", taint.key)
            and (toleration.operator == "Exists" or (bool(toleration.key) and toleration.value == taint.value))
        )

    return any(covers(toleration) for toleration in pod.spec.tolerations)


def _untolerated(node: Node, pod: Pod) -> bool:
    return any(t.effect != "PreferNoSchedule" and not _tolerated(t, pod) for t in node.spec.taints)


def _disliked(node: Node, pod: Pod) -> int:
    return sum(t.effect == "PreferNoSchedule" and not _tolerated(t, pod) for t in node.spec.taints)


def _liked(node: Node, pod: Pod) -> int:
    affinity = pod.spec.affinity and pod.spec.affinity.node_affinity
    return sum(p.weight for p in affinity.preferred if _holds(p.preference, node)) if affinity else 0


def _scaled(raw: list[int]) -> list[int]:
    high = max(raw, default=0)
    return [100 * value // high for value in raw] if high else raw


def _counts(constraint: TopologySpreadConstraint, node: Node, pod: Pod) -> bool:
    return (constraint.node_affinity_policy == "Ignore" or admits(pod, node)) and (
        constraint.node_taints_policy != "Honor" or not _untolerated(node, pod)
    )


def _selects(selector: LabelSelector | None, pod: Pod) -> bool:
    return selector is not None and selector.matches(pod.metadata.labels)


def _required(affinity: PodAffinity | None) -> Sequence[PodAffinityTerm]:
    return affinity.required if affinity is not None else ()


def _wishes(pod: Pod) -> list[tuple[PodAffinityTerm, int]]:
    affinity = pod.spec.affinity
    if affinity is None:
        return []
    return [
        (wish.pod_affinity_term, sign * wish.weight)
        for sign, group in ((1, affinity.pod_affinity), (-1, affinity.pod_anti_affinity))
        if group is not None
        for wish in group.preferred
    ]


def _speaks(term: PodAffinityTerm, owner: Pod, other: Pod) -> bool:
    """Whether a pod's term is about another one; namespace selectors are left out."""
    namespaces = term.namespaces or (owner.metadata.namespace,)
    return other.metadata.namespace in namespaces and _selects(term.label_selector, other)


def _ports(pod: Pod) -> list[ContainerPort]:
    return [port for container in pod.spec.containers for port in container.ports if port.host_port]


def _scored(pod: Pod) -> tuple[int, int]:
    def one(container: Container) -> tuple[int, int]:
        asked = container.resources.requests
        cpu = units("cpu", asked["cpu"]) if "cpu" in asked else 100
        return cpu, units("memory", asked["memory"]) if "memory" in asked else 200 * MIB

    parts = [one(container) for container in pod.spec.containers]
    return sum(cpu for cpu, _ in parts), sum(memory for _, memory in parts)
