"""A cluster as the engine's own eyes see it, and one of its machines as the disruption loop would judge it now.

Nothing is decided here: the same functions are asked that `fretsaw run` asks, each for this one machine alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import chain
from typing import Any

import msgspec

from fretsaw.api.nodepool import Reason
from fretsaw.api.times import Millis
from fretsaw.engine import events as e
from fretsaw.engine.cluster import Cluster
from fretsaw.engine.disruption.balanced import balance_of
from fretsaw.engine.disruption.budgets import Room, Share, shares
from fretsaw.engine.disruption.candidates import (
    Blocked,
    Candidate,
    Survey,
    not_for_consolidation,
    not_for_emptiness,
)
from fretsaw.engine.disruption.consolidation import Consolidator, consolidation_of
from fretsaw.engine.disruption.stuck import Stuck
from fretsaw.engine.machines import Machine
from fretsaw.engine.options import Options
from fretsaw.engine.passes import Passes
from fretsaw.engine.state import ClusterState
from fretsaw.engine.whatif import Asked

REASONS: tuple[Reason, ...] = ("Empty", "Drifted", "Underutilized")
"""Why a machine may be taken away, in the order in which that is tried."""


class Finding(msgspec.Struct, frozen=True):
    """Whether a machine could be taken away for a reason, and what speaks for or against it."""

    reason: Reason
    could: bool
    why: str


def state_of(cluster: Cluster) -> ClusterState:
    """What the engine would know of this cluster if it had just begun."""
    state = ClusterState()
    for obj in _objects(cluster):
        state.apply(e.Changed(obj))
    for name in state.pools:
        catalog = cluster.catalogs.get(name)
        state.apply(e.CatalogRead((name,), catalog, cluster.unready.get(name, "")))
    return state


def _objects(cluster: Cluster) -> Iterator[Any]:
    """In the order in which watches tell them: a pod finds what it belongs to."""
    return chain(
        cluster.pools, cluster.node_claims, cluster.nodes, cluster.overlays, cluster.buffers, cluster.namespaces,
        cluster.storage_classes, cluster.volumes, cluster.claims, cluster.csi_nodes, cluster.disruption_budgets,
        cluster.daemon_sets, cluster.deployments, cluster.replica_sets, cluster.stateful_sets, cluster.pod_templates,
        cluster.pods,
    )  # fmt: skip


class Judge:
    """Answers for one state at one moment."""

    def __init__(self, state: ClusterState, now: Millis, options: Options | None = None) -> None:
        self.state, self.now = state, now
        self.options = Options() if options is None else options
        self._ask = Asked(Passes(self.options.placing, self.options.nomination), state, now)
        self._survey = Survey(state, now, self._ask)

    def price(self, machine: Machine) -> float | None:
        """USD an hour; None where the pool's catalog has no such offering."""
        universe = self._ask.universe(machine.pool)
        nano = self._survey.price(universe, machine) if universe is not None else 0
        return nano / 1e9 if nano else None

    def room(self, pool: str, reason: Reason) -> int:
        """How many more machines of a pool may go now for a reason."""
        left = Room.of(self.state.pools, self._shares, reason, self.now).left.get(pool, 0)
        return min(left, self.share(pool).nodes)

    def share(self, pool: str) -> Share:
        """The machines of a pool, as its budgets count them."""
        return self._shares.get(pool, Share())

    def findings(self, machine: Machine) -> list[Finding] | str:
        """A finding for each reason; a text where the machine cannot be taken away for any."""
        found = self._survey.judge(machine)
        if found is None or self.state.leaving(machine):
            return "it is being taken away already"
        if isinstance(found, Candidate):
            return [self._budgeted(found, finding) for finding in self._each(found)]
        # What keeps pods from being moved does not keep a drifted machine whose end comes all the same.
        late = self._survey.judge(machine, eventual=True)
        drifted = self._drifted(machine)
        if not isinstance(late, Candidate) or drifted is None:
            return found.why
        blocked = {reason: Finding(reason, False, found.why) for reason in REASONS}
        blocked["Drifted"] = self._budgeted(late, Finding("Drifted", True, drifted))
        return list(blocked.values())

    def _each(self, candidate: Candidate) -> Iterator[Finding]:
        why = not_for_emptiness(candidate, buffered=False)
        yield Finding("Empty", why is None, _words(why) or "no pod on it needs another place")
        drifted = self._drifted(candidate.machine)
        yield Finding("Drifted", drifted is not None, drifted or "its claim is not marked as drifted")
        yield self._consolidation(candidate)

    def _drifted(self, machine: Machine) -> str | None:
        condition = machine.claim.condition("Drifted") if machine.claim is not None else None
        if condition is None or condition.status != "True":
            return None
        return condition.message or condition.reason or "its pool or node class has changed"

    def _consolidation(self, candidate: Candidate) -> Finding:
        why = not_for_consolidation(candidate)
        if why is not None:
            return Finding("Underutilized", False, _words(why))
        said: list[str] = []
        move = consolidation_of(self._consolidator(said), [candidate])
        if move is None:
            return Finding("Underutilized", False, said[0] if said else "nothing cheaper holds its pods")
        if not move.replacements:
            return Finding("Underutilized", True, "its pods have room on other nodes")
        return Finding("Underutilized", True, f"a cheaper node holds its pods and saves ${move.savings_usd:,.3f}/h")

    def _consolidator(self, said: list[str]) -> Consolidator:
        candidates, _ = self._survey.all()
        return Consolidator(
            self._ask,
            balance_of(self._survey, candidates),
            lambda candidate, why: said.append(why),
            self.options.spot_to_spot,
            lambda: False,
            Stuck(),
        )

    def _budgeted(self, candidate: Candidate, finding: Finding) -> Finding:
        pool = candidate.pool_name
        if not finding.could or self.room(pool, finding.reason):
            return finding
        share = self.share(pool)
        going = f", and {share.disrupting} not ready or going" if share.disrupting else ""
        why = f"{finding.why}; but the budgets of nodepool/{pool} let none go now (of {share.nodes}{going})"
        return Finding(finding.reason, False, why)

    @cached_property
    def _shares(self) -> dict[str, Share]:
        return shares(self.state)


_PLAIN = {
    "not empty": "pods on it need another place",
    "empty": "it is empty",
    "static": "its pool has a fixed number of nodes",
    "not consolidatable": "the time of consolidateAfter since its last pod came or went is not over",
}


def _words(why: Blocked | str | None) -> str:
    text = why.why if isinstance(why, Blocked) else why or ""
    return _PLAIN.get(text, text)
