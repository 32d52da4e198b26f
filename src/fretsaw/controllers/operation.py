"""`fretsaw run` as a whole: puts client, manager, cloud, election and probes together, and takes them apart again.

    run(…)  probes and watches begin at once · the lease is waited for · turns are taken until the lease is lost or we
            are asked to stop · the lease is given back

A process that has lost its lease ends: whoever restarts it begins with a clean memory.
"""

from __future__ import annotations

import asyncio
import os
import socket
import uuid
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Protocol

import msgspec

from fretsaw.controllers.clock import SteadyClock
from fretsaw.controllers.cloud import Cloud
from fretsaw.controllers.inbox import Inbox
from fretsaw.controllers.leader import Election, Terms
from fretsaw.controllers.manager import Listener, Manager
from fretsaw.controllers.performer import Performer
from fretsaw.controllers.probes import metrics, probes
from fretsaw.controllers.settings import Run
from fretsaw.engine import actions as a
from fretsaw.engine.options import Options
from fretsaw.engine.state import SEEN, ClusterState
from fretsaw.engine.turn import Turn
from fretsaw.kube.access import Access
from fretsaw.kube.client import Client
from fretsaw.kube.http import Http, Limits
from fretsaw.ports import CloudProvider

NOMINATION_SINCE = (1, 35)
"""The first version of Kubernetes in which another component may set `status.nominatedNodeName` (KEP-5278)."""
EVENTS = Limits(qps=50, burst=200, connections=4)
"""Of Kubernetes Events, which have a way of their own: they must not take the turns of what is done."""
STUCK_S = 300.0
"""A leader that has not ended a turn for so long is not healthy."""


class Hearing(Protocol):
    """Who hears what happens: metrics, log, Events, the recorder. See `controllers.hearing`."""

    @property
    def listeners(self) -> Sequence[Listener]:
        """Hear every event and turn."""

    def scrape(self) -> bytes:
        """The page of /metrics."""

    def took(self, seconds: float, turn: Turn) -> None:
        """A turn was taken."""

    def leads(self, truth: bool) -> None:
        """Whether we act from now on."""

    def info(self, message: str) -> None:
        """Something that whoever runs a cluster wants to know."""

    def failed(self, what: str, error: Exception) -> None:
        """Something that no action asked for could not be done."""

    def failed_action(self, action: a.Action, error: Exception) -> None:
        """An action came to nothing."""

    def requested(self, method: str, path: str, status: int, seconds: float) -> None:
        """The API server has answered; see `kube.http.Observer`."""

    async def announce(self, client: Client) -> None:
        """Write Kubernetes Events, for ever."""


class Onlooker:
    """Does nothing, for --observe-only."""

    async def perform(self, actions: Iterable[a.Action]) -> None:
        """Leave everything as it is."""


