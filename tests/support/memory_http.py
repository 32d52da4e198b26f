"""The client's way to an API server without a socket, in virtual time: what is asked takes a while, and may be lost.

A test says what happens to each request; `support.virtual_time.run` makes the seconds cost nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any

import msgspec

from fretsaw.kube.access import Access
from fretsaw.kube.credentials import Anonymous
from fretsaw.kube.errors import Unreachable, of_answer
from fretsaw.kube.http import Http
from support.api_store import ApiStore, encoded, status


class Fate(msgspec.Struct, frozen=True):
    """What becomes of a request."""

    there_s: float = 0.01
    """Until the server does what it is asked."""
    back_s: float = 0.01
    """From there until the answer is here."""
    lost: bool = False
    """The answer never comes: it is done and we do not know."""
    refused: int = 0
    """The server does nothing and answers this status."""


class MemoryHttp(Http):
    """Requests to a store. fate: is asked for each request and for each watch at its beginning."""

    def __init__(self, store: ApiStore, fate: Callable[[], Fate] = Fate) -> None:
        super().__init__(Access("memory://", None, Anonymous()))
        self.store, self.fate = store, fate

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
        """See Http. Nothing is tried again."""
        fate = self.fate()
        arrived = asyncio.ensure_future(self._arrive(method, path, query or {}, body, fate))
        # As on a wire: whoever gives up waiting does not stop what is on its way.
        code, tree = await asyncio.shield(arrived)
        await asyncio.sleep(fate.back_s)
        if fate.lost:
            raise Unreachable(self.access.server, "lost")
        if code >= 300:
            raise of_answer(f"{method} {path}", code, encoded(tree))
        return encoded(tree)

    async def _arrive(
        self, method: str, path: str, query: Mapping[str, str], body: Any, fate: Fate
    ) -> tuple[int, dict[str, Any]]:
        await asyncio.sleep(fate.there_s)
        if fate.refused:
            return fate.refused, status(fate.refused)
        sent = None if body is None else msgspec.json.decode(msgspec.json.encode(body))
        return self.store.handle(method, path, query, sent)

    async def stream(self, path: str, query: Mapping[str, str], idle_s: float) -> AsyncGenerator[bytes, None]:
        """See Http. A lost answer is silence, until that is too long."""
        fate = self.fate()
        await asyncio.sleep(fate.there_s)
        code = fate.refused or (200 if self.store.serves(path) else 404)
        if code != 200:
            raise of_answer(f"GET {path}", code, encoded(status(code)))
        if fate.lost:
            await asyncio.sleep(idle_s)
            raise Unreachable(self.access.server, "timed out")
        async with aclosing(self.store.watch(path, query)) as lines:
            async for line in lines:
                await asyncio.sleep(fate.back_s)
                yield encoded(line)
