"""Which nodes a DaemonSet's pods belong on, and what the controller does to the pods so that they get there.

Source: Kubernetes v1.36 pkg/controller/daemon (daemon_controller.go NodeShouldRunDaemonPod, util/daemonset_util.go);
kubernetes.io, DaemonSet, "How Daemon Pods are scheduled", "Taints and tolerations".
"""

from __future__ import annotations

from typing import Final, NamedTuple

from msgspec.structs import replace

from fretsaw.api.affinity import (
    Affinity,
    NodeAffinity,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    Toleration,
)
from fretsaw.api.node import Node
from fretsaw.api.pod import Pod, PodSpec
from fretsaw.engine.taints import untolerated
from fretsaw.sim.scheduler.views import any_term

_NAME: Final = "metadata.name"
_PREFIX: Final = "node.kubernetes.io/"
DAEMON_TOLERATIONS: Final = tuple(
    Toleration(_PREFIX + key, "Exists", effect=effect)
    for key, effect in (
        ("not-ready", "NoExecute"),
        ("unreachable", "NoExecute"),
        ("disk-pressure", "NoSchedule"),
        ("memory-pressure", "NoSchedule"),
        ("pid-pressure", "NoSchedule"),
        ("unschedulable", "NoSchedule"),
    )
)
"""Source: kubernetes.io, DaemonSet, Taints and tolerations."""
_ON_HOST_NETWORK: Final = Toleration(_PREFIX + "network-unavailable", "Exists", effect="NoSchedule")


class Verdict(NamedTuple):
    """What a node is to a DaemonSet."""

    run: bool
    """A pod belongs there."""
    stay: bool
    """A pod that is there may stay."""


NOWHERE: Final = Verdict(run=False, stay=False)


def tolerant(spec: PodSpec) -> PodSpec:
    """The spec with the tolerations that every daemon pod gets, without a time limit.

    Rules: network-unavailable only for pods on the host's network; GPU taints and Karpenter's are not among them.
    """
    own = (*DAEMON_TOLERATIONS, _ON_HOST_NETWORK) if spec.host_network else DAEMON_TOLERATIONS
    given = tuple(toleration for toleration in spec.tolerations if not _is_replaced(toleration, own))
    return replace(spec, tolerations=(*given, *own))


def _is_replaced(given: Toleration, own: tuple[Toleration, ...]) -> bool:
    """Whether an automatic toleration takes the place of one that differs in nothing but its time."""
    return any(replace(given, toleration_seconds=None) == toleration for toleration in own)


def verdict(spec: PodSpec, node: Node) -> Verdict:
    """What a node is to pods of this spec, which has its automatic tolerations already.

    Rules: name, selector and required affinity have to match; a NoExecute taint that is not tolerated drives pods away,
    a NoSchedule taint only keeps new ones off. Whether there is room, or the node is ready, does not matter.
    """
    labels = node.metadata.labels
    if spec.node_name and spec.node_name != node.name:
        return NOWHERE
    if any(labels.get(key) != value for key, value in spec.node_selector.items()):
        return NOWHERE
    affinity = spec.affinity.node_affinity if spec.affinity is not None else None
    required = affinity.required if affinity is not None else None
    if required is not None and not any_term(required.node_selector_terms, node):
        return NOWHERE
    blocking = [taint for taint in node.spec.taints if taint.effect in ("NoSchedule", "NoExecute")]
    if untolerated(blocking, spec.tolerations) is None:
        return Verdict(run=True, stay=True)
    driving = [taint for taint in blocking if taint.effect == "NoExecute"]
    return Verdict(run=False, stay=untolerated(driving, spec.tolerations) is None)


def pinned_to(spec: PodSpec, node: str) -> PodSpec:
    """The spec with a required node affinity for one node by name, which the scheduler then binds it to.

    The name takes the place of every required term: the node was chosen by them.
    """
    only = (NodeSelectorRequirement(_NAME, "In", (node,)),)
    affinity = spec.affinity or Affinity()
    nodes = affinity.node_affinity or NodeAffinity()
    nodes = replace(nodes, required=NodeSelector((NodeSelectorTerm(match_fields=only),)))
    return replace(spec, affinity=replace(affinity, node_affinity=nodes))


def node_of(pod: Pod) -> str:
    """The node that a daemon pod is on or waits for; empty where it says none."""
    if pod.spec.node_name:
        return pod.spec.node_name
    affinity = pod.spec.affinity.node_affinity if pod.spec.affinity is not None else None
    for term in affinity.required.node_selector_terms if affinity is not None and affinity.required else ():
        for field in term.match_fields:
            if field.key == _NAME and field.operator == "In" and len(field.values) == 1:
                return field.values[0]
    return ""
