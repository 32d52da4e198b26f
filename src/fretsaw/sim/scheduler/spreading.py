"""PodTopologySpread: how evenly matching pods lie over domains, as a filter and as a score.

Source: kube-scheduler v1.36 podtopologyspread; kubernetes.io, Pod Topology Spread Constraints.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from fretsaw.api.labels import HOSTNAME
from fretsaw.sim.scheduler.census import NOTHING, Census, Counter, Delta
from fretsaw.sim.scheduler.columns import TOP, Columns, Ints, Mask
from fretsaw.sim.scheduler.mold import Mold, Spread
from fretsaw.sim.scheduler.views import AffinityView, TaintView

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


class Ground(msgspec.Struct, eq=False):
    """Where one constraint counts, which only changes with the nodes."""

    spread: Spread
    counter: Counter
    version: int
    """Length of the log of nodes for which the rest is right."""
    of: Ints
    eligible: Mask
    slots: Ints
    """The eligible slots, and their domains."""
    where: Ints
    size: int
    present: Mask
    everywhere: bool
    """Whether every node is in a domain."""

    def counts(self) -> Ints:
        """Matching pods by domain."""
        return np.bincount(self.where, self.counter.at[self.slots], self.size).astype(np.int64)


class Spreading:
    """The plugin."""

    def __init__(self, columns: Columns, census: Census) -> None:
        self._columns = columns
        self._census = census
        self._grounds: dict[tuple[int, tuple[str, ...] | None], tuple[list[Ground], list[Ground], Mask]] = {}

    def _grounds_of(
        self, mold: Mold, taints: TaintView, affinity: AffinityView, pin: tuple[str, ...] | None, pinned: Mask | None
    ) -> tuple[list[Ground], list[Ground], Mask]:
        """(hard constraints, soft ones, the nodes with all keys of the soft ones), as the nodes are now."""
        version = len(self._columns.labels)
        known = self._grounds.get((mold.number, pin))
        if known is not None and (*known[0], *known[1])[0].version == version:
            return known
        keyed = self._with_keys(mold.hard)
        soft_keyed = self._columns.valid if mold.default_spread else self._with_keys(mold.soft)
        found = (
            [self._ground(s, keyed & self._included(s, taints, affinity, pinned), version) for s in mold.hard],
            [self._ground(s, soft_keyed & self._included(s, taints, affinity, pinned), version) for s in mold.soft],
            soft_keyed,
        )
        if pin is None:
            self._grounds[mold.number, pin] = found
        return found

    def _with_keys(self, spreads: Sequence[Spread]) -> Mask:
        """Nodes that have every topology key."""
        keyed = self._columns.valid.copy()
        for spread in spreads:
            keyed &= self._columns.domains(spread.topology_key).of >= 0
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

    def _ground(self, spread: Spread, included: Mask, version: int) -> Ground:
        domains = self._columns.domains(spread.topology_key)
        eligible = included & (domains.of >= 0)
        slots = np.flatnonzero(eligible)
        where = domains.of[slots]
        # One more, so that -1 (no domain) finds a count of 0.
        size = domains.count + 1
        counter = self._census.counter((spread.selector,), leaving=False)
        present = np.bincount(where, minlength=size) > 0
        everywhere = bool((domains.of[self._columns.valid] >= 0).all())
        return Ground(spread, counter, version, domains.of.copy(), eligible, slots, where, size, present, everywhere)

    def tallies(
        self, mold: Mold, taints: TaintView, affinity: AffinityView, pin: tuple[str, ...] | None, pinned: Mask | None
    ) -> list[Tally]:
        """The hard constraints, counted. pin, pinned: the nodes that a pod's affinity names, if it does."""
        grounds = self._grounds_of(mold, taints, affinity, pin, pinned)[0]
        return [Tally(g.spread, g.of, g.eligible, g.counts(), g.present) for g in grounds]

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
        self,
        mold: Mold,
        slots: Ints,
        taints: TaintView,
        affinity: AffinityView,
        pin: tuple[str, ...] | None,
        pinned: Mask | None,
    ) -> Ints | None:
        """0 to 100 for each feasible slot, None where nothing is to be scored."""
        if not mold.soft:
            return None
        _, grounds, keyed = self._grounds_of(mold, taints, affinity, pin, pinned)
        ignored = None if all(ground.everywhere for ground in grounds) else ~keyed[slots]
        scored = len(slots) - (0 if ignored is None else int(np.count_nonzero(ignored)))
        raw = np.zeros(len(slots))
        for ground in grounds:
            where = ground.of[slots]
            if ground.spread.topology_key == HOSTNAME:
                counts, domains = ground.counter.at[slots], scored
            else:
                counts = ground.counts()[where]
                seen = where if ignored is None else where[~ignored]
                domains = int(np.count_nonzero(np.bincount(seen + 1, minlength=1)))
            part = counts * math.log(domains + 2) + (ground.spread.max_skew - 1)
            raw += part if ground.everywhere else np.where(where >= 0, part, 0)
        return _normalized(np.floor(raw + 0.5).astype(np.int64), ignored)


def _normalized(raw: Ints, ignored: Mask | None) -> Ints:
    """Fewer is better; nodes without all keys get nothing."""
    counted = raw if ignored is None else raw[~ignored]
    low, high = int(counted.min(initial=2**62)), int(counted.max(initial=0))
    found = TOP * (high + low - raw) // high if high else np.full(len(raw), TOP)
    return found if ignored is None else np.where(ignored, 0, found)
