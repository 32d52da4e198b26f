"""Pools with a fixed number of nodes: ordering what is missing, taking away what is too much.

Source: Karpenter v1.14 pkg/controllers/static (provisioning, deprovisioning), pkg/state (node pool state).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fretsaw.api.labels import NODEPOOL
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.nodepool import NodePool
from fretsaw.api.resources import units
from fretsaw.api.times import MINUTE, SECOND, Millis
from fretsaw.engine import actions as a
from fretsaw.engine.disruption.costs import weighted_cost
from fretsaw.engine.launching import GIVEN_UP
from fretsaw.engine.machines import Machine
from fretsaw.engine.options import Options
from fretsaw.engine.orders import fresh_name
from fretsaw.engine.pdbs import is_active, is_disruptable, owned_by
from fretsaw.engine.sight import NOTHING, Look
from fretsaw.engine.state import ClusterState

ENOUGH_AGAIN: Millis = 1 * MINUTE
"""The wait while the pool has its nodes, or will have them."""
FULL_AGAIN: Millis = 30 * SECOND
"""The wait while the pool's limit leaves no room, and after a launch that was given up.

Differs: the peer orders anew as soon as the claim has gone, about once a second for as long as there is no capacity.
"""
SCALED_DOWN = "scaled_down"
"""The reason of a deletion by which a pool shrinks; no metric counts it."""

Order = Callable[[NodePool, str], NodeClaim]
"""The claim of that name for a pool's next node."""


def scale(state: ClusterState, pool: NodePool, options: Options, now: Millis, order: Order) -> Look:
    """What brings a static pool to its number of nodes. Other pools, and those that go, are left alone.

    A claim that a running disruption will take away is pending: it counts until its replacement does.
    """
    wanted = pool.spec.replicas
    if wanted is None or not options.static_capacity or pool.metadata.deletion_timestamp:
        return NOTHING
    claims = [c for c in state.claims.values() if c.metadata.labels.get(NODEPOOL) == pool.metadata.name]
    marked = state.marked
    going = [c for c in claims if c.metadata.deletion_timestamp]
    pending = [c for c in claims if not c.metadata.deletion_timestamp and c.metadata.name in marked]
    active = [c for c in claims if not c.metadata.deletion_timestamp and c.metadata.name not in marked]
    if len(active) > wanted:
        return _shrink(state, active, len(active) - wanted, now)
    if len(active) + len(pending) >= wanted or not _is_ready(pool):
        return Look(wake=now + ENOUGH_AGAIN)
    room = _limit(pool) - len(active) - len(going) - len(pending)
    return _grow(state, pool, min(wanted - len(active), room), now, order)


def removal_order(machine: Machine, now: Millis) -> tuple[int, bool, float, str]:
    """What a pool that shrinks takes first: unlaunched, then empty, then what moves freely and costs least to move.

    The cost of moving is less the older a machine is; the name decides between equals.
    """
    claim = machine.claim
    if claim is None or not claim.status.provider_id:
        return (0, False, 0.0, machine.name)
    if _is_empty(machine, now):
        return (1, False, 0.0, machine.name)
    held = any(not is_disruptable(pod, now) for pod in machine.pods)
    return (2, held, weighted_cost(machine.pods, claim, now), machine.name)


def _grow(state: ClusterState, pool: NodePool, number: int, now: Millis, order: Order) -> Look:
    given_up = state.checked.get((GIVEN_UP, pool.metadata.name))
    if number > 0 and given_up is not None and now < given_up + FULL_AGAIN:
        return Look(wake=given_up + FULL_AGAIN)
    if number <= 0:
        return Look(wake=now + FULL_AGAIN)
    taken = set(state.claims)
    orders = []
    for index in range(number):
        name = fresh_name(pool.metadata.name, f"static/{now}/{index}", taken)
        taken.add(name)
        orders.append(a.CreateClaim(order(pool, name)))
    return Look(tuple(orders), wake=now + FULL_AGAIN)


def _shrink(state: ClusterState, active: Iterable[NodeClaim], excess: int, now: Millis) -> Look:
    machines = sorted(
        (state.machines[c.metadata.name] for c in active), key=lambda machine: removal_order(machine, now)
    )
    return Look(tuple(a.DeleteClaim(m.name, SCALED_DOWN) for m in machines[:excess]), wake=now + ENOUGH_AGAIN)


def _is_empty(machine: Machine, now: Millis) -> bool:
    """Whether nothing but pods of DaemonSets runs there, and none of those asks to be left alone."""
    return all(owned_by(p, "DaemonSet") and is_disruptable(p, now) for p in machine.pods if is_active(p))


def _limit(pool: NodePool) -> int:
    nodes = pool.spec.limits.get("nodes")
    return units("nodes", nodes, up=False) if nodes is not None else 2**31


def _is_ready(pool: NodePool) -> bool:
    ready = pool.condition("Ready")
    return ready is not None and ready.status == "True"
