"""From a node's conditions to its taints: NoSchedule at once, NoExecute by zone and at a measured pace.

Source: Kubernetes v1.36 pkg/controller/nodelifecycle/node_lifecycle_controller.go (doNoScheduleTaintingPass,
processTaintBaseEviction, doNoExecuteTaintingPass); kubernetes.io, Taints and Tolerations, "Taint based Evictions".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from fretsaw.api.labels import ZONE
from fretsaw.api.node import Node, Taint
from fretsaw.api.times import rfc3339
from fretsaw.engine.taints import same
from fretsaw.sim.controller import WorkQueue
from fretsaw.sim.loop import Timer
from fretsaw.sim.node_lifecycle.settings import Settings
from fretsaw.sim.node_lifecycle.zones import State, Zone, state_of
from fretsaw.sim.world import World

NOT_READY: Final = "node.kubernetes.io/not-ready"
UNREACHABLE: Final = "node.kubernetes.io/unreachable"
UNSCHEDULABLE: Final = "node.kubernetes.io/unschedulable"
_BY_CONDITION: Final = {
    ("Ready", "False"): NOT_READY,
    ("Ready", "Unknown"): UNREACHABLE,
    ("MemoryPressure", "True"): "node.kubernetes.io/memory-pressure",
    ("DiskPressure", "True"): "node.kubernetes.io/disk-pressure",
    ("PIDPressure", "True"): "node.kubernetes.io/pid-pressure",
    ("NetworkUnavailable", "True"): "node.kubernetes.io/network-unavailable",
}
_MANAGED: Final = frozenset((*_BY_CONDITION.values(), UNSCHEDULABLE))
_DOWN: Final = {"False": NOT_READY, "Unknown": UNREACHABLE}


class Tainter:
    """Keeps the taints of all nodes."""

    def __init__(self, world: World, settings: Settings) -> None:
        self._world = world
        self._store = world.store
        self._settings = settings
        self._queue = WorkQueue(world.loop, self._no_schedule)
        self._zones: dict[str, Zone] = {}
        self._counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        """(nodes that are ready, nodes that are not) by zone."""
        self._touched: dict[str, None] = {}
        """Nodes whose readiness changed since the last look."""
        self._look_at: Timer | None = None
        self._halted = False
        self._store.watch("Node", self._changed)
        for node in list(self._store.all("Node").values()):
            self._changed(None, node)

    def _changed(self, old: Node | None, new: Node | None) -> None:
        node = new if new is not None else old
        assert node is not None
        name = node.metadata.name
        for one, step in ((old, -1), (new, 1)):
            if one is not None:
                self._counts[_zone(one)][_ready(one) != "True"] += step
        if new is not None and (old is None or _wanted(old) != _wanted(new) or old.spec.taints != new.spec.taints):
            self._queue.add(name)
        if old is None or new is None or _ready(old) != _ready(new):
            self._touched[name] = None
            self._plan_look()

    # NoSchedule

    def _no_schedule(self, name: str) -> None:
        node: Node | None = self._store.get("Node", name)
        if node is None:
            return
        wanted = _wanted(node)
        kept = [t for t in node.spec.taints if t.effect != "NoSchedule" or t.key not in _MANAGED or t.key in wanted]
        there = {taint.key for taint in kept if taint.effect == "NoSchedule"}
        new = [self._taint(key, "NoSchedule") for key in wanted if key not in there]
        self._put(node, (*kept, *new))

    def _taint(self, key: str, effect: str) -> Taint:
        return Taint(key, effect, time_added=rfc3339(self._world.loop.now))

    def _put(self, node: Node, taints: tuple[Taint, ...]) -> None:
        if taints != node.spec.taints:
            self._store.put(replace(node, spec=replace(node.spec, taints=taints)))

    # NoExecute

    def _plan_look(self) -> None:
        """Look when the controller next does; what changes during a look is seen by the next one."""
        if self._look_at is None:
            loop = self._world.loop
            self._look_at = loop.at(loop.next_round(self._settings.monitor), self._look)

    def _look(self) -> None:
        self._look_at = None
        self._judge_zones()
        touched, self._touched = self._touched, {}
        for name in touched:
            node: Node | None = self._store.get("Node", name)
            if node is None:
                for zone in self._zones.values():
                    zone.drop(name)
            else:
                self._no_execute(node)

    def _no_execute(self, node: Node) -> None:
        """Queue a node that is down, and free one that is not."""
        key, zone = _DOWN.get(_ready(node)), self._zone(_zone(node))
        if _ready(node) == "True":
            zone.drop(node.metadata.name)
            self._free(node)
        elif key is not None and any(_executes(taint) and taint.key != key for taint in node.spec.taints):
            self._swap(node, key)
        elif key is not None and not any(_executes(taint) for taint in node.spec.taints):
            zone.add(node.metadata.name)

    def _free(self, node: Node) -> None:
        self._put(node, tuple(taint for taint in node.spec.taints if not _executes(taint)))

    def _swap(self, node: Node, key: str) -> None:
        """Give a node the one NoExecute taint that its state asks for."""
        new = self._taint(key, "NoExecute")
        if not any(same(taint, new) for taint in node.spec.taints):
            self._put(node, (*(taint for taint in node.spec.taints if not _executes(taint)), new))

    def _turn(self, name: str) -> None:
        """It is a node's turn to get its taint, if it still is down."""
        node: Node | None = self._store.get("Node", name)
        key = _DOWN.get(_ready(node)) if node is not None else None
        if node is not None and key is not None:
            self._swap(node, key)

    # Zones

    def _zone(self, name: str) -> Zone:
        if name not in self._zones:
            self._zones[name] = Zone(self._world.loop, self._settings, self._turn)
        return self._zones[name]

    def _judge_zones(self) -> None:
        """Bring the zones' paces up to date with the nodes that are down."""
        states = self._states(self._counts)
        if not self._halted and all(
            n in self._zones and self._zones[n].state == s != "full" for n, s in states.items()
        ):
            return
        # The order in which zones change is that of their nodes.
        counts: dict[str, list[int]] = {}
        for node in self._store.all("Node").values():
            counts.setdefault(_zone(node), self._counts[_zone(node)])
        states = self._states(counts)
        halt = bool(states) and all(state == "full" for state in states.values())
        if halt and not (self._halted and states.keys() <= self._zones.keys()):
            self._halt(list(states))
        elif not halt:
            self._pace(states, counts)
        self._halted = halt

    def _states(self, counts: Mapping[str, list[int]]) -> dict[str, State]:
        """The zones that have nodes, by what share of them is down."""
        return {zone: state_of(ready, down, self._settings) for zone, (ready, down) in counts.items() if ready or down}

    def _is_paced(self, zone: str, state: State) -> bool:
        return zone in self._zones and self._zones[zone].state == state

    def _halt(self, names: list[str]) -> None:
        """All nodes seem to be down: more likely the controller is cut off, and no pod is to be driven out."""
        for name in names:
            self._zone(name).halt()
        for node in list(self._store.all("Node").values()):
            self._free(node)

    def _pace(self, states: dict[str, State], counts: dict[str, list[int]]) -> None:
        for name, state in states.items():
            zone = self._zone(name)
            if self._halted or zone.state != state:
                zone.pace(state, sum(counts[name]))
        if self._halted:
            # The nodes that were freed, and are still down, get in line again.
            self._touched = dict.fromkeys((*self._touched, *self._store.all("Node")))


def _ready(node: Node) -> str:
    found = node.condition("Ready")
    return found.status if found is not None else ""


def _zone(node: Node) -> str:
    return node.metadata.labels.get(ZONE, "")


def _executes(taint: Taint) -> bool:
    return taint.effect == "NoExecute" and taint.key in (NOT_READY, UNREACHABLE)


def _wanted(node: Node) -> tuple[str, ...]:
    """The keys of the NoSchedule taints that a node should have, of those that this controller cares for."""
    found = (_BY_CONDITION.get((c.type, c.status), "") for c in node.status.conditions)
    cordon = (UNSCHEDULABLE,) if node.spec.unschedulable else ()
    return (*(key for key in found if key), *cordon)
