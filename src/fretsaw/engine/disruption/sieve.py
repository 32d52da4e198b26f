"""The candidates that a graceful method takes, and why it leaves the others alone: kept from look to look.

What a method says of a candidate depends on the candidate alone, and on whether its machine keeps room for buffers. So
only candidates that are judged anew are asked about again; each keeps its answers, by which is known what was told.
"""

from __future__ import annotations

from collections.abc import Callable

from fretsaw.api.times import Millis
from fretsaw.engine.disruption.candidates import Blocked, Candidate

Verdict = Candidate | Blocked | None
WhyNot = Callable[[Candidate, bool], Blocked | str | None]
"""Why a method leaves a candidate alone; the second argument: whether its machine keeps room for buffers."""


class Round:
    """Machines of which was told, or found not to be due, at one time."""

    __slots__ = ("at", "due", "names")

    def __init__(self, at: Millis) -> None:
        self.at = at
        self.due = at
        """Before that there is nothing to tell of any of them again."""
        self.names: list[str] = []


class Sieve:
    """One method's opinion of all candidates."""

    def __init__(self, why_not: WhyNot) -> None:
        self._why_not = why_not
        self._known: dict[str, tuple[Candidate, dict[bool, Blocked | str | None]]] = {}
        self._buffered: frozenset[str] = frozenset()
        self._kept: dict[str, Candidate] = {}
        self.blocked: dict[str, Blocked] = {}
        """Why a machine is left alone, where that is an event."""
        self.fresh: set[str] = set()
        """Machines of which something else was told last, or nothing."""
        self.again = False
        """Whether all counts as if nothing had been told of it, whenever it was."""
        self.rounds: list[Round] = []
        """The other ones that are blocked; names that no longer belong there may still be listed."""

    def put(self, name: str, verdict: Verdict) -> None:
        """A machine was judged anew; None for one that is no candidate since a command takes it, or that has gone."""
        if isinstance(verdict, Candidate):
            self._known[name] = verdict, {}
        else:
            self._known.pop(name, None)
        self._sift(name)

    def buffers(self, machines: frozenset[str]) -> None:
        """These machines keep room for buffers."""
        changed, self._buffered = machines ^ self._buffered, machines
        for name in changed:
            self._sift(name)

    def candidates(self) -> list[Candidate]:
        """Those that the method takes, by name."""
        return [self._kept[name] for name in sorted(self._kept)]

    def _sift(self, name: str) -> None:
        known = self._known.get(name)
        why: Blocked | str | None = ""
        if known is not None:
            buffered = name in self._buffered
            if buffered not in known[1]:
                known[1][buffered] = self._why_not(known[0], buffered)
            why = known[1][buffered]
        if known is not None and why is None:
            self._kept[name] = known[0]
        else:
            self._kept.pop(name, None)
        if not isinstance(why, Blocked):
            self.blocked.pop(name, None)
            self.fresh.discard(name)
        elif self.blocked.get(name) is not why:
            self.blocked[name] = why
            self.fresh.add(name)
