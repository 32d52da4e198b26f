"""The fake cloud's API on the loopback, so that the cloud outlives whoever asks it.

    async with serve(cloud, port=0) as url: ...

    POST   /instances             an order (`wire.Order`); 201 `wire.Launched`, or a refusal
    GET    /instances             those that are there; ?all=true: all that ever were; ?token=…: that of a claim's uid
    GET    /instances/{id}        one of them
    DELETE /instances/{id}        end it; 404 once it is gone
    GET    /interruptions         ?after=N&wait=S&epoch=E: what was announced after number N; waits up to S seconds for
                                  some. In another epoch all of it is told, at once
    POST   /interruptions         {"instance" or "claim": …, "kind": "spot_interrupted", "noticeS": 5}
    POST   /faults                one fault or a list: {"what": "Throttled", "on": "launch", "times": 3, "seconds": 1},
                                  {"nodeFault": "never-joins", "pool": "gpu"}; DELETE: no more of them
    GET    /stock, PUT /stock     {"g5.xlarge/us-east-1a/spot": 0, "p5/*/*": 2, "*": null}: 0 nothing, null no limit
    GET    /log                   ?after=N: every call and what came of it
    GET    /bill                  what all instances have cost

A refusal is `wire.Refused` with the status that a cloud would give it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar
from uuid import uuid4

import msgspec
from aiohttp import web

from fretsaw.engine.events import InterruptionKind
from fretsaw.errors import (
    InstanceNotFound,
    LaunchFailed,
    OutOfCapacity,
    ProviderError,
    Throttled,
    UserError,
)
from fretsaw.providers.fake.cloud import AnswerLostError, FakeCloud
from fretsaw.providers.fake.faults import CallFault, NodeFault
from fretsaw.providers.fake.instance import Instance
from fretsaw.providers.fake.wire import Announced, Launched, Operation, Order, Refused
from fretsaw.providers.fleet.offerings import Selector

T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
STATUSES: dict[str, int] = {
    "OutOfCapacity": 409,
    "NotReady": 424,
    "LaunchFailed": 422,
    "Throttled": 429,
    "InstanceNotFound": 404,
    "UserError": 400,
}
"""HTTP status by the error's class."""
MOST_WAIT_S = 60.0
LARGEST = 16 * 2**20


