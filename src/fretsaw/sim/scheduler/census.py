"""How many pods of a kind are on each node, counted as pods come and go.

Spread constraints and affinity terms ask for such counts; whoever asks first makes the counter, equal questions share
it. Pods that carry terms of their own are counted by term, since other pods are placed in view of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec
import numpy as np

from fretsaw.api.pod import Pod
from fretsaw.sim.scheduler.columns import Columns, Ints, Placed, longer
from fretsaw.sim.scheduler.mold import Mold, Term
from fretsaw.sim.scheduler.selectors import Namespaces, Selector

Carried = Literal["apart", "company", "wish"]
Pair = tuple[str, str, str]
"""(namespace, label, value)."""


class BySlot:
    """So many pods on each slot."""

    def __init__(self, size: int) -> None:
        self.at: Ints = np.zeros(size, np.int64)
        self.total = 0

    def add(self, slot: int, by: int) -> None:
        """Count on a slot."""
        self.at[slot] += by
        self.total += by


class Counter(BySlot):
    """Pods that all of some selectors select, by slot."""

    def __init__(self, selectors: tuple[Selector, ...], leaving: bool, size: int) -> None:
        super().__init__(size)
        self.selectors = selectors
        self.leaving = leaving
        """Whether pods that are being deleted count."""

    def selects(self, pod: Pod, known: Namespaces) -> bool:
        """Whether a pod is counted."""
        if pod.metadata.deletion_timestamp and not self.leaving:
            return False
        return all(selector.matches(pod, known) for selector in self.selectors)


class Carriers(BySlot):
    """Pods that carry a term, by slot."""

    def __init__(self, term: Term, kind: Carried, weight: int, size: int) -> None:
        super().__init__(size)
        self.term = term
        self.kind = kind
        self.weight = weight


class Census:
    """All pods on nodes, and everything that is counted of them."""

    def __init__(self, columns: Columns, namespaces: Namespaces) -> None:
        self._columns = columns
        self._namespaces = namespaces
        self.placed: dict[str, Placed] = {}
        self.users: dict[str, dict[str, Placed]] = defaultdict(dict)
        """Pods by claim that they mount."""
        self.priorities: dict[int, int] = defaultdict(int)
        """How many pods are placed with each priority."""
        self._labelled: dict[Pair, dict[str, Placed]] = defaultdict(dict)
        self._counters: dict[tuple[bytes, bool], Counter] = {}
        self._by_pair: dict[Pair, list[Counter]] = defaultdict(list)
        self._unpaired: list[Counter] = []
        self._groups: dict[tuple[str, str, bytes, int], Carriers] = {}
        self._group_list: list[Carriers] = []
        self._carried: dict[int, tuple[Carriers, ...]] = {}
        self._matching: dict[int, tuple[int, list[Carriers]]] = {}
        columns.on_growth(self)

    def grow(self, size: int) -> None:
        """Follow the columns."""
        for counter in self._counters.values():
            counter.at = longer(counter.at, size)
        for group in self._group_list:
            group.at = longer(group.at, size)

    # Pods

    def add(self, placed: Placed) -> None:
        """A pod is on a node now."""
        pod, mold = placed.pod, placed.mold
        key, namespace = pod.key, pod.metadata.home
        self.placed[key] = placed
        self.priorities[mold.priority] += 1
        placed.counters = list(self._unpaired)
        for label, value in pod.metadata.labels.items():
            pair = (namespace, label, value)
            self._labelled[pair][key] = placed
            if pair in self._by_pair:
                placed.counters += self._by_pair[pair]
        if placed.counters:
            placed.counters = [c for c in placed.counters if c.selects(pod, self._namespaces)]
        if mold.carries_terms:
            placed.counters += self.carried(mold)
        for counter in placed.counters:
            counter.add(placed.slot, 1)
        for claim in mold.claims:
            self.users[claim][key] = placed

    def remove(self, placed: Placed) -> None:
        """A pod is on its node no longer."""
        pod = placed.pod
        key, namespace = pod.key, pod.metadata.home
        del self.placed[key]
        self.priorities[placed.mold.priority] -= 1
        for label, value in pod.metadata.labels.items():
            found = self._labelled[namespace, label, value]
            del found[key]
            if not found:
                del self._labelled[namespace, label, value]
        for counter in placed.counters:
            counter.add(placed.slot, -1)
        for claim in placed.mold.claims:
            self.users[claim].pop(key, None)

    def leaves(self, placed: Placed, pod: Pod) -> None:
        """A placed pod is being deleted: it keeps its room but counts for no spread any more."""
        placed.pod = pod
        gone = [c for c in placed.counters if isinstance(c, Counter) and not c.leaving]
        for counter in gone:
            counter.add(placed.slot, -1)
        placed.counters = [c for c in placed.counters if c not in gone]

    def has_lower(self, priority: int) -> bool:
        """Whether any placed pod has a lower priority."""
        return any(count and other < priority for other, count in self.priorities.items())

    # Counting

    def counter(self, selectors: tuple[Selector, ...], *, leaving: bool) -> Counter:
        """The counter of a question; leaving: whether pods that are being deleted count."""
        question = (b"".join(selector.key() for selector in selectors), leaving)
        known = self._counters.get(question)
        if known is None:
            known = self._counters[question] = Counter(selectors, leaving, self._columns.size)
            self._register(known)
            for placed in self._candidates(known):
                self._recount(known, placed)
        return known

    def _register(self, counter: Counter) -> None:
        pairs = self._pairs(counter)
        if pairs is None:
            self._unpaired.append(counter)
            return
        for pair in pairs:
            self._by_pair[pair].append(counter)

    def _pairs(self, counter: Counter) -> list[Pair] | None:
        """Where the counted pods are to be found; None for anywhere."""
        for selector in counter.selectors:
            pair = selector.pair()
            if pair is not None and selector.namespace_selector is None:
                return [(namespace, *pair) for namespace in dict.fromkeys(selector.namespaces)]
        return None

    def _candidates(self, counter: Counter) -> Iterable[Placed]:
        pairs = self._pairs(counter)
        if pairs is None:
            return list(self.placed.values())
        return [placed for pair in pairs if pair in self._labelled for placed in self._labelled[pair].values()]

    def _recount(self, counter: Counter, placed: Placed) -> None:
        if counter.selects(placed.pod, self._namespaces):
            counter.add(placed.slot, 1)
            placed.counters.append(counter)

    def namespaces_changed(self) -> None:
        """Labels of a namespace changed: what looks through a namespace selector is counted anew."""
        self._matching.clear()
        wide = [c for c in self._counters.values() if any(s.namespace_selector is not None for s in c.selectors)]
        for counter in wide:
            counter.at[:] = 0
            counter.total = 0
            for placed in self.placed.values():
                placed.counters = [c for c in placed.counters if c is not counter]
                self._recount(counter, placed)

    # Terms of placed pods

    def carried(self, mold: Mold) -> tuple[Carriers, ...]:
        """Where a mold's pods are counted for the terms that they carry."""
        known = self._carried.get(mold.number)
        if known is None:
            known = self._carried[mold.number] = tuple(self._group(*item) for item in _terms(mold))
        return known

    def _group(self, term: Term, kind: Carried, weight: int) -> Carriers:
        question = (kind, term.topology_key, term.selector.key(), weight)
        known = self._groups.get(question)
        if known is None:
            known = self._groups[question] = Carriers(term, kind, weight, self._columns.size)
            self._group_list.append(known)
        return known

    def speaking_of(self, mold: Mold) -> list[Carriers]:
        """The terms that placed pods carry, or carried, and that speak of this mold's pods."""
        seen, found = self._matching.get(mold.number, (0, []))
        if seen < len(self._group_list):
            fresh = self._group_list[seen:]
            found = [*found, *(g for g in fresh if g.term.selector.matches(mold.pod, self._namespaces))]
            self._matching[mold.number] = (len(self._group_list), found)
        return [group for group in found if group.total] if found else found

    def matches(self, selector: Selector, pod: Pod) -> bool:
        """Whether a selector selects a pod, with the namespaces as they are."""
        return selector.matches(pod, self._namespaces)


