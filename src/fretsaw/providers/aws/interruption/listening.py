"""Everything that AWS announces about our instances, as one stream: the queue's messages and the instances' status.

A message is deleted once its events have been taken; whoever dies before that hears it again. Nothing stops the
stream but its consumer: what cannot be read is counted and dropped, what AWS refuses is tried again later and later.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

import msgspec

from fretsaw.engine.events import Interrupted, InterruptionKind
from fretsaw.ports import Clock
from fretsaw.providers.aws.calls import Asking, AwsError
from fretsaw.providers.aws.calls.refusals import UNAUTHORIZED
from fretsaw.providers.aws.interruption import status
from fretsaw.providers.aws.interruption.messages import NOTHING, Message, UnreadableError, parse
from fretsaw.providers.aws.interruption.queue import Queue, Received
from fretsaw.providers.aws.interruption.whose import Whose

UNEXPECTED = "Unexpected"
"""The code of an error that is a bug of ours."""
Observer = Callable[[str, float], None]
"""Called for each message that was understood with (kind, seconds from the event to its hearing; 0: unknown)."""


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How often AWS is asked, in seconds."""

    status_s: float = 60.0
    """Between two looks at the instances' status."""
    queue_s: float = 0.05
    """Between two questions to the queue, which holds each for 20 s itself: no more than a guard against one that
    answers nothing at once."""
    first_wait_s: float = 1.0
    """After a refusal; doubled with each further one."""
    longest_wait_s: float = 60.0
    not_allowed_s: float = 3600.0
    """After a refusal of IAM: policies change seldom."""


class Counts(msgspec.Struct):
    """What was heard since the start."""

    received: Counter[str] = msgspec.field(default_factory=Counter)
    """Messages by kind, `no_op` among them."""
    deleted: int = 0
    unreadable: int = 0
    strangers: int = 0
    """Instances that are not of this cluster."""
    unhealthy: Counter[str] = msgspec.field(default_factory=Counter)
    """Of the instances' status, by kind."""
    refused: Counter[str] = msgspec.field(default_factory=Counter)
    """Calls by error code."""


class Interruptions:
    """See `CloudProvider.interruptions`."""

    def __init__(
        self,
        aws: Asking,
        cluster: str,
        queue: str,
        clock: Clock,
        *,
        pace: Pace | None = None,
        observe: Observer = lambda *_: None,
        seconds: Callable[[], float] = time.monotonic,
        queue_wait_s: int | None = None,
    ) -> None:
        """queue: its name; empty where there is none, and only the instances' status is looked at."""
        self.counts = Counts()
        self.last_error: AwsError | None = None
        """Why something was not heard the last time; None once it was again."""
        self._aws, self._clock, self._observe = aws, clock, observe
        self._pace = pace if pace is not None else Pace()
        self._whose = Whose(aws, cluster, seconds)
        waiting = {} if queue_wait_s is None else {"wait_s": queue_wait_s}
        self._queue = Queue(aws, queue, **waiting) if queue else None
        self._watch = status.Watch()

    async def interruptions(self) -> AsyncIterator[Interrupted]:
        """The events as they come, until the iterator is closed. Never raises."""
        outbox: asyncio.Queue[Interrupted] = asyncio.Queue()
        loops = [self._look(outbox)] if self._queue is None else [self._hear(self._queue, outbox), self._look(outbox)]
        self._watch.forget()
        tasks = [asyncio.create_task(loop) for loop in loops]
        try:
            while True:
                event = await outbox.get()
                yield event
                outbox.task_done()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # The queue

    async def _hear(self, queue: Queue, outbox: asyncio.Queue[Interrupted]) -> None:
        await self._again_and_again(lambda: self._batch(queue, outbox), self._pace.queue_s)

    async def _batch(self, queue: Queue, outbox: asyncio.Queue[Interrupted]) -> None:
        received = await queue.receive()
        understood = [(one, self._understood(one)) for one in received]
        ours = await self._ours(instance for _, message in understood for instance in message.instances)
        for _, message in understood:
            if message.kind != "no_op":
                self._send(outbox, ((one, message.kind) for one in message.instances), ours)
        await outbox.join()
        self.counts.deleted += await queue.delete(received)

    def _understood(self, received: Received) -> Message:
        try:
            message = parse(received.body)
        except UnreadableError:
            self.counts.unreadable += 1
            return NOTHING
        self.counts.received[message.kind] += 1
        late_s = (self._clock.now() - message.at) / 1000 if message.at else 0.0
        self._observe(message.kind, max(0.0, late_s))
        return message

    # The instances' status

    async def _look(self, outbox: asyncio.Queue[Interrupted]) -> None:
        await self._again_and_again(lambda: self._statuses(outbox), self._pace.status_s)

    async def _statuses(self, outbox: asyncio.Queue[Interrupted]) -> None:
        entries = await status.impaired(self._aws)
        ours = await self._ours(one["InstanceId"] for one in entries)
        own = [one for one in entries if one["InstanceId"] in ours]
        news = self._watch.news(own, self._clock.now())
        self.counts.unhealthy.update(kind for _, kind in news)
        self._send(outbox, news, ours)

    # Both

    async def _ours(self, instances: Iterable[str]) -> dict[str, str]:
        asked = list(dict.fromkeys(instances))
        ours = await self._whose.ours(asked) if asked else {}
        self.counts.strangers += len(asked) - len(ours)
        return ours

    def _send(
        self, outbox: asyncio.Queue[Interrupted], said: Iterable[tuple[str, InterruptionKind]], ours: dict[str, str]
    ) -> None:
        for instance, kind in said:
            if instance in ours:
                outbox.put_nowait(Interrupted(ours[instance], kind))

    async def _again_and_again(self, act: Callable[[], Awaitable[None]], pause_s: float) -> None:
        """Act for ever, with a pause between; after a refusal with a longer one."""
        wait_s = self._pace.first_wait_s
        while True:
            try:
                await act()
            except Exception as error:
                # Also what should not be: a stream that ended in silence would be worse than one that begins anew.
                told = error if isinstance(error, AwsError) else AwsError("", UNEXPECTED, repr(error))
                self.last_error = told
                self.counts.refused[told.code] += 1
                await asyncio.sleep(self._pace.not_allowed_s if told.code in UNAUTHORIZED else wait_s)
                wait_s = min(wait_s * 2, self._pace.longest_wait_s)
                continue
            self.last_error, wait_s = None, self._pace.first_wait_s
            await asyncio.sleep(pause_s)
