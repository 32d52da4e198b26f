"""What a kubelet and a Prometheus ask: /healthz, /readyz, /metrics.

Source: Karpenter v1.14 pkg/operator: probes on one port, metrics on another; readiness does not depend on leading.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from fretsaw.errors import UserError

CONTENT = "text/plain; version=0.0.4; charset=utf-8"
END_S = 2.0
"""An answer that is still on its way at the end is waited for so long: a hung scrape must not hold up the lease."""
_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT)
Check = Callable[[], str]
"""Why not; empty for all is well."""


@asynccontextmanager
async def probes(port: int, health: dict[str, Check], readiness: dict[str, Check]) -> AsyncIterator[int]:
    """Serve /healthz and /readyz on all interfaces; the port. port: 0 takes a free one."""
    app = web.Application()
    app.router.add_get("/healthz", _checked(health))
    app.router.add_get("/readyz", _checked(readiness))
    async with _served(app, port, "--health-probe-port") as bound:
        yield bound


@asynccontextmanager
async def metrics(port: int, scrape: Callable[[], bytes]) -> AsyncIterator[int]:
    """Serve /metrics on all interfaces; the port."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=scrape(), headers={"Content-Type": CONTENT})  # reads what the loop's thread writes

    app = web.Application()
    app.router.add_get("/metrics", answer)
    async with _served(app, port, "--metrics-port") as bound:
        yield bound


def _checked(checks: dict[str, Check]) -> Callable[[web.Request], Awaitable[web.Response]]:
    """A line for each check, and 500 where one of them is not well."""

    async def answer(_: web.Request) -> web.Response:
        found = {name: _why_not(check) for name, check in checks.items()}
        lines = [f"[-]{name} failed: {why}" if why else f"[+]{name} ok" for name, why in found.items()]
        return web.Response(text="\n".join(lines) + "\n", status=500 if any(found.values()) else 200)

    return answer


def _why_not(check: Check) -> str:
    """A check that fails itself is not well either, and hides no other."""
    try:
        return check()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


@asynccontextmanager
async def _served(app: web.Application, port: int, flag: str) -> AsyncIterator[int]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=END_S)
    await runner.setup()
    try:
        try:
            listening = _listening(port)
        except OSError as error:
            why = error.strerror or str(error)
            raise UserError(flag, "the port cannot be used", f"{port}: {why}", "another one") from error
        await web.SockSite(runner, listening).start()
        yield listening.getsockname()[1]
    finally:
        await runner.cleanup()


def _listening(port: int) -> socket.socket:
    """One socket for IPv4 and IPv6: two would have a free port each. Machines may do without IPv6."""
    try:
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_IPV6:
            raise
        return socket.create_server(("", port))
