"""The way to a live cluster, as the user's flags name it.

Made for somebody who waits at a terminal: a server that does not answer is given up after seconds, not half a minute.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

import msgspec

from fretsaw.errors import UserError

if TYPE_CHECKING:
    from fretsaw.kube.client import Client

PATIENCE_S = 4.0
"""How long a request is tried again: long enough for an API server that restarts behind its load balancer."""
NEEDED = ("aiohttp",)
"""What the extra `run` installs and a client needs."""


class Way(msgspec.Struct, frozen=True):
    """What --kubeconfig and --context say; None where they say nothing."""

    kubeconfig: str | None = None
    context: str | None = None


class Connection(msgspec.Struct, frozen=True):
    """A server that has answered."""

    client: Client
    server: str
    version: str
    """Such as `v1.34.1`."""
    namespace: str
    """Of the context."""


class _Version(msgspec.Struct, rename="camel"):
    git_version: str = ""


def require_packages() -> None:
    """Raises UserError that says what to install."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        right = 'pip install "fretsaw[run]"'
        raise UserError("", "reading a live cluster needs packages that are not installed", ", ".join(missing), right)


@asynccontextmanager
async def connected(way: Way) -> AsyncIterator[Connection]:
    """A connection to a server that has said its version.

    Raises UserError for a kubeconfig that is not there or wrong, KubeError where the server does not answer or does
    not know us.
    """
    require_packages()
    from fretsaw import __version__
    from fretsaw.kube.access import load_access
    from fretsaw.kube.client import Client
    from fretsaw.kube.http import Limits

    access = load_access(way.kubeconfig, way.context)
    async with Client.connect(access, Limits(patience_s=PATIENCE_S), agent=f"fretsaw/{__version__}") as client:
        answer = msgspec.json.decode(await client.http.request("GET", "/version"), type=_Version)
        yield Connection(client, access.server, answer.git_version, access.namespace)
