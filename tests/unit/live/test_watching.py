"""Objects and events as `top` reads them: once, or as they change, over a connection that may be lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from fretsaw.api.times import millis
from fretsaw.kube.errors import Denied
from fretsaw.live import told, watching
from fretsaw.live.connection import Way, connected
from fretsaw.live.told import Told
from fretsaw.live.watching import Watching
from support.builders import node, pod, pool
from support.listing_server import ListingServer

NOON = "2026-06-03T12:00:00Z"


def event(name: str, **more: Any) -> dict[str, Any]:
    """An Event about the pod ml/p."""
    about = {"kind": "Pod", "namespace": "ml", "name": "p"}
    metadata = {"name": name, "namespace": "ml", "uid": name, "creationTimestamp": NOON}
    base = {"kind": "Event", "metadata": metadata, "involvedObject": about, "reason": "R", "message": "m", "type": "Normal"}  # fmt: skip
    return {**base, **more}


def with_watching(server: ListingServer, use: Callable[[Watching], Awaitable[Any]]) -> Any:
    """What `use` answers of a connection to the server."""

    async def run() -> Any:
        async with connected(Way(server.kubeconfig)) as connection:
            return await use(Watching(connection))

    return asyncio.run(run())


async def filled(one: Watching) -> Watching:
    """Everything read once."""
    await one.look()
    await one.fill()
    return one


def test_everything_is_read_once(tmp_path: Path) -> None:
    with ListingServer(tmp_path, [pod("p", namespace="ml"), node("n"), pool("gpu"), event("e")]) as server:
        found = with_watching(server, filled)
    assert {kind: list(held) for kind, held in found.objects.items()} == {
        "NodePool": ["gpu"],
        "NodeClaim": [],
        "Node": ["n"],
        "Pod": ["ml/p"],
    }
    assert found.feed.latest() == [Told(millis(NOON), "Pod ml/p", "R", "m")]
    assert found.synced
    assert [path for path in server.asked if path.startswith("/api/v1/events")] == [
        "/api/v1/events?limit=500&fieldSelector=source%3Dkarpenter",
        "/api/v1/events?limit=500&fieldSelector=source%3Dfretsaw",
    ]


def test_kinds_that_are_not_there_or_not_allowed_are_left_out(tmp_path: Path) -> None:
    with ListingServer(tmp_path, [node("n")], missing=["NodePool"], forbidden=["Pod", "Event"]) as server:
        found = with_watching(server, filled)
    assert (found.missing, found.forbidden, found.feed.denied) == (("NodePool",), ("Pod",), True)
    assert list(found.objects["Node"]) == ["n"]


def test_a_user_who_may_see_nothing_is_refused(tmp_path: Path) -> None:
    server = ListingServer(tmp_path, missing=["NodePool"], forbidden=["NodeClaim", "Node", "Pod"])
    with server, pytest.raises(Denied):
        with_watching(server, filled)


def test_a_lost_connection_is_said_and_forgotten_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "BEAT_S", 0.01)
    server = ListingServer(tmp_path, [node("n")])
    problems: list[str] = []

    async def use(one: Watching) -> None:
        await one.look()
        running = asyncio.create_task(one.run())
        try:
            await _until(lambda: one.synced)
            server.broken = True
            await _until(lambda: bool(one.problem))
            problems.append(one.problem)
            server.broken = False
            await _until(lambda: not one.problem)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        assert list(one.objects["Node"]) == ["n"]

    with server:
        with_watching(server, use)
    assert len(problems) == 1
    assert "503" in problems[0]


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, Told(millis(NOON), "Pod ml/p", "R", "m")),
        ({"lastTimestamp": "2026-06-03T12:01:00Z", "count": 3}, Told(millis(NOON) + 60_000, "Pod ml/p", "R", "m", count=3)),
        ({"eventTime": "2026-06-03T12:02:00.000000Z", "type": "Warning"}, Told(millis(NOON) + 120_000, "Pod ml/p", "R", "m", True)),
        ({"eventTime": NOON, "series": {"count": 5, "lastObservedTime": "2026-06-03T12:03:00Z"}}, Told(millis(NOON) + 180_000, "Pod ml/p", "R", "m", count=5)),
        ({"involvedObject": {"kind": "Node", "namespace": "", "name": "n"}}, Told(millis(NOON), "Node n", "R", "m")),
    ],
)  # fmt: skip
def test_an_event_is_told_with_its_last_time_and_its_count(
    tmp_path: Path, more: dict[str, Any], expected: Told
) -> None:
    with ListingServer(tmp_path, [event("e", **more)]) as server:
        assert with_watching(server, filled).feed.latest() == [expected]


def test_only_the_newest_events_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told, "KEPT", 3)
    events = [event(f"e{n}", lastTimestamp=f"2026-06-03T12:00:{n:02}Z", reason=f"R{n}") for n in range(20)]
    with ListingServer(tmp_path, events) as server:
        found = with_watching(server, filled).feed.latest()
    assert [one.reason for one in found] == ["R19", "R18", "R17"]
