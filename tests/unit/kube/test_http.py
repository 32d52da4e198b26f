"""Requests to a server that fails in every way: what is tried again, how often, and what is told."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

import pytest

from fretsaw.errors import UserError
from fretsaw.kube.access import Access
from fretsaw.kube.errors import ApiError, Conflict, Denied, NotUnderstood, TooManyRequests, Unreachable
from fretsaw.kube.http import Http, Limits
from support.api_server import Answer, ApiServer, served

BUSY = Answer(503)
PODS, POD = "/api/v1/pods", "/api/v1/namespaces/a/pods/x"


@asynccontextmanager
async def at(server: ApiServer, **limits: Any) -> AsyncIterator[Http]:
    async with Http(server.access, Limits(**{"patience_s": 5.0, **limits})) as http:
        yield http


def asked(
    work: Callable[[ApiServer, Http], Awaitable[Any]], *answers: Answer, on: str = POD, **limits: Any
) -> ApiServer:
    """The server, with one pod, after the work. answers: its first ones."""

    async def main() -> ApiServer:
        async with served() as server:
            server.put("Pod", "a/x")
            server.script(on, *answers)
            async with at(server, **limits) as http:
                await work(server, http)
            return server

    return asyncio.run(main())


# Trying again


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_busy_server_is_asked_again(method: str, code: int) -> None:
    async def work(server: ApiServer, http: Http) -> None:
        await http.request(method, POD, body=None if method == "GET" else {"metadata": {}})

    assert asked(work, Answer(code), Answer(code)).count(POD, method) == 3


@pytest.mark.parametrize("code", [302, 400, 403, 404, 405, 409, 410, 413, 422])
def test_refusal_is_told_at_once(code: int) -> None:
    async def work(server: ApiServer, http: Http) -> None:
        with pytest.raises(ApiError) as told:
            await http.request("GET", POD)
        assert told.value.status == code

    assert asked(work, Answer(code)).count(POD) == 1


def test_post_is_made_again_only_where_it_had_no_effect_or_may_have_it_twice() -> None:
    async def work(server: ApiServer, http: Http) -> None:
        post = {"method": "POST", "path": PODS, "body": {"metadata": {"name": "y", "namespace": "a"}}}
        server.script(PODS, BUSY)
        with pytest.raises(ApiError):
            await http.request(**post)
        server.script(PODS, Answer(200, b"{}" * 50, cut=True))
        with pytest.raises(Unreachable):
            await http.request(**post)
        server.script(PODS, Answer(429), BUSY)
        await http.request(**post, again=True)

    assert asked(work).count(PODS, "POST") == 5


def test_post_of_too_many_is_made_again() -> None:
    async def work(server: ApiServer, http: Http) -> None:
        await http.request("POST", PODS, body={"metadata": {"name": "y", "namespace": "a"}})

    assert asked(work, Answer(429), on=PODS).count(PODS, "POST") == 2


@pytest.mark.parametrize(("method", "times"), [("GET", 3), ("PATCH", 1), ("DELETE", 1)])
def test_a_write_is_not_made_again_by_whoever_may_write_no_more(method: str, times: int) -> None:
    async def work(server: ApiServer, http: Http) -> None:
        http.may_write = lambda: False
        with suppress(ApiError):
            await http.request(method, POD, body=None if method == "GET" else {"metadata": {}})

    assert asked(work, BUSY, BUSY).count(POD, method) == times


def test_server_that_is_not_there_yet_gets_even_a_post() -> None:
    async def main() -> None:
        async with served() as server:
            access = server.access
        async with Http(access, Limits(patience_s=10.0)) as http:
            post = asyncio.ensure_future(http.request("POST", PODS, body={"metadata": {"name": "y"}}))
            await asyncio.sleep(0.02)
            assert not post.done()
            host, port = access.server.removeprefix("http://").split(":")
            seen: list[bytes] = []

            async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                seen.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
                writer.close()
                await writer.wait_closed()

            async with await asyncio.start_server(answer, host, int(port)):
                assert await post == b"{}"
            assert len(seen) == 1

    asyncio.run(main())


def test_nobody_there_is_told_with_the_address_after_the_patience() -> None:
    async def main() -> None:
        access = Access("http://127.0.0.1:9", None, _Tokens())
        async with Http(access, Limits(patience_s=0.05)) as http:
            began = asyncio.get_running_loop().time()
            with pytest.raises(Unreachable, match=r"^http://127\.0\.0\.1:9: the Kubernetes API does not answer: .*9"):
                await http.request("GET", PODS)
            assert asyncio.get_running_loop().time() - began >= 0.02

    asyncio.run(main())


def test_no_patience_is_one_try() -> None:
    async def work(server: ApiServer, http: Http) -> None:
        with pytest.raises(TooManyRequests):
            await http.request("GET", POD, patience_s=0)

    assert asked(work, Answer(429), Answer(429)).count(POD) == 1


def test_retry_after_is_kept_and_an_absurd_one_does_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds: float, result: Any = None) -> Any:
        waits.append(seconds)
        return await real(0, result)

    async def work(server: ApiServer, http: Http) -> None:
        monkeypatch.setattr(asyncio, "sleep", sleep)
        await http.request("GET", POD)
        monkeypatch.undo()

    late = {"Retry-After": "Sun, 06 Nov 1994 08:49:40 GMT", "Date": "Sun, 06 Nov 1994 08:49:37 GMT"}
    answers = [Answer(429, headers={"Retry-After": after}) for after in ("1", "86400", "nonsense")]
    asked(work, *answers, Answer(503, headers=late), patience_s=1000.0)
    waits = [wait for wait in waits if wait > 0]
    assert [round(wait) for wait in waits] == [1, 30, 0, 3]


def test_what_the_server_asks_to_wait_beyond_our_patience_is_not_waited_for() -> None:
    async def work(server: ApiServer, http: Http) -> None:
        with pytest.raises(TooManyRequests):
            await http.request("GET", POD)

    assert asked(work, Answer(429, headers={"Retry-After": "20"})).count(POD) == 1


def test_hot_loop_is_none() -> None:
    async def work(server: ApiServer, http: Http) -> None:
        with pytest.raises(ApiError):
            await http.request("GET", POD, patience_s=0.3)

    assert asked(work, *[BUSY] * 1000).count(POD) < 60


# Answers that are none


def test_answer_cut_off_in_the_middle_is_asked_for_again() -> None:
    async def work(server: ApiServer, http: Http) -> None:
        assert b'"x"' in await http.request("GET", POD)

    assert asked(work, Answer(200, b"{}" * 500, cut=True)).count(POD) == 2


def test_silence_has_an_end() -> None:
    async def work(server: ApiServer, http: Http) -> None:
        with pytest.raises(Unreachable, match="timed out"):
            await http.request("GET", POD, patience_s=0)
        assert b'"x"' in await http.request("GET", POD)

    assert asked(work, Answer(hang=True), Answer(hang=True), timeout_s=0.1).count(POD) == 3


def test_redirect_is_not_followed_with_a_write() -> None:
    async def work(server: ApiServer, http: Http) -> None:
        for method in ("POST", "PATCH", "GET"):
            server.script(PODS, Answer(302, b"", {"Location": "/login"}))
            with pytest.raises(ApiError):
                await http.request(method, PODS, body={})

    assert asked(work).count("/login") == 0


def test_answer_without_end_is_given_up() -> None:
    async def work(server: ApiServer, http: Http) -> None:
        with pytest.raises(NotUnderstood, match="GET /x: not an answer of a Kubernetes API: more than 1000 bytes"):
            await http.request("GET", "/x")
        with pytest.raises(NotUnderstood):
            await http.request("GET", "/x")

    assert asked(work, Answer(200, b"x" * 2000), Answer(500, b"x" * 2000), on="/x", answer_bytes=1000).count("/x") == 2


def test_compressed_answer_is_read_and_a_broken_one_asked_for_again() -> None:
    async def work(server: ApiServer, http: Http) -> None:
        assert await http.request("GET", "/x") == b"text" * 1000
        assert await http.request("GET", "/x") == b"text" * 1000
        assert "gzip" in server.asked[0].headers["Accept-Encoding"]

    good = Answer(200, gzip.compress(b"text" * 1000), {"Content-Encoding": "gzip"})
    bad = Answer(200, b"not gzip at all", {"Content-Encoding": "gzip"})
    assert asked(work, good, bad, good, on="/x").count("/x") == 3


# Who we are


class _Tokens:
    """t0 until it is refused, then t1, …"""

    def __init__(self, *errors: Exception) -> None:
        self.number, self.renewals = 0, 0
        self.errors = list(errors)

    async def header(self, *, refused: str | None = None) -> str | None:
        if self.errors:
            raise self.errors.pop(0)
        if refused == f"Bearer t{self.number}":
            self.number += 1
            self.renewals += 1
        return f"Bearer t{self.number}"


async def _known(server: ApiServer, tokens: _Tokens) -> Http:
    return Http(Access(server.url, None, tokens), Limits(patience_s=0.2))


def test_refused_token_is_renewed_once_for_all() -> None:
    async def main() -> None:
        async with served() as server:
            server.put("Pod", "a/x")
            server.token, tokens = "t1", _Tokens()
            async with await _known(server, tokens) as http:
                await asyncio.gather(*(http.request("GET", POD) for _ in range(20)))
                assert tokens.renewals == 1

    asyncio.run(main())


def test_token_that_is_refused_twice_is_told() -> None:
    async def main() -> None:
        async with served() as server:
            server.token, tokens = "other", _Tokens()
            async with await _known(server, tokens) as http:
                with pytest.raises(Denied):
                    await http.request("GET", POD)
                assert (tokens.renewals, server.count(POD)) == (1, 2)
                with pytest.raises(Denied):
                    async for _ in http.stream(PODS, {"watch": "1"}, 1):
                        pass
                assert tokens.renewals == 2

    asyncio.run(main())


def test_refused_token_of_a_stream_is_renewed_too() -> None:
    async def main() -> list[bytes]:
        async with served() as server:
            server.token = "t1"
            server.script(f"watch {PODS}", Answer(lines=(b"a\n", b"b\n")))
            async with await _known(server, _Tokens()) as http:
                return [line async for line in http.stream(PODS, {"watch": "1"}, 5)]

    assert asyncio.run(main()) == [b"a", b"b"]


def test_no_token_at_the_start_is_the_users_error_and_later_a_failure() -> None:
    async def main() -> None:
        async with served() as server:
            server.put("Pod", "a/x")
            server.token = "t0"
            wrong = UserError("config", "no token")
            tokens = _Tokens(wrong)
            async with await _known(server, tokens) as http:
                with pytest.raises(UserError):
                    await http.request("GET", POD)
                await http.request("GET", POD)
                tokens.errors = [wrong]
                await http.request("GET", POD)
                tokens.errors = [wrong]
                with pytest.raises(Unreachable, match="config: no token"):
                    async for _ in http.stream(PODS, {}, 1):
                        pass

    asyncio.run(main())


# Streams


async def _lines(server: ApiServer, *answers: Answer, idle_s: float = 5.0, **limits: Any) -> list[bytes]:
    server.script(f"watch {PODS}", *answers)
    async with at(server, **limits) as http, aclosing(http.stream(PODS, {"watch": "1"}, idle_s)) as lines:
        return [line async for line in lines]


def _streamed(*answers: Answer, **limits: Any) -> list[bytes]:
    async def main() -> list[bytes]:
        async with served() as server:
            return await _lines(server, *answers, **limits)

    return asyncio.run(main())


def test_lines_come_whole_however_they_are_cut() -> None:
    big = b"x" * 2_000_000
    pieces = (b"a\nb", b"c\n\n \nd\n", big[:700_000], big[700_000:], b"\ne\nrest that is no line")
    assert _streamed(Answer(lines=pieces)) == [b"a", b"bc", b"d", big, b"e"]


def test_line_without_end_is_given_up() -> None:
    with pytest.raises(NotUnderstood, match="a line of more than 1000 bytes"):
        _streamed(Answer(lines=(b"x" * 600, b"x" * 600), hang=True), line_bytes=1000)


def test_silent_stream_is_given_up() -> None:
    with pytest.raises(Unreachable, match="timed out"):
        _streamed(Answer(lines=(b"a\n",), hang=True), idle_s=0.1)


def test_refused_stream_is_told_with_its_status() -> None:
    with pytest.raises(Conflict):
        _streamed(Answer(409))
    with pytest.raises(TooManyRequests) as told:
        _streamed(Answer(429, headers={"Retry-After": "3"}))
    assert told.value.retry_after_s == 3


def test_stream_that_is_closed_gives_its_connection_back() -> None:
    async def main() -> None:
        async with served() as server:
            server.script(f"watch {PODS}", *[Answer(lines=(b"a\n",), hang=True)] * 3)
            async with at(server) as http:
                for _ in range(3):
                    async with aclosing(http.stream(PODS, {"watch": "1"}, 5)) as lines:
                        assert await anext(lines) == b"a"
                connector = http._open().connector
                assert connector is not None
                assert not connector._acquired

    asyncio.run(main())


# Many at once


def test_more_requests_than_connections_wait_without_loss_of_time() -> None:
    async def main() -> tuple[int, int]:
        async with served() as server:
            server.put("Pod", "a/x")
            most = now = 0
            real = server.handle

            def handle(*args: Any) -> Any:
                nonlocal most
                most = max(most, now)
                return real(*args)

            server.handle = handle  # type: ignore[method-assign]
            async with at(server, connections=3, timeout_s=2.0) as http:
                once = http._once

                async def counted(request: Any) -> bytes:
                    nonlocal now
                    now += 1
                    try:
                        return await once(request)
                    finally:
                        now -= 1

                http._once = counted  # type: ignore[method-assign]
                await asyncio.gather(*(http.request("GET", POD) for _ in range(50)))
            return most, server.count(POD)

    assert asyncio.run(main()) == (3, 50)


def test_watches_do_not_take_the_connections_of_requests() -> None:
    async def main() -> None:
        async with served() as server:
            server.put("Pod", "a/x")
            async with at(server, connections=2, connect_s=1.0) as http:
                streams = [http.stream(PODS, {"watch": "1", "resourceVersion": "0"}, 5) for _ in range(5)]
                for stream in streams:
                    await anext(stream)
                await http.request("GET", POD)
                for stream in streams:
                    await stream.aclose()

    asyncio.run(main())


def test_observers_hear_of_every_try() -> None:
    heard: list[tuple[str, str, int]] = []

    async def work(server: ApiServer, http: Http) -> None:
        http.observers.append(lambda method, path, status, seconds: heard.append((method, path, status)))
        await http.request("GET", POD)
        with pytest.raises(Unreachable):
            await http.request("GET", POD, patience_s=0)

    asked(work, Answer(503), Answer(200, b'{"metadata":{"name":"x"}}'), Answer(hang=True), timeout_s=0.2)
    assert heard == [("GET", POD, 503), ("GET", POD, 200), ("GET", POD, 0)]


def test_use_outside_of_its_block_is_a_bug() -> None:
    with pytest.raises(RuntimeError, match="outside"):
        asyncio.run(Http(Access("http://h", None, _Tokens())).request("GET", "/"))


def test_dates_of_answers_are_told_also_of_refusals_and_each_once() -> None:
    told: list[tuple[str, float]] = []

    async def work(server: ApiServer, http: Http) -> None:
        http.dated.append(lambda date, took_s: told.append((date, took_s)))
        with pytest.raises(ApiError):
            await http.request("GET", PODS + "/none")
        assert len(told) == 1
        for _ in range(20):
            await http.request("GET", POD)

    asked(work)
    dates = [date for date, _ in told]
    assert len(set(dates)) == len(dates) < 20
    assert all(date.endswith("GMT") and 0 <= took_s < 5 for date, took_s in told)
