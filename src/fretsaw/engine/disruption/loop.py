"""The disruption loop: running commands first, then a proposal that is due, then the methods in their order.

Karpenter's loop waits in place while a proposal ripens; here the proposal is remembered, and no method runs until it is
due. What a method found out about nothing is remembered, too, as long as nothing changes (`memory`).

Source: Karpenter v1.14 pkg/controllers/disruption controller.go, queue.go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

import msgspec

from fretsaw.api.nodepool import Reason
from fretsaw.api.times import SECOND, Millis
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.disruption.ask import WhatIf
from fretsaw.engine.disruption.balanced import Balance, balance_of
from fretsaw.engine.disruption.budgets import Room, Share, shares
from fretsaw.engine.disruption.candidates import (
    Blocked,
    Candidate,
    Roll,
    Survey,
    not_for_consolidation,
    not_for_emptiness,
)
from fretsaw.engine.disruption.commands import REASONS, Steps, cleaned, command_of, driven, started
from fretsaw.engine.disruption.consolidation import Consolidator, repacked, several, single
from fretsaw.engine.disruption.drift import drifted_machine, drifted_static
from fretsaw.engine.disruption.emptiness import empty_machines
from fretsaw.engine.disruption.memory import Memory, next_time
from fretsaw.engine.disruption.moves import METHODS, Found, Method, Move
from fretsaw.engine.disruption.sieve import Sieve
from fretsaw.engine.disruption.stuck import Stuck
from fretsaw.engine.disruption.telling import Teller, Told
from fretsaw.engine.disruption.validation import reduced, still_consolidates, still_empty
from fretsaw.engine.options import Options
from fretsaw.engine.state import ClusterState

Late = Callable[[Method], bool]
REPACK = "repack"
"""The name under which it is remembered when replacing several machines by several was last tried."""


class Known:
    """What looks have found out that the next one may use. It could be had again at any time."""

    def __init__(self) -> None:
        self.roll = Roll()
        self.stuck = Stuck()
        self.emptiness = Sieve(not_for_emptiness)
        self.consolidation = Sieve(lambda candidate, buffered: not_for_consolidation(candidate))
        self.told = Told(self.emptiness, self.consolidation)

    def renewed(self) -> None:
        """The roll was renewed."""
        for name in self.roll.renewed:
            verdict = self.roll.verdicts.get(name)
            self.emptiness.put(name, verdict)
            self.consolidation.put(name, verdict)
            if verdict is None:
                self.told.forget(name)
        if self.roll.again:
            self.emptiness.again = self.consolidation.again = True


class Disruption(msgspec.Struct, frozen=True):
    """What a look of the loop wants."""

    actions: tuple[a.Action, ...] = ()
    notes: tuple[e.Event, ...] = ()
    wake: Millis | None = None
    """When to look again although nothing happened. When something happens, look too: it may be due sooner."""


def disrupt(
    state: ClusterState,
    options: Options,
    now: Millis,
    ask: WhatIf,
    *,
    late: Late = lambda method: False,
    known: Known | None = None,
) -> Disruption:
    """One look: what to do about the machines that could go, at this moment.

    ask: answers for this very state. late: asked by the consolidations before each question to `ask`; True ends the
    round, as the peer's limits of one and three minutes do. known: what earlier looks have found out, renewed in place;
    without it every look finds out everything anew.
    """
    look = _Look(state, options, now, ask, late, Known() if known is None else known)
    look.run()
    return look.answer()


class _Look:
    """One look while it is made."""

    def __init__(
        self, state: ClusterState, options: Options, now: Millis, ask: WhatIf, late: Late, known: Known
    ) -> None:
        self.state, self.options, self.now, self.ask, self.late = state, options, now, ask, late
        self.known = known
        self.teller = Teller(state, now, known.told)
        self.memory = Memory(state, now)
        self.steps = Steps()
        self.wake: Millis | None = None
        self.cut = False
        """Whether a method ran out of time, so that there may be something that it has not found."""
        self.gate: Millis | None = None
        """When something may be tried that was tried not long ago."""

    def run(self) -> None:
        """Go through the parts; each says when it wants to be looked at again."""
        self.steps += driven(self.state, self.options, self.now, self.teller)
        if self.state.commands:
            self._wake_at(self.now + SECOND)
        proposed = self.state.proposed
        due = self.state.looked + self.options.disruption_poll if self.state.looked else self.now
        if proposed is not None:
            self._ripen(proposed)
        elif self.state.standing == self.state.looked_standing and self.now < self.state.quiet_until:
            # The last look found nothing, and nothing has changed since that could make another one find more.
            self._wake_at(self.state.quiet_until)
        elif self.now < due:
            self._wake_at(due)
        elif self.state.unlaunched:
            # What is on its way is not known yet, and so nothing can be said about what is needed.
            self._wake_at(self.now + SECOND)
        else:
            self.steps += Steps(cleaned(self.state))
            self._methods(METHODS)

    def answer(self) -> Disruption:
        """All that came of it; events are told last."""
        return Disruption(
            (*self.steps.actions, *self.teller.actions), (*self.steps.notes, *self.teller.notes), self.wake
        )

    # Facts, each made once and only when needed

    @cached_property
    def survey(self) -> Survey:
        """All machines, judged."""
        return Survey(self.state, self.now, self.ask, self.known.roll)

    @cached_property
    def shares(self) -> dict[str, Share]:
        """The pools' machines, counted."""
        return shares(self.state)

    @cached_property
    def known_now(self) -> Known:
        """What is known, with all machines judged as they are; of those that are no candidates is told."""
        roll = self.known.roll.renew(self.survey)
        self.known.renewed()
        self.teller.blocked(roll.news)
        return self.known

    @cached_property
    def balance(self) -> Balance:
        """The scores of pools that weigh savings against disruption."""
        if not any(p.spec.disruption.consolidation_policy == "Balanced" for p in self.state.pools.values()):
            return Balance({})
        return balance_of(self.survey, self.known_now.roll.candidates())

    @cached_property
    def buffered(self) -> frozenset[str]:
        """Machines that keep room for buffer pods."""
        last = self.state.last_batch
        # When the last buffer has gone, there is no further pass that would say so.
        return last.buffered if last is not None and self.state.objects["CapacityBuffer"] else frozenset()

    def room(self, method: Method) -> Room:
        """What the budgets leave for a method."""
        return Room.of(self.state.pools, self.shares, _reason(method), self.now)

    # A proposal

    def _ripen(self, proposed: e.CommandProposed) -> None:
        """Validate the proposal when it is due; carry it out, or go on with the methods after its own."""
        if self.now < proposed.due:
            self._wake_at(proposed.due)
            return
        command = proposed.command
        room = self.room(command.method)
        if command.method == "emptiness":
            found = still_empty(self.survey, command, room, self.buffered)
        else:
            found = still_consolidates(self.survey, command, room)
        if isinstance(found, Move):
            self._start(reduced(command, found), found)
            self._look_at_once()
            return
        self.steps += Steps(notes=(e.CommandDropped(command, found),))
        if command.method == "single":
            self._reject(command, found)
            self._looked()
        else:
            self._methods(METHODS[METHODS.index(command.method) + 1 :])

    def _reject(self, command: e.Command, why: str) -> None:
        machines = [self.state.machines[name] for name in command.candidates if name in self.state.machines]
        nodes = ", ".join(machine.node_name for machine in machines)
        text = f"{command.decision}: [{nodes}]{' -> [1 replacement]' if command.types else ''}"
        self.teller.rejected(machines, text, why, command.savings_usd_per_hour)

    # Methods

    def _methods(self, methods: Sequence[Method]) -> None:
        """Run the methods up to the first that finds something."""
        for method in methods:
            found = self._run(method)
            if not found.moves:
                continue
            if method in ("static-drift", "drift"):
                for move in found.moves:
                    self._start(command_of(method, move, self.now), move)
                self._look_at_once()
            else:
                self._propose(method, found.moves[0])
            return
        self._looked()

    def _run(self, method: Method) -> Found:
        """What a method finds now; nothing without looking where that is known."""
        if method in ("static-drift", "drift"):
            return self._drift(method)
        room = self.room(method)
        if self.memory.is_idle(method, room):
            return Found()
        if self.shares and self.shares.keys() <= set(room.blocked):
            # Nobody may go, such as within a window without disruptions: no need to judge all machines for that.
            self._tell_blocked(room, method, "Consolidatable")
            return Found(held_back=True)
        candidates = self._filtered(method)
        if not candidates:
            self.steps += Steps(notes=self.memory.nobody(method, self.survey))
            return Found()
        tight = room.text()
        self._tell_blocked(room, method)
        found = self._graceful(method, candidates, room)
        self.cut = self.cut or found.cut
        if method == "multi" and not found.moves and self.options.placing.packing == "cost":
            found = self._repacked(candidates) or found
        if not found.moves and not found.cut:
            self.steps += Steps(notes=self.memory.nothing(method, tight if found.held_back else ""))
        return found

    def _filtered(self, method: Method) -> list[Candidate]:
        """The candidates that a graceful method takes; of the others it is told why, where that is news."""
        sieve = self.known_now.emptiness if method == "emptiness" else self.known_now.consolidation
        if method == "emptiness":
            sieve.buffers(self.buffered)
        self.teller.sieved(sieve)
        return sieve.candidates()

    def _graceful(self, method: Method, candidates: Iterable[Candidate], room: Room) -> Found:
        if method == "emptiness":
            return empty_machines(candidates, room)
        by = Consolidator(
            self.ask,
            self.balance,
            self.teller.unconsolidatable,
            self.options.spot_to_spot,
            lambda: self.late(method),
            self.known.stuck.at(self.state, self.ask.free, self.ask.waiting()),
        )
        if method == "multi":
            return several(by, candidates, room)
        found = single(by, candidates, room, self.state.unseen_pools)
        if not found.moves and found.unseen != self.state.unseen_pools:
            self.steps += Steps(notes=(e.MethodCut(found.unseen),))
        return found

    def _repacked(self, candidates: Sequence[Candidate]) -> Found | None:
        """Several machines for several cheaper ones; not asked too often, since it takes long. None for nothing."""
        pools = Counter(c.pool_name for c in candidates)
        if not any(number > 1 and self.room("multi").left.get(pool, 0) > 1 for pool, number in pools.items()):
            return None
        due = self.state.checked.get((REPACK, ""), -self.options.repack_every) + self.options.repack_every
        if self.now < due:
            self.gate = due
            return None
        self.steps += Steps(notes=(e.Checked(REPACK, "", self.now),))
        by = Consolidator(
            self.ask, self.balance, self.teller.unconsolidatable, self.options.spot_to_spot, bool, Stuck()
        )
        found = repacked(by, candidates, self.room("multi"))
        return found if found.moves else None

    def _drift(self, method: Method) -> Found:
        candidates, blocked = self.survey.drifted(static=method == "static-drift")
        self.teller.blocked(blocked)
        if not candidates:
            return Found()
        room = self.room(method)
        self._tell_blocked(room, method)
        if method == "static-drift":
            return drifted_static(self.state, candidates, room)
        return drifted_machine(candidates, room, self.ask, self._not_reschedulable)

    def _not_reschedulable(self, candidate: Candidate, why: str) -> None:
        self.teller.blocked([Blocked(candidate.machine, why)])

    def _tell_blocked(self, room: Room, method: Method, having: str = "") -> None:
        """Tell of pools whose budgets allow nothing; having: only of those with a machine of that condition."""
        blocked = set(room.blocked)
        if having and blocked:
            blocked &= {m.pool for m in self.state.machines.values() if m.pool in blocked and m.is_true(having)}
        for pool in sorted(blocked):
            self.teller.pool_blocked(pool, _reason(method))

    # Outcomes

    def _propose(self, method: Method, move: Move) -> None:
        if move.replacements:
            self.teller.proposed(move)
        if method in ("multi", "single"):
            self.teller.approved(move, self.balance.scores(move))
        due = self.now + self.options.validation
        self.steps += Steps(notes=(e.CommandProposed(command_of(method, move, self.now), due),))
        self._wake_at(due)

    def _start(self, command: e.Command, move: Move) -> None:
        self.steps += started(self.state, self.options, self.now, command, move)

    def _look_at_once(self) -> None:
        """Something began: look for more without waiting for the next poll."""
        self.steps += Steps(notes=(e.Looked(self.now - self.options.disruption_poll),))
        self._wake_at(self.now)

    def _looked(self) -> None:
        """Nothing was found: wait for as long as nothing can have changed, the next poll at least."""
        poll = self.now + self.options.disruption_poll
        quiet = self.now if self.steps.actions or self.cut else next_time(self.state, self.now)
        quiet = quiet if self.gate is None else min(quiet, self.gate)
        self.steps += Steps(notes=(e.Looked(self.now, quiet),))
        self._wake_at(max(poll, quiet))

    def _wake_at(self, when: Millis) -> None:
        self.wake = when if self.wake is None else min(when, self.wake)


def _reason(method: Method) -> Reason:
    return REASONS[method]
