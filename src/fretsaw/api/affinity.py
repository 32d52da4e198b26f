"""Where a pod may go: node and pod affinity, tolerations and topology spread. Re-exported by `api.pod`."""

from __future__ import annotations

from msgspec import field

from fretsaw.api.meta import LabelSelector, Value

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


class NodeSelectorRequirement(Value, frozen=True):
    """One expression on node labels (`matchExpressions`) or node fields (`matchFields`)."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


class NodeSelectorTerm(Value, frozen=True):
    """Expressions that all have to hold; a term without any matches no node."""

    match_expressions: tuple[NodeSelectorRequirement, ...] = ()
    match_fields: tuple[NodeSelectorRequirement, ...] = ()


class NodeSelector(Value, frozen=True):
    """Terms of which one has to hold."""

    node_selector_terms: tuple[NodeSelectorTerm, ...] = ()


class PreferredNodeTerm(Value, frozen=True):
    """A wish for certain nodes, 1…100."""

    preference: NodeSelectorTerm = NodeSelectorTerm()
    weight: int = 0


class NodeAffinity(Value, frozen=True):
    """`required` and `preferred` stand for the fields `…DuringSchedulingIgnoredDuringExecution`."""

    required: NodeSelector | None = field(default=None, name=_REQUIRED)
    preferred: tuple[PreferredNodeTerm, ...] = field(default=(), name=_PREFERRED)


class PodAffinityTerm(Value, frozen=True):
    """Pods that are looked for (or shunned) in the same domain of `topology_key`."""

    topology_key: str = ""
    label_selector: LabelSelector | None = None
    namespaces: tuple[str, ...] = ()
    namespace_selector: LabelSelector | None = None
    match_label_keys: tuple[str, ...] = ()
    mismatch_label_keys: tuple[str, ...] = ()


class PreferredPodTerm(Value, frozen=True):
    """A wish for company (or for its absence), 1…100."""

    pod_affinity_term: PodAffinityTerm = PodAffinityTerm()
    weight: int = 0


class PodAffinity(Value, frozen=True):
    """Pod affinity and pod anti-affinity have the same shape."""

    required: tuple[PodAffinityTerm, ...] = field(default=(), name=_REQUIRED)
    preferred: tuple[PreferredPodTerm, ...] = field(default=(), name=_PREFERRED)


class Affinity(Value, frozen=True):
    """All affinity of a pod."""

    node_affinity: NodeAffinity | None = None
    pod_affinity: PodAffinity | None = None
    pod_anti_affinity: PodAffinity | None = None


class Toleration(Value, frozen=True):
    """Taints that a pod puts up with. An empty key with Exists tolerates all; an empty effect means every effect."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""
    toleration_seconds: int | None = None


class TopologySpreadConstraint(Value, frozen=True):
    """How evenly matching pods have to lie over the domains of `topology_key`."""

    topology_key: str = ""
    max_skew: int = 1
    when_unsatisfiable: str = "DoNotSchedule"
    label_selector: LabelSelector | None = None
    min_domains: int | None = None
    node_affinity_policy: str = "Honor"
    node_taints_policy: str = "Ignore"
    match_label_keys: tuple[str, ...] = ()
