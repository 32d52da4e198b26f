"""The score plugins: which of the nodes that will do is best, with kube-scheduler's whole numbers and weights.

Source: kube-scheduler v1.36 default profile: TaintToleration 3, NodeAffinity 2, PodTopologySpread 2,
InterPodAffinity 2, NodeResourcesFit 1, NodeResourcesBalancedAllocation 1, ImageLocality 1.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from fretsaw.sim.scheduler.columns import TOP, Ints
from fretsaw.sim.scheduler.filters import Ask, Filters
from fretsaw.sim.scheduler.images import Images

TAINTS: Final = 3
AFFINITY: Final = 2
SPREAD: Final = 2
COMPANY: Final = 2


def scores(filters: Filters, images: Images, ask: Ask, slots: Ints) -> Ints:
    """The weighted sum of all scores for each feasible slot, but for parts that are the same on all of them."""
    mold = ask.mold
    taints, affinity, fit = filters.views(mold)
    total = fit.score[slots]
    if taints.any_disliked:
        total = total + TAINTS * fewer_is_better(taints.disliked[slots])
    if mold.preferred:
        total = total + AFFINITY * more_is_better(affinity.liked[slots])
    spread = filters.spreading.score(mold, slots, taints, affinity, ask.pin, filters.pinned(ask))
    if spread is not None:
        total = total + SPREAD * spread
    company = filters.company.score(mold, slots)
    if company is not None:
        total = total + COMPANY * company
    local = images.score(mold, slots)
    return total if local is None else total + local


def more_is_better(raw: Ints) -> Ints:
    """Scaled so that the largest is 100; all 0 where the largest is 0."""
    high = int(raw.max(initial=0))
    return raw * TOP // high if high else raw


def fewer_is_better(raw: Ints) -> Ints:
    """Scaled so that none is 100 and the largest 0; all 100 where there is none."""
    high = int(raw.max(initial=0))
    return TOP - raw * TOP // high if high else np.full(len(raw), TOP, np.int64)
