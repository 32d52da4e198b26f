"""Requests to one API server: who we are, how often, how long, and again when that helps.

Every request has a timeout. Retried are requests that cannot have taken effect (no connection), those that may be made
twice (all but POST; a POST of a named object answers AlreadyExists the second time, so its callers may ask for it), and
those the server was too busy for. Waits double from 0.1 s, by a random part so that many clients do not come at once.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from types import TracebackType
from typing import Any

import aiohttp
import msgspec

from fretsaw.errors import UserError
from fretsaw.kube.access import Access
from fretsaw.kube.errors import ApiError, Unreachable, of_answer

Observer = Callable[[str, str, int, float], None]
"""Called after each request with (method, path, status, seconds); status 0: no answer."""
BUSY = frozenset({429, 500, 502, 503, 504})
"""Statuses that another try may change."""
FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 5.0
_CONTENT = {"POST": "application/json", "PUT": "application/json", "DELETE": "application/json"}


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one client may ask of a server."""

    qps: float = 200.0
    """Requests a second in the long run (KUBE_CLIENT_QPS)."""
    burst: int = 300
    """Requests that may be made at once after a rest (KUBE_CLIENT_BURST)."""
    connections: int = 64
    """Open at the same time: a request that holds none waits for one."""
    timeout_s: float = 15.0
    """For one request and its answer; pages of lists take a few seconds on a busy server."""
    connect_s: float = 5.0
    patience_s: float = 30.0
    """How long a request is tried again before its error is told."""


class Http:
    """A session with one server. Use it as an async context manager."""

    def __init__(self, access: Access, limits: Limits | None = None, *, agent: str = "fretsaw") -> None:
        self.access = access
        self.limits = limits if limits is not None else Limits()
        self.observers: list[Observer] = []
        self._agent = agent
        self._session: aiohttp.ClientSession | None = None
        self._tokens = float(self.limits.burst)
        self._filled = time.monotonic()
        self._worked = False
        """Whether the server has ever answered."""

    async def __aenter__(self) -> Http:
        connector = aiohttp.TCPConnector(ssl=self.access.tls or True, limit=self.limits.connections)
        headers = {"User-Agent": self._agent, "Accept": "application/json"}
        self._session = aiohttp.ClientSession(connector=connector, headers=headers, auto_decompress=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content: str | None = None,
        again: bool | None = None,
        patience_s: float | None = None,
    ) -> bytes:
        """The answer's body. body: is sent as JSON. again: whether it may be made twice (all but POST may).

        Raises ApiError for a refusal, Unreachable where there was no answer, after `patience_s` of trying.
        """
        data = None if body is None else msgspec.json.encode(body)
        may_repeat = method != "POST" if again is None else again
        patience = self.limits.patience_s if patience_s is None else patience_s
        deadline = time.monotonic() + patience
        wait, renew = FIRST_WAIT_S, False
        while True:
            try:
                return await self._once(method, path, query or {}, data, content, renew=renew)
            except ApiError as error:
                if error.status == 401 and not renew:
                    renew = True
                    continue
                if error.status not in BUSY or not (may_repeat or error.status == 429):
                    raise
                pause = max(_jittered(wait), error.retry_after_s or 0.0)
                if time.monotonic() + pause > deadline:
                    raise
            except _NotConnectedError as error:
                pause = _jittered(wait)
                if time.monotonic() + pause > deadline:
                    raise Unreachable(self.access.server, error.why) from error
            except Unreachable:
                pause = _jittered(wait)
                if not may_repeat or time.monotonic() + pause > deadline:
                    raise
            await asyncio.sleep(pause)
            wait = min(2 * wait, LONGEST_WAIT_S)

    async def stream(self, path: str, query: Mapping[str, str], idle_s: float) -> AsyncIterator[bytes]:
        """The lines of an answer that does not end, such as a watch. idle_s: it is given up after that much silence.

        Raises ApiError for a refusal and Unreachable for silence or a broken connection; ends where the server ends it.
        """
        headers = await self._headers(renew=False)
        timeout = aiohttp.ClientTimeout(total=None, connect=self.limits.connect_s, sock_read=idle_s)
        try:
            async with self._open().get(
                self.access.server + path, params=query, headers=headers, timeout=timeout
            ) as answer:
                if answer.status != 200:
                    raise of_answer(f"GET {path}", answer.status, await answer.read(), _retry_after(answer))
                rest = b""
                # Not `readline`, which has a limit on a line's length: objects may be megabytes long.
                async for piece in answer.content.iter_any():
                    *lines, rest = (rest + piece).split(b"\n")
                    for line in lines:
                        if line:
                            yield line
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unreachable(self.access.server, _why(error)) from error

    async def _once(
        self, method: str, path: str, query: Mapping[str, str], data: bytes | None, content: str | None, *, renew: bool
    ) -> bytes:
        await self._take_turn()
        headers = await self._headers(renew=renew)
        if data is not None:
            headers["Content-Type"] = content or _CONTENT[method]
        started, status = time.monotonic(), 0
        timeout = aiohttp.ClientTimeout(total=self.limits.timeout_s, sock_connect=self.limits.connect_s)
        url = self.access.server + path
        try:
            async with self._open().request(
                method, url, params=query, data=data, headers=headers, timeout=timeout
            ) as answer:
                status, self._worked = answer.status, True
                body = await answer.read()
                if status >= 300:
                    raise of_answer(f"{method} {path}", status, body, _retry_after(answer))
                return body
        except aiohttp.ClientConnectorError as error:
            raise _NotConnectedError(_why(error)) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unreachable(self.access.server, _why(error)) from error
        finally:
            for observer in self.observers:
                observer(method, path, status, time.monotonic() - started)

    async def _headers(self, *, renew: bool) -> dict[str, str]:
        """Raises UserError where we cannot even begin to say who we are; later that is a failure like others."""
        try:
            value = await self.access.credentials.header(renew=renew)
        except UserError as error:
            if self._worked:
                raise Unreachable(self.access.server, str(error)) from error
            raise
        return {} if value is None else {"Authorization": value}

    async def _take_turn(self) -> None:
        """Wait until the bucket has a token; whoever comes takes it, so that nobody waits for a token twice."""
        now = time.monotonic()
        self._tokens = min(float(self.limits.burst), self._tokens + (now - self._filled) * self.limits.qps)
        self._filled = now
        self._tokens -= 1
        if self._tokens < 0:
            await asyncio.sleep(-self._tokens / self.limits.qps)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("an Http is used outside of its `async with`")
        return self._session


class _NotConnectedError(Exception):
    """The request was not sent at all."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def _jittered(wait: float) -> float:
    return wait * random.uniform(0.5, 1.0)


def _retry_after(answer: aiohttp.ClientResponse) -> str | None:
    return answer.headers.get("Retry-After")


def _why(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    return " ".join(str(error).split()) or type(error).__name__
