"""How fast the nodes of a zone get NoExecute taints: slower, or not at all, where so many are down that the controller
rather than the nodes may be the one that is cut off.

Source: Kubernetes v1.36 pkg/controller/nodelifecycle (handleDisruption, ComputeZoneState, rate_limited_queue.go);
kubernetes.io, Nodes, "Rate limits on eviction".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from fretsaw.api.times import Millis
from fretsaw.sim.loop import Loop, Timer
from fretsaw.sim.node_lifecycle.settings import Settings

State = Literal["normal", "partial", "full"]


def state_of(ready: int, down: int, settings: Settings) -> State:
    """How disrupted a zone with so many nodes is."""
    if not ready and down:
        return "full"
    return "partial" if down > 2 and down / (down + ready) >= settings.disrupted else "normal"


class Zone:
    """The nodes of a zone that wait for their taint, and when the next may get one."""

    def __init__(self, loop: Loop, settings: Settings, taint: Callable[[str], None]) -> None:
        """taint: called with a node when it is its turn."""
        self._loop = loop
        self._settings = settings
        self._taint = taint
        self._waiting: dict[str, None] = {}
        self._between: Millis | None = settings.between
        """None: no node gets a taint."""
        self._free: Millis = loop.now
        self._timer: Timer | None = None
        self.state: State | None = None
        """None before the first look."""

    def add(self, node: str) -> None:
        """Let a node wait for its taint."""
        self._waiting.setdefault(node)
        self._serve()

    def drop(self, node: str) -> None:
        """A node is well again, or gone."""
        self._waiting.pop(node, None)

    def pace(self, state: State, nodes: int) -> None:
        """Take the zone's state for its new pace. nodes: all that it has."""
        self.state = state
        settings = self._settings
        if state == "partial":
            self._swap(settings.between_disrupted if nodes > settings.large else None)
        else:
            self._swap(settings.between)

    def halt(self) -> None:
        """Every zone is down: taint nobody."""
        self.state = "full"
        self._swap(None)

    def _swap(self, between: Millis | None) -> None:
        if between == self._between:
            return
        busy = self._between is None or self._loop.now < self._free
        self._free = self._loop.now + (between or 0) if busy else self._loop.now
        self._between = between
        self._serve()

    def _serve(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._between is None:
            return
        while self._waiting and self._loop.now >= self._free:
            node = next(iter(self._waiting))
            del self._waiting[node]
            self._free = self._loop.now + self._between
            self._taint(node)
        if self._waiting:
            self._timer = self._loop.at(self._free, self._serve)
