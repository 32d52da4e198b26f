"""Metrics of voluntary disruption: what was decided, and what came of it.

Source: Karpenter v1.14 pkg/controllers/disruption.
"""

from __future__ import annotations

import re

from fretsaw.api.labels import NODEPOOL
from fretsaw.api.times import Millis
from fretsaw.controllers.telemetry.families import DURATIONS, Counter, Family, Histogram, seconds
from fretsaw.controllers.telemetry.group import Group
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.state import ClusterState
from fretsaw.engine.turn import Turn

TYPES = {"emptiness": "empty", "multi": "multi", "single": "single"}
"""The consolidation type of each method; drift has none."""
APPROVED = "approved"
_SCORE = re.compile(r"score (\S+) >= ")
_METHOD = ("reason", "consolidation_type")
_DECISION = ("decision", *_METHOD)
_MOVE = ("decision", "nodepool", "policy")

EVALUATION = Family(
    "karpenter_voluntary_disruption_decision_evaluation_duration_seconds",
    "histogram",
    _METHOD,
    "From finding a consolidation until its validation was over. Looks that find nothing are not told apart in time.",
    DURATIONS,
)
DECISIONS = Family("karpenter_voluntary_disruption_decisions_total", "counter", _DECISION, "Disruptions that began.")
BY_POOL = Family(
    "karpenter_voluntary_disruption_decisions_by_nodepool_total",
    "counter",
    ("nodepool", *_DECISION),
    "Disruptions that began, once for each pool of which they take nodes.",
)
TIMEOUTS = Family(
    "karpenter_voluntary_disruption_consolidation_timeouts_total",
    "counter",
    ("consolidation_type",),
    "Rounds that ended before they had looked at everything.",
)
FAILED_VALIDATIONS = Family(
    "karpenter_voluntary_disruption_failed_validations_total",
    "counter",
    ("consolidation_type",),
    "Nodes of disruptions that did not stand their validation.",
)
QUEUE_FAILURES = Family(
    "karpenter_voluntary_disruption_queue_failures_total",
    "counter",
    _DECISION,
    "Replacements that were not ready when their disruption failed. consolidation_type is the decision, a quirk.",
)
SCORE = Family(
    "karpenter_consolidation_score",
    "histogram",
    _MOVE,
    "Savings for each unit of disruption of moves that pools with the policy Balanced approved.",
    (0.1, 0.25, 0.33, 0.5, 1, 2, 5, 10),
)
MOVES = Family("karpenter_consolidation_moves_total", "counter", _MOVE, "Consolidations that were approved.")


class Disruptions(Group):
    """Counts disruptions as they are found, begun and ended."""

    title = "Voluntary disruption"
    families = (EVALUATION, DECISIONS, BY_POOL, TIMEOUTS, FAILED_VALIDATIONS, QUEUE_FAILURES, SCORE, MOVES)

    def __init__(self) -> None:
        self.evaluation = Histogram(EVALUATION)
        self.decisions = Counter(DECISIONS)
        self.by_pool = Counter(BY_POOL)
        self.timeouts = Counter(TIMEOUTS, ("multi",), ("single",))
        self.failed_validations = Counter(FAILED_VALIDATIONS)
        self.queue_failures = Counter(QUEUE_FAILURES)
        self.score = Histogram(SCORE)
        self.moves = Counter(MOVES)
        self.stores = (
            self.evaluation,
            self.decisions,
            self.by_pool,
            self.timeouts,
            self.failed_validations,
            self.queue_failures,
            self.score,
            self.moves,
        )
        self._found: dict[str, Millis] = {}
        """When a disruption was found that waits for its validation, by its id."""

    def turned(self, at: Millis, turn: Turn, state: ClusterState) -> None:
        """Count what a turn decided."""
        for note in turn.notes:
            match note:
                case e.CommandProposed(command):
                    self._proposed(at, command, state)
                case e.CommandDropped(command):
                    self._validated(at, command)
                    self.failed_validations.add(TYPES.get(command.method, ""), by=len(command.candidates))
                case e.CommandStarted(command):
                    self._validated(at, command)
                    self._started(command, state)
                case e.CommandEnded(command_id, why) if why:
                    self._failed(command_id, state)
                case e.MethodCut():
                    self.timeouts.add("single")
        for action in turn.actions:
            if isinstance(action, a.Tell) and action.reason == "ConsolidationApproved":
                self._approved(action, state)

    def _proposed(self, at: Millis, command: e.Command, state: ClusterState) -> None:
        self._found[command.id] = at
        if command.method in ("multi", "single"):
            for pool in pools_of(command, state):
                self.moves.add(APPROVED, pool, _policy(pool, state))

    def _validated(self, at: Millis, command: e.Command) -> None:
        found = self._found.pop(command.id, None)
        if found is not None:
            self.evaluation.observe(seconds(found, at), command.reason.lower(), TYPES.get(command.method, ""))

    def _started(self, command: e.Command, state: ClusterState) -> None:
        labels = (command.decision, command.reason.lower(), TYPES.get(command.method, ""))
        self.decisions.add(*labels)
        for pool in pools_of(command, state):
            self.by_pool.add(pool, *labels)

    def _failed(self, command_id: str, state: ClusterState) -> None:
        started = state.commands.get(command_id)
        if started is None:
            return
        command = started.command
        unready = sum(1 for name in command.replacements if not _is_ready(name, state))
        if unready:
            self.queue_failures.add(command.decision, command.reason.lower(), command.decision, by=unready)

    def _approved(self, tell: a.Tell, state: ClusterState) -> None:
        """A Balanced pool's score is in the event that tells of it: of the pool, or of a claim and its node."""
        kind, _, name = tell.about.partition("/")
        score = _SCORE.match(tell.message)
        if kind == "NodeClaim":
            claim = state.claims.get(name)
            name = claim.metadata.labels.get(NODEPOOL, "") if claim is not None else ""
        if score is not None and kind in ("NodeClaim", "NodePool"):
            self.score.observe(float(score.group(1)), APPROVED, name, _policy(name, state))


def pools_of(command: e.Command, state: ClusterState) -> tuple[str, ...]:
    """The pools of a command's candidates."""
    claims = (state.claims.get(name) for name in command.candidates)
    return tuple(sorted({c.metadata.labels.get(NODEPOOL, "") for c in claims if c is not None}))


def _policy(pool: str, state: ClusterState) -> str:
    found = state.pools.get(pool)
    return found.spec.disruption.consolidation_policy if found is not None else ""


def _is_ready(claim: str, state: ClusterState) -> bool:
    found = state.claims.get(claim)
    initialized = found.condition("Initialized") if found is not None else None
    return initialized is not None and initialized.status == "True"
