"""Metrics of NodePools: limits, usage, cost, and what their disruption budgets allow.

The budgets are worked out when somebody asks, for every pool and reason.
Differs: the peer tells them only while a method has candidates, so that they may be out of date.

Source: Karpenter v1.14 pkg/controllers/metrics/nodepool, pkg/controllers/disruption, pkg/state/cost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import get_args

from fretsaw.api.meta import Object
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.nodepool import Reason
from fretsaw.api.resources import Quantity
from fretsaw.api.times import Millis
from fretsaw.controllers.telemetry.changes import became_true
from fretsaw.controllers.telemetry.families import Counter, Family, inner, line
from fretsaw.controllers.telemetry.group import Group, Told
from fretsaw.controllers.telemetry.prices import Prices
from fretsaw.controllers.telemetry.words import quantity, resource_type
from fretsaw.engine.disruption.budgets import Share, allowed, shares
from fretsaw.engine.state import ClusterState

REASONS: tuple[Reason, ...] = get_args(Reason)

LIMIT = Family("karpenter_nodepools_limit", "gauge", ("resource_type", "nodepool"), "The limits in a pool's spec.")
USAGE = Family("karpenter_nodepools_usage", "gauge", ("resource_type", "nodepool"), "What a pool's nodes have in all.")
COST = Family(
    "karpenter_nodepools_cost_total",
    "gauge",
    ("nodepool",),
    "List price of a pool's machines in USD an hour, with NodeOverlays; not what is billed.",
)
ALLOWED = Family(
    "karpenter_nodepools_allowed_disruptions",
    "gauge",
    ("nodepool", "reason"),
    "Nodes that the pool's budgets allow to disrupt at once; 2147483647 where no budget holds.",
)
CONSUMING = Family(
    "karpenter_nodepools_nodes_consuming_budgets",
    "gauge",
    ("nodepool", "reason"),
    "Nodes that count against the budgets: not ready, or on their way out.",
)
COST_ERRORS = Family(
    "karpenter_nodepools_cost_tracker_errors_total",
    "counter",
    ("nodepool",),
    "Machines that were launched and whose price is not known.",
)


class Pools(Group):
    """Tells what NodePools have, cost and allow."""

    title = "NodePools"
    families = (LIMIT, USAGE, COST, ALLOWED, CONSUMING, COST_ERRORS)

    def __init__(self, prices: Prices) -> None:
        self._prices = prices
        self.cost_errors = Counter(COST_ERRORS)
        self.stores = (self.cost_errors,)

    def changed(self, at: Millis, old: Object | None, new: Object | None, state: ClusterState) -> None:
        """A machine without a price is counted once."""
        if not isinstance(old, NodeClaim) or not isinstance(new, NodeClaim) or not became_true(old, new, "Launched"):
            return
        machine = state.machines.get(new.metadata.name)
        if machine is not None and self._prices.adjusted(state, machine) is None:
            self.cost_errors.add(machine.pool)

    def gauges(self, now: Millis, state: ClusterState) -> Iterator[Told]:
        """Every pool."""
        yield LIMIT, self._amounts(LIMIT, {name: pool.spec.limits for name, pool in state.pools.items()})
        yield USAGE, self._amounts(USAGE, {name: pool.status.resources for name, pool in state.pools.items()})
        yield COST, self._costs(state)
        counts = shares(state)
        yield ALLOWED, self._allowed(state, counts, now)
        yield CONSUMING, self._consuming(state, counts)

    def _amounts(self, family: Family, pools: Mapping[str, Mapping[str, Quantity]]) -> Iterator[str]:
        for pool, amounts in pools.items():
            for resource, text in amounts.items():
                yield line(family.name, inner(family.labels, (resource_type(resource), pool)), quantity(resource, text))

    def _costs(self, state: ClusterState) -> Iterator[str]:
        found = dict.fromkeys(state.pools, 0.0)
        for machine in state.machines.values():
            if machine.pool in found and machine.provider_id:
                found[machine.pool] += self._prices.adjusted(state, machine) or 0.0
        for pool, cost in found.items():
            yield line(COST.name, inner(COST.labels, (pool,)), round(cost, 6))

    def _allowed(self, state: ClusterState, counts: Mapping[str, Share], now: Millis) -> Iterator[str]:
        for name, pool in state.pools.items():
            nodes = counts.get(name, Share()).nodes
            for reason in REASONS:
                yield line(ALLOWED.name, inner(ALLOWED.labels, (name, reason)), allowed(pool, nodes, reason, now))

    def _consuming(self, state: ClusterState, counts: Mapping[str, Share]) -> Iterator[str]:
        for name in state.pools:
            for reason in REASONS:
                count = counts.get(name, Share()).disrupting
                yield line(CONSUMING.name, inner(CONSUMING.labels, (name, reason)), count)
