"""Requests to one API server: who we are, how often, how long, and again when that helps.

Every request has a timeout. Retried are requests that cannot have taken effect (no connection), those that may be made
twice (all but POST; a POST of a named object answers AlreadyExists the second time, so its callers may ask for it), and
those the server was too busy for. Waits double from 0.1 s, by a random part so that many clients do not come at once.
A refused token is renewed once. Redirects are not followed: a POST would arrive as a GET.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any

import aiohttp
import msgspec

from fretsaw.errors import UserError
from fretsaw.kube.access import Access
from fretsaw.kube.errors import ApiError, NotUnderstood, Unreachable, of_answer
from fretsaw.kube.pace import Backoff, Bucket

Observer = Callable[[str, str, int, float], None]
"""Called after each request with (method, path, status, seconds); status 0: no answer. Streams are not told."""
Dated = Callable[[str, float], None]
"""Called with each answer's Date header, and the seconds since it was asked for."""
FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 5.0
_NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError)
"""What aiohttp raises before it has a connection to the server."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one client may ask of a server."""

    qps: float = 200.0
    """Requests a second in the long run (KUBE_CLIENT_QPS)."""
    burst: int = 300
    """Requests that may be made at once after a rest (KUBE_CLIENT_BURST)."""
    connections: int = 64
    """Requests under way at the same time: more wait in their order. Streams come on top of that."""
    timeout_s: float = 15.0
    """For one request and its answer; pages of lists take a few seconds on a busy server."""
    connect_s: float = 5.0
    patience_s: float = 30.0
    """How long a request is tried again before its error is told."""
    answer_bytes: int = 512 * 1024 * 1024
    """The largest answer that is read: a page of objects as large as etcd takes them."""
    line_bytes: int = 64 * 1024 * 1024
    """The largest line of a stream: an object is 2 MB at most, and what never ends would fill the memory."""