def _terms(mold: Mold) -> Iterator[tuple[Term, Carried, int]]:
    """What a placed pod's terms mean for others; its required affinity draws them with weight 1.

    Source: kube-scheduler v1.36 InterPodAffinityArgs (hardPodAffinityWeight default 1).
    """
    yield from ((term, "apart", 0) for term in mold.apart)
    yield from ((term, "company", 1) for term in mold.company)
    yield from ((term, "wish", weight) for term, weight in mold.wishes)


class Delta(msgspec.Struct, frozen=True):
    """Pods that one node is imagined without, and with."""

    minus: tuple[Placed, ...] = ()
    plus: tuple[Placed, ...] = ()

    def count(self, selectors: tuple[Selector, ...], census: Census, *, leaving: bool = True) -> int:
        """By how many the pods of some selectors become more."""

        def selected(placed: Placed) -> bool:
            if placed.pod.metadata.deletion_timestamp and not leaving:
                return False
            return all(census.matches(selector, placed.pod) for selector in selectors)

        return sum(map(selected, self.plus)) - sum(map(selected, self.minus))

    def carriers(self, group: Carriers, census: Census) -> int:
        """By how many the pods that carry a term become more."""
        return sum(group in census.carried(p.mold) for p in self.plus) - sum(
            group in census.carried(p.mold) for p in self.minus
        )


NOTHING = Delta()
