"""Calls of the fake cloud's API: each with a timeout, and each failure as the error of `fretsaw.errors` that it is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TypeVar

import aiohttp
import msgspec

from fretsaw.errors import (
    InstanceNotFound,
    LaunchFailed,
    NotReady,
    OutOfCapacity,
    ProviderError,
    Throttled,
    UserError,
)
from fretsaw.providers.fake.wire import Refused

T = TypeVar("T")


class CloudHttp:
    """A session with one cloud. url: `http://127.0.0.1:PORT`, or without `http://`."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self.url = url.rstrip("/") if "://" in url else f"http://{url.rstrip('/')}"
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def ask(
        self,
        method: str,
        path: str,
        answer: type[T],
        *,
        body: bytes | None = None,
        query: Mapping[str, str] | None = None,
        wait_s: float = 0.0,
    ) -> T:
        """What the cloud answers, decoded. wait_s: how long it may wait before it says anything.

        Raises the ProviderError that it answers; Throttled where nothing comes back, or no answer of this API.
        """
        timeout = aiohttp.ClientTimeout(total=self._timeout_s + wait_s)
        headers = {"Content-Type": "application/json"}
        try:
            async with self._open().request(
                method, self.url + path, data=body, params=query, timeout=timeout, headers=headers
            ) as response:
                text = await response.read()
                if response.status >= 300:
                    raise refusal(text, response.status)
                found: T = msgspec.json.decode(text, type=answer)
                return found
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            why = "timed out" if isinstance(error, TimeoutError) else " ".join(str(error).split())
            raise Throttled(f"{self.url}: the fake cloud does not answer: {why or type(error).__name__}") from error
        except msgspec.MsgspecError as error:
            raise Throttled(f"{self.url}: this is not the fake cloud: {error}") from error

    async def close(self) -> None:
        """Give back connections."""
        if self._session is not None:
            await self._session.close()
            await asyncio.sleep(0)  # the transports close in the loop's next round
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        return self._session


def refusal(text: bytes, status: int) -> ProviderError | UserError:
    """The error of an answer that says no."""
    try:
        refused = msgspec.json.decode(text, type=Refused)
    except msgspec.MsgspecError:
        return Throttled(f"the fake cloud answers {status}: {text[:200].decode(errors='replace')}")
    match refused.error:
        case "OutOfCapacity":
            return OutOfCapacity(refused.message, frozenset(refused.offerings))
        case "NotReady":
            return NotReady(refused.message)
        case "LaunchFailed":
            return LaunchFailed(refused.reason, refused.message)
        case "InstanceNotFound":
            return InstanceNotFound(refused.message)
        case "UserError":  # an order that cannot be read: asking again will not help
            return LaunchFailed("InvalidParameter", refused.message)
        case _:
            return Throttled(refused.message, refused.retry_after_s)
