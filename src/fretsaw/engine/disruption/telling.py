"""Kubernetes Events about disruption, each told again only after a while.

Source: Karpenter v1.14 pkg/controllers/disruption/events.
"""

from __future__ import annotations

from collections.abc import Iterable

from fretsaw.api.times import MINUTE, Millis
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.disruption.balanced import Score
from fretsaw.engine.disruption.candidates import Blocked, Candidate
from fretsaw.engine.disruption.moves import Move
from fretsaw.engine.machines import Machine
from fretsaw.engine.state import ClusterState

AGAIN: Millis = 2 * MINUTE
AGAIN_UNCONSOLIDATABLE: Millis = 15 * MINUTE
AGAIN_POOL: Millis = 1 * MINUTE


class Teller:
    """Collects what one look tells, and the notes that keep it from being told again too soon."""

    def __init__(
        self, state: ClusterState, now: Millis, blocked: dict[str, tuple[Blocked, Millis]] | None = None
    ) -> None:
        """blocked: the last judgement of each machine that was told, and when; renewed in place."""
        self._blocked = {} if blocked is None else blocked
        self.actions: list[a.Tell] = []
        self.notes: list[e.Checked] = []
        self._state = state
        self._now = now
        self._told: set[tuple[str, str]] = set()

    def tell(self, about: str, reason: str, message: str, *, every: Millis = AGAIN, besides: str = "") -> None:
        """Tell of an object such as `Node/gpu-1`. besides: what else has to be equal for it to count as told."""
        kind, _, key = about.partition("/")
        what = f"told {kind} {reason}{' ' + besides if besides else ''}"
        last = self._state.checked.get((what, key))
        if (what, key) in self._told or (last is not None and self._now - last < every):
            return
        self._told.add((what, key))
        self.actions.append(a.Tell(about, reason, message))
        self.notes.append(e.Checked(what, key, self._now))

    def of_machine(self, machine: Machine, reason: str, message: str, *, every: Millis = AGAIN) -> None:
        """Tell of a machine's node and claim."""
        if machine.node is not None:
            self.tell(f"Node/{machine.node.metadata.name}", reason, message, every=every)
        if machine.claim is not None:
            self.tell(f"NodeClaim/{machine.claim.metadata.name}", reason, message, every=every)

    def blocked(self, found: Iterable[Blocked]) -> None:
        """Machines that may not be disrupted; of those that nobody manages nothing is told."""
        for one in found:
            if one.machine.claim is not None and self._is_news(one):
                every = AGAIN_UNCONSOLIDATABLE if one.event == "Unconsolidatable" else AGAIN
                self.of_machine(one.machine, one.event, sentence(one.why), every=every)

    def _is_news(self, one: Blocked) -> bool:
        """Whether it may have to be told: not that very judgement again, too soon."""
        last = self._blocked.get(one.machine.name)
        if last is not None and last[0] is one and self._now - last[1] < AGAIN:
            return False
        self._blocked[one.machine.name] = (one, self._now)
        return True

    def unconsolidatable(self, candidate: Candidate, why: str) -> None:
        """A candidate that consolidation can do nothing with."""
        self.of_machine(candidate.machine, "Unconsolidatable", sentence(why), every=AGAIN_UNCONSOLIDATABLE)

    def pool_blocked(self, pool: str, reason: str) -> None:
        """A pool whose budgets allow nothing for a reason."""
        message = f"No allowed disruptions for disruption reason {reason} due to blocking budget"
        self.tell(f"NodePool/{pool}", "DisruptionBlocked", message, every=AGAIN_POOL, besides=reason)

    def proposed(self, move: Move) -> None:
        """A consolidation that replaces machines was found."""
        for c in move.candidates:
            message = f"Consolidation candidate: {move.text_for(c)} (savings: ${move.savings_usd:.2f})"
            self.of_machine(c.machine, "ConsolidationCandidate", message)

    def rejected(self, machines: Iterable[Machine], text: str, why: str, savings_usd: float) -> None:
        """A consolidation did not stand its validation."""
        for machine in machines:
            message = f"Consolidation rejected: {text}, reason: {why} (savings: ${savings_usd:.2f})"
            self.of_machine(machine, "ConsolidationRejected", message)

    def approved(self, move: Move, scores: dict[str, Score]) -> None:
        """Balanced pools that find a move worth its disruption."""
        for pool, score in scores.items():
            if len(move.candidates) == 1:
                self.of_machine(move.candidates[0].machine, "ConsolidationApproved", str(score))
            else:
                self.tell(f"NodePool/{pool}", "ConsolidationApproved", str(score))


def sentence(text: str) -> str:
    """The text with a capital letter."""
    return text[:1].upper() + text[1:]
