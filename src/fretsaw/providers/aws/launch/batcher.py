"""Equal questions that come at about the same time, asked as one.

A window opens with a bucket's first question and closes when none has come for `idle_s`, after `most_s`, or when it is
full. Who gives up before that is left out; who gives up later does not stop what the others wait for.
Source: Karpenter AWS provider v1.14 pkg/batcher (windows and sizes). Differs: each bucket has its own window.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, NamedTuple, TypeVar

import msgspec

Q = TypeVar("Q")
A = TypeVar("A")


class Window(msgspec.Struct, frozen=True):
    """How long to wait for more questions."""

    idle_s: float
    most_s: float = 1.0
    items: int = 500


FLEET = Window(0.035, items=1000)
DESCRIBE = Window(0.1)
TERMINATE = Window(0.1)
FIND = Window(0.035, items=199)
"""A filter of DescribeInstances takes 200 values; one is for instances that are nobody's yet."""


class _Open(NamedTuple, Generic[Q, A]):
    asked: list[tuple[Q, asyncio.Future[A]]]
    more: asyncio.Event


class Batcher(Generic[Q, A]):
    """work: answers all questions of a bucket in their order; an exception among the answers is raised for whoever
    asked that question, and one that `work` raises for all."""

    def __init__(self, window: Window, work: Callable[[Sequence[Q]], Awaitable[Sequence[A | Exception]]]) -> None:
        self._window, self._work = window, work
        self._open: dict[Hashable, _Open[Q, A]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, question: Q, bucket: Hashable = None) -> A:
        """The answer to one question, asked with others of its bucket."""
        future: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        found = self._open.get(bucket)
        if found is None:
            found = self._open[bucket] = _Open([], asyncio.Event())
            task = asyncio.create_task(self._run(bucket, found))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        found.asked.append((question, future))
        found.more.set()
        if len(found.asked) >= self._window.items:
            self._open.pop(bucket, None)
        return await future

    async def drain(self) -> None:
        """Returns when everything that was asked is answered."""
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    async def _run(self, bucket: Hashable, opened: _Open[Q, A]) -> None:
        await self._closed(opened)
        if self._open.get(bucket) is opened:
            del self._open[bucket]
        waiting = [(question, future) for question, future in opened.asked if not future.done()]
        if not waiting:
            return
        try:
            answers = await self._work([question for question, _ in waiting])
        except Exception as error:
            answers = [error] * len(waiting)
        for (_, future), answer in zip(waiting, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)

    async def _closed(self, opened: _Open[Q, A]) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._window.most_s
        while len(opened.asked) < self._window.items:
            opened.more.clear()
            try:
                async with asyncio.timeout(min(self._window.idle_s, until - loop.time())):
                    await opened.more.wait()
            except TimeoutError:
                return
