"""Balanced consolidation: a move has to save a share of its pool's cost that is worth its share of the disruption.

Source: Karpenter v1.14 pkg/controllers/disruption balanced.go.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import msgspec

from fretsaw.api.labels import CAPACITY_TYPE, INSTANCE_TYPE, NODEPOOL, ZONE
from fretsaw.engine.disruption.candidates import Candidate, Survey
from fretsaw.engine.disruption.costs import BASE, price_nano, rescheduling_cost
from fretsaw.engine.disruption.moves import Move
from fretsaw.engine.pdbs import is_active, owned_by

K = 2
"""A move may take up to so many times the share of the disruption as it saves of the cost."""


class Totals(msgspec.Struct, frozen=True):
    """What a pool costs in all: nano-USD an hour, and disruption units."""

    cost: float = 0.0
    disruption: float = 0.0


class Score(msgspec.Struct, frozen=True):
    """How a move looks to one pool."""

    savings: float = 0.0
    """Share of the pool's cost."""
    disruption: float = 0.0
    """Share of the pool's disruption."""

    @property
    def value(self) -> float:
        """The savings for each unit of disruption; infinite where nothing is disrupted, 0 where nothing is saved."""
        if self.savings <= 0:
            return 0.0
        return self.savings / self.disruption if self.disruption else math.inf

    @property
    def approved(self) -> bool:
        """Whether the move is worth it."""
        return self.value >= 1 / K

    def __str__(self) -> str:
        return (
            f"score {self.value:.2f} >= threshold {1 / K:.2f} "
            f"(k: {K}, savings {100 * self.savings:.1f}%, disruption {100 * self.disruption:.1f}%)"
        )


class Balance:
    """Scores moves against the totals of the pools that ask for it."""

    def __init__(self, totals: Mapping[str, Totals]) -> None:
        self.totals = totals

    def scores(self, move: Move) -> dict[str, Score]:
        """The score of each Balanced pool in the move, by name. Others are not asked.

        The savings of a move over several pools are split by what its candidates of each pool cost.
        """
        found = {}
        for pool in sorted(move.pools):
            own = [c for c in move.candidates if c.pool_name == pool]
            if not own[0].balanced:
                continue
            savings: float = move.savings
            if len(move.pools) > 1 and move.price:
                savings *= sum(c.price for c in own) / move.price
            found[pool] = self._score(pool, savings, math.fsum(c.cost for c in own))
        return found

    def could_pass(self, candidate: Candidate) -> bool:
        """Whether the best that can come of it, a deletion without replacement, would be approved."""
        if not candidate.balanced or self.totals.get(candidate.pool_name, Totals()).cost <= 0:
            return True
        return self._score(candidate.pool_name, candidate.price, candidate.cost).approved

    def _score(self, pool: str, savings: float, disruption: float) -> Score:
        totals = self.totals.get(pool, Totals())
        if totals.cost <= 0 or totals.disruption <= 0:
            return Score()
        return Score(savings / totals.cost, disruption / totals.disruption)


def approves(scores: Mapping[str, Score]) -> bool:
    """Whether every pool that was asked approves."""
    return all(score.approved for score in scores.values())


def balance_of(survey: Survey, candidates: Iterable[Candidate]) -> Balance:
    """The totals of the Balanced pools. candidates: all of them, before any method's filter."""
    held = tuple(candidates)
    balanced = {c.pool_name for c in held if c.balanced}
    return Balance({pool: _totals(survey, held, pool) for pool in sorted(balanced)})


def _totals(survey: Survey, candidates: Iterable[Candidate], pool: str) -> Totals:
    own = {c.name: c for c in candidates if c.pool_name == pool}
    cost = _cost(survey, pool) or sum(c.price for c in own.values())
    disruption = []
    for machine in survey.state.machines.values():
        if machine.pool != pool:
            continue
        if machine.name in own:
            disruption.append(own[machine.name].cost)
        else:
            pods = (p for p in machine.pods if is_active(p) and not owned_by(p, "DaemonSet"))
            disruption.append(rescheduling_cost(pods) if machine.pods else BASE)
    return Totals(cost, math.fsum(disruption))


def _cost(survey: Survey, pool: str) -> int:
    """What all claims of a pool cost as their labels say, in nano-USD an hour."""
    universe, found = survey.ask.universe(pool), 0
    for claim in survey.state.claims.values():
        labels = claim.metadata.labels
        if labels.get(NODEPOOL) == pool:
            where = [labels.get(key, "") for key in (INSTANCE_TYPE, ZONE, CAPACITY_TYPE)]
            found += price_nano(universe, *where)
    return found