class Operator:
    """One process. stop: set to end it."""

    def __init__(
        self,
        settings: Run,
        access: Access,
        provider: CloudProvider,
        hearing: Hearing,
        state: ClusterState,
        *,
        observe_only: bool = False,
        clock: SteadyClock | None = None,
    ) -> None:
        """observe_only: decide and tell, but act on nothing, whoever leads. clock: the machine's by default."""
        self.observe_only = observe_only
        self.settings, self._access, self._provider, self._hearing = settings, access, provider, hearing
        self.state = state
        self.stop = asyncio.Event()
        self.ports: dict[str, int] = {}
        """Where we serve, by what: `metrics`, `probes`."""
        self._clock = clock if clock is not None else SteadyClock()
        self._inbox = Inbox()
        self._election: Election | None = None
        self.manager: Manager | None = None

    async def run(self) -> bool:
        """Until `stop` is set (True) or the lease is lost (False). Raises KubeError where there is no server at all."""
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(Client.connect(self._access, self._limits(), agent=_agent()))
            client.http.observers.append(self._hearing.requested)
            client.http.may_write = self._acting
            telling = await stack.enter_async_context(Client.connect(self._access, EVENTS, agent=_agent()))
            telling.http.observers.append(self._hearing.requested)
            client.http.dated.append(self._clock.heard)
            options = await self._fitting(client)
            self.manager = manager = Manager(
                client,
                options,
                self._clock,
                self._inbox,
                self.state,
                self._hearing.listeners,
                self._hearing.took,
                self._kinds(),
                info=self._hearing.info,
            )
            await self._serve(stack, manager)
            election = await self._elect(stack)
            cloud = self._cloud(client, manager)
            client.on_unreadable(partial(self._unreadable, cloud))
            tasks = [
                asyncio.create_task(work, name=name)
                for name, work in self._work(client, telling, manager, cloud, election)
            ]
            stop = asyncio.create_task(self.stop.wait())
            try:
                done, _ = await asyncio.wait([*tasks, stop], return_when=asyncio.FIRST_COMPLETED)
                for task in done - {stop}:
                    task.result()  # a bug, or the end of leading
                return stop in done
            finally:
                for task in [*tasks, stop]:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                if election is not None:
                    await election.release()
                await self._provider.close()

    def _kinds(self) -> tuple[str, ...]:
        """What to watch: a kind whose gate is closed is as if there were none of it."""
        gates: dict[str, bool] = self.settings["feature-gates"]
        return tuple(kind for kind in SEEN if gates.get(kind, True))

    def _unreadable(self, cloud: Cloud, kind: str, key: str, why: str) -> None:
        """An object is not what it should be; it stays as it was last read, if it ever was."""
        cloud.blind = cloud.blind or kind == "NodeClaim"
        self._hearing.failed(f"read {kind}/{key}", ValueError(why))

    def _limits(self) -> Limits:
        return Limits(qps=float(self.settings["kube-client-qps"]), burst=self.settings["kube-client-burst"])

    async def _fitting(self, client: Client) -> Options:
        """The options, less what this server is too old for."""
        options = self.settings.options
        version: dict[str, Any] = msgspec.json.decode(await client.http.request("GET", "/version"))
        number = (int(version.get("major", "1")), int(version.get("minor", "0").rstrip("+")))
        if number < NOMINATION_SINCE and options.hand_over:
            self._hearing.info(
                f"Kubernetes {number[0]}.{number[1]} takes no nominated nodes from others: not handed over"
            )
            return msgspec.structs.replace(options, hand_over=False)
        return options

    async def _serve(self, stack: AsyncExitStack, manager: Manager) -> None:
        health = {"healthz": lambda: self._stuck(manager)}
        readiness = {
            "manager": lambda: "" if manager.synced else "not everything is listed yet",
            "crd": lambda: f"no such kind: {', '.join(manager.missing)}" if manager.missing else "",
            "readyz": lambda: "",
        }
        self.ports["probes"] = await stack.enter_async_context(
            probes(self.settings["health-probe-port"], health, readiness)
        )
        self.ports["metrics"] = await stack.enter_async_context(
            metrics(self.settings["metrics-port"], self._hearing.scrape)
        )

    def _stuck(self, manager: Manager) -> str:
        since = manager.idle_s
        return f"no turn has ended for {since:.0f} s" if since is not None and since > STUCK_S else ""

    # Leading

    async def _elect(self, stack: AsyncExitStack) -> Election | None:
        """Our part in the election, over a connection of its own: a busy client must not cost us the lease."""
        if self.settings["disable-leader-election"] or self.observe_only:
            return None
        limits = Limits(qps=20, burst=20, connections=2, timeout_s=Terms().renew_s / 2)
        http = await stack.enter_async_context(Http(self._access, limits, agent=_agent()))
        http.dated.append(self._clock.heard)  # it is asked every few seconds, however quiet the cluster is
        namespace = self.settings["leader-election-namespace"] or self._access.namespace
        self._election = Election(http, namespace, self.settings["leader-election-name"], _identity())
        return self._election

    def _leading(self) -> bool:
        return self._election is None or self._election.leading

    def _acting(self) -> bool:
        """Whether we may act: lead, and are not asked to stop."""
        return self._leading() and not self.stop.is_set()

    def _work(
        self, client: Client, telling: Client, manager: Manager, cloud: Cloud, election: Election | None
    ) -> list[tuple[str, Any]]:
        return [
            ("watch", manager.watch()),
            ("cloud", cloud.run(manager.listed)),
            ("events", self._hearing.announce(telling)),
            ("lead", self._lead(client, manager, cloud, election)),
        ]

    async def _lead(self, client: Client, manager: Manager, cloud: Cloud, election: Election | None) -> None:
        keep = None
        if election is not None:
            acquired = asyncio.create_task(election.acquire())
            await manager.keep_up(acquired.done)
            acquired.result()
            self._hearing.info(f"leading as {election.identity}")
            keep = asyncio.create_task(election.keep())
        await manager.keep_up(lambda: manager.synced and not manager.missing and cloud.ready.is_set())
        if self.observe_only:
            await manager.lead(Onlooker(), self._acting)
            return
        self._hearing.leads(True)
        performer = Performer(
            client,
            self._provider,
            self.state,
            self._inbox,
            put=manager.put,
            allowed=self._acting,
            failed=self._hearing.failed_action,
        )
        try:
            await manager.lead(performer, self._acting)
            if election is not None and election.problem:
                self._hearing.info(f"could not renew the lease: {election.problem}")
        finally:
            self._hearing.leads(False)
            await performer.close()
            if keep is not None:
                keep.cancel()

    def _cloud(self, client: Client, manager: Manager) -> Cloud:
        return Cloud(
            self._provider,
            client,
            self.state,
            self._inbox,
            self._clock,
            put=manager.put,
            leading=lambda: self._acting() and not self.observe_only and not manager.missing,
            failed=self._hearing.failed,
        )


def _identity() -> str:
    """Of this very process: a restarted one must wait for the lease of the one before, unless that gave it back."""
    return f"{socket.gethostname()}_{uuid.uuid4()}"


def _agent() -> str:
    from fretsaw import __version__

    return f"fretsaw/{__version__} ({os.uname().sysname.lower()})"
