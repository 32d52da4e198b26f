"""Calls to AWS over aiobotocore: one client for each service, made when it is first asked.

    aws = await Aws.connect("eu-central-1")
    try:
        subnets = await aws.pages("ec2:DescribeSubnets", "Subnets", MaxResults=500)
    finally:
        await aws.close()

Credentials are found as every AWS tool finds them: environment, profile, web identity (IRSA), Pod Identity, instance.
AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_<SERVICE> are obeyed. Throttled calls and those that a server failed are tried
again by aiobotocore, slower and slower, with a rate that adapts to what AWS takes ("adaptive").
aiobotocore is imported when the first session is made: commands that ask AWS nothing do without it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import cache
from types import TracebackType
from typing import Any

import msgspec

from fretsaw import __version__
from fretsaw.errors import UserError
from fretsaw.providers.aws.calls import region as regions
from fretsaw.providers.aws.calls.asking import AwsError
from fretsaw.providers.aws.calls.refusals import EXPIRED, NO_CREDENTIALS, refused
from fretsaw.providers.aws.calls.table import Call, known

Observer = Callable[[str, str, float], None]
"""Called after each call with (name, error code or empty, seconds); a list of pages is one call."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How patient a session is."""

    connect_s: float = 5.0
    """For a connection. AWS answers in milliseconds; a missing route shall not look like a slow call."""
    read_s: float = 60.0
    """For an answer. SQS holds a question for 20 s, and a large instant fleet takes longer than most calls."""
    attempts: int = 5
    """How often one call is tried in all: with doubling waits that is about half a minute of throttling."""
    connections: int = 50
    """Calls to one service under way at the same time; more wait in their order."""


class _Client:
    """A client of aiobotocore, with the number of calls that are using it."""

    def __init__(self, api: Any, stack: AsyncExitStack) -> None:
        self.api = api
        self.stack = stack
        self.users = 0
        self.retired = False


class Aws:
    """A session with one region: an `Asking`. Use it as an async context manager, or close it."""

    def __init__(self, session: Any, region: str, *, endpoint: str = "", limits: Limits | None = None) -> None:
        self.region = region
        self.observers: list[Observer] = []
        self._session = session
        self._endpoint = endpoint or None
        self._limits = limits if limits is not None else Limits()
        self._clients: dict[str, _Client] = {}
        self._making: dict[str, asyncio.Lock] = {}

    @classmethod
    async def connect(
        cls, region: str = "", *, profile: str = "", endpoint: str = "", limits: Limits | None = None
    ) -> Aws:
        """A session; nothing is asked yet but, where no region is named, the instance metadata service.

        endpoint: of all services, as AWS_ENDPOINT_URL. Raises UserError without region, for a profile that there is
        not, and where aiobotocore is not installed.
        """
        session = _new_session(profile)
        from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]

        try:
            return cls(session, await regions.find(session, region), endpoint=endpoint, limits=limits)
        except BotoCoreError as error:
            raise UserError("AWS configuration", "cannot be used", " ".join(str(error).split())) from error

    async def __aenter__(self) -> Aws:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def ask(self, call: str, /, **parameters: Any) -> dict[str, Any]:
        """One call's answer. Raises AwsError; BrokenInvariant for a call that is not in the table."""
        async with self._asking(known(call)) as (api, method):
            # The one place where a name becomes a method: botocore makes them from the services' models.
            answer: dict[str, Any] = await getattr(api, method)(**parameters)
            return answer

    async def pages(self, call: str, field: str, /, **parameters: Any) -> list[Any]:
        """The items under `field` of all pages, in their order. Raises as `ask` does."""
        async with self._asking(known(call)) as (api, method):
            found: list[Any] = []
            async for page in api.get_paginator(method).paginate(**parameters):
                found.extend(page.get(field) or ())
            return found

    async def close(self) -> None:
        """Give back connections. Calls that are under way fail."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.stack.aclose()

    @asynccontextmanager
    async def _asking(self, call: Call) -> AsyncIterator[tuple[Any, str]]:
        """The client and its method's name; what goes wrong inside becomes an AwsError."""
        from botocore import xform_name  # type: ignore[import-untyped]
        from botocore.exceptions import BotoCoreError, ClientError

        began, code = time.monotonic(), ""
        client: _Client | None = None
        try:
            client = await self._client(call.service)
            client.users += 1
            yield client.api, xform_name(call.operation)
        except (ClientError, BotoCoreError, OSError, TimeoutError) as error:
            told = refused(call.name, error)
            code = told.code
            if code in EXPIRED or code == NO_CREDENTIALS:
                self._renew(call.service, client)
            raise told from error
        finally:
            if client is not None:
                await self._leave(client)
            for observer in self.observers:
                observer(call.name, code, time.monotonic() - began)

    async def _client(self, service: str) -> _Client:
        # Two tasks that ask a service for the first time share one client.
        async with self._making.setdefault(service, asyncio.Lock()):
            if (client := self._clients.get(service)) is None:
                client = self._clients[service] = await self._make(service)
            return client

    async def _make(self, service: str) -> _Client:
        from aiobotocore.config import AioConfig  # type: ignore[import-untyped]

        config = AioConfig(
            connect_timeout=self._limits.connect_s,
            read_timeout=self._limits.read_s,
            max_pool_connections=self._limits.connections,
            retries={"mode": "adaptive", "total_max_attempts": self._limits.attempts},
            user_agent=f"fretsaw/{__version__}",
        )
        stack = AsyncExitStack()
        api = await stack.enter_async_context(
            self._session.create_client(
                service,
                region_name=regions.serving(service, self.region),
                endpoint_url=self._endpoint,
                config=config,
            )
        )
        return _Client(api, stack)

    def _renew(self, service: str, client: _Client | None) -> None:
        """Have the next call read the credentials anew: a profile's may have been renewed in its file."""
        if client is not None and self._clients.get(service) is client:
            del self._clients[service]
            client.retired = True
            self._session = _new_session(self._session.profile or "")

    async def _leave(self, client: _Client) -> None:
        client.users -= 1
        if client.retired and client.users <= 0:
            await client.stack.aclose()


def _new_session(profile: str) -> Any:
    try:
        from aiobotocore.session import AioSession  # type: ignore[import-untyped]
    except ImportError as error:
        raise UserError(
            "AWS", "needs a package that is not installed", "aiobotocore", "pip install 'fretsaw[aws]'"
        ) from error
    session = AioSession(profile=profile or None)
    session.register_component("data_loader", _models())
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_time)
    return session


def _time(text: Any) -> Any:
    """A point in time of an answer. botocore's own reading takes three quarters of the time of a spot price list."""
    from botocore.utils import parse_timestamp  # type: ignore[import-untyped]

    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return parse_timestamp(text)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


@cache
def _models() -> Any:
    """AWS's models, read once for the process: those of EC2 take a third of a second."""
    from botocore.loaders import create_loader  # type: ignore[import-untyped]

    return create_loader(os.environ.get("AWS_DATA_PATH"))


__all__ = ["Aws", "AwsError", "Limits", "Observer"]