class _Interruption(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    kind: InterruptionKind = "spot_interrupted"
    instance: str = ""
    claim: str = ""
    notice_s: float | None = None


@asynccontextmanager
async def serve(cloud: FakeCloud, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve the cloud for as long as the block lasts, and let its time pass. port: 0 for any that is free.

    Raises UserError where the address cannot be listened on.
    """
    server = CloudServer(cloud)
    runner = web.AppRunner(server.app(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise UserError("--cloud", "cannot listen", f"{host}:{port}: {error.strerror or error}") from error
        clock = asyncio.create_task(server.clock(), name="fake cloud")
        try:
            shown = f"[{host}]" if ":" in host else host
            yield f"http://{shown}:{runner.addresses[0][1]}"
        finally:
            clock.cancel()
            with suppress(asyncio.CancelledError):
                await clock
    finally:
        server.close()
        await runner.cleanup()


class CloudServer:
    """The handlers."""

    def __init__(self, cloud: FakeCloud) -> None:
        self._cloud = cloud
        self._epoch = uuid4().hex
        self._news = asyncio.Condition()
        self._clock_wakes = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        cloud.on_change.append(self._changed)

    def app(self) -> web.Application:
        """The application."""
        app = web.Application(client_max_size=LARGEST, middlewares=[_refusals])
        app.add_routes(
            [
                web.post("/instances", self._launch),
                web.get("/instances", self._list),
                web.get("/instances/{id}", self._show),
                web.delete("/instances/{id}", self._terminate),
                web.get("/interruptions", self._announcements),
                web.post("/interruptions", self._interrupt),
                web.post("/faults", self._inject),
                web.delete("/faults", self._clear),
                web.get("/stock", self._stock),
                web.put("/stock", self._set_stock),
                web.get("/log", self._log),
                web.get("/bill", self._bill),
            ]
        )
        return app

    async def clock(self) -> None:
        """Let happen what is due, when it is due."""
        while True:
            self._clock_wakes.clear()
            due = self._cloud.settle()
            pause = None if due is None else max(0.001, (due - self._cloud.now()) / 1000)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._clock_wakes.wait(), pause)

    def close(self) -> None:
        """Let those go who wait for announcements, and listen no longer."""
        self._closed = True
        self._changed()
        self._cloud.on_change.remove(self._changed)

    def _changed(self) -> None:
        self._clock_wakes.set()
        with suppress(RuntimeError):  # no loop runs: nobody waits
            task = asyncio.get_running_loop().create_task(self._tell())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    # Instances

    async def _launch(self, request: web.Request) -> web.Response:
        order = _decoded(await request.read(), Order)
        await self._hold("launch", order.claim.metadata.name)
        return _json(self._cloud.launch(order), status=201)

    async def _list(self, request: web.Request) -> web.Response:
        await self._hold("list")
        self._cloud.fault("list")
        if token := request.query.get("token"):
            found = self._cloud.of_token(token)
            if found is None:
                raise InstanceNotFound(f"no instance was launched with the token {token}")
            return _json(Launched(found.created))
        every = request.query.get("all", "false") == "true"
        machines = self._cloud.everything() if every else self._cloud.instances()
        return _json([one.listed() for one in machines])

    async def _show(self, request: web.Request) -> web.Response:
        return _json(self._cloud.instance(request.match_info["id"]).listed())

    async def _terminate(self, request: web.Request) -> web.Response:
        id_ = request.match_info["id"]
        await self._hold("terminate")
        self._cloud.terminate(id_)
        return _json({}, status=202)

    async def _hold(self, on: Operation, claim: str = "") -> None:
        if seconds := self._cloud.hang(on, claim):
            await asyncio.sleep(seconds)

    # Interruptions

    async def _announcements(self, request: web.Request) -> web.Response:
        await self._hold("interruptions")
        self._cloud.fault("interruptions")
        same = request.query.get("epoch", self._epoch) == self._epoch
        after = _number(request, "after", int, 0) if same else 0
        wait = min(_number(request, "wait", float, 0.0), MOST_WAIT_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait), self._news:
                await self._news.wait_for(lambda: self._closed or not same or self._cloud.announcements(after))
        return _json(Announced(self._epoch, self._cloud.announcements(after)))

    async def _interrupt(self, request: web.Request) -> web.Response:
        asked = _decoded(await request.read(), _Interruption)
        self._cloud.interrupt(self._meant(asked).provider_id, asked.kind, asked.notice_s)
        return _json({}, status=202)

    def _meant(self, asked: _Interruption) -> Instance:
        if asked.instance:
            return self._cloud.instance(asked.instance)
        found = next((one for one in self._cloud.instances() if one.created.claim == asked.claim), None)
        if found is None:
            raise InstanceNotFound(f'there is no instance of the claim "{asked.claim}"')
        return found

    # What a test does to the cloud

    async def _inject(self, request: web.Request) -> web.Response:
        body = await request.read()
        many = body if body.lstrip().startswith(b"[") else b"[%s]" % body
        faults = [_fault(bytes(one)) for one in _decoded(many, list[msgspec.Raw])]
        for fault in faults:
            self._cloud.inject(fault)
        return _json({}, status=202)

    async def _clear(self, request: web.Request) -> web.Response:
        self._cloud.clear_faults()
        return _json({})

    async def _stock(self, request: web.Request) -> web.Response:
        return _json(self._cloud.stock.rules())

    async def _set_stock(self, request: web.Request) -> web.Response:
        for where, count in _decoded(await request.read(), dict[str, int | None]).items():
            if count is not None and count < 0:
                raise UserError(where, "less than nothing", str(count), "0 or more, or null for no limit")
            self._cloud.set_stock(Selector.of(where), count)
        return _json(self._cloud.stock.rules())

    # What a test reads

    async def _log(self, request: web.Request) -> web.Response:
        return _json(self._cloud.log[_number(request, "after", int, 0) :])

    async def _bill(self, request: web.Request) -> web.Response:
        now = self._cloud.now()
        of = {one.provider_id: one.cost_usd(now) for one in self._cloud.everything()}
        return _json({"usd": self._cloud.cost_usd(), "instances": of})


@web.middleware
async def _refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors as answers. A lost answer is a connection that breaks."""
    try:
        return await handler(request)
    except AnswerLostError:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)
    except (ProviderError, UserError) as error:
        return _refused(error)


def _refused(error: ProviderError | UserError) -> web.Response:
    name = type(error).__name__
    message = error.message if isinstance(error, LaunchFailed | OutOfCapacity | Throttled) else str(error)
    refused = Refused(
        error=name,
        message=message,
        reason=error.reason if isinstance(error, LaunchFailed) else "",
        offerings=tuple(sorted(error.offerings)) if isinstance(error, OutOfCapacity) else (),
        retry_after_s=error.retry_after_s if isinstance(error, Throttled) else None,
    )
    return _json(refused, status=STATUSES.get(name, 500))


def _json(body: Any, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")


def _decoded(body: bytes, type_: type[T]) -> T:
    try:
        found: T = msgspec.json.decode(body, type=type_)
    except msgspec.MsgspecError as error:
        raise UserError("the request's body", "cannot be read", str(error)) from error
    return found


def _fault(text: bytes) -> CallFault | NodeFault:
    return _decoded(text, NodeFault) if b'"nodeFault"' in text else _decoded(text, CallFault)


def _number(request: web.Request, name: str, read: Callable[[str], T], default: T) -> T:
    text = request.query.get(name)
    try:
        return default if text is None else read(text)
    except ValueError as error:
        raise UserError(name, "is no number", str(text)) from error
