"""Sick nodes: those whose condition has been bad for longer than is tolerated are replaced by force.

A circuit breaker keeps a fault that hits many nodes at once from taking the cluster down.

Source: Karpenter v1.14 pkg/controllers/node/health; AWS provider v1.14 pkg/cloudprovider (repair policies).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from fretsaw.api.labels import NODEPOOL
from fretsaw.api.node import Node
from fretsaw.api.times import MINUTE, Millis, millis, rfc3339
from fretsaw.engine.managed import is_managed_node
from fretsaw.engine.sight import DEADLINE, Sight
from fretsaw.engine.state import ClusterState

UNHEALTHY_PERCENT = 20
"""So many nodes of a pool, rounded up, may be sick for one of them to be replaced."""
BLOCKED_AGAIN: Millis = 5 * MINUTE
"""The wait when too many nodes are sick."""
BLOCKED_TOLD: Millis = 15 * MINUTE
"""The event about that is not repeated sooner."""


class Policy(msgspec.Struct, frozen=True):
    """A node condition that is tolerated for so long."""

    condition: str
    status: str
    toleration: Millis


EKS_POLICIES = (
    Policy("Ready", "False", 30 * MINUTE),
    Policy("Ready", "Unknown", 30 * MINUTE),
    Policy("AcceleratedHardwareReady", "False", 10 * MINUTE),
    Policy("StorageReady", "False", 30 * MINUTE),
    Policy("NetworkingReady", "False", 30 * MINUTE),
    Policy("KernelReady", "False", 30 * MINUTE),
    Policy("ContainerRuntimeReady", "False", 30 * MINUTE),
)
"""The AWS provider's: the kubelet's own condition, and what the node monitoring agent says of a node's parts."""


def repair(sight: Sight, policies: tuple[Policy, ...]) -> None:
    """End a machine whose node is sick for too long: no time to drain, whatever protects its pods."""
    node = sight.node
    if node is None or not is_managed_node(node) or len(sight.state.nodes_with(node.spec.provider_id)) > 1:
        return
    due = min((when for when, _ in sicknesses(node, policies, sight.now)), default=None)
    if due is None:
        return
    if sight.now < due:
        sight.wake_at(due)
    elif (blocked := too_many(sight.state, node, policies)) is not None:
        name = node.metadata.name
        sight.tell(f"Node/{name}", name, "NodeRepairBlocked", blocked, "Warning", every=BLOCKED_TOLD)
        sight.wake_at(sight.now + BLOCKED_AGAIN)
    else:
        if sight.deadline is None or sight.deadline > sight.now:
            sight.annotate(DEADLINE, rfc3339(sight.now))
        sight.delete_claim("unhealthy")


def sicknesses(node: Node, policies: Iterable[Policy], now: Millis) -> Iterator[tuple[Millis, Policy]]:
    """The policies that match the node, with the time at which each of them is no longer tolerated."""
    for policy in policies:
        found = node.condition(policy.condition)
        if found is not None and found.status == policy.status:
            since = millis(found.last_transition_time) if found.last_transition_time else now
            yield since + policy.toleration, policy


def too_many(state: ClusterState, node: Node, policies: tuple[Policy, ...]) -> str | None:
    """Why no node may be repaired now, None if it may: sick ones count whether they are tolerated or not."""
    pool = node.metadata.labels.get(NODEPOOL)
    where = "cluster" if pool is None else "nodepool"
    peers = [n for n in state.nodes.values() if pool is None or n.metadata.labels.get(NODEPOOL) == pool]
    sick = sum(1 for peer in peers if next(sicknesses(peer, policies, 0), None) is not None)
    allowed = -(-UNHEALTHY_PERCENT * len(peers) // 100)
    return None if sick <= allowed else f"more than {UNHEALTHY_PERCENT}% nodes are unhealthy in the {where}"
