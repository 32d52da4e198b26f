"""What of a pod the scheduler reads, worked out once for all pods that are equal in it.

Pods of one workload share a Mold, and so the masks and scores that depend on it. Labels that tell replicas apart (a
Job's index, a StatefulSet's ordinal) are left out of the comparison as long as no selector asks for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from fretsaw.api.affinity import NodeSelectorTerm, PodAffinity, PodAffinityTerm, Toleration, TopologySpreadConstraint
from fretsaw.api.labels import HOSTNAME, ZONE
from fretsaw.api.meta import LabelSelector, SelectorExpression
from fretsaw.api.pod import Container, Pod, PodSpec
from fretsaw.engine.requests import pod_requests
from fretsaw.sim.scheduler.selectors import Selector

MIB: Final = 1024**2
SCORED_CPU: Final = 100
"""Millicores that a container without a cpu request counts with in scores."""
SCORED_MEMORY: Final = 200 * MIB
PER_REPLICA: Final = frozenset(
    {
        "apps.kubernetes.io/pod-index",
        "batch.kubernetes.io/job-completion-index",
        "statefulset.kubernetes.io/pod-name",
    }
)
"""Labels that each replica has its own value of."""
Port = tuple[str, str, int]
"""(host address, protocol, host port)."""


class Term(msgspec.Struct, frozen=True):
    """A pod (anti-)affinity term with its namespaces and label keys filled in from the pod that has it."""

    topology_key: str
    selector: Selector

    def matches(self, pod: Pod, namespace_labels: dict[str, dict[str, str]]) -> bool:
        """Whether it speaks of this pod."""
        return self.selector.matches(pod, namespace_labels)


class Spread(msgspec.Struct, frozen=True):
    """A topology spread constraint, ready to be counted."""

    topology_key: str
    max_skew: int
    selector: Selector
    min_domains: int = 1
    honor_affinity: bool = True
    honor_taints: bool = False
    self_match: int = 1


class Mold(msgspec.Struct, eq=False):
    """All that equal pods have in common. Compared and kept by identity."""

    number: int
    pod: Pod
    """The first of its kind; the others differ in name and in what does not matter here."""
    amounts: tuple[tuple[str, int], ...]
    """What it requests, without zeros; one of `pods` is among it."""
    scored: tuple[int, int]
    """Millicores and bytes that the LeastAllocated score counts."""
    balanced: tuple[int, int]
    """Millicores and bytes that the BalancedAllocation score counts."""
    priority: int
    preempts: bool
    tolerations: tuple[Toleration, ...]
    required: tuple[NodeSelectorTerm, ...] | None
    """Node affinity terms of which one has to hold; None for none."""
    preferred: tuple[tuple[NodeSelectorTerm, int], ...]
    node_selector: dict[str, str]
    ports: tuple[Port, ...]
    hard: tuple[Spread, ...]
    soft: tuple[Spread, ...]
    default_spread: bool
    """Whether `soft` holds the cluster's defaults: nodes without one of their keys are scored too."""
    company: tuple[Term, ...]
    apart: tuple[Term, ...]
    wishes: tuple[tuple[Term, int], ...]
    """Preferred terms with their weight, negative for anti-affinity."""
    claims: tuple[str, ...]
    """Keys of the PersistentVolumeClaims that it mounts."""
    images: tuple[str, ...]
    containers: int

    @property
    def carries_terms(self) -> bool:
        """Whether other pods are placed in view of it."""
        return bool(self.company or self.apart or self.wishes)


def projection(spec: PodSpec) -> tuple[Any, ...]:
    """What of a spec tells molds apart, without node names that its affinity pins it to."""
    affinity = spec.affinity
    return (
        [_container(c) for c in spec.containers],
        [_container(c) for c in spec.init_containers],
        spec.node_selector,
        affinity and (pinned(spec)[1], affinity.node_affinity and affinity.node_affinity.preferred),
        affinity and (affinity.pod_affinity, affinity.pod_anti_affinity),
        spec.tolerations,
        spec.topology_spread_constraints,
        [v for v in spec.volumes if v.persistent_volume_claim or v.ephemeral],
        spec.overhead,
        spec.resources,
        (spec.priority, spec.preemption_policy, spec.priority_class_name, spec.host_network),
    )


