"""Work by key: one worker for a key at a time, nothing lost, failures tried again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from fretsaw.kube.errors import Unreachable
from fretsaw.kubelet import queue
from fretsaw.kubelet.queue import WorkQueue


def now() -> int:
    """Milliseconds."""
    return time.time_ns() // 1_000_000


def work(sync: queue.Sync, test: Callable[[WorkQueue], Awaitable[None]], failed: queue.Failed | None = None) -> None:
    """Run a queue for as long as a test takes."""

    async def run() -> None:
        found = WorkQueue(sync, now, failed or (lambda key, why: None), workers=4)
        task = asyncio.create_task(found.run())
        async with asyncio.timeout(30):
            await test(found)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(run())


def test_a_key_is_worked_on_by_one_and_again_if_it_was_added_meanwhile() -> None:
    at_once, most, looks = 0, 0, 0
    go, third = asyncio.Event(), asyncio.Event()

    async def sync(key: str) -> int | None:
        nonlocal at_once, most, looks
        at_once += 1
        looks += 1
        most = max(most, at_once)
        await go.wait()
        at_once -= 1
        if looks == 2:
            third.set()
        return None

    async def test(found: WorkQueue) -> None:
        found.add("a")
        await asyncio.sleep(0)
        for _ in range(5):
            await asyncio.sleep(0)
            found.add("a")
        go.set()
        await third.wait()

    work(sync, test)
    assert (most, looks) == (1, 2)


def test_keys_are_looked_at_when_they_are_due() -> None:
    seen: list[int] = []
    done = asyncio.Event()

    async def sync(key: str) -> int | None:
        seen.append(now())
        if len(seen) == 3:
            done.set()
        return now() + 50 if len(seen) < 3 else None

    async def test(found: WorkQueue) -> None:
        found.at("a", now() + 10_000)
        found.at("a", now() + 20)  # the earlier time counts
        await done.wait()

    work(sync, test)
    assert seen[1] - seen[0] >= 49


def test_what_fails_is_told_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "FIRST_WAIT_S", 0.001)
    failures: list[str] = []
    tries = 0
    done = asyncio.Event()

    async def sync(key: str) -> int | None:
        nonlocal tries
        tries += 1
        if tries < 4:
            raise Unreachable("server", "away")
        done.set()
        return None

    async def test(found: WorkQueue) -> None:
        found.add("a")
        await done.wait()

    work(sync, test, lambda key, why: failures.append(f"{key}: {why}"))
    assert failures == ["a: server: the Kubernetes API does not answer: away"] * 3


def test_a_bug_ends_the_queue() -> None:
    async def sync(key: str) -> int | None:
        raise ZeroDivisionError

    async def run() -> None:
        found = WorkQueue(sync, now, lambda key, why: None, workers=1)
        found.add("a")
        await found.run()

    with pytest.raises(ExceptionGroup) as raised:
        asyncio.run(run())
    assert isinstance(raised.value.exceptions[0], ZeroDivisionError)
