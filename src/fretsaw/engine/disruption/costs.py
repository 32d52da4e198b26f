"""What a disruption costs: evictions in units of one plain pod, machines in nano-USD an hour.

Source: Karpenter v1.14 pkg/utils/disruption, pkg/controllers/disruption types.go.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.pod import Pod
from fretsaw.api.times import Millis, millis, span
from fretsaw.engine.universe import Universe, nano_usd

BASE = 1.0
"""What taking any machine away costs, pods or none."""
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_MOST = 10.0


def eviction_cost(pod: Pod) -> float:
    """1 for a plain pod, more or less by its deletion cost and its priority, between -10 and 10."""
    cost = 1.0 + _deletion_cost(pod) / 2**27 + (pod.spec.priority or 0) / 2**25
    return max(-_MOST, min(cost, _MOST))


def _deletion_cost(pod: Pod) -> float:
    """The pod's deletion cost; 0 for a text that is no number."""
    try:
        cost = float(pod.metadata.annotations.get(DELETION_COST, "0"))
    except ValueError:
        return 0.0
    return cost if not math.isnan(cost) else 0.0


def rescheduling_cost(pods: Iterable[Pod]) -> float:
    """The cost of a machine whose pods have to find another place: the base, and each pod that costs anything."""
    return BASE + math.fsum(max(0.0, eviction_cost(pod)) for pod in pods)


def lifetime_left(claim: NodeClaim, now: Millis) -> float:
    """The part of its life that a machine still has before it: 1 when new or when it never expires, 0 at its end."""
    life = span(claim.spec.expire_after)
    if life is None or claim.metadata.creation_timestamp is None:
        return 1.0
    if not life:
        return 0.0
    return max(0.0, min((life - (now - millis(claim.metadata.creation_timestamp))) / life, 1.0))


def weighted_cost(pods: Iterable[Pod], claim: NodeClaim, now: Millis) -> float:
    """The eviction cost of all pods, less the older the machine is: for the order in which a static pool shrinks."""
    return math.fsum(map(eviction_cost, pods)) * lifetime_left(claim, now)


def price_nano(universe: Universe | None, instance_type: str, zone: str, capacity_type: str) -> int:
    """What such a machine costs: the first offering of its type in the zone and capacity type, on sale or not.

    0 where there is none: then nothing can be cheaper.
    """
    t = universe.number.get(instance_type) if universe is not None else None
    if universe is None or t is None:
        return 0
    for offering in universe.catalog.instance_types[t].offerings:
        if (offering.zone, offering.capacity_type) == (zone, capacity_type):
            return nano_usd(offering.price) if not math.isnan(offering.price) else 0
    return 0
