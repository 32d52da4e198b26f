"""A small API server on the loopback that can be told to misbehave.

    async with served() as server:
        server.put("Pod", "default/p")
        server.script("/api/v1/pods", Answer(503), Answer(body=b"<html>"))   # the next two answers there
        async with Client.connect(server.access) as client: ...

It is up while the block lasts, and remembers what it was asked.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

import msgspec
from aiohttp import web

from fretsaw.kube.access import Access
from fretsaw.kube.credentials import Anonymous
from support.api_store import ApiStore, Tree, encoded, status


class Answer(msgspec.Struct, frozen=True):
    """What the server answers in the place of what is right."""

    status: int = 200
    body: bytes | None = None
    """None: a Status object."""
    headers: Mapping[str, str] = {}
    cut: bool = False
    """Close the connection in the middle of the body."""
    lines: tuple[bytes, ...] = ()
    """Of a watch, which ends after them."""
    hang: bool = False
    """Say nothing, for ever; after `lines` where there are any."""
    after: bool = False
    """Do what was asked, then answer this."""


class Asked(msgspec.Struct, frozen=True):
    """A request that came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


class ApiServer(ApiStore):
    """The store with a door. url: where."""

    def __init__(self) -> None:
        super().__init__()
        self.url = self.prefix = ""
        self.asked: list[Asked] = []
        self._scripts: dict[str, deque[Answer]] = defaultdict(deque)
        self.token: str | None = None
        """The only one that is known; None: everybody may."""

    @property
    def access(self) -> Access:
        """The way in."""
        return Access(self.url, None, Anonymous())

    def script(self, path: str, *answers: Answer) -> None:
        """Answer so to the next requests for this path; `watch <path>` for watches."""
        self._scripts[path].extend(answers)

    def count(self, path: str, method: str = "GET", *, watch: bool = False) -> int:
        """How often a path was asked for."""
        return sum(one.path == path and one.method == method and ("watch" in one.query) == watch for one in self.asked)

    async def respond(self, request: web.Request) -> web.StreamResponse:
        """The answer to anything."""
        body = msgspec.json.decode(await request.read()) if request.can_read_body else None
        path, query = request.path.removeprefix(self.prefix), dict(request.query)
        self.asked.append(Asked(request.method, path, query, dict(request.headers), body))
        if self.token is not None and request.headers.get("Authorization") != f"Bearer {self.token}":
            return _json(401, status(401, "Unauthorized"))
        script = self._scripts["watch " * ("watch" in query) + path]
        if script:
            answer = script.popleft()
            if answer.after:
                self.handle(request.method, path, query, body)
            return await _scripted(request, answer)
        if "watch" in query and self.serves(path):
            return await self._watched(request, path, query)
        return _json(*self.handle(request.method, path, query, body))

    async def _watched(self, request: web.Request, path: str, query: dict[str, str]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        async with aclosing(self.watch(path, query)) as lines:
            async for line in lines:
                await response.write(encoded(line) + b"\n")
        return response


@asynccontextmanager
async def served(
    *, host: str = "127.0.0.1", prefix: str = "", tls: ssl.SSLContext | None = None
) -> AsyncIterator[ApiServer]:
    """A server for as long as the block lasts. prefix: of all paths, as behind a proxy."""
    server = ApiServer()
    server.prefix = prefix
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.respond)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, 0, ssl_context=tls).start()
        name = f"[{host}]" if ":" in host else host
        server.url = f"{'https' if tls else 'http'}://{name}:{runner.addresses[0][1]}{prefix}"
        yield server
    finally:
        await runner.cleanup()


def _json(code: int, tree: Tree) -> web.Response:
    return web.Response(status=code, body=encoded(tree), headers={"Content-Type": "application/json"})


async def _scripted(request: web.Request, answer: Answer) -> web.StreamResponse:
    if answer.lines or answer.hang:
        return await _lines(request, answer)
    body = answer.body if answer.body is not None else encoded(status(answer.status))
    if not answer.cut:
        return web.Response(status=answer.status, body=body, headers=answer.headers)
    response = web.StreamResponse(status=answer.status, headers={"Content-Length": str(len(body)), **answer.headers})
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    assert request.transport is not None
    request.transport.close()
    return response


async def _lines(request: web.Request, answer: Answer) -> web.StreamResponse:
    if not answer.lines:
        await asyncio.Event().wait()
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    await response.prepare(request)
    for line in answer.lines:
        await response.write(line)
    if answer.hang:
        await asyncio.Event().wait()
    return response
