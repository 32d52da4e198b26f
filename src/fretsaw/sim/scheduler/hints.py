"""Which events can help which waiting pods: the queueing hints.

Stricter than kube-scheduler's where that is safe: a node, or a pod that leaves one, helps only pods that the node could
run at all, so that a pod that waits for GPUs is not tried again for what happens on nodes without any.
Source: kube-scheduler v1.36 EventsToRegister and isSchedulableAfter… of each plugin.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fretsaw.api.node import Node
from fretsaw.api.pod import Pod
from fretsaw.api.resources import units
from fretsaw.engine.taints import untolerated
from fretsaw.sim.scheduler.census import Census
from fretsaw.sim.scheduler.columns import Placed
from fretsaw.sim.scheduler.mold import Mold, conflicts
from fretsaw.sim.scheduler.queue import Kin
from fretsaw.sim.scheduler.views import UNSCHEDULABLE

NO_NODES: Final = "NoNodes"
"""Stands for the refusal of a cluster without any node."""
ON_NODES: Final = (
    NO_NODES, "NodeUnschedulable", "NodeName", "TaintToleration", "NodeAffinity", "NodePorts", "NodeResourcesFit",
    "NodeVolumeLimits", "VolumeBinding", "VolumeZone", "PodTopologySpread", "InterPodAffinity",
)  # fmt: skip
ON_POD_LEAVING: Final = (
    "NodePorts", "NodeResourcesFit", "VolumeRestrictions", "NodeVolumeLimits", "PodTopologySpread", "InterPodAffinity",
)  # fmt: skip
ON_POD_COMING: Final = ("PodTopologySpread", "InterPodAffinity")
ON_VOLUMES: Final = ("VolumeRestrictions", "NodeVolumeLimits", "VolumeBinding", "VolumeZone")
Hint = Callable[[Mold, Kin, str], bool]


def node_came(node: Node, admits: Callable[[Mold, Node], bool]) -> Hint:
    """A node is new, or has changed for the better: pods that it could run, and spreads that it adds a domain to."""

    def helps(mold: Mold, kin: Kin, plugin: str) -> bool:
        if plugin == "PodTopologySpread":
            return all(spread.topology_key in node.metadata.labels for spread in mold.hard)
        return could_run(mold, kin, node, admits)

    return helps


def could_run(mold: Mold, kin: Kin, node: Node, admits: Callable[[Mold, Node], bool]) -> bool:
    """Whether an empty node of this kind would take the pod."""
    if kin[1] is not None and node.metadata.name not in kin[1]:
        return False
    taints = [t for t in node.spec.taints if t.effect in ("NoSchedule", "NoExecute")]
    if node.spec.unschedulable:
        taints.append(UNSCHEDULABLE)
    if untolerated(taints, mold.tolerations) is not None or not admits(mold, node):
        return False
    return all(units(name, node.status.allocatable.get(name, 0), up=False) >= amount for name, amount in mold.amounts)


def pod_left(placed: Placed, node: Node | None, census: Census, admits: Callable[[Mold, Node], bool]) -> Hint:
    """A pod gave up its room: what it took on its node, its claims, and its place among others."""

    def helps(mold: Mold, kin: Kin, plugin: str) -> bool:
        match plugin:
            case "NodeResourcesFit":
                return node is not None and could_run(mold, kin, node, admits)
            case "NodePorts":
                return conflicts(mold.ports, placed.mold.ports)
            case "VolumeRestrictions":
                return not {*mold.claims}.isdisjoint(placed.mold.claims)
            case "NodeVolumeLimits":
                return bool(placed.volumes)
            case "PodTopologySpread":
                return any(census.matches(spread.selector, placed.pod) for spread in mold.hard)
        return any(census.matches(term.selector, placed.pod) for term in mold.apart) or any(
            census.matches(term.selector, mold.pod) for term in placed.mold.apart
        )

    return helps


def pod_came(pod: Pod, census: Census) -> Hint:
    """A pod is on a node now: company for some, and a fuller domain for others."""

    def helps(mold: Mold, kin: Kin, plugin: str) -> bool:
        if plugin == "PodTopologySpread":
            return any(census.matches(spread.selector, pod) for spread in mold.hard)
        return any(census.matches(term.selector, pod) for term in mold.company)

    return helps


def claims_changed(claim: str | None) -> Hint:
    """A claim, a volume or a class changed; None for any claim."""

    def helps(mold: Mold, kin: Kin, plugin: str) -> bool:
        return bool(mold.claims) if claim is None else claim in mold.claims

    return helps
