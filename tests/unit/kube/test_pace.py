"""The bucket is fair and keeps its rate; waits double and end."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fretsaw.kube.pace import Backoff, Bucket
from support.virtual_time import run


async def _times(rate: float, burst: int, arrivals: list[float]) -> list[float]:
    """When each of those who arrive then has its token, in the order of their coming."""
    bucket, now = Bucket(rate, burst), asyncio.get_running_loop().time
    times: list[float] = []

    async def one(at: float) -> None:
        await asyncio.sleep(at)
        place = len(times)
        times.append(-1)
        await bucket.take()
        times[place] = now()

    await asyncio.gather(*(one(at) for at in arrivals))
    return times


def test_burst_goes_at_once_and_the_rest_in_their_order() -> None:
    assert run(_times(2, 3, [0.0] * 6)) == pytest.approx([0, 0, 0, 0.5, 1.0, 1.5])


def test_rest_fills_the_bucket_but_not_beyond_its_size() -> None:
    assert run(_times(1, 2, [0, 0, 100, 100, 100])) == pytest.approx([0, 0, 100, 100, 101])


@given(st.integers(1, 5), st.lists(st.integers(0, 30).map(float), min_size=1, max_size=25).map(sorted))
def test_nobody_overtakes_and_the_rate_is_kept(burst: int, arrivals: list[float]) -> None:
    times = run(_times(1, burst, arrivals))
    assert times == sorted(times)
    for first in range(len(times)):
        for last in range(first, len(times)):
            assert last - first + 1 <= burst + (times[last] - times[first]) * 1 + 1e-6


def test_one_who_gives_up_leaves_the_token_to_others() -> None:
    async def main() -> float:
        bucket = Bucket(1, 1)
        await bucket.take()
        waiting = [asyncio.ensure_future(bucket.take()) for _ in range(50)]
        await asyncio.sleep(0.1)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        await bucket.take()
        return asyncio.get_running_loop().time()

    assert run(main()) == pytest.approx(1.0)


def test_waits_double_up_to_the_longest_and_begin_anew() -> None:
    backoff = Backoff(1, 8)
    for expected in (1, 2, 4, 8, 8):
        assert expected / 2 <= backoff.next_s() <= expected
    backoff.reset()
    assert backoff.next_s() <= 1


def test_what_the_server_asks_for_is_waited_at_least() -> None:
    waits = {Backoff(1, 8).next_s(5) for _ in range(20)}
    assert len(waits) > 1, "not all at the same moment"
    assert all(5 < wait <= 6 for wait in waits)
