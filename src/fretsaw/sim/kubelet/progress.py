"""How far each piece of work has come, across the pods that do it one after the other.

A slot is a piece of work: a pod's own, or an index of a Job. What a checkpoint has saved stays; it never shrinks.
"""

from __future__ import annotations

import msgspec

from fretsaw.api.times import Millis
from fretsaw.sim.behavior import Behavior
from fretsaw.sim.dice import Dice


class Slot(msgspec.Struct):
    """One piece of work."""

    saved: Millis = 0
    """Work that no kill can take away."""
    attempts: int = 0
    """Starts of a container that works on it."""
    finished: int = 0
    """How often it was done in full: the next start begins anew."""


class Run(msgspec.Struct):
    """One container's turn at a slot. Progress is counted in milliseconds of work."""

    slot: Slot
    base: Millis
    """Progress at its start."""
    total: Millis
    """Progress at which the work is done."""
    fails_at: Millis | None
    """Progress at which it ends badly instead."""
    checkpoint: Millis | None
    overhead: Millis
    """Time before the work goes on."""

    @property
    def ends_after(self) -> Millis:
        """Time from its start to its end, good or bad."""
        return self.overhead + (self.total if self.fails_at is None else self.fails_at) - self.base

    def reached(self, elapsed: Millis) -> Millis:
        """Progress after so much time."""
        return self.base + max(0, min(elapsed - self.overhead, self.total - self.base))

    def safe(self, elapsed: Millis) -> Millis:
        """Progress that the checkpoints up to then have saved."""
        if not self.checkpoint:
            return self.slot.saved
        done = self.reached(elapsed) - self.base
        return max(self.slot.saved, self.base + done // self.checkpoint * self.checkpoint)

    def stop(self, elapsed: Millis, *, saves: bool) -> Millis:
        """End the turn early; the work that is lost. saves: what was reached is saved on the way out."""
        reached = self.reached(elapsed)
        self.slot.saved = max(self.slot.saved, reached) if saves else self.safe(elapsed)
        return max(0, reached - self.slot.saved)

    def finish(self) -> None:
        """The work is done."""
        self.slot.saved = 0
        self.slot.finished += 1


class Progress:
    """All slots of a run."""

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        self.slots: dict[str, Slot] = {}

    def begin(self, name: str, behavior: Behavior) -> Run | None:
        """A container starts to work on a slot; None where its work has no end.

        The whole amount of work is drawn once for the slot, whether a run fails and where for each start.
        """
        if behavior.runs is None:
            return None
        slot = self.slots.setdefault(name, Slot())
        total = max(behavior.runs.draw(self._dice.once("runs", name, str(slot.finished))), slot.saved)
        slot.attempts += 1
        overhead = behavior.restart if slot.saved else 0
        fails_at = self._failure(name, slot, total, behavior.fails)
        return Run(slot, slot.saved, total, fails_at, behavior.checkpoint, overhead)

    def _failure(self, name: str, slot: Slot, total: Millis, chance: float) -> Millis | None:
        random = self._dice.once("fails", name, str(slot.attempts))
        if random.random() >= chance:
            return None
        return slot.saved + round(random.random() * (total - slot.saved))
