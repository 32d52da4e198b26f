"""At most one replica leads, whatever happens to requests and clocks; and one leads again soon. All in virtual time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fretsaw.controllers.leader import Election, Terms, elapsing
from support.api_store import ApiStore, Tree
from support.memory_http import Fate, MemoryHttp
from support.virtual_time import run

LEASES, KEY = "/apis/coordination.k8s.io/v1/leases", "system/leader"
TERMS = Terms()


def now() -> float:
    return asyncio.get_running_loop().time()


class Leases:
    """A server with one lease, and replicas that want it."""

    def __init__(self) -> None:
        self.store = ApiStore()

    def election(self, identity: str, fate: Callable[[], Fate] = Fate, clock: Callable[[], float] = now) -> Election:
        return Election(MemoryHttp(self.store, fate), "system", "leader", identity, TERMS, clock=clock)

    @property
    def lease(self) -> Tree:
        return self.store.collection(LEASES).objects[KEY]

    @property
    def spec(self) -> Tree:
        """Of the lease as it is."""
        spec: Tree = self.lease["spec"]
        return spec

    def write(self, metadata: Tree | None = None, **spec: Any) -> None:
        """Somebody else writes the lease."""
        tree = {"metadata": {"name": "leader", "namespace": "system", **(metadata or {})}, "spec": spec}
        self.store._store(self.store.collection(LEASES), KEY, tree)


async def _took(work: Awaitable[Any], limit: float = 1000) -> float:
    """The seconds until it is done."""
    began = now()
    async with asyncio.timeout(limit):
        await work
    return now() - began


def virtually(work: Callable[[Leases], Awaitable[Any]]) -> None:
    async def main() -> None:
        await work(Leases())

    run(main())


def test_free_lease_is_made_and_held() -> None:
    async def work(leases: Leases) -> None:
        election = leases.election("a")
        assert not election.leading
        assert await _took(election.acquire()) < 1
        assert (election.leading, election.holder, election.problem) == (True, "a", "")
        spec = leases.spec
        assert (spec["holderIdentity"], spec["leaseDurationSeconds"], spec["leaseTransitions"]) == ("a", 15, 0)
        assert spec["acquireTime"] == spec["renewTime"]
        keeping = asyncio.ensure_future(election.keep())
        await asyncio.sleep(100)
        assert election.leading
        assert leases.spec["acquireTime"] == spec["acquireTime"] < leases.spec["renewTime"]
        assert leases.spec["leaseTransitions"] == 0
        keeping.cancel()

    virtually(work)


def test_a_renewal_is_one_request_and_two_more_where_somebody_has_written() -> None:
    async def work(leases: Leases) -> None:
        requests: list[float] = []

        def fate() -> Fate:
            requests.append(now())
            return Fate()

        election = leases.election("a", fate)
        await election.acquire()
        keeping = asyncio.ensure_future(election.keep())
        requests.clear()
        await asyncio.sleep(9.5 * TERMS.retry_s)
        assert len(requests) == 9
        leases.write({"labels": {"a": "b"}}, **leases.spec)
        await asyncio.sleep(TERMS.retry_s)
        assert (election.leading, leases.lease["metadata"]["labels"]) == (True, {"a": "b"})
        keeping.cancel()

    virtually(work)


def test_held_lease_is_waited_for_until_its_holder_is_silent() -> None:
    async def work(leases: Leases) -> None:
        first, second = leases.election("a"), leases.election("b")
        await first.acquire()
        keeping = asyncio.ensure_future(first.keep())
        waiting = asyncio.ensure_future(_took(second.acquire()))
        await asyncio.sleep(60)
        assert not waiting.done()
        assert second.holder == "a"
        keeping.cancel()
        last = now()
        await waiting
        assert 15 - TERMS.retry_s <= now() - last <= 15 + 2 * TERMS.retry_s  # the last renewal was up to a try earlier
        assert leases.spec["leaseTransitions"] == 1
        assert not first.leading

    virtually(work)


@pytest.mark.parametrize("skew", [-86400.0, 86400.0])
def test_times_that_others_write_do_not_matter(skew: float) -> None:
    """What counts is how long we have seen nothing: the other's clock may be a day off."""

    async def work(leases: Leases) -> None:
        leases.write(holderIdentity="z", leaseDurationSeconds=30, renewTime="2001-01-01T00:00:00.000000Z")
        took = await _took(leases.election("b", clock=lambda: now() + skew).acquire())
        assert 30 <= took <= 30 + 2 * TERMS.retry_s

    virtually(work)


