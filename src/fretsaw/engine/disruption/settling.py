"""How long a machine's pods have to be left alone before consolidation counts on it.

Source: Karpenter v1.14 pkg/utils/disruption (IsUnderConsolidateAfter).
"""

from __future__ import annotations

from functools import lru_cache

from fretsaw.api.nodepool import NodePool
from fretsaw.api.times import Millis, millis, span
from fretsaw.engine.machines import Machine
from fretsaw.engine.state import ClusterState

_span = lru_cache(maxsize=1024)(span)


def settled_at(machine: Machine, pool: NodePool) -> Millis | None:
    """When the machine's consolidateAfter has passed since its last pod event, or since it was initialised.

    None where that cannot be said: consolidation is off, or the machine is not initialised.
    """
    wait = _span(pool.spec.disruption.consolidate_after)
    initialized = machine.claim.condition("Initialized") if machine.claim is not None else None
    if wait is None or machine.claim is None or initialized is None or initialized.status != "True":
        return None
    since = machine.claim.status.last_pod_event_time or initialized.last_transition_time
    return millis(since) + wait if since is not None else 0


def settling(state: ClusterState, now: Millis) -> frozenset[str]:
    """The machines that take no running pods from a consolidation yet; what is Consolidatable has settled."""
    found = []
    for name in state.roster.unsettled:
        machine = state.machines[name]
        pool = state.pools.get(machine.pool)
        if pool is not None and (when := settled_at(machine, pool)) is not None and when > now:
            found.append(machine.name)
    return frozenset(found)
