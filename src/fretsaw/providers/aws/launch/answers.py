"""An instance as the answer to a NodeClaim: labels, capacity, price.

Source: Karpenter AWS provider v1.14 pkg/cloudprovider (instance to NodeClaim).
"""

from __future__ import annotations

from collections.abc import Mapping

from fretsaw.api.labels import AWS_DOMAIN, CAPACITY_TYPE, INSTANCE_TYPE, NODEPOOL, ZONE
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.engine.events import InstanceCreated
from fretsaw.providers.aws.launch.instances import Instance
from fretsaw.providers.fleet.market import Market

_GROUP = f"{AWS_DOMAIN}/placement-group-id"
_PARTITION = f"{AWS_DOMAIN}/placement-group-partition"


def created(claim: NodeClaim, made: Instance, market: Market | None) -> InstanceCreated:
    """The answer. market: of the catalog that the instance is of; without it there are fewer labels, and no amounts."""
    labels = {INSTANCE_TYPE: made.type, ZONE: made.zone, CAPACITY_TYPE: made.capacity_type}
    capacity: Mapping[str, str] = {}
    allocatable: Mapping[str, str] = {}
    price = 0.0
    t = market.index(made.type) if market is not None else None
    if market is not None and t is not None:
        wants = market.wants(claim)
        capacity, allocatable = market.amounts(t, wants)
        c = _cell(market, made)
        if c is not None:
            labels = market.labels(t, c, wants)
            price = market.universe.cells[c].listed_usd.get(t, 0.0)
    if made.placement_group:
        labels[_GROUP] = made.placement_group
    if made.partition:
        labels[_PARTITION] = str(made.partition)
    pool = claim.metadata.labels.get(NODEPOOL) or made.tags.get(NODEPOOL)
    return InstanceCreated(
        claim=claim.metadata.name,
        provider_id=made.provider_id,
        labels={**labels, NODEPOOL: pool} if pool else labels,
        capacity=dict(capacity),
        allocatable=dict(allocatable),
        image_id=made.image_id,
        price_usd_per_hour=price,
    )


def _cell(market: Market, made: Instance) -> int | None:
    """The offering that an instance is of; one of a reservation that has ended is of none."""
    for c, cell in enumerate(market.universe.cells):
        if (cell.zone, cell.capacity_type) == (made.zone, made.capacity_type) and (
            not cell.reserved or cell.reservation == made.reservation
        ):
            return c
    return None