class Http:
    """A session with one server. Use it as an async context manager."""

    def __init__(self, access: Access, limits: Limits | None = None, *, agent: str = "fretsaw") -> None:
        self.access = access
        self.limits = limits if limits is not None else Limits()
        self.observers: list[Observer] = []
        self.dated: list[Dated] = []
        self.may_write: Callable[[], bool] = lambda: True
        """Asked before a write is tried again: whoever has lost the right to write since must not."""
        self._agent = agent
        self._session: aiohttp.ClientSession | None = None
        self._bucket = Bucket(self.limits.qps, self.limits.burst)
        self._free = asyncio.Semaphore(self.limits.connections)
        self._worked = False
        """Whether the server has ever answered."""
        self._date = ""
        """The Date that the last answer had."""

    async def __aenter__(self) -> Http:
        # The semaphore limits requests, so that to wait for a turn costs nothing of a request's timeout.
        connector = aiohttp.TCPConnector(ssl=self.access.tls or True, limit=0)
        headers = {"User-Agent": self._agent, "Accept": "application/json"}
        self._session = aiohttp.ClientSession(
            connector=connector, headers=headers, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=True
        )
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

        Raises ApiError for a refusal, Unreachable where there was no answer, after `patience_s` of trying;
        NotUnderstood, at once, for an answer without end.
        """
        asked = _Asked(method, path, query or {})
        if body is not None:
            asked.data, asked.content = msgspec.json.encode(body), content or "application/json"
        may_repeat = method != "POST" if again is None else again
        now = asyncio.get_running_loop().time
        deadline = now() + (self.limits.patience_s if patience_s is None else patience_s)
        backoff = Backoff(FIRST_WAIT_S, LONGEST_WAIT_S)
        while True:
            failure: ApiError | Unreachable
            try:
                return await self._in_turn(asked)
            except ApiError as error:
                if not error.busy or not (may_repeat or error.status == 429):
                    raise
                failure, pause = error, backoff.next_s(error.retry_after_s)
            except Unreachable as error:
                if not (may_repeat or isinstance(error, _NotSent)):
                    raise
                failure, pause = error, backoff.next_s()
            if now() + pause > deadline:
                raise failure
            await asyncio.sleep(pause)
            if method != "GET" and not self.may_write():
                raise failure

    async def stream(self, path: str, query: Mapping[str, str], idle_s: float) -> AsyncGenerator[bytes, None]:
        """The lines of an answer that does not end, such as a watch. idle_s: it is given up after that much silence.

        Raises ApiError for a refusal, Unreachable for silence or a broken connection, NotUnderstood for a line without
        end; ends where the server ends it. Close it (`contextlib.aclosing`): it holds a connection.
        """
        asked = _Asked("GET", path, query)
        timeout = aiohttp.ClientTimeout(total=None, connect=self.limits.connect_s, sock_read=idle_s)
        try:
            async with AsyncExitStack() as stack:
                answer = await self._opened(stack, asked, timeout)
                if answer.status != 200:
                    raise await self._refusal(asked, answer)
                async for line in self._lines(asked, answer):
                    yield line
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unreachable(self.access.server, _why(error)) from error

    async def _in_turn(self, asked: _Asked) -> bytes:
        await self._bucket.take()
        async with self._free:
            return await self._once(asked)

    async def _once(self, asked: _Asked) -> bytes:
        now = asyncio.get_running_loop().time
        started, status = now(), 0
        timeout = aiohttp.ClientTimeout(total=self.limits.timeout_s, sock_connect=self.limits.connect_s)
        try:
            async with AsyncExitStack() as stack:
                answer = await self._opened(stack, asked, timeout)
                status = answer.status
                if status >= 300:
                    raise await self._refusal(asked, answer)
                return await self._body(asked, answer)
        except _NOT_SENT as error:
            raise _NotSent(self.access.server, _why(error)) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unreachable(self.access.server, _why(error)) from error
        finally:
            for observer in self.observers:
                observer(asked.method, asked.path, status, now() - started)

    async def _opened(
        self, stack: AsyncExitStack, asked: _Asked, timeout: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        """An answer whose body is still to come. A token that is refused is renewed, once."""
        authorization = await self._authorization(None)
        answer = await self._answered(stack, asked, timeout, authorization)
        if answer.status == 401 and authorization is not None:
            anew = await self._authorization(authorization)
            if anew != authorization:
                answer.release()
                answer = await self._answered(stack, asked, timeout, anew)
        return answer

    async def _answered(
        self, stack: AsyncExitStack, asked: _Asked, timeout: aiohttp.ClientTimeout, authorization: str | None
    ) -> aiohttp.ClientResponse:
        headers = {"Content-Type": asked.content, "Authorization": authorization or ""}
        opening = self._open().request(
            asked.method,
            self.access.server + asked.path,
            params=asked.query,
            data=asked.data,
            headers={name: value for name, value in headers.items() if value},
            timeout=timeout,
            allow_redirects=False,
            proxy=self.access.proxy or None,
            server_hostname=self.access.server_name or None,
        )
        now = asyncio.get_running_loop().time
        asked_at = now()
        answer = await stack.enter_async_context(opening)
        self._worked = True
        date = answer.headers.get("Date")
        if date and date != self._date:  # once a second is enough, and reading it takes as long as a whole line
            self._date = date
            for dated in self.dated:
                dated(date, now() - asked_at)
        return answer

    async def _authorization(self, refused: str | None) -> str | None:
        """Raises UserError where we cannot even begin to say who we are; later that is a failure like others."""
        try:
            return await self.access.credentials.header(refused=refused)
        except UserError as error:
            if self._worked:
                raise Unreachable(self.access.server, str(error)) from error
            raise

    async def _refusal(self, asked: _Asked, answer: aiohttp.ClientResponse) -> ApiError:
        body = await self._body(asked, answer)
        return of_answer(asked.what, answer.status, body, answer.headers.get("Retry-After"), answer.headers.get("Date"))

    async def _body(self, asked: _Asked, answer: aiohttp.ClientResponse) -> bytes:
        parts: list[bytes] = []
        left = self.limits.answer_bytes
        async for piece in answer.content.iter_any():
            parts.append(piece)
            left -= len(piece)
            if left < 0:
                raise NotUnderstood(asked.what, f"more than {self.limits.answer_bytes} bytes")
        return b"".join(parts)

    async def _lines(self, asked: _Asked, answer: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
        """Not `readline`, which has a limit on a line's length: objects may be megabytes long."""
        parts: list[bytes] = []
        size = 0
        async for piece in answer.content.iter_any():
            *lines, rest = piece.split(b"\n")
            if lines:
                lines[0] = b"".join((*parts, lines[0]))
                parts, size = [], 0
            for line in lines:
                if line.strip():
                    yield line
            parts.append(rest)
            size += len(rest)
            if size > self.limits.line_bytes:
                raise NotUnderstood(asked.what, f"a line of more than {self.limits.line_bytes} bytes")

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("an Http is used outside of its `async with`")
        return self._session


class _Asked(msgspec.Struct):
    """A request as it is sent, however often."""

    method: str
    path: str
    query: Mapping[str, str]
    data: bytes | None = None
    content: str = ""

    @property
    def what(self) -> str:
        """Verb and path, as errors name them."""
        return f"{self.method} {self.path}"


class _NotSent(Unreachable):
    """The request did not get to the server."""


def _why(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    return " ".join(str(error).split()) or type(error).__name__
