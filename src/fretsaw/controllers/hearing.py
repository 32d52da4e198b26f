"""Who hears what happens in a process of `fretsaw run`, put together: metrics, log, Events, and the trace."""

from __future__ import annotations

import re
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from types import TracebackType

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from fretsaw.api.kinds import KINDS
from fretsaw.api.times import Millis, rfc3339
from fretsaw.controllers.announcer import Announcer
from fretsaw.controllers.clock import SteadyClock
from fretsaw.controllers.manager import Listener
from fretsaw.controllers.performer import lane
from fretsaw.controllers.telemetry import Log, Recorder, Telemetry
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.options import Options
from fretsaw.engine.state import ClusterState
from fretsaw.engine.turn import Turn
from fretsaw.errors import OutOfCapacity
from fretsaw.kube.client import Client, plural
from fretsaw.kube.errors import Conflict, NotFound
from fretsaw.ports import Clock
from fretsaw.trace.codec import Writer
from fretsaw.trace.files import writing

_PATH = re.compile(
    r"/apis?(?:/(?P<group>[^/]+\.?[^/]*))??/(?P<version>v\d[^/]*)(?:/namespaces/[^/]+)?/(?P<kind>[a-z]+)(?:/[^/]+)?(?:/(?P<sub>[a-z]+))?$"
)


@cache
def _kinds() -> dict[str, str]:
    """Kinds by their name in a path."""
    return {plural(kind): kind for _, kind in KINDS} | {"events": "Event", "leases": "Lease"}


class Recording:
    """A listener that writes the trace."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def heard(self, at: Millis, what: e.Event | Turn, state: ClusterState) -> None:
        """See manager.Listener."""
        if isinstance(what, Turn):
            self._writer.turn(at, what)
        else:
            self._writer.event(at, what)


class Hearing:
    """Everything that listens. Use it as a context manager: at its end the trace is whole."""

    def __init__(
        self,
        log: Log,
        state: ClusterState,
        options: Options,
        record: Path | None,
        version: str,
        *,
        clock: Clock | None = None,
    ) -> None:
        """record: the file of the trace, None for no trace. clock: the machine's by default."""
        self.log, self._state = log, state
        registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        self.telemetry = Telemetry(registry, version=version)
        self.announcer = Announcer(Recorder(), self.failed)
        self._clock = clock if clock is not None else SteadyClock()
        self._stack = ExitStack()
        self._record, self._options, self._version = record, options, version
        self.leads(False)
        self.listeners: list[Listener] = [self.telemetry, self.log, self.announcer]

    def __enter__(self) -> Hearing:
        if self._record is not None:
            about = {"scenario": "live", "startsAt": rfc3339(self._clock.now()), "start": self._clock.now()}
            writer = self._stack.enter_context(
                writing(self._record, self._options, {**about, "fretsaw": self._version})
            )
            self.listeners.append(Recording(writer))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    # What the parts call

    def scrape(self) -> bytes:
        """The page of /metrics."""
        return self.telemetry.page(self._clock.now(), self._state)

    def took(self, seconds: float, turn: Turn) -> None:
        """A turn was taken: we lead, and so everything that there is was read."""
        self.telemetry.turn_took(seconds, turn)
        self.telemetry.synced(self._clock.now(), True)

    def info(self, message: str) -> None:
        """Something that whoever runs a cluster wants to know."""
        self.log.info("operator", message)

    def failed(self, what: str, error: Exception) -> None:
        """Something that no action asked for could not be done; it is tried again."""
        self.log.warn("operator", f"could not {what}", error=str(error))

    def requested(self, method: str, path: str, status: int, seconds: float) -> None:
        """The API server has answered."""
        found = _PATH.match(path)
        if found is None:
            return
        group, version, resource, sub = found.group("group", "version", "kind", "sub")
        kind = _kinds().get(resource, resource)
        self.telemetry.api_request(method, group or "", version, kind, sub or "", status or "<error>", seconds)

    def failed_action(self, action: a.Action, error: Exception) -> None:
        """An action came to nothing. What the next turn mends by itself is nothing to talk about."""
        expected = isinstance(error, Conflict | NotFound | OutOfCapacity)
        say = self.log.debug if expected else self.log.warn
        say("performer", f"{type(action).__name__} failed", error=str(error), about=_about(action))

    def leads(self, truth: bool) -> None:
        """Whether we act from now on."""
        self.announcer.speaks = truth
        self.telemetry.lead(truth)
        self.log.lead(truth)

    async def announce(self, client: Client) -> None:
        """Write Kubernetes Events, for ever."""
        await self.announcer.run(client)


def _about(action: a.Action) -> str:
    match action:
        case a.TerminateInstance(provider_id):
            return provider_id
        case a.Tell(about):
            return about
        case _:
            return "/".join(lane(action))
