"""Takes turns in a real cluster: watches → events → state → turn → performer, as long as we lead.

    events  come from reflectors, from our own writes and from the cloud, and wait in the inbox
    a turn  runs in a thread, so that probes, leases and watches go on meanwhile; the state rests until it is done
    actions are performed, and their answers are in the inbox, before the next turn begins

A replica that does not lead keeps its state up to date, so that it can begin at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from fretsaw.api.times import Millis
from fretsaw.controllers.inbox import Inbox
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.options import Options
from fretsaw.engine.state import SEEN, ClusterState
from fretsaw.engine.turn import Engine, Turn
from fretsaw.kube.client import Client
from fretsaw.kube.reflector import Reflector
from fretsaw.ports import Clock

NEEDED = ("NodePool", "NodeClaim")
"""Kinds without which nothing is done: their CRDs have to be there. When one is removed, its objects stay as they were
last seen until it is back: a removal by force leaves them in etcd, and an instance whose claim cannot be seen would be
ended as nobody's."""
LAG_S = 0.05
"""From a change to the turn that sees it: what comes in that time is seen together."""
LONGEST_REST_S = 10.0
"""A turn is taken so often at least: the time of day may have been set."""


class Listener(Protocol):
    """Hears everything in the order in which it happens, such as the recorder and the metrics."""

    def heard(self, at: Millis, what: e.Event | Turn, state: ClusterState) -> None:
        """An event was applied; or a turn was taken, of which nothing is applied or performed yet."""


class Acting(Protocol):
    """Who does what a turn wants."""

    async def perform(self, actions: Iterable[a.Action]) -> None:
        """Do all of it; return when the next turn would see it."""


class Manager:
    """One engine and its state. took: is told how long each turn took, in seconds. kinds: to watch, of SEEN."""

    def __init__(
        self,
        client: Client,
        options: Options,
        clock: Clock,
        inbox: Inbox,
        state: ClusterState,
        listeners: Iterable[Listener],
        took: Callable[[float, Turn], None],
        kinds: Sequence[str] = SEEN,
        *,
        info: Callable[[str], None] = lambda _: None,
    ) -> None:
        """info: is told when a kind that is needed goes, and when it comes back."""
        self._info = info
        self._client, self._options, self._clock = client, options, clock
        self._inbox, self.state = inbox, state
        self._listeners, self._took = tuple(listeners), took
        self._stirred = asyncio.Event()
        self.reflectors = [Reflector(client, kind, keeps=kind in NEEDED) for kind in kinds]
        self._synced: set[str] = set()
        self._missing: set[str] = set()
        self.turns = 0
        self.last_turn: float | None = None
        """When the last turn ended, in the seconds of `time.monotonic`."""

    # What the outside may know

    @property
    def synced(self) -> bool:
        """Whether all that there is has been listed once."""
        return self._synced.issuperset(reflector.kind for reflector in self.reflectors)

    @property
    def missing(self) -> tuple[str, ...]:
        """Kinds that we cannot do without and that the server does not have."""
        return tuple(kind for kind in NEEDED if kind in self._missing)

    async def listed(self) -> None:
        """Return when all that was listed first has been applied."""
        while not self.synced or self._inbox:
            await asyncio.sleep(LAG_S)

    @property
    def idle_s(self) -> float | None:
        """Seconds since a turn ended; None where we take none."""
        return time.monotonic() - self.last_turn if self.last_turn is not None else None

    def put(self, event: e.Event) -> None:
        """Something happened."""
        self._inbox.put(event)
        self._stirred.set()

    # Watching

    async def watch(self) -> None:
        """Keep up with all kinds, for ever."""
        async with asyncio.TaskGroup() as group:
            for reflector in self.reflectors:
                group.create_task(self._follow(reflector), name=f"watch {reflector.kind}")

    async def _follow(self, reflector: Reflector) -> None:
        async for change in reflector.changes():
            match change.what:
                case "synced":
                    self._synced.add(change.kind)
                    self._is_missing(change.kind, False)
                case "missing":
                    self._synced.add(change.kind)
                    self._is_missing(change.kind, True)
            if change.what != "missing" or change.kind not in NEEDED:
                self._inbox.heard(change)
            self._stirred.set()

    def _is_missing(self, kind: str, truth: bool) -> None:
        if (kind in self._missing) == truth:
            return
        (self._missing.add if truth else self._missing.discard)(kind)
        if kind in NEEDED:
            self._info(f"no such kind: {kind}: nothing is done until it is there" if truth else f"{kind} is there")

    async def keep_up(self, until: Callable[[], bool]) -> None:
        """Apply what comes, without a turn, until then; what follows is left in the inbox."""
        while not until():
            self._apply()
            await self._rest(LONGEST_REST_S / 10)

    # Turns

    async def lead(self, performer: Acting, allowed: Callable[[], bool]) -> None:
        """Take turns as long as that is allowed. Raises BrokenInvariant, or whatever a bug raises."""
        engine = Engine(self._options)
        self.last_turn = time.monotonic()
        wake: Millis | None = 0
        while allowed():
            await self._rest(LONGEST_REST_S if wake is None else (wake - self._clock.now()) / 1000)
            if self._inbox:
                await asyncio.sleep(LAG_S)
            if not allowed():
                return
            if self.missing:
                self._apply()
                self.last_turn, wake = time.monotonic(), None  # it is no fault of ours that no turn is taken
            else:
                wake = await self._turn(engine, performer)

    async def _rest(self, seconds: float) -> None:
        """Until something happens, or is due."""
        try:
            async with asyncio.timeout(min(max(seconds, LAG_S), LONGEST_REST_S)):
                await self._stirred.wait()
        except TimeoutError:
            pass
        self._stirred.clear()

    def _apply(self) -> None:
        now = self._clock.now()
        for event in self._inbox.news(self.state):
            self.state.apply(event)
            for listener in self._listeners:
                listener.heard(now, event, self.state)

    async def _turn(self, engine: Engine, performer: Acting) -> Millis | None:
        """One turn; when the next one is due."""
        self._apply()
        now, started = self._clock.now(), time.perf_counter()
        turn = await asyncio.to_thread(engine.turn, self.state, now)
        took = time.perf_counter() - started
        self._took(took, turn)
        for listener in self._listeners:
            listener.heard(now, turn, self.state)
        self.state.settle()
        await performer.perform(turn.actions)  # reads objects as the turn saw them: nothing is applied meanwhile
        for note in turn.notes:
            self.state.apply(note)
        self.turns += 1
        self.last_turn = time.monotonic()
        return turn.wake
