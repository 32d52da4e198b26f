"""InterPodAffinity: whose company pods seek and shun, as a filter and as a score.

Source: kube-scheduler v1.36 interpodaffinity; kubernetes.io, Assigning Pods to Nodes, "Inter-pod affinity and
anti-affinity".
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fretsaw.sim.scheduler.census import NOTHING, Carriers, Census, Counter, Delta
from fretsaw.sim.scheduler.columns import TOP, Columns, Ints, Mask
from fretsaw.sim.scheduler.mold import Mold, Term

Check = tuple[str, Mask]
"""(which rule, where it holds): `company`, `apart`, or `existing` for the anti-affinity of placed pods."""


class Company:
    """The plugin."""

    def __init__(self, columns: Columns, census: Census) -> None:
        self._columns = columns
        self._census = census

    def _all_terms(self, mold: Mold) -> Counter:
        """Pods that all required terms speak of together."""
        return self._census.counter(tuple(term.selector for term in mold.company), leaving=True)

    def _one(self, term: Term) -> Counter:
        return self._census.counter((term.selector,), leaving=True)

    def _spread_out(self, key: str, at: Ints) -> tuple[Ints, Ints]:
        """(domain by slot, count by slot of all of its domain; 0 where there is no domain)."""
        domains = self._columns.domains(key)
        keyed = domains.of >= 0
        by_domain = np.bincount(domains.of[keyed], at[keyed], domains.count + 1).astype(np.int64)
        by_domain[-1] = 0
        return domains.of, by_domain[domains.of]

    def checks(self, mold: Mold) -> Iterator[Check]:
        """The rules that apply, each with the slots where it holds."""
        if mold.company:
            yield "company", self._with_company(mold)
        if mold.apart:
            yield "apart", self._free_of((term, self._one(term)) for term in mold.apart)
        existing = [group for group in self._census.speaking_of(mold) if group.kind == "apart"]
        if existing:
            yield "existing", self._free_of((group.term, group) for group in existing)

    def _with_company(self, mold: Mold) -> Mask:
        counter = self._all_terms(mold)
        passes = self._columns.valid
        keyed = self._columns.valid
        anywhere = False
        for term in mold.company:
            of, counts = self._spread_out(term.topology_key, counter.at)
            keyed = keyed & (of >= 0)
            passes = passes & (counts > 0)
            anywhere = anywhere or bool((counts > 0).any())
        # The first of a group that seeks its own kind may go wherever the keys are.
        return passes if anywhere or not self._seeks_itself(mold) else keyed

    def _seeks_itself(self, mold: Mold) -> bool:
        return all(self._census.matches(term.selector, mold.pod) for term in mold.company)

    def _free_of(self, shunned: Iterator[tuple[Term, Counter | Carriers]]) -> Mask:
        passes = self._columns.valid
        for term, counter in shunned:
            if counter.total:
                passes = passes & (self._spread_out(term.topology_key, counter.at)[1] <= 0)
        return passes

    def refuses(self, mold: Mold, slot: int, delta: Delta) -> str | None:
        """Which rule a slot breaks with some pods imagined away or added; None where it breaks none."""
        if mold.company and not self._finds_company(mold, slot, delta):
            return "company"
        for term in mold.apart:
            of, counts = self._spread_out(term.topology_key, self._one(term).at)
            if of[slot] >= 0 and counts[slot] + delta.count((term.selector,), self._census) > 0:
                return "apart"
        for group in self._speaking(mold, delta):
            of, counts = self._spread_out(group.term.topology_key, group.at)
            if of[slot] >= 0 and counts[slot] + delta.carriers(group, self._census) > 0:
                return "existing"
        return None

    def _speaking(self, mold: Mold, delta: Delta) -> list[Carriers]:
        """Anti-affinity terms of placed and imagined pods that speak of the mold."""
        for placed in delta.plus:
            self._census.carried(placed.mold)
        found = [group for group in self._census.speaking_of(mold) if group.kind == "apart"]
        for placed in delta.plus:
            for group in self._census.carried(placed.mold):
                if group.kind == "apart" and group not in found and self._census.matches(group.term.selector, mold.pod):
                    found.append(group)
        return found

    def _finds_company(self, mold: Mold, slot: int, delta: Delta) -> bool:
        counter = self._all_terms(mold)
        moved = 0 if delta is NOTHING else delta.count(tuple(term.selector for term in mold.company), self._census)
        keyed, found, anywhere = True, True, False
        for term in mold.company:
            of, counts = self._spread_out(term.topology_key, counter.at)
            total = int(counter.at[of >= 0].sum())
            keyed = keyed and of[slot] >= 0
            found = found and of[slot] >= 0 and counts[slot] + moved > 0
            anywhere = anywhere or total + (moved if of[slot] >= 0 else 0) > 0
        return found or (keyed and not anywhere and self._seeks_itself(mold))

    def score(self, mold: Mold, slots: Ints) -> Ints | None:
        """0 to 100 for each feasible slot, None where nothing is to be scored."""
        weighed = [(term, self._one(term).at, weight) for term, weight in mold.wishes]
        drawn = (group for group in self._census.speaking_of(mold) if group.kind != "apart")
        weighed += [(group.term, group.at, group.weight) for group in drawn]
        if not weighed:
            return None
        raw = np.zeros(len(slots), np.int64)
        for term, at, weight in weighed:
            raw += weight * self._spread_out(term.topology_key, at)[1][slots]
        low, high = int(raw.min()), int(raw.max())
        if high == low:
            return np.zeros(len(slots), np.int64)
        return (TOP * ((raw - low) / (high - low))).astype(np.int64)
