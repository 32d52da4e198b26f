"""Metrics of NodeClaims: made, ended, disrupted, and the pods that a disruption concerns.

A reason is known when a turn orders a claim or its deletion, and counted when the claim shows that it was done: orders
are repeated until then. After a restart nothing is counted for what was there before.

Source: Karpenter v1.14 pkg/metrics, pkg/controllers/nodeclaim/lifecycle, pkg/controllers/node/health.
"""

from __future__ import annotations

from fretsaw.api.labels import CAPACITY_TYPE, NODEPOOL, ZONE
from fretsaw.api.meta import Object
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.times import Millis, millis
from fretsaw.controllers.telemetry.changes import Orders, lost_finalizers, since
from fretsaw.controllers.telemetry.families import Counter, Family, Histogram, doubling, seconds
from fretsaw.controllers.telemetry.group import Group
from fretsaw.controllers.telemetry.words import snake
from fretsaw.engine import actions as a
from fretsaw.engine.lifecycle import TERMINATION
from fretsaw.engine.orders import MIN_VALUES_RELAXED
from fretsaw.engine.pdbs import is_reschedulable
from fretsaw.engine.repair import EKS_POLICIES, sicknesses
from fretsaw.engine.sight import spans
from fretsaw.engine.state import ClusterState
from fretsaw.engine.turn import Turn

CONSOLIDATIONS = frozenset({"empty", "underutilized"})
"""Reasons for which the pool's consolidation policy matters."""
INTERRUPTIONS = frozenset(
    {
        "spot_interrupted", "capacity_reservation_interrupted", "scheduled_change", "instance_stopped",
        "instance_terminated", "instance_status",
    }
)  # fmt: skip
"""Reasons of the provider, which gives no policy and no mode."""
COUNTED = INTERRUPTIONS | {
    "empty", "drifted", "underutilized", "expired", "unhealthy", "garbage_collected", "insufficient_capacity",
    "nodeclass_not_ready", "launch_timeout", "registration_timeout",
}  # fmt: skip
"""Reasons that count as a disruption: not those of fixed pools that shrink, nor deletions by hand."""
INITIATED = frozenset({"empty", "drifted", "underutilized", "expired", "unhealthy", "garbage_collected"})
"""Those of them whose pods are counted."""
_DISRUPTED = ("reason", "nodepool", "capacity_type", "consolidation_policy", "termination_mode")

CREATED = Family(
    "karpenter_nodeclaims_created_total",
    "counter",
    ("reason", "nodepool", "min_values_relaxed"),
    "NodeClaims that were made, by why: provisioned, or the disruption that they replace something for.",
)
TERMINATED = Family(
    "karpenter_nodeclaims_terminated_total",
    "counter",
    ("nodepool", "capacity_type", "zone"),
    "NodeClaims that ended.",
)
DISRUPTED = Family(
    "karpenter_nodeclaims_disrupted_total",
    "counter",
    _DISRUPTED,
    "NodeClaims that were deleted on a decision, by why.",
)
INSTANCE_TERMINATION = Family(
    "karpenter_nodeclaims_instance_termination_duration_seconds",
    "histogram",
    ("nodepool",),
    "From the order to end an instance until it was gone.",
    doubling(1, 11),
)
TERMINATION_DURATION = Family(
    "karpenter_nodeclaims_termination_duration_seconds",
    "histogram",
    ("nodepool",),
    "From the deletion of a NodeClaim until it was gone.",
    doubling(1, 12),
)
UNHEALTHY = Family(
    "karpenter_nodeclaims_unhealthy_disrupted_total",
    "counter",
    ("condition", "nodepool", "capacity_type", "image_id"),
    "NodeClaims that were deleted because their node was sick, by its condition.",
)
PODS_INITIATED = Family(
    "karpenter_pods_disruption_initiated_total",
    "counter",
    _DISRUPTED,
    "Pods that needed another place because of a disruption, when it began.",
)


