"""Rules on pod specs: containers, tolerations, affinity, topology spread and volumes.

Source: Kubernetes v1.36 validation of PodSpec; kubernetes.io, Assigning Pods to Nodes, Taints and Tolerations,
Pod Topology Spread Constraints.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from fretsaw.api import pod
from fretsaw.api.problem import Problem
from fretsaw.api.rules_resources import amounts, requirements
from fretsaw.api.rules_text import choice, is_key, labels, operator, selector, wrong

_EFFECTS: Final = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_NODE_OPERATORS: Final = ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")
_TOLERATION_OPERATORS: Final = ("Equal", "Exists", "Gt", "Lt")
_RESTART: Final = ("Always", "OnFailure", "Never")
_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"


def pod_spec(spec: pod.PodSpec, path: str) -> Iterator[Problem]:
    """Every rule that a pod's spec breaks."""
    if not spec.containers:
        yield Problem(f"{path}.containers", "missing", by="rule", right="a pod needs at least one container")
    yield from _containers(spec.containers, f"{path}.containers")
    yield from _containers(spec.init_containers, f"{path}.initContainers", init=True)
    if spec.resources is not None:
        yield from requirements(spec.resources, f"{path}.resources", pod_level=True)
    yield from amounts(f"{path}.overhead", spec.overhead)
    yield from labels(f"{path}.nodeSelector", spec.node_selector)
    for index, toleration in enumerate(spec.tolerations):
        yield from _toleration(toleration, f"{path}.tolerations[{index}]")
    if spec.affinity is not None:
        yield from _affinity(spec.affinity, f"{path}.affinity")
    yield from _spreads(spec, f"{path}.topologySpreadConstraints")
    yield from _volumes(spec.volumes, f"{path}.volumes")
    if spec.restart_policy and spec.restart_policy not in _RESTART:
        yield choice(f"{path}.restartPolicy", spec.restart_policy, _RESTART)
    if (grace := spec.termination_grace_period_seconds) is not None and grace < 0:
        yield wrong(f"{path}.terminationGracePeriodSeconds", "must not be negative", str(grace))


def _containers(containers: tuple[pod.Container, ...], path: str, *, init: bool = False) -> Iterator[Problem]:
    names: set[str] = set()
    for index, container in enumerate(containers):
        here = f"{path}[{index}]"
        if container.name and container.name in names:
            yield wrong(f"{here}.name", "two containers of this name", container.name)
        names.add(container.name)
        yield from requirements(container.resources, f"{here}.resources")
        for number, port in enumerate(container.ports):
            yield from _port(port, f"{here}.ports[{number}]")
        if init and container.restart_policy and container.restart_policy not in _RESTART:
            yield choice(f"{here}.restartPolicy", container.restart_policy, ("Always",))


def _port(port: pod.ContainerPort, path: str) -> Iterator[Problem]:
    if not 1 <= port.container_port <= 65535:
        yield wrong(f"{path}.containerPort", "must be between 1 and 65535", str(port.container_port))
    if not 0 <= port.host_port <= 65535:
        yield wrong(f"{path}.hostPort", "must be between 1 and 65535", str(port.host_port))
    if port.protocol not in ("TCP", "UDP", "SCTP"):
        yield choice(f"{path}.protocol", port.protocol, ("TCP", "UDP", "SCTP"))


def taint_effect(path: str, effect: str, *, required: bool = False) -> Iterator[Problem]:
    """The effect of a taint, or of a toleration, where an absent one means every effect."""
    if effect and effect not in _EFFECTS:
        yield choice(path, effect, _EFFECTS)
    elif required and not effect:
        yield Problem(path, "missing", by="rule", right=f"one of {', '.join(_EFFECTS)}")


def _toleration(toleration: pod.Toleration, path: str) -> Iterator[Problem]:
    if toleration.key and not is_key(toleration.key):
        yield wrong(f"{path}.key", "not a valid taint key", toleration.key)
    kind = toleration.operator or "Equal"
    if kind not in _TOLERATION_OPERATORS:
        yield choice(f"{path}.operator", kind, ("Equal", "Exists"))
    elif kind == "Exists" and toleration.value:
        yield wrong(f"{path}.value", "must be left out with operator Exists", toleration.value)
    elif kind != "Exists" and not toleration.key:
        yield wrong(f"{path}.operator", "a toleration without a key needs operator Exists", kind)
    yield from taint_effect(f"{path}.effect", toleration.effect)
    if toleration.toleration_seconds is not None and toleration.effect != "NoExecute":
        yield wrong(f"{path}.effect", "must be NoExecute where tolerationSeconds is set", toleration.effect)


def _affinity(affinity: pod.Affinity, path: str) -> Iterator[Problem]:
    if affinity.node_affinity is not None:
        yield from _node_affinity(affinity.node_affinity, f"{path}.nodeAffinity")
    for name, terms in (("podAffinity", affinity.pod_affinity), ("podAntiAffinity", affinity.pod_anti_affinity)):
        if terms is None:
            continue
        for index, term in enumerate(terms.required):
            yield from _pod_term(term, f"{path}.{name}.{_REQUIRED}[{index}]")
        for index, wish in enumerate(terms.preferred):
            here = f"{path}.{name}.{_PREFERRED}[{index}]"
            yield from _weight(wish.weight, here)
            yield from _pod_term(wish.pod_affinity_term, f"{here}.podAffinityTerm")


def _weight(weight: int, path: str) -> Iterator[Problem]:
    if not 1 <= weight <= 100:
        yield wrong(f"{path}.weight", "must be between 1 and 100", str(weight))