def _container(container: Container) -> tuple[Any, ...]:
    return (container.resources, container.ports, container.restart_policy, container.image)


def pinned(spec: PodSpec) -> tuple[tuple[str, ...] | None, tuple[NodeSelectorTerm, ...] | None]:
    """(node names that required affinity allows, the required terms without them); names None for any node.

    A DaemonSet's pods are alike but for the one name in `matchFields`; all terms have to carry the same names.
    """
    affinity = spec.affinity and spec.affinity.node_affinity
    if not affinity or affinity.required is None:
        return None, None
    terms = affinity.required.node_selector_terms
    fields = {term.match_fields for term in terms}
    only = next(iter(fields)) if len(fields) == 1 else ()
    if len(only) != 1 or only[0].operator != "In" or only[0].key != "metadata.name":
        return None, terms
    if all(not term.match_expressions for term in terms):
        return only[0].values, None
    rest = tuple(NodeSelectorTerm(term.match_expressions) for term in terms if term.match_expressions)
    # A term with only the name lets the named node through whatever its labels.
    return only[0].values, rest if len(rest) == len(terms) else None


def host_ports(spec: PodSpec) -> tuple[Port, ...]:
    """The host ports of a pod: those of containers and sidecars; with host networking every port is one."""
    found = []
    for container in (*spec.containers, *(c for c in spec.init_containers if c.is_sidecar)):
        for port in container.ports:
            number = port.host_port or (port.container_port if spec.host_network else 0)
            if number:
                found.append((port.host_ip or "0.0.0.0", port.protocol or "TCP", number))
    return tuple(found)


def conflicts(asked: Iterable[Port], used: Iterable[Port]) -> bool:
    """Whether a host port is taken; 0.0.0.0 takes it on every address.

    Source: kube-scheduler v1.36 NodePorts.
    """
    held = list(used)
    return any(
        protocol == p and number == n and (address == a or "0.0.0.0" in (address, a))
        for address, protocol, number in asked
        for a, p, n in held
    )


def scored_amounts(spec: PodSpec, amounts: dict[str, int]) -> tuple[int, int]:
    """Cpu and memory as the scores count them: containers without a request have one of 100m and 200Mi.

    Source: kube-scheduler v1.36 util.GetNonzeroRequests.
    """
    level = spec.resources.requests if spec.resources is not None else {}
    every = (*spec.containers, *spec.init_containers)
    if all("cpu" in c.resources.requests and "memory" in c.resources.requests for c in every):
        return amounts.get("cpu", 0), amounts.get("memory", 0)
    filled = pod_requests(_filled(spec))
    cpu = amounts.get("cpu", 0) if "cpu" in level else filled["cpu"]
    memory = amounts.get("memory", 0) if "memory" in level else filled["memory"]
    return cpu, memory


def _filled(spec: PodSpec) -> PodSpec:
    def fill(container: Container) -> Container:
        least = {"cpu": f"{SCORED_CPU}m", "memory": str(SCORED_MEMORY)}
        asked = {**least, **container.resources.requests}
        return msgspec.structs.replace(
            container, resources=msgspec.structs.replace(container.resources, requests=asked)
        )

    return msgspec.structs.replace(
        spec, containers=tuple(map(fill, spec.containers)), init_containers=tuple(map(fill, spec.init_containers))
    )


def make(number: int, pod: Pod, defaults: LabelSelector | None) -> Mold:
    """The mold of a pod. defaults: what the default spread constraints count, None where they do not apply."""
    spec = pod.spec
    amounts = pod_requests(spec)
    own = spec.topology_spread_constraints
    node_affinity = spec.affinity.node_affinity if spec.affinity is not None else None
    by_default = not own and defaults is not None
    soft = tuple(_defaults(pod, defaults)) if defaults is not None and not own else tuple(_spreads(pod, hard=False))
    return Mold(
        number=number,
        pod=pod,
        amounts=tuple(sorted((name, amount) for name, amount in amounts.items() if amount > 0)),
        scored=scored_amounts(spec, amounts),
        balanced=(amounts.get("cpu", 0), amounts.get("memory", 0)),
        priority=spec.priority or 0,
        preempts=spec.preemption_policy != "Never",
        tolerations=spec.tolerations,
        required=pinned(spec)[1],
        preferred=tuple((p.preference, p.weight) for p in node_affinity.preferred) if node_affinity else (),
        node_selector=spec.node_selector,
        ports=host_ports(spec),
        hard=tuple(_spreads(pod, hard=True)),
        soft=soft,
        default_spread=by_default,
        company=tuple(_terms(pod, spec.affinity.pod_affinity if spec.affinity else None)),
        apart=tuple(_terms(pod, spec.affinity.pod_anti_affinity if spec.affinity else None)),
        wishes=tuple(_wishes(pod)),
        claims=claim_keys(pod),
        images=tuple(c.image for c in (*spec.init_containers, *spec.containers)),
        containers=len(spec.init_containers) + len(spec.containers),
    )


