"""All metrics of `fretsaw run`: hears what happens, and makes the page that Prometheus reads.

    telemetry = Telemetry(registry)
    telemetry.heard(now, event, state)      # after state.apply(event)
    telemetry.heard(now, turn, state)       # before the turn's notes are applied and its actions performed
    telemetry.turn_took(seconds, turn)
    with telemetry.provider_call("Create"): ...
    page = telemetry.page(now, state)

All are called in the thread that applies events; a turn may be under way in another, which only reads. A page of 500
nodes and 5,000 pods takes a tenth of a second where little has changed since the last.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager

from prometheus_client import CollectorRegistry, generate_latest

from fretsaw import __version__
from fretsaw.api.times import Millis
from fretsaw.controllers.telemetry.changes import Changes
from fretsaw.controllers.telemetry.claims import Claims
from fretsaw.controllers.telemetry.conditions import Conditions
from fretsaw.controllers.telemetry.disruption import Disruptions
from fretsaw.controllers.telemetry.families import exposed
from fretsaw.controllers.telemetry.group import Group
from fretsaw.controllers.telemetry.nodes import Nodes
from fretsaw.controllers.telemetry.own import Own
from fretsaw.controllers.telemetry.pods import Pods
from fretsaw.controllers.telemetry.pools import Pools
from fretsaw.controllers.telemetry.prices import Prices
from fretsaw.controllers.telemetry.provider import Calls
from fretsaw.controllers.telemetry.scheduler import Scheduler
from fretsaw.engine import events as e
from fretsaw.engine.state import ClusterState
from fretsaw.engine.turn import Turn

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Of the page."""
GROUPS: tuple[type[Group], ...] = (Claims, Nodes, Pools, Pods, Scheduler, Disruptions, Calls, Conditions, Own)
"""In the order of the documentation."""


class Telemetry:
    """Hears everything and tells it as metrics."""

    def __init__(
        self,
        registry: CollectorRegistry | None = None,
        *,
        version: str = __version__,
        commit: str = "",
        observability: bool = True,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """registry: others' metrics that go on the same page, such as those of the process; never the global one.

        observability: False leaves out what is told of each pod, node and pool, and all conditions, as
        --disable-cluster-state-observability does. clock: seconds that only grow, to time calls with.
        """
        prices = Prices()
        self._registry = registry
        self._changes = Changes()
        self.claims = Claims()
        self.nodes = Nodes()
        self.pools = Pools(prices)
        self.pods = Pods()
        self.scheduler = Scheduler()
        self.disruptions = Disruptions()
        self.calls = Calls(version, commit, clock)
        self.conditions = Conditions()
        self.own = Own(prices)
        self._quiet = frozenset[Group]() if observability else frozenset[Group]((self.nodes, self.pools, self.pods))
        """Groups of which only what was counted is told."""
        self.groups: tuple[Group, ...] = (
            self.claims, self.nodes, self.pools, self.pods, self.scheduler, self.disruptions, self.calls,
            *((self.conditions,) if observability else ()), self.own,
        )  # fmt: skip
        self._leads = True
        self._hear_changes = [g.changed for g in self.groups if type(g).changed is not Group.changed]
        self._hear_events = [g.told for g in self.groups if type(g).told is not Group.told]
        self._hear_turns = [g.turned for g in self.groups if type(g).turned is not Group.turned]

    # Hearing

    def lead(self, truth: bool) -> None:
        """Whether this process acts. One that does not follows what happens, and tells nothing of it, so that sums over
        replicas count everything once; when its turn comes it begins at 0."""
        if truth and not self._leads:
            for group in self.groups:
                if group is not self.calls:
                    group.reset()
        self._leads = truth

    def heard(self, at: Millis, what: e.Event | Turn, state: ClusterState) -> None:
        """An event was applied to the state, or a turn was decided on it."""
        match what:
            case Turn():
                for hear_turn in self._hear_turns:
                    hear_turn(at, what, state)
            case e.Changed() | e.Gone():
                for old, new in self._changes.of(what):
                    for hear_change in self._hear_changes:
                        hear_change(at, old, new, state)
            case _:
                for hear in self._hear_events:
                    hear(at, what, state)

    def turn_took(self, seconds: float, turn: Turn, phases: Mapping[str, float] | None = None) -> None:
        """A turn took so long. phases: seconds by controller (`provisioner`, `disruption`) where they are known."""
        self.own.turn.observe(seconds)
        self.scheduler.took(seconds, turn, phases or {})

    def event_waited(self, seconds: float) -> None:
        """An event was applied so long after it arrived."""
        self.own.lag.observe(seconds)

    def synced(self, at: Millis, truth: bool) -> None:
        """Whether all that is watched was read; say so whenever that may have changed."""
        self.scheduler.synced(at, truth)

    def provider_call(self, method: str, controller: str = "") -> AbstractContextManager[None]:
        """Time a call of the cloud provider: Create, Delete, Get, List, GetInstanceTypes or IsDrifted."""
        return self.calls.call(method, controller)

    def api_request(
        self, verb: str, group: str, version: str, kind: str, subresource: str, code: int | str, seconds: float
    ) -> None:
        """The API server answered. verb: as in the API (`list`) or in HTTP; code: `<error>` where there is none."""
        self.calls.request(verb, group, version, kind, subresource, code, seconds)

    # Telling

    def page(self, now: Millis, state: ClusterState) -> bytes:
        """The page of metrics in Prometheus' text format, those of the registry last."""
        text = "\n".join(self._lines(now, state)) + "\n"
        others = generate_latest(self._registry) if self._registry is not None else b""
        return text.encode() + others

    def _lines(self, now: Millis, state: ClusterState) -> Iterator[str]:
        for group in self.groups if self._leads else (self.calls,):
            for family, lines in group.counted(now) if group in self._quiet else group.exposed(now, state):
                yield from exposed(family, lines)
