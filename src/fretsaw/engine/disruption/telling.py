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
from fretsaw.engine.disruption.sieve import Round, Sieve
from fretsaw.engine.machines import Machine
from fretsaw.engine.state import ClusterState

AGAIN: Millis = 2 * MINUTE
AGAIN_UNCONSOLIDATABLE: Millis = 15 * MINUTE
AGAIN_POOL: Millis = 1 * MINUTE


class Told:
    """The last judgement of each machine that was told, and with which others."""

    def __init__(self, *sieves: Sieve) -> None:
        """sieves: what they say of machines is told, too."""
        self._sieves = sieves
        self._last: dict[str, tuple[Blocked, Round]] = {}

    def is_news(self, one: Blocked, now: Millis) -> bool:
        """Whether it may have to be told: not that very judgement again, too soon."""
        last = self._last.get(one.machine.name)
        return last is None or last[0] is not one or now - last[1].at >= AGAIN

    def belongs(self, name: str, one: Blocked | None, to: Round) -> bool:
        """Whether this was told of the machine last, in that round."""
        last = self._last.get(name)
        return last is not None and last[0] is one and last[1] is to

    def note(self, one: Blocked, told: Round, by: Sieve | None = None) -> None:
        """It is told now."""
        name = one.machine.name
        self._last[name] = (one, told)
        for sieve in self._sieves:
            if sieve is not by and name in sieve.blocked:
                sieve.fresh.add(name)

    def forget(self, name: str) -> None:
        """The machine has gone."""
        self._last.pop(name, None)


class Teller:
    """Collects what one look tells, and the notes that keep it from being told again too soon."""

    def __init__(self, state: ClusterState, now: Millis, last: Told | None = None) -> None:
        """last: what was told before; renewed in place."""
        self._last = Told() if last is None else last
        self._round = Round(now)
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
            if one.machine.claim is not None and self._last.is_news(one, self._now):
                self._last.note(one, self._round)
                self.of_machine(one.machine, one.event, sentence(one.why), every=_every(one))

    def sieved(self, sieve: Sieve) -> None:
        """The same of all machines that a method leaves alone, by name.

        Those of which was told together are looked at again together, and not before one of them is due.
        """
        names, again = self._news(sieve), Round(self._now)
        for name in names:
            one = sieve.blocked[name]
            self._last.note(one, again, sieve)
            self.of_machine(one.machine, one.event, sentence(one.why), every=_every(one))
        if names:
            again.names, again.due = names, min(self._due(sieve.blocked[name]) for name in names)
            sieve.rounds.append(again)

    def _news(self, sieve: Sieve) -> list[str]:
        """Machines of which may have to be told, as `Told.is_news` says of each."""
        now, again, sieve.again = self._now, sieve.again, False
        found = [name for name in sieve.fresh if again or self._last.is_news(sieve.blocked[name], now)]
        sieve.fresh.difference_update(found)
        rounds = []
        for told in sieve.rounds:
            late = again or now - told.at >= AGAIN
            if late and now >= told.due:
                found += (n for n in told.names if self._last.belongs(n, sieve.blocked.get(n), told))
                continue
            if late:
                told.at = now
            rounds.append(told)
        sieve.rounds = rounds
        return sorted(found)

    def _due(self, one: Blocked) -> Millis:
        """When a machine may be told of again, after it was."""
        machine, now, checked = one.machine, self._now, self._state.checked
        told = [(f"told NodeClaim {one.event}", machine.name)]
        if machine.node is not None:
            told.append((f"told Node {one.event}", machine.node_name))
        return min(now if what in self._told else checked.get(what, now) for what in told) + _every(one)

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


def _every(one: Blocked) -> Millis:
    return AGAIN_UNCONSOLIDATABLE if one.event == "Unconsolidatable" else AGAIN


def sentence(text: str) -> str:
    """The text with a capital letter."""
    return text[:1].upper() + text[1:]