def _node_affinity(affinity: pod.NodeAffinity, path: str) -> Iterator[Problem]:
    if affinity.required is not None:
        here = f"{path}.{_REQUIRED}.nodeSelectorTerms"
        if not affinity.required.node_selector_terms:
            yield Problem(here, "missing", by="rule", right="at least one term")
        for index, term in enumerate(affinity.required.node_selector_terms):
            yield from _node_term(term, f"{here}[{index}]")
    for index, wish in enumerate(affinity.preferred):
        yield from _weight(wish.weight, f"{path}.{_PREFERRED}[{index}]")
        yield from _node_term(wish.preference, f"{path}.{_PREFERRED}[{index}].preference")


def _node_term(term: pod.NodeSelectorTerm, path: str) -> Iterator[Problem]:
    for index, expression in enumerate(term.match_expressions):
        here = f"{path}.matchExpressions[{index}]"
        yield from operator(expression.operator, expression.values, here, _NODE_OPERATORS, expression.key)
    for index, field in enumerate(term.match_fields):
        here = f"{path}.matchFields[{index}]"
        if field.key != "metadata.name":
            yield choice(f"{here}.key", field.key, ("metadata.name",))
        if field.operator not in ("In", "NotIn"):
            yield choice(f"{here}.operator", field.operator, ("In", "NotIn"))
        if len(field.values) != 1:
            yield wrong(f"{here}.values", "must be exactly one node name", ", ".join(field.values))


def _pod_term(term: pod.PodAffinityTerm, path: str) -> Iterator[Problem]:
    if not term.topology_key:
        yield Problem(f"{path}.topologyKey", "missing", by="rule", right="such as topology.kubernetes.io/zone")
    elif not is_key(term.topology_key):
        yield wrong(f"{path}.topologyKey", "not a valid label key", term.topology_key)
    if term.label_selector is not None:
        yield from selector(term.label_selector, f"{path}.labelSelector")
    if term.namespace_selector is not None:
        yield from selector(term.namespace_selector, f"{path}.namespaceSelector")


def _spreads(spec: pod.PodSpec, path: str) -> Iterator[Problem]:
    seen: set[tuple[str, str]] = set()
    for index, spread in enumerate(spec.topology_spread_constraints):
        here = f"{path}[{index}]"
        yield from _spread(spread, here)
        pair = (spread.topology_key, spread.when_unsatisfiable)
        if pair in seen:
            yield wrong(here, "two constraints with this topologyKey and whenUnsatisfiable", ", ".join(pair))
        seen.add(pair)


def _spread(spread: pod.TopologySpreadConstraint, path: str) -> Iterator[Problem]:
    if spread.max_skew < 1:
        yield wrong(f"{path}.maxSkew", "must be at least 1", str(spread.max_skew))
    if not is_key(spread.topology_key):
        message = "not a valid label key" if spread.topology_key else "missing"
        yield wrong(f"{path}.topologyKey", message, spread.topology_key, "such as topology.kubernetes.io/zone")
    if spread.when_unsatisfiable not in ("DoNotSchedule", "ScheduleAnyway"):
        yield choice(f"{path}.whenUnsatisfiable", spread.when_unsatisfiable, ("DoNotSchedule", "ScheduleAnyway"))
    if spread.min_domains is not None:
        if spread.min_domains < 1:
            yield wrong(f"{path}.minDomains", "must be at least 1", str(spread.min_domains))
        if spread.when_unsatisfiable != "DoNotSchedule":
            yield wrong(
                f"{path}.minDomains", "works only with whenUnsatisfiable DoNotSchedule", str(spread.min_domains)
            )
    policies = (
        ("nodeAffinityPolicy", spread.node_affinity_policy),
        ("nodeTaintsPolicy", spread.node_taints_policy),
    )
    for name, policy in policies:
        if policy not in ("Honor", "Ignore"):
            yield choice(f"{path}.{name}", policy, ("Honor", "Ignore"))
    if spread.match_label_keys and spread.label_selector is None:
        yield wrong(f"{path}.matchLabelKeys", "needs a labelSelector", ", ".join(spread.match_label_keys))
    if spread.label_selector is not None:
        yield from selector(spread.label_selector, f"{path}.labelSelector")


def _volumes(volumes: tuple[pod.Volume, ...], path: str) -> Iterator[Problem]:
    names: set[str] = set()
    for index, volume in enumerate(volumes):
        here = f"{path}[{index}]"
        if not volume.name:
            yield Problem(f"{here}.name", "missing", by="rule", right="every volume needs a name")
        elif volume.name in names:
            yield wrong(f"{here}.name", "two volumes of this name", volume.name)
        names.add(volume.name)
        if volume.persistent_volume_claim is not None and not volume.persistent_volume_claim.claim_name:
            yield Problem(f"{here}.persistentVolumeClaim.claimName", "missing", by="rule")
        if volume.ephemeral is not None and volume.ephemeral.volume_claim_template is not None:
            template = volume.ephemeral.volume_claim_template
            yield from claim_template(template, f"{here}.ephemeral.volumeClaimTemplate")


def claim_template(template: pod.VolumeClaimTemplate, path: str, *, named: bool = False) -> Iterator[Problem]:
    """A PersistentVolumeClaim, or the template of one."""
    prefix = f"{path}." if path else ""
    if named and not template.metadata.name:
        yield Problem(f"{prefix}metadata.name", "missing", by="rule", right="every claim template needs a name")
    yield from amounts(f"{prefix}spec.resources.requests", template.spec.resources.requests)
    if not template.spec.resources.requests.get("storage"):
        yield Problem(f"{prefix}spec.resources.requests[storage]", "missing", "warning", "rule", right="such as 20Gi")
    if not template.spec.access_modes:
        yield Problem(f"{prefix}spec.accessModes", "missing", "warning", "rule", right="such as [ReadWriteOnce]")
