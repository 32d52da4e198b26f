"""Nodes that fall silent: their state becomes unknown when the lease has not been renewed for long enough.

No event is spent on a lease that is renewed. When the journal says `kubelet-stopped`, the last renewal is computed, and
with it the look at which the controller gives the node up.
Source: Kubernetes v1.36 pkg/controller/nodelifecycle/node_lifecycle_controller.go (tryUpdateNodeHealth).
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from fretsaw.api.meta import Condition
from fretsaw.api.node import Node
from fretsaw.api.times import Millis, millis
from fretsaw.sim.conditions import is_ready, with_condition
from fretsaw.sim.journal import Fact
from fretsaw.sim.loop import Timer
from fretsaw.sim.node_lifecycle.settings import Settings
from fretsaw.sim.world import World

_KNOWN: Final = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
STOPPED: Final = "kubelet-stopped"
STARTED: Final = "kubelet-started"


class Health:
    """Watches over silence."""

    def __init__(self, world: World, settings: Settings) -> None:
        self._world = world
        self._store = world.store
        self._settings = settings
        self._timers: dict[str, Timer] = {}
        world.journal.listen(self._heard)
        self._store.watch("Node", self._changed)
        for node in list(self._store.all("Node").values()):
            self._changed(None, node)

    def next_look(self, when: Millis) -> Millis:
        """The first look of the controller at that time or later."""
        start, every = self._world.loop.start, self._settings.monitor
        return start + -(-(when - start) // every) * every

    def _heard(self, fact: Fact) -> None:
        if fact.what not in (STOPPED, STARTED):
            return
        name = fact.about.removeprefix("Node/")
        self._cancel(name)
        node = self._store.get("Node", name)
        if fact.what == STOPPED and node is not None:
            seen = self.next_look(self._last_renewal(node))
            self._plan(name, seen + self._settings.grace)

    def _last_renewal(self, node: Node) -> Millis:
        now = self._world.loop.now
        born = node.metadata.creation_timestamp
        return now - (now - millis(born)) % self._settings.heartbeat if born else now

    def _plan(self, name: str, when: Millis) -> None:
        self._cancel(name)
        self._timers[name] = self._world.loop.at(self.next_look(when), self._give_up, name)

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    def _changed(self, old: Node | None, new: Node | None) -> None:
        node = new if new is not None else old
        assert node is not None
        name = node.metadata.name
        if new is None:
            self._cancel(name)
        elif new.condition("Ready") is None:
            if old is None:
                self._plan(name, self._world.loop.now + self._settings.start_up)
        elif old is not None and _first_report(old, new):
            self._cancel(name)

    def _give_up(self, name: str) -> None:
        self._timers.pop(name, None)
        node: Node | None = self._store.get("Node", name)
        if node is None:
            return
        ready = node.condition("Ready")
        conditions = node.status.conditions
        for type_ in _KNOWN:
            conditions = with_condition(conditions, _unknown(node, type_), self._world.loop.now)
        self._store.put(replace(node, status=replace(node.status, conditions=conditions)))
        if ready is not None and ready.status == "True":
            self._world.journal.note("node-unreachable", f"Node/{name}")
            self._pods_not_ready(name)

    def _pods_not_ready(self, name: str) -> None:
        """Nobody else can take the pods of a dead node out of service."""
        now = self._world.loop.now
        for pod in list(self._store.pods_on(name).values()):
            if is_ready(pod):
                conditions = with_condition(pod.status.conditions, Condition("Ready", "False"), now)
                self._store.put(replace(pod, status=replace(pod.status, conditions=conditions)))


def _first_report(old: Node, new: Node) -> bool:
    """Whether a node now reports Ready that did not report it, or not as True."""
    before, after = old.condition("Ready"), new.condition("Ready")
    return before is None or (after is not None and after.status == "True" != before.status)


def _unknown(node: Node, type_: str) -> Condition:
    found = node.condition(type_)
    if found is None:
        return Condition(type_, "Unknown", "NodeStatusNeverUpdated", "Kubelet never posted node status.")
    if found.status == "Unknown":
        return found
    return Condition(type_, "Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.")