def test_holder_that_cannot_renew_gives_up_before_another_may_begin() -> None:
    async def work(leases: Leases) -> None:
        lost = False
        first = leases.election("a", lambda: Fate(lost=lost, refused=503 if lost else 0))
        await first.acquire()
        keeping = asyncio.ensure_future(first.keep())
        await asyncio.sleep(20)
        lost = True
        began = now()
        while first.leading:
            await asyncio.sleep(0.1)
        assert TERMS.renew_s - TERMS.retry_s - 0.5 <= now() - began <= TERMS.renew_s
        assert "lost" in first.problem
        assert await _took(keeping) <= TERMS.renew_s
        lost = False
        await asyncio.sleep(1)
        assert not first.leading, "once lost it is lost"

    virtually(work)


def test_silent_server_is_given_up_in_time() -> None:
    async def work(leases: Leases) -> None:
        slow = 0.01
        election = leases.election("a", lambda: Fate(there_s=slow))
        await election.acquire()
        slow = 3600
        keeping = asyncio.ensure_future(election.keep())
        assert await _took(keeping) <= TERMS.renew_s + TERMS.renew_s / 2 + TERMS.retry_s
        assert not election.leading
        assert "timed out" in election.problem

    virtually(work)


def test_holder_that_sees_another_name_stops_at_once() -> None:
    async def work(leases: Leases) -> None:
        election = leases.election("a")
        await election.acquire()
        keeping = asyncio.ensure_future(election.keep())
        leases.write(holderIdentity="thief", leaseDurationSeconds=15)
        assert await _took(keeping) <= TERMS.retry_s + 0.5
        assert (election.leading, election.holder) == (False, "thief")
        await election.release()
        assert leases.spec["holderIdentity"] == "thief"

    virtually(work)


def test_release_lets_another_take_over_within_one_try() -> None:
    async def work(leases: Leases) -> None:
        first, second = leases.election("a"), leases.election("b")
        await first.acquire()
        waiting = asyncio.ensure_future(second.acquire())
        await asyncio.sleep(5)
        await first.release()
        assert (first.leading, leases.spec["holderIdentity"]) == (False, "")
        assert await _took(waiting) <= TERMS.retry_s + 0.5
        assert leases.spec["leaseTransitions"] == 1
        await first.release()
        assert leases.spec["holderIdentity"] == "b", "not given back twice"

    virtually(work)


def test_release_beats_a_renewal_that_is_still_under_way() -> None:
    async def work(leases: Leases) -> None:
        delays = deque([0.01, 0.01, 0.01, 1.0])  # the last one: the renewal's write
        election = leases.election("a", lambda: Fate(there_s=delays.popleft() if delays else 0.6))
        await election.acquire()
        keeping = asyncio.ensure_future(election.keep())
        await asyncio.sleep(TERMS.retry_s + 0.2)
        keeping.cancel()
        await election.release()
        assert leases.spec["holderIdentity"] == ""

    virtually(work)


def test_lease_that_we_took_without_hearing_of_it_is_given_back() -> None:
    async def work(leases: Leases) -> None:
        lost = deque([False, True])
        election = leases.election("a", lambda: Fate(lost=lost.popleft() if lost else False))
        waiting = asyncio.ensure_future(election.acquire())
        await asyncio.sleep(1)
        waiting.cancel()
        assert (leases.spec["holderIdentity"], election.leading) == ("a", False)
        await election.release()
        assert leases.spec["holderIdentity"] == ""

    virtually(work)


def test_lost_answer_costs_one_try_and_counts_once() -> None:
    async def work(leases: Leases) -> None:
        leases.write(holderIdentity="", leaseDurationSeconds=1, leaseTransitions=4)
        lost = deque([False, True])
        election = leases.election("a", lambda: Fate(lost=lost.popleft() if lost else False))
        assert await _took(election.acquire()) <= TERMS.retry_s + 0.5
        assert leases.spec["leaseTransitions"] == 5

    virtually(work)


def test_one_who_never_asked_gives_nothing_back() -> None:
    async def work(leases: Leases) -> None:
        asked = []
        election = leases.election("a", lambda: asked.append(1) or Fate())  # type: ignore[func-returns-value]
        await election.release()
        assert asked == []

    virtually(work)


def test_lease_of_others_keeps_what_is_not_ours() -> None:
    async def work(leases: Leases) -> None:
        metadata = {"labels": {"app": "chart"}, "annotations": {"a": "b"}, "ownerReferences": [{"name": "o"}]}
        leases.write(metadata, strategy="OldestEmulationVersion")
        await leases.election("a").acquire()
        assert {name: leases.lease["metadata"][name] for name in metadata} == metadata
        assert leases.spec["strategy"] == "OldestEmulationVersion"

    virtually(work)


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"holderIdentity": None, "leaseDurationSeconds": None, "leaseTransitions": None},
        {"holderIdentity": "z", "leaseDurationSeconds": None},
        {"holderIdentity": "z", "leaseDurationSeconds": 0},
    ],
)
def test_lease_with_holes_is_a_lease(spec: Tree) -> None:
    async def work(leases: Leases) -> None:
        leases.write(**spec)
        await _took(leases.election("a").acquire(), 20)
        assert leases.spec["holderIdentity"] == "a"

    virtually(work)