class Claims(Group):
    """Counts NodeClaims."""

    title = "NodeClaims"
    families = (CREATED, TERMINATED, DISRUPTED, INSTANCE_TERMINATION, TERMINATION_DURATION, UNHEALTHY, PODS_INITIATED)

    def __init__(self) -> None:
        self.created = Counter(CREATED)
        self.terminated = Counter(TERMINATED)
        self.disrupted = Counter(DISRUPTED)
        self.instance_termination = Histogram(INSTANCE_TERMINATION)
        self.termination = Histogram(TERMINATION_DURATION)
        self.unhealthy = Counter(UNHEALTHY)
        self.pods_initiated = Counter(PODS_INITIATED)
        self.stores = (
            self.created,
            self.terminated,
            self.disrupted,
            self.instance_termination,
            self.termination,
            self.unhealthy,
            self.pods_initiated,
        )
        self._ordered = Orders()
        """Why a claim was ordered that has not been seen yet."""
        self._leaving: dict[str, str] = {}
        """Why a claim's deletion was ordered that is not deleted yet."""

    def turned(self, at: Millis, turn: Turn, state: ClusterState) -> None:
        """Remember why claims come and go; the first reason counts."""
        for action in turn.actions:
            match action:
                case a.CreateClaim(claim, reason):
                    self._ordered.note(claim.metadata.name, reason)
                case a.DeleteClaim(name, reason):
                    self._leaving.setdefault(name, reason)

    def changed(self, at: Millis, old: Object | None, new: Object | None, state: ClusterState) -> None:
        """Count what became of a claim."""
        claim = new if new is not None else old
        if not isinstance(claim, NodeClaim):
            return
        before = old if isinstance(old, NodeClaim) else None
        if before is None:
            self._born(claim)
        elif not before.metadata.deletion_timestamp and (new is None or claim.metadata.deletion_timestamp):
            self._deleted(at, claim, state)
        if TERMINATION in lost_finalizers(old, new):
            self._ended(at, claim)
        if new is None:
            self._leaving.pop(claim.metadata.name, None)

    def _born(self, claim: NodeClaim) -> None:
        reason = self._ordered.pop(claim.metadata.name, None)
        if reason is not None:
            relaxed = claim.metadata.annotations.get(MIN_VALUES_RELAXED, "false")
            self.created.add(reason, claim.metadata.labels.get(NODEPOOL, ""), relaxed)

    def _deleted(self, at: Millis, claim: NodeClaim, state: ClusterState) -> None:
        reason = self._leaving.pop(claim.metadata.name, "")
        if reason not in COUNTED:
            return
        labels = _labels(claim, reason, state)
        self.disrupted.add(*labels)
        if reason in INITIATED:
            pods = state.pods_on.get(claim.status.node_name, {}).values() if claim.status.node_name else ()
            moving = sum(1 for pod in pods if is_reschedulable(pod))
            if moving:
                self.pods_initiated.add(*labels, by=moving)
        if reason == "unhealthy":
            self.unhealthy.add(_sickness(at, claim, state), *labels[1:3], claim.status.image_id)

    def _ended(self, at: Millis, claim: NodeClaim) -> None:
        labels = claim.metadata.labels
        pool = labels.get(NODEPOOL, "")
        self.terminated.add(pool, labels.get(CAPACITY_TYPE, ""), labels.get(ZONE, ""))
        self.termination.observe(seconds(since(claim.metadata.deletion_timestamp, at), at), pool)
        ending = claim.condition("InstanceTerminating")
        if ending is not None and ending.status == "True" and ending.last_transition_time:
            self.instance_termination.observe(seconds(millis(ending.last_transition_time), at), pool)


def _labels(claim: NodeClaim, reason: str, state: ClusterState) -> tuple[str, str, str, str, str]:
    labels = claim.metadata.labels
    name = labels.get(NODEPOOL, "")
    policy, mode = "", ""
    if reason not in INTERRUPTIONS:
        pool = state.pools.get(name)
        policy = snake(pool.spec.disruption.consolidation_policy) if pool and reason in CONSOLIDATIONS else ""
        mode = termination_mode(claim)
    return reason, name, labels.get(CAPACITY_TYPE, ""), policy, mode


def termination_mode(claim: NodeClaim) -> str:
    """How a claim goes: `graceful`, or `eventual` or `forceful` where its drain has a limit, or no time at all."""
    grace = claim.spec.termination_grace_period
    if grace is None:
        return "graceful"
    return "eventual" if (spans(grace) or 0) > 0 else "forceful"


def _sickness(at: Millis, claim: NodeClaim, state: ClusterState) -> str:
    """The condition for which a node was given up: the one that was tolerated for too long first."""
    found = [
        (when, policy.condition)
        for node in state.nodes_with(claim.status.provider_id)
        for when, policy in sicknesses(node, EKS_POLICIES, at)
    ]
    return snake(min(found)[1]) if found else ""
