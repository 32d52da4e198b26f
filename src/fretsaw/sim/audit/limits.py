"""How much of each pool there may be.

Laws: a claim is ordered only if the pool's machines that stay, and the claim itself whatever type it becomes, are
within the pool's limits as they were at the order · a static pool orders no more than its replicas, and counts machines
that go against its limit on nodes.

What stays: machines that are neither being deleted nor marked by a running disruption, since those are replaced before
they go. Machines that come back because a disruption failed, and limits that shrink later, break no law.
Source: Karpenter v1.14 pkg/controllers/provisioning/scheduling (remaining resources), pkg/controllers/static.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from fretsaw.api.labels import NODEPOOL
from fretsaw.api.node import Node
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.nodepool import NodePool
from fretsaw.api.resources import units
from fretsaw.engine.nodes import INITIALIZED
from fretsaw.engine.requests import Amounts, add
from fretsaw.sim.audit.marked import Marked
from fretsaw.sim.world import World

NODES = "nodes"


class _Order(msgspec.Struct, frozen=True):
    """A claim's order under limits."""

    claim: str
    limits: Amounts
    stood: Amounts
    """What the machines with an instance held then."""
    coming: tuple[str, ...]
    """Claims without an instance then; what they became counts when they have one. The claim itself is the last."""


class Limits:
    """Watches all claims."""

    def __init__(self, world: World, marked: Marked, violated: Callable[[str], None]) -> None:
        self._store = world.store
        self._marked = marked
        self._violated = violated
        self._orders: dict[str, list[_Order]] = {}
        """Orders by each claim whose instance they wait for."""
        self._launched: dict[str, Amounts] = {}
        world.store.watch("NodeClaim", self._claim)

    def _claim(self, old: NodeClaim | None, new: NodeClaim | None) -> None:
        if new is None:
            if old is not None:
                self._orders.pop(old.metadata.name, None)
                self._launched.pop(old.metadata.name, None)
        elif old is None:
            self._ordered(new)
        elif new.status.provider_id and not old.status.provider_id:
            self._launch(new)

    def _ordered(self, claim: NodeClaim) -> None:
        pool: NodePool | None = self._store.get("NodePool", claim.metadata.labels.get(NODEPOOL, ""))
        if pool is None:
            return
        name = pool.metadata.name
        others = [c for c in self._claims_of(name) if c.metadata.name != claim.metadata.name]
        staying = [c for c in others if not self._goes(c)]
        if pool.spec.replicas is not None:
            self._check_static(pool, claim, len(staying), len(others))
        if not pool.spec.limits:
            return
        limits = {r: units(r, quantity, up=False) for r, quantity in pool.spec.limits.items()}
        if len(staying) + 1 > limits.get(NODES, len(staying) + 1):
            self._violated(f"claim {claim.metadata.name} is node {len(staying) + 1} of pool {name}, of {limits[NODES]}")
        stood: Amounts = {}
        for other in staying:
            add(stood, self._capacity(other) if other.status.provider_id else {})
        coming = (*(c.metadata.name for c in staying if not c.status.provider_id), claim.metadata.name)
        order = _Order(claim.metadata.name, limits, stood, coming)
        for waited in coming:
            self._orders.setdefault(waited, []).append(order)

    def _check_static(self, pool: NodePool, claim: NodeClaim, staying: int, others: int) -> None:
        name, wanted = pool.metadata.name, pool.spec.replicas or 0
        if staying + 1 > wanted:
            self._violated(f"claim {claim.metadata.name} is one of {staying + 1} of pool {name}, which wants {wanted}")
        most = pool.spec.limits.get(NODES)
        if most is not None and others + 1 > units(NODES, most, up=False):
            self._violated(f"claim {claim.metadata.name} is node {others + 1} of static pool {name}, of {most}")

    def _launch(self, claim: NodeClaim) -> None:
        """A claim has become a machine: the orders that had to allow for any type know more now."""
        name = claim.metadata.name
        self._launched[name] = self._capacity(claim)
        for order in self._orders.pop(name, ()):
            if order.claim not in self._launched:
                continue
            held = dict(order.stood)
            for other in order.coming:
                add(held, self._launched.get(other, {}))
            self._check(claim, order, held)

    def _check(self, claim: NodeClaim, order: _Order, held: Mapping[str, int]) -> None:
        for resource, limit in order.limits.items():
            if resource != NODES and held.get(resource, 0) > limit:
                pool = claim.metadata.labels[NODEPOOL]
                self._violated(f"pool {pool} has {held[resource]} {resource} of its limit {limit} with {order.claim}")

    # What there is

    def _claims_of(self, pool: str) -> list[NodeClaim]:
        claims = self._store.all("NodeClaim").values()
        return [claim for claim in claims if claim.metadata.labels.get(NODEPOOL) == pool]

    def _goes(self, claim: NodeClaim) -> bool:
        return bool(claim.metadata.deletion_timestamp) or claim.metadata.name in self._marked

    def _capacity(self, claim: NodeClaim) -> Amounts:
        """What a machine has: the node's own word once it is in use, before that the promise for what it lacks."""
        node: Node | None = self._store.get("Node", claim.status.node_name) if claim.status.node_name else None
        own = node.status.capacity if node is not None else {}
        found = {resource: units(resource, quantity, up=False) for resource, quantity in own.items()}
        if node is None or node.metadata.labels.get(INITIALIZED) != "true":
            for resource, quantity in claim.status.capacity.items():
                found[resource] = found.get(resource) or units(resource, quantity, up=False)
        return found
