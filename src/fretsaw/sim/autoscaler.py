"""The autoscaler inside the virtual cluster: the engine's turns, fed by the store and the cloud, performed on both.

The engine decides; nothing here does. What it is told and what it wants goes to listeners, such as the trace.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from msgspec.structs import replace

from fretsaw.api.meta import Object
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.times import SECOND, Millis
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.options import Options
from fretsaw.engine.state import SEEN, ClusterState, key_of
from fretsaw.engine.turn import Engine, Turn
from fretsaw.errors import BrokenInvariant
from fretsaw.sim.loop import Timer
from fretsaw.sim.world import World

Listener = Callable[[Millis, e.Event | Turn], None]
LAG: Millis = 50
"""From a change to the turn that sees it: what watches, queues and a status write take, roughly."""
RESTLESS = 1000
"""Turns of one instant after which the engine will never come to rest; a run would hang."""
_SEEN = frozenset(SEEN)


class Provider(Protocol):
    """The cloud, as far as the autoscaler asks it for something."""

    def launch(self, claim: NodeClaim) -> None:
        """Launch the claim's instance; the answer is reported later."""

    def terminate(self, provider_id: str) -> None:
        """End an instance; that it is gone is reported later."""


class Evictor(Protocol):
    """The eviction API."""

    def evict(self, pod_key: str, uid: str | None = None) -> str:
        """Evict a pod; the reason where that is refused, else empty."""


class Autoscaler:
    """Runs turns when something happened or is due."""

    def __init__(self, world: World, options: Options, provider: Provider, evictor: Evictor) -> None:
        self._world = world
        self._engine = Engine(options)
        self._provider = provider
        self._evictor = evictor
        self.state = ClusterState()
        self.listeners: list[Listener] = []
        """Called with every event that is applied, and every turn, also one that wants nothing."""
        self._early: list[tuple[Millis, e.Event]] = []
        """What was told before the first turn, for those who begin to listen until then."""
        self.turns = 0
        self._timer: Timer | None = None
        self._instant: tuple[Millis, int] = (-1, 0)
        """The time of the last turn, and how many there were at that time."""
        world.store.watch_all(self._changed)
        world.on_report(self.tell)

    def listen(self, listener: Listener) -> None:
        """Call `listener` with everything, what is past included. Raises BrokenInvariant after the first turn."""
        if self.turns:
            raise BrokenInvariant("somebody wants to hear all of a run that has begun")
        for at, event in self._early:
            listener(at, event)
        self.listeners.append(listener)

    def tell(self, event: e.Event) -> None:
        """Something happened."""
        self._apply(event)
        self._plan(self._world.loop.now + LAG)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        obj = new if new is not None else old
        if obj is None or type(obj).__name__ not in _SEEN:
            return
        self.tell(e.Changed(obj) if new is not None else e.Gone(type(obj).__name__, key_of(obj)))

    def _apply(self, event: e.Event) -> None:
        self.state.apply(event)
        if not self.turns:
            self._early.append((self._world.loop.now, event))
        for listener in self.listeners:
            listener(self._world.loop.now, event)

    def _plan(self, when: Millis) -> None:
        """A turn at `when`, unless one comes before."""
        if self._timer is not None:
            if self._timer.when <= when:
                return
            self._timer.cancel()
        self._timer = self._world.loop.at(when, self._turn, priority=10)

    def _turn(self) -> None:
        self._timer = None
        self.turns += 1
        self._rest()
        self._early.clear()
        turn = self._engine.turn(self.state, self._world.loop.now)
        for listener in self.listeners:
            listener(self._world.loop.now, turn)
        self.state.settle()
        for note in turn.notes:
            self.state.apply(note)
        for action in turn.actions:
            self._perform(action)
        if turn.wake is not None:
            self._plan(turn.wake)

    def _rest(self) -> None:
        """Raises BrokenInvariant where time would stand still."""
        now, (last, number) = self._world.loop.now, self._instant
        self._instant = now, number + 1 if last == now else 1
        if self._instant[1] > RESTLESS:
            seconds = (now - self._world.loop.start) / SECOND
            raise BrokenInvariant(f"the autoscaler takes one turn after the other at {seconds} s")

    def _perform(self, action: a.Action) -> None:
        store, journal = self._world.store, self._world.journal
        match action:
            case a.Tell(about, reason, message, type_):
                journal.note("event", about, reason=reason, message=message, type=type_)
            case a.CreateClaim(claim, reason, pods):
                if store.get("NodeClaim", claim.metadata.name) is None:
                    store.put(claim)
                    journal.note("claim-created", f"NodeClaim/{claim.metadata.name}", reason=reason, pods=list(pods))
            case a.UpdateClaim(claim):
                if store.get("NodeClaim", claim.metadata.name) is not None:
                    store.put(claim)
            case a.UpdateNode(node):
                if store.get("Node", node.metadata.name) is not None:
                    store.put(node)
            case a.UpdatePool(pool):
                if store.get("NodePool", pool.metadata.name) is not None:
                    store.put(pool)
            case a.DeleteClaim(name, reason):
                self._delete_claim(name, reason)
            case a.DeleteNode(name):
                store.delete("Node", name)
            case a.LaunchInstance(claim):
                self._provider.launch(claim)
            case a.TerminateInstance(provider_id):
                self._provider.terminate(provider_id)
            case a.Evict(pod, uid):
                self.tell(e.EvictionAnswered(pod, self._evictor.evict(pod, uid)))
            case a.DeletePod(pod, uid, grace_s, reason):
                self._delete_pod(pod, uid, grace_s, reason)
            case a.NominatePod(pod, node):
                self._nominate(pod, node)

    def _delete_claim(self, name: str, reason: str) -> None:
        claim = self._world.store.get("NodeClaim", name)
        if claim is not None and not claim.metadata.deletion_timestamp:
            self._world.journal.note("claim-deleted", f"NodeClaim/{name}", reason=reason)
            self._world.store.delete("NodeClaim", name)

    def _delete_pod(self, key: str, uid: str, grace_s: int, reason: str) -> None:
        pod = self._world.store.get("Pod", key)
        if pod is not None and pod.metadata.uid == uid:
            self._world.journal.note("pod-deleted", f"Pod/{key}", reason=reason)
            self._world.store.delete("Pod", key, grace_s=grace_s)

    def _nominate(self, key: str, node: str) -> None:
        pod = self._world.store.get("Pod", key)
        if pod is not None and not pod.spec.node_name:
            self._world.store.put(replace(pod, status=replace(pod.status, nominated_node_name=node)))
