"""The fake cloud's API as curl sees it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import msgspec
import pytest

from fretsaw.errors import UserError
from fretsaw.providers.fake.cloud import CloudSettings, FakeCloud
from fretsaw.providers.fake.server import serve
from unit.providers.fake.worlds import order

Reply = tuple[int, Any]


class Curl:
    """Calls of one server."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url, self._session = url, session

    async def __call__(self, method: str, path: str, body: Any = None) -> Reply:
        """(status, what it answers)."""
        text = body if isinstance(body, str) else None if body is None else json.dumps(body)
        async with self._session.request(method, self._url + path, data=text) as response:
            return response.status, await response.json()


def with_curl(work: Any, cloud: FakeCloud | None = None) -> None:
    """Do something with a cloud that is served."""

    async def run() -> None:
        found = cloud if cloud is not None else FakeCloud(CloudSettings(pending_s=0, shutdown_s=0))
        async with serve(found) as url, aiohttp.ClientSession() as session:
            await work(Curl(url, session), found)

    asyncio.run(asyncio.wait_for(run(), 60))


ORDER = msgspec.json.encode(order()).decode()


def test_an_instance_from_its_order_to_its_end() -> None:
    async def work(curl: Curl, cloud: FakeCloud) -> None:
        status, launched = await curl("POST", "/instances", ORDER)
        assert (status, launched["created"]["claim"], launched["failed"]) == (201, "c-0", [])
        id_ = launched["created"]["providerId"]
        status, (listed,) = await curl("GET", "/instances")
        assert (status, listed["providerId"], listed["claim"], listed["token"]) == (200, id_, "c-0", "uid-c-0")
        assert listed["priceUsdPerHour"] == 0.8
        assert await curl("GET", f"/instances/{cloud.instances()[0].id}") == (200, listed)
        assert (await curl("GET", "/instances?token=uid-c-0"))[1]["created"] == launched["created"]
        assert (await curl("GET", "/instances?token=other"))[0] == 404
        assert (await curl("DELETE", f"/instances/{cloud.instances()[0].id}"))[0] == 202
        assert await curl("GET", "/instances") == (200, [])
        status, (gone,) = await curl("GET", "/instances?all=true")
        assert (gone["state"], gone["whyEnded"]) == ("terminated", "terminated")
        status, refused = await curl("DELETE", "/instances/i-0")
        assert (status, refused["error"]) == (404, "InstanceNotFound")
        log = (await curl("GET", "/log"))[1]
        assert [line["call"] for line in log if line["call"] in ("launch", "terminate", "ended", "gone")] == [
            *("launch", "terminate", "ended", "gone", "terminate"),
        ]
        assert (await curl("GET", f"/log?after={len(log) - 1}"))[1] == log[-1:]
        assert (await curl("GET", "/bill"))[1]["instances"].keys() == {id_}

    with_curl(work)


def test_time_passes_by_itself() -> None:
    async def work(curl: Curl, cloud: FakeCloud) -> None:
        ran = asyncio.Event()
        cloud.on_running.append(lambda _: ran.set())
        await curl("POST", "/instances", ORDER)
        await ran.wait()
        ended = asyncio.Event()
        cloud.on_ended.append(lambda _: ended.set())
        assert (await curl("POST", "/interruptions", {"claim": "c-0", "noticeS": 0.05}))[0] == 202
        await ended.wait()
        kinds = [one["kind"] for one in (await curl("GET", "/interruptions"))[1]["announcements"]]
        assert kinds == ["spot_interrupted", "instance_terminated"]

    with_curl(work, FakeCloud(CloudSettings(pending_s=0.05)))


def test_who_listens_is_answered_when_there_is_something_and_at_the_end() -> None:
    async def work(curl: Curl, cloud: FakeCloud) -> None:
        await curl("POST", "/instances", ORDER)
        assert (await curl("GET", "/interruptions?wait=0.01"))[1]["announcements"] == []
        waits = asyncio.ensure_future(curl("GET", "/interruptions?wait=50"))
        await asyncio.sleep(0.02)
        assert not waits.done()
        cloud.interrupt(cloud.instances()[0].id, "instance_status")
        heard = (await waits)[1]
        assert [one["number"] for one in heard["announcements"]] == [1]
        another = await curl("GET", "/interruptions?wait=50&after=7&epoch=another")
        assert another[1] == heard

    with_curl(work)


def test_stock_and_faults_are_set_from_outside() -> None:
    async def work(curl: Curl, cloud: FakeCloud) -> None:
        assert await curl("PUT", "/stock", {"g5/*/spot": 0, "*": 3}) == (200, {"g5/*/spot": 0, "*/*/*": 3})
        assert (await curl("GET", "/stock"))[1] == {"g5/*/spot": 0, "*/*/*": 3}
        faults = [{"what": "Throttled", "on": "launch", "seconds": 1}, {"nodeFault": "never-joins", "pool": "gpu"}]
        assert (await curl("POST", "/faults", faults))[0] == 202
        status, refused = await curl("POST", "/instances", ORDER)
        assert (status, refused["error"], refused["retryAfterS"]) == (429, "Throttled", 1)
        assert len(cloud.node_faults.take("c", "gpu")) == 1
        assert (await curl("POST", "/faults", {"what": "NotReady"}))[0] == 202
        assert (await curl("DELETE", "/faults"))[0] == 200
        assert (await curl("POST", "/instances", ORDER))[0] == 201

    with_curl(work)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/instances", "{"),
        ("POST", "/faults", {"what": "Nonsense"}),
        ("POST", "/faults", {"what": "Throttled", "tiems": 2}),
        ("POST", "/interruptions", {"kind": "nonsense"}),
        ("PUT", "/stock", {"*": -1}),
        ("PUT", "/stock", {"a/b/c/d": 1}),
        ("GET", "/log?after=x", None),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_is_wrong(method: str, path: str, body: Any) -> None:
    async def work(curl: Curl, cloud: FakeCloud) -> None:
        status, refused = await curl(method, path, body)
        assert (status, refused["error"]) == (400, "UserError")
        assert len(refused["message"]) > 10

    with_curl(work)


def test_a_port_that_is_taken_is_the_users_to_choose() -> None:
    async def work(curl: Curl, cloud: FakeCloud) -> None:
        port = int(curl._url.rpartition(":")[2])
        with pytest.raises(UserError, match="cannot listen"):
            async with serve(FakeCloud(), port=port):
                pass

    with_curl(work)


def test_a_cloud_is_served_again_and_again() -> None:
    async def run() -> None:
        cloud = FakeCloud()
        for _ in range(3):
            async with serve(cloud) as url, aiohttp.ClientSession() as session:
                waits = asyncio.ensure_future(Curl(url, session)("GET", "/interruptions?wait=50"))
                await asyncio.sleep(0.02)
                assert not waits.done()
            assert cloud.on_change == []
            waits.cancel()

    asyncio.run(asyncio.wait_for(run(), 20))
