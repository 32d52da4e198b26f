"""What a kubelet and a Prometheus are answered, and that nobody waits for them at the end."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from fretsaw.controllers.probes import metrics, probes
from fretsaw.errors import UserError


async def _get(port: int, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await answer.text()


def _asked(path: str, health: dict[str, Callable[[], str]], ready: dict[str, Callable[[], str]]) -> tuple[int, str]:
    async def main() -> tuple[int, str]:
        async with probes(0, health, ready) as port:
            return await _get(port, path)

    return asyncio.run(main())


def _broken() -> str:
    raise ValueError("no idea")


def test_every_check_has_its_line() -> None:
    ready = {"manager": lambda: "not listed yet", "crd": lambda: "", "odd": _broken}
    assert _asked("/healthz", {"healthz": lambda: ""}, ready) == (200, "[+]healthz ok\n")
    assert _asked("/readyz", {}, ready) == (
        500,
        "[-]manager failed: not listed yet\n[+]crd ok\n[-]odd failed: ValueError: no idea\n",
    )
    assert _asked("/elsewhere", {}, ready)[0] == 404


def test_metrics_are_scraped() -> None:
    async def main() -> tuple[int, str]:
        async with metrics(0, lambda: b"up 1\n") as port:
            return await _get(port, "/metrics")

    assert asyncio.run(main()) == (200, "up 1\n")


def test_failing_scrape_is_an_answer_too(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> int:
        async with metrics(0, lambda: _broken().encode()) as port:
            return (await _get(port, "/metrics"))[0]

    assert asyncio.run(main()) == 500


def test_port_in_use_is_told_with_its_flag() -> None:
    async def main() -> None:
        async with metrics(0, lambda: b"") as port:
            with pytest.raises(
                UserError, match=rf"^--health-probe-port: the port cannot be used: {port}: .*another one"
            ):
                async with probes(port, {}, {}):
                    pass

    asyncio.run(main())


def test_one_port_serves_both_families() -> None:
    async def main() -> None:
        async with probes(0, {}, {}) as port:
            for host in ("127.0.0.1", "::1"):
                reader, writer = await asyncio.open_connection(host, port)
                writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
                assert (await reader.readline()).split()[1] == b"200"
                writer.close()
                await writer.wait_closed()

    asyncio.run(main())


def test_machine_without_ipv6_is_served_too(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.create_server

    def create_server(address: tuple[str, int], **more: Any) -> socket.socket:
        if more:
            raise OSError(errno.EADDRNOTAVAIL, "no IPv6 here")
        return real(address)

    monkeypatch.setattr(socket, "create_server", create_server)
    assert _asked("/healthz", {}, {})[0] == 200


def test_end_does_not_wait_for_connections_that_are_kept_open() -> None:
    async def main() -> float:
        now = asyncio.get_running_loop().time
        async with aiohttp.ClientSession() as session:
            async with metrics(0, lambda: b"up 1\n") as port:
                async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                    await answer.read()
                began = now()
            return now() - began

    assert asyncio.run(main()) < 1
