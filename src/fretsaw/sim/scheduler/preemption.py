"""Preemption: which pods of lower priority would have to go so that a pod fits, and on which node that hurts least.

Source: kube-scheduler v1.36 framework/preemption, defaultpreemption; kubernetes.io, Pod Priority and Preemption.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from random import Random
from typing import Final

import msgspec

from fretsaw.api.meta import LabelSelector
from fretsaw.api.policy import PodDisruptionBudget
from fretsaw.sim.scheduler.census import Delta
from fretsaw.sim.scheduler.columns import Placed
from fretsaw.sim.scheduler.filters import Ask, Filters, Refusal, Verdict

SHARE: Final = 10
"""Percent of the nodes that are tried."""
LEAST: Final = 100
"""Candidates that are looked for at least."""
NOT_HELPFUL: Final = "Preemption is not helpful for scheduling"
NO_VICTIMS: Final = "No preemption victims found for incoming pod"


class Candidate(msgspec.Struct, eq=False):
    """A node with the pods that would have to go."""

    slot: int
    victims: tuple[Placed, ...]
    """The highest priority first, then the longest running."""
    violations: int
    """Victims beyond what their budgets allow."""


class Preemption:
    """Dry runs over the nodes that a pod was refused by."""

    def __init__(self, filters: Filters, budgets: Iterable[PodDisruptionBudget], random: Random) -> None:
        self._filters = filters
        # Differs from the eviction API: here an empty selector protects nothing (kube-scheduler's own rule).
        self._budgets = [b for b in budgets if b.spec.selector is not None and b.spec.selector != LabelSelector()]
        self._random = random

    def best(self, ask: Ask, verdict: Verdict) -> tuple[Candidate | None, str]:
        """(the node to make room on, None for none; why none in the scheduler's words)."""
        slots = verdict.resolvable
        reasons: Counter[str] = Counter()
        if verdict.nodes > len(slots):
            reasons[NOT_HELPFUL] = verdict.nodes - len(slots)
        if not self._filters.census.has_lower(ask.mold.priority):
            if slots:
                reasons[NO_VICTIMS] += len(slots)
            return None, text(verdict.nodes, reasons)
        wanted = min(max(len(slots) * SHARE // 100, LEAST), len(slots))
        start = self._random.randrange(len(slots)) if len(slots) > LEAST else 0
        found: list[Candidate] = []
        for slot in (*slots[start:], *slots[:start]):
            answer = self.victims(ask, slot)
            if isinstance(answer, Candidate):
                found.append(answer)
            else:
                reasons.update(answer.reasons)
            if len(found) >= wanted and any(not c.violations for c in found):
                break
        return (self._least_harm(found), "") if found else (None, text(verdict.nodes, reasons))

    def victims(self, ask: Ask, slot: int) -> Candidate | Refusal:
        """The fewest and least important pods of a node whose going lets the pod in; why not where nothing does."""
        row = self._filters.columns.rows[slot]
        assert row is not None
        lower = [placed for placed in row.pods.values() if placed.mold.priority < ask.mold.priority]
        if not lower:
            return Refusal("DefaultPreemption", (NO_VICTIMS,), resolvable=False)
        ahead = self._filters.nominations.ahead(row.name, ask.mold.priority, ask.key)
        refusal = self._filters.refuses(ask, slot, Delta(tuple(lower), ahead))
        if refusal is not None:
            return refusal
        lower.sort(key=importance)
        violating = self._violating(lower)
        gone = list(lower)
        for placed in (*violating, *(p for p in lower if p not in violating)):
            left = [p for p in gone if p is not placed]
            if self._filters.refuses(ask, slot, Delta(tuple(left), ahead)) is None:
                gone = left
        return Candidate(slot, tuple(gone), sum(p in violating for p in gone))

    def _violating(self, pods: Sequence[Placed]) -> list[Placed]:
        """The pods that are beyond what the budgets still allow, taken in this order."""
        allowed = [budget.status.disruptions_allowed or 0 for budget in self._budgets]
        found = []
        for placed in pods:
            over = False
            for index, budget in enumerate(self._budgets):
                if budget.selects(placed.pod.metadata):
                    allowed[index] -= 1
                    over |= allowed[index] < 0
            if over:
                found.append(placed)
        return found

    def _least_harm(self, candidates: Sequence[Candidate]) -> Candidate:
        """Fewest violated budgets, then the least important victims, then fewest, then those that run shortest."""

        def harm(candidate: Candidate) -> tuple[int, int, int, int]:
            priorities = [placed.mold.priority for placed in candidate.victims]
            # Shifted as in kube-scheduler, so that with priorities below zero more victims still weigh more.
            return (
                candidate.violations,
                max(priorities, default=-(2**31)),
                sum(p + 2**31 for p in priorities),
                len(priorities),
            )

        least = min(harm(candidate) for candidate in candidates)
        equal = [candidate for candidate in candidates if harm(candidate) == least]
        return max(equal, key=_first_start)


def _first_start(candidate: Candidate) -> str:
    """When the longest running of the most important victims started."""
    top = max((placed.mold.priority for placed in candidate.victims), default=0)
    return min((started(placed) for placed in candidate.victims if placed.mold.priority == top), default="")


def importance(placed: Placed) -> tuple[int, str, str]:
    """Sorts the most important pod first: priority, then the earlier start."""
    return -placed.mold.priority, started(placed), placed.pod.key


def started(placed: Placed) -> str:
    """When a pod started, as the API server writes times, which sorts as they do."""
    return placed.pod.status.start_time or placed.pod.metadata.creation_timestamp or ""


def text(nodes: int, reasons: dict[str, int], *, whole: str = "") -> str:
    """`0/3 nodes are available: 1 Too many pods, 2 Insufficient cpu.`

    Source: kube-scheduler v1.36 framework.FitError.
    """
    if whole:
        return f"0/{nodes} nodes are available: {whole}."
    counted = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
    return f"0/{nodes} nodes are available: {counted}." if counted else f"0/{nodes} nodes are available:"
