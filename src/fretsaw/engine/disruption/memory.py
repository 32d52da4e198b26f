"""What the graceful methods remember of having found nothing, so that they need not look again before it can differ.

Three kinds, each for one method: *nothing* to be done with any candidate, for this version of the state; nothing
*within* what the budgets left, for this version and just these budgets; and *nobody* who could go, for this very state
(there, pods' protection and budgets count, whose changes are no new version). All end after a while, and the last two
when a nomination ends.

Source: Karpenter v1.14 pkg/controllers/disruption consolidation.go (IsConsolidated), pkg/controllers/state cluster.go
(ConsolidationState). The last two kinds are ours: the peer looks again every ten seconds, and finds the same.
"""

from __future__ import annotations

from collections.abc import Iterator

from fretsaw.api.times import HOUR, Millis
from fretsaw.engine import events as e
from fretsaw.engine.disruption.budgets import Room, next_change
from fretsaw.engine.disruption.candidates import Survey
from fretsaw.engine.disruption.moves import METHODS, Method
from fretsaw.engine.pdbs import is_active, protected_until
from fretsaw.engine.state import ClusterState

VALID: Millis = 1 * HOUR
"""After that long a method looks again even if nothing has changed.

Differs: the peer does so after five minutes. The same state gives the same answer here, so that looking again only
guards against a change that was overlooked."""
IDLE = "idle"
UNTIL = "idle until"


class Memory:
    """Reads and makes the notes of one look."""

    def __init__(self, state: ClusterState, now: Millis) -> None:
        self._state = state
        self._now = now

    def is_idle(self, method: Method, room: Room) -> bool:
        """Whether the method would find nothing."""
        state = self._state
        if self._holds(method, state.version):
            return True
        if self._holds(_within(method, room.text()), state.version, nominations=True):
            return True
        until = state.checked.get((UNTIL, method))
        return (until is None or self._now < until) and self._holds(_nobody(method), state.revision, nominations=True)

    def _holds(self, key: str, version: int, *, nominations: bool = False) -> bool:
        noted = self._state.checked.get((IDLE, key))
        if noted is None or self._state.idle.get(key) != version or self._now - noted >= VALID:
            return False
        return not nominations or not any(noted < end <= self._now for end in self._state.nominated.values())

    def nothing(self, method: Method, tight: str = "") -> tuple[e.Event, ...]:
        """Note that nothing could be done with the candidates. tight: what the budgets had left, if that was why."""
        return self._note(_within(method, tight) if tight else method, self._state.version)

    def nobody(self, method: Method, survey: Survey) -> tuple[e.Event, ...]:
        """Note that there was no candidate."""
        notes = self._note(_nobody(method), self._state.revision)
        ends = (end for end in _protections(survey.state) if end > self._now)
        until = min(ends, default=self._now + VALID)
        return (*notes, e.Checked(UNTIL, method, until))

    def _note(self, key: str, version: int) -> tuple[e.Event, ...]:
        return (e.MethodIdle(key, version), e.Checked(IDLE, key, self._now))


def _within(method: Method, left: str) -> str:
    return f"{method} within {left}"


def _nobody(method: Method) -> str:
    return f"{method}: nobody"


def next_time(state: ClusterState, now: Millis) -> Millis:
    """When one of the memories ends without a change: by its age, a nomination, a pod's protection, or a budget."""
    times = [now + VALID]
    times += _ages(state, now)
    times += [state.checked[UNTIL, method] for method in METHODS if (UNTIL, method) in state.checked]
    times += state.nominated.values()
    times += [change for pool in state.pools.values() if (change := next_change(pool, now)) is not None]
    times += _protections(state)
    return min(when for when in times if when > now)


def _ages(state: ClusterState, now: Millis) -> Iterator[Millis]:
    """When what methods found out lately becomes too old."""
    for key in reversed(state.idle):
        noted = state.checked.get((IDLE, key))
        if noted is not None and noted + VALID <= now:
            return  # all others are older
        if noted is not None:
            yield noted + VALID


def _protections(state: ClusterState) -> list[Millis]:
    """When pods that say do-not-disrupt for a time may be disrupted again."""
    machines = (state.machines[name] for name in state.roster.guarded)
    pods = (pod for machine in machines for pod in machine.pods if pod.metadata.annotations)
    ends = (protected_until(pod) for pod in pods if is_active(pod))
    return [end for end in ends if end is not None]
