"""Which pool would buy a node for a pod, as the engine answers it: by taints, labels and room."""

from __future__ import annotations

import msgspec

from fretsaw.engine.requirements import Conflict
from fretsaw.lint.market import Offer
from fretsaw.lint.pool import Pool, own_key
from fretsaw.lint.work import Work


class Landing(msgspec.Struct, frozen=True):
    """A pool that takes a pod, and what it would buy for it."""

    pool: Pool
    offer: Offer


def place(pool: Pool, work: Work, *, without_selectors: bool = False) -> Offer | str:
    """What a pool would buy for a pod, or why it buys nothing. Volumes and company do not count.

    without_selectors: as if the pod asked for no label that instance types do not have by themselves.
    """
    if pool.is_static:
        return "it has a fixed number of nodes"
    taint = pool.keeps_off(work.spec.tolerations)
    if taint is not None:
        return f"taint {taint.key} is not tolerated"
    why: Conflict | str | None = None
    for asked in work.alternatives:
        if any(own_key(one.key) != one.key for one in asked):
            return "it asks for labels of EKS Auto Mode"
        wanted = asked
        if without_selectors:
            wanted = asked.without(*(one.key for one in asked if one.key not in pool.universe.well_known))
        conflict = pool.requirements.conflict(wanted, pool.universe.well_known)
        if conflict is not None:
            why = conflict
            continue
        offer = Offer.of(pool.universe, pool.requirements.merged(wanted)).holding(work.requests)
        if offer:
            return offer
        why = why or "no type that it may buy has room for the pod"
    return str(why or "it asks for nothing that there is")