def claim_keys(pod: Pod) -> tuple[str, ...]:
    """Keys of the claims that a pod mounts; an ephemeral volume's claim is called `<pod>-<volume>`."""
    namespace = pod.metadata.home
    names = [
        volume.persistent_volume_claim.claim_name
        if volume.persistent_volume_claim
        else f"{pod.metadata.name}-{volume.name}"
        for volume in pod.spec.volumes
        if volume.persistent_volume_claim or volume.ephemeral
    ]
    return tuple(f"{namespace}/{name}" for name in dict.fromkeys(names))


def _spreads(pod: Pod, *, hard: bool) -> Iterator[Spread]:
    for constraint in pod.spec.topology_spread_constraints:
        if (constraint.when_unsatisfiable == "DoNotSchedule") == hard:
            yield _spread(pod, constraint)


def _spread(pod: Pod, constraint: TopologySpreadConstraint) -> Spread:
    selector = with_keys(constraint.label_selector, pod.metadata.labels, constraint.match_label_keys)
    own = Selector((pod.metadata.home,), None, selector)
    return Spread(
        topology_key=constraint.topology_key,
        max_skew=constraint.max_skew,
        selector=own,
        min_domains=constraint.min_domains or 1,
        honor_affinity=constraint.node_affinity_policy != "Ignore",
        honor_taints=constraint.node_taints_policy == "Honor",
        self_match=int(own.selects(pod.metadata.labels)),
    )


def _defaults(pod: Pod, selector: LabelSelector) -> Iterator[Spread]:
    """Source: kubernetes.io, Pod Topology Spread Constraints, "Internal default constraints"."""
    own = Selector((pod.metadata.home,), None, selector)
    for key, skew in ((HOSTNAME, 3), (ZONE, 5)):
        yield Spread(key, skew, own, self_match=int(own.selects(pod.metadata.labels)))


def _terms(pod: Pod, affinity: PodAffinity | None) -> Iterator[Term]:
    if affinity is not None:
        yield from (term_of(pod, term) for term in affinity.required)


def _wishes(pod: Pod) -> Iterator[tuple[Term, int]]:
    affinity = pod.spec.affinity
    if affinity is None:
        return
    for sign, group in ((1, affinity.pod_affinity), (-1, affinity.pod_anti_affinity)):
        for wish in group.preferred if group is not None else ():
            yield term_of(pod, wish.pod_affinity_term), sign * wish.weight


def term_of(pod: Pod, term: PodAffinityTerm) -> Term:
    """A term as its pod means it. Namespaces default to the pod's own where no selector names any."""
    labels = pod.metadata.labels
    selector = with_keys(term.label_selector, labels, term.match_label_keys)
    if selector is not None and term.mismatch_label_keys:
        without = with_keys(LabelSelector(), labels, term.mismatch_label_keys, operator="NotIn")
        extra = without.match_expressions if without is not None else ()
        selector = msgspec.structs.replace(selector, match_expressions=(*selector.match_expressions, *extra))
    namespaces = term.namespaces
    if not namespaces and term.namespace_selector is None:
        namespaces = (pod.metadata.home,)
    return Term(term.topology_key, Selector(namespaces, term.namespace_selector, selector))


def with_keys(
    selector: LabelSelector | None, labels: dict[str, str], keys: Iterable[str], operator: str = "In"
) -> LabelSelector | None:
    """A selector with the pod's own values of `keys` added; keys that the pod lacks are left out."""
    more = tuple(SelectorExpression(key, operator, (labels[key],)) for key in keys if key in labels)
    if selector is None or not more:
        return selector
    return LabelSelector(selector.match_labels, (*selector.match_expressions, *more))
