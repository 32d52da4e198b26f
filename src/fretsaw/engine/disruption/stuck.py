"""Candidates that consolidation could do nothing with, and need not try again before that can be different.

Whether a machine can go depends on the machine itself, on the room on all others, and on what pools sell. Room that
shrinks never helps. So a candidate stays stuck until a machine that has opened since has room for one of its pods, or
something happened that may help anybody (`ClusterState.epoch`). Pods that look at where other pods are may get a place
through any change, and pods that wait take room in every simulation: with those nothing is remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fretsaw.engine.disruption.candidates import Candidate
from fretsaw.engine.guards import looks_at_others
from fretsaw.engine.requests import pod_requests
from fretsaw.engine.state import ClusterState

Free = Callable[[str], Mapping[str, int] | None]
"""The room on a machine, base units; None where it takes no pods."""


class Stuck:
    """Remembers them by the very objects: a machine that changed is another object."""

    def __init__(self) -> None:
        self._state: ClusterState | None = None
        self._free: Free = lambda machine: None
        self._epoch = -1
        self._found: dict[str, tuple[Candidate, int, tuple[Mapping[str, int], ...]]] = {}
        """(candidate, how many machines had opened by then, requests of its pods) by name."""
        self._usable = False

    def at(self, state: ClusterState, free: Free, waiting: bool) -> Stuck:
        """Ready for a look. waiting: whether pods without a place take part in its simulations."""
        self._state, self._free, self._usable = state, free, not waiting
        if state.epoch != self._epoch or waiting:
            self._epoch = state.epoch
            self._found.clear()
        return self

    def __contains__(self, candidate: Candidate) -> bool:
        known = self._found.get(candidate.name)
        if known is None or self._state is None or known[0] is not candidate:
            return False
        _, seen, requests = known
        opened = self._state.opened
        for name in dict.fromkeys(opened[seen:]):
            free = self._free(name) if name != candidate.name else None
            if free is not None and any(_fits(one, free) for one in requests):
                del self._found[candidate.name]
                return False
        self._found[candidate.name] = (candidate, len(opened), requests)
        return True

    def add(self, candidate: Candidate) -> None:
        """The candidate was looked at alone, and nothing could be done with it."""
        if self._usable and self._state is not None and not any(looks_at_others(pod.spec) for pod in candidate.pods):
            requests = {tuple(sorted(pod_requests(pod.spec).items())) for pod in candidate.pods}
            known = tuple(dict(one) for one in sorted(requests))
            self._found[candidate.name] = (candidate, len(self._state.opened), known)


def _fits(requests: Mapping[str, int], free: Mapping[str, int]) -> bool:
    return all(amount <= free.get(resource, 0) for resource, amount in requests.items() if amount)
