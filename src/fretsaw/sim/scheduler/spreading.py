"""PodTopologySpread: how evenly matching pods lie over domains, as a filter and as a score.

Source: kube-scheduler v1.36 podtopologyspread; kubernetes.io, Pod Topology Spread Constraints.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from fretsaw.sim.scheduler.census import NOTHING, Census, Counter, Delta
from fretsaw.sim.scheduler.columns import Columns, Ints, Mask
from fretsaw.sim.scheduler.mold import Mold, Spread
from fretsaw.sim.scheduler.views import TOP, AffinityView, TaintView

HOSTNAME: Final = "kubernetes.io/hostname"
NO_DOMAIN: Final = 2**31
"""The least count where no node is eligible: every skew is small then."""


class Tally(msgspec.Struct, eq=False):
    """One constraint, counted."""

    spread: Spread
    of: Ints
    """Domain by slot, -1 for none."""
    eligible: Mask
    """Slots whose pods and domains count."""
    counts: Ints
    """Matching pods by domain."""
    present: Mask
    """Domains that have an eligible node."""

    def least(self, counts: Ints) -> int:
        """The smallest count of a domain; 0 where there are fewer domains than `minDomains`."""
        there = counts[self.present]
        if len(there) < self.spread.min_domains:
            return 0
        return int(there.min()) if len(there) else NO_DOMAIN

    def passes(self) -> Mask:
        """Slots where one more pod keeps the skew."""
        room = self.spread.max_skew - self.spread.self_match + self.least(self.counts)
        found: Mask = self.counts[self.of] <= room
        return found


class Spreading:
    """The plugin."""

    def __init__(self, columns: Columns, census: Census) -> None:
        self._columns = columns
        self._census = census
        self._counters: dict[int, tuple[list[Counter], list[Counter]]] = {}

    def _counters_of(self, mold: Mold) -> tuple[list[Counter], list[Counter]]:
        known = self._counters.get(mold.number)
        if known is None:
            known = self._counters[mold.number] = (
                [self._census.counter((s.selector,), leaving=False) for s in mold.hard],
                [self._census.counter((s.selector,), leaving=False) for s in mold.soft],
            )
        return known

    def tallies(self, mold: Mold, taints: TaintView, affinity: AffinityView, pinned: Mask | None) -> list[Tally]:
        """The hard constraints, counted. pinned: the nodes that a pod is pinned to, which its affinity asks for."""
        counters = self._counters_of(mold)[0]
        keyed = self._with_keys(mold.hard)
        return [
            self._tally(spread, counter, keyed & self._included(spread, taints, affinity, pinned))
            for spread, counter in zip(mold.hard, counters, strict=True)
        ]

    def _with_keys(self, spreads: Sequence[Spread]) -> Mask:
        """Nodes that have every topology key."""
        keyed = self._columns.valid
        for spread in spreads:
            keyed = keyed & (self._columns.domains(spread.topology_key).of >= 0)
        return keyed

    def _included(self, spread: Spread, taints: TaintView, affinity: AffinityView, pinned: Mask | None) -> Mask:
        """Nodes whose pods count, by the two policies."""
        included = self._columns.valid
        if spread.honor_affinity:
            included = included & affinity.passes
            if pinned is not None:
                included = included & pinned
        if spread.honor_taints:
            included = included & ~taints.tainted
        return included

    def _tally(self, spread: Spread, counter: Counter, eligible: Mask) -> Tally:
        domains = self._columns.domains(spread.topology_key)
        where = domains.of[eligible]
        counts = np.bincount(where, counter.at[eligible], domains.count + 1).astype(np.int64)
        return Tally(spread, domains.of, eligible, counts, np.bincount(where, minlength=domains.count + 1) > 0)

    def refuses(self, tallies: Sequence[Tally], slot: int, delta: Delta) -> str | None:
        """Why a slot does not do with some pods imagined away or added: `key`, `skew`, or None where it does."""
        for tally in tallies:
            domain = int(tally.of[slot])
            if domain < 0:
                return "key"
            counts = tally.counts
            moved = 0
            if delta is not NOTHING and tally.eligible[slot]:
                moved = delta.count((tally.spread.selector,), self._census, leaving=False)
            if moved:
                counts = counts.copy()
                counts[domain] += moved
            if counts[domain] + tally.spread.self_match - tally.least(counts) > tally.spread.max_skew:
                return "skew"
        return None

    def score(
        self, mold: Mold, slots: Ints, taints: TaintView, affinity: AffinityView, pinned: Mask | None
    ) -> Ints | None:
        """0 to 100 for each feasible slot, None where nothing is to be scored."""
        if not mold.soft:
            return None
        ignored = np.zeros(len(slots), np.bool_)
        keyed = self._columns.valid
        if not mold.default_spread:
            keyed = self._with_keys(mold.soft)
            ignored = ~keyed[slots]
        raw = np.zeros(len(slots))
        for spread, counter in zip(mold.soft, self._counters_of(mold)[1], strict=True):
            domains = self._columns.domains(spread.topology_key)
            where = domains.of[slots]
            if spread.topology_key == HOSTNAME:
                counts = counter.at[slots]
                weight = math.log(len(slots) - int(ignored.sum()) + 2)
            else:
                eligible = keyed & self._included(spread, taints, affinity, pinned) & (domains.of >= 0)
                by_domain = np.bincount(domains.of[eligible], counter.at[eligible], domains.count + 1)
                counts = by_domain[where]
                weight = math.log(len(np.unique(where[~ignored])) + 2)
            raw += np.where(where >= 0, counts * weight + (spread.max_skew - 1), 0)
        return _normalized(np.floor(raw + 0.5).astype(np.int64), ignored)


def _normalized(raw: Ints, ignored: Mask) -> Ints:
    """Fewer is better; nodes without all keys get nothing."""
    counted = raw[~ignored]
    if not len(counted):
        return np.zeros(len(raw), np.int64)
    low, high = int(counted.min()), int(counted.max())
    if high == 0:
        return np.where(ignored, 0, TOP)
    return np.where(ignored, 0, TOP * (high + low - raw) // high)