@pytest.mark.parametrize("spec", [{"holderIdentity": 5}, {"leaseDurationSeconds": "long"}])
def test_lease_that_makes_no_sense_is_a_problem(spec: Tree) -> None:
    async def work(leases: Leases) -> None:
        leases.write(**spec)
        election = leases.election("a")
        waiting = asyncio.ensure_future(election.acquire())
        await asyncio.sleep(10)
        assert not waiting.done()
        assert "not an answer of a Kubernetes API" in election.problem
        leases.write(holderIdentity="")
        await _took(waiting, 3)
        assert election.problem == ""

    virtually(work)


def test_real_clock_goes_on() -> None:
    before = elapsing()
    assert elapsing() >= before > 0


# By law

FATES = st.builds(
    Fate,
    there_s=st.sampled_from([0.01, 0.3, 2.0, 6.0, 14.0, 40.0]),
    back_s=st.sampled_from([0.01, 0.3, 4.0]),
    lost=st.sampled_from([False, False, True]),
    refused=st.sampled_from([0, 0, 0, 500, 503]),
)
OUTAGES = st.lists(st.tuples(st.integers(0, 150), st.sampled_from([2, 9, 12, 16, 40]), FATES), max_size=6)
"""(from when, for how long, what becomes of a request meanwhile)."""
REPLICAS = st.tuples(
    OUTAGES,
    st.floats(0.93, 1.07),  # clocks drift, and begin anywhere
    st.floats(-1e6, 1e6),
    st.lists(st.tuples(st.sampled_from(["crash", "stop"]), st.floats(5, 60)), max_size=4),
)


class Replica:
    """A process that wants to lead, is ended now and then, and begins again under another name."""

    def __init__(self, leases: Leases, name: str, outages: list[Any], rate: float, offset: float) -> None:
        self._leases, self._name, self._outages = leases, name, outages
        self._clock = lambda: now() * rate + offset
        self._lives = 0
        self.election: Election | None = None

    def _fate(self) -> Fate:
        """What becomes of a request now."""
        at = now()
        return next((fate for start, length, fate in self._outages if start <= at < start + length), Fate())

    @property
    def leading(self) -> bool:
        return self.election is not None and self.election.leading

    async def live(self, ends: list[tuple[str, float]]) -> None:
        for how, after in ends:
            await self._once(how, after)
        while True:
            await self._once("stop", 1e9)

    async def _once(self, how: str, after: float) -> None:
        self._lives += 1
        self.election = self._leases.election(f"{self._name}-{self._lives}", self._fate, self._clock)
        try:
            async with asyncio.timeout(after):
                await self.election.acquire()
                await self.election.keep()
        except TimeoutError:
            if how == "crash":
                self.election = None
                return
        await self.election.release()


async def _rivals(leases: Leases, replicas: list[Any]) -> list[Replica]:
    """All of them live for a while; whenever one looks, at most one leads."""
    rivals = [Replica(leases, f"r{i}", *args[:3]) for i, args in enumerate(replicas)]
    lives = [asyncio.ensure_future(rival.live(args[3])) for rival, args in zip(rivals, replicas, strict=True)]
    while now() < 200 + 4 * 60 + 100:  # outages, lives, and the time to take over
        assert sum(rival.leading for rival in rivals) <= 1
        await asyncio.sleep(0.5)
    assert sum(rival.leading for rival in rivals) == 1, "one leads once requests are answered again"
    for life in lives:
        assert not life.done(), life.exception()
        life.cancel()
    await asyncio.wait(lives)
    return rivals


@settings(max_examples=80, deadline=None)
@given(st.lists(REPLICAS, min_size=2, max_size=3))
def test_never_two_leaders_and_in_the_end_one(replicas: list[Any]) -> None:
    leases = Leases()

    async def main() -> None:
        await _rivals(leases, replicas)

    run(main())
    before: Tree = {"leaseTransitions": 0}
    for _, _, tree in leases.store.collection(LEASES).log:
        spec = tree["spec"]
        moved = "holderIdentity" in before and spec["holderIdentity"] not in ("", before["holderIdentity"])
        assert spec["leaseTransitions"] == before["leaseTransitions"] + moved
        before = spec
