"""A proxy before a real API server that lets a test make the weather: refusals, slow and lost answers, cut watches.

    with Proxy(plane) as proxy:
        live.operator(kubeconfig=proxy.kubeconfig("fretsaw"))
        proxy.weather = lambda asked: Refusal(503) if asked.method == "PATCH" else None
        proxy.cut_watches()
        proxy.weather = calm

It runs in a thread of its own. Requests and answers pass as they are, those of watches as they come.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import aiohttp
import msgspec
import yaml
from aiohttp import web

from support.controlplane import ControlPlane

_REASONS = {409: "Conflict", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable"}
_OWN_HEADERS = ("Host", "Content-Length", "Transfer-Encoding", "Connection", "Accept-Encoding", "Content-Encoding")
"""Of each connection, not of what goes over it."""


class Asked(msgspec.Struct):
    """A request that came, and what became of it."""

    at_s: float
    """Of the proxy's own clock."""
    method: str
    path: str
    watch: bool
    status: int = 0
    """Of the answer; 0 where there was none."""
    ended_s: float = 0.0


class Refusal(msgspec.Struct, frozen=True):
    """Nothing is done. retry_after_s: what the server asks to wait."""

    status: int
    retry_after_s: int | None = None


class Slow(msgspec.Struct, frozen=True):
    """It is done at once, and answered so late."""

    seconds: float


class Lost(msgspec.Struct, frozen=True):
    """It is done, and the answer never comes."""


Weather = Callable[[Asked], Refusal | Slow | Lost | None]
"""What happens to a request. Called in the proxy's thread."""


def calm(_: Asked) -> None:
    """Nothing goes wrong."""


class Proxy:
    """The proxy, up inside its `with` block. asked: everything so far."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self.weather: Weather = calm
        self.asked: list[Asked] = []
        self.port = 0
        self._watches: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), name="weather")

    def __enter__(self) -> Proxy:
        self._thread.start()
        assert self._up.wait(30), "the proxy does not come up"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    def kubeconfig(self, user: str) -> Path:
        """A file with which a user's client goes through here."""
        tree = yaml.safe_load(self._plane.kubeconfig(user).read_text())
        tree["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{self.port}"}
        path = self._plane.folder / f"weather-{self.port}-{user}.yaml"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(tree))
        return path

    def cut_watches(self) -> None:
        """Break the connections of all watches."""
        self._loop.call_soon_threadsafe(lambda: [watch.cancel() for watch in self._watches])

    # In the thread

    async def _serve(self) -> None:
        tls = ssl.create_default_context()
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0, handler_cancellation=True)
        connector = aiohttp.TCPConnector(ssl=tls, limit=0)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=True) as session:
            self._session = session
            await runner.setup()
            try:
                await web.TCPSite(runner, "127.0.0.1", 0).start()
                self.port = runner.addresses[0][1]
                self._up.set()
                await self._stop.wait()
            finally:
                await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        asked = Asked(self._loop.time(), request.method, request.path, "watch" in request.query)
        self.asked.append(asked)
        fault = self.weather(asked)
        try:
            if isinstance(fault, Refusal):
                answer: web.StreamResponse = _refused(fault)
            elif asked.watch:
                answer = await self._watched(request, asked)
            else:
                answer = await self._passed(request)
            asked.status = answer.status
            if isinstance(fault, Slow):
                await asyncio.sleep(fault.seconds)
            if isinstance(fault, Lost):
                asked.status = 0
                assert request.transport is not None
                request.transport.abort()
            return answer
        finally:
            asked.ended_s = self._loop.time()

    async def _passed(self, request: web.Request) -> web.Response:
        async with self._open(request, await request.read()) as answer:
            return web.Response(status=answer.status, body=await answer.read(), headers=_kept(answer.headers))

    async def _watched(self, request: web.Request, asked: Asked) -> web.StreamResponse:
        async with self._open(request, b"") as answer:
            asked.status = answer.status
            response = web.StreamResponse(status=answer.status, headers=_kept(answer.headers))
            await response.prepare(request)
            copying = asyncio.create_task(_copied(answer, response))
            self._watches.add(copying)
            try:
                await asyncio.wait([copying])
                if copying.cancelled() and request.transport is not None:
                    request.transport.abort()
            finally:
                copying.cancel()
                self._watches.discard(copying)
            return response

    def _open(self, request: web.Request, body: bytes) -> aiohttp.client._RequestContextManager:
        timeout = aiohttp.ClientTimeout(total=None)
        url = self._plane.url() + request.path_qs
        headers = _kept(request.headers)
        return self._session.request(
            request.method, url, data=body or None, headers=headers, timeout=timeout, allow_redirects=False
        )


async def _copied(answer: aiohttp.ClientResponse, response: web.StreamResponse) -> None:
    async for piece in answer.content.iter_any():
        await response.write(piece)


def _kept(headers: object) -> dict[str, str]:
    items: list[tuple[str, str]] = list(headers.items())  # type: ignore[attr-defined]
    return {name: value for name, value in items if name.title() not in _OWN_HEADERS}


def _refused(refusal: Refusal) -> web.Response:
    reason = _REASONS.get(refusal.status, "")
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": refusal.status}
    body |= {"reason": reason, "message": f"the weather says {refusal.status}"}
    headers = {"Content-Type": "application/json"}
    if refusal.retry_after_s is not None:
        headers["Retry-After"] = str(refusal.retry_after_s)
    return web.Response(status=refusal.status, body=json.dumps(body).encode(), headers=headers)
