"""A Reflector before a server that fails in every way that servers do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fretsaw.kube import reflector as module
from fretsaw.kube.client import Client
from fretsaw.kube.http import Limits
from fretsaw.kube.reflector import Change, Reflector
from support.api_server import Answer, ApiServer, served
from support.api_store import encoded, status

PODS, POOLS = "/api/v1/pods", "/apis/karpenter.sh/v1/nodepools"
LIMITS = Limits(patience_s=0.02, timeout_s=5.0)
REF = {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "c"}
POOL = {"template": {"spec": {"nodeClassRef": REF, "requirements": []}}}


class Watched:
    """A server, and what a Reflector tells of it."""

    def __init__(self, server: ApiServer, reflector: Reflector) -> None:
        self.server, self.reflector = server, reflector
        self.told: list[Change] = []
        self._stirred = asyncio.Condition()

    async def follow(self) -> None:
        async for change in self.reflector.changes():
            self.told.append(change)
            async with self._stirred:
                self._stirred.notify_all()

    async def until(self, done: Callable[[], bool]) -> None:
        """Return when enough was told."""
        async with asyncio.timeout(20), self._stirred:
            await self._stirred.wait_for(done)

    async def hear(self, *lines: str) -> None:
        """The next that is told is this, and nothing else."""
        await self.until(lambda: len(self.told) >= len(lines))
        now, self.told = [line(change) for change in self.told], []
        assert tuple(now) == lines

    async def tell(self, *lines: dict[str, Any]) -> None:
        """Have the watch say something that no change has caused."""
        async with asyncio.timeout(20):
            while not self.server.of(self.reflector.kind).watches:
                await asyncio.sleep(0.002)
        for tree in lines:
            self.server.tell(self.reflector.kind, tree)

    async def asked(self, path: str, times: int, *, watch: bool = False) -> None:
        """Return when the server was asked so often."""
        async with asyncio.timeout(20):
            while self.server.count(path, watch=watch) < times:
                await asyncio.sleep(0.002)


def line(change: Change) -> str:
    """`+a/x`, `-a/x`, `synced`."""
    if change.what != "object":
        return change.what
    return f"{'-' if change.obj is None else '+'}{change.key}"


def watching(
    work: Callable[[ApiServer, Watched], Awaitable[None]], kind: str = "Pod", before: Any = None, keeps: bool = False
) -> None:
    """Do the work while a Reflector watches. before: is done to the server first."""

    async def main() -> None:
        async with served() as server:
            if before is not None:
                before(server)
            async with Client.connect(server.access, LIMITS) as client:
                watched = Watched(server, Reflector(client, kind, keeps=keeps))
                following = asyncio.ensure_future(watched.follow())
                try:
                    await work(server, watched)
                    assert not following.done(), following.exception()
                finally:
                    following.cancel()
                    await asyncio.wait([following])

    asyncio.run(main())


def one_pod(server: ApiServer) -> None:
    server.put("Pod", "a/x", spec={"nodeName": "n"})


def test_first_everything_then_each_change() -> None:
    async def work(server: ApiServer, watched: Watched) -> None:
        await watched.hear("+a/x", "synced")
        server.put("Pod", "a/y")
        server.put("Pod", "a/x", spec={"nodeName": "m"})
        server.delete("Pod", "a/y")
        await watched.hear("+a/y", "+a/x", "-a/y")

    watching(work, before=one_pod)


def test_synced_has_all_keys_and_the_version() -> None:
    async def work(server: ApiServer, watched: Watched) -> None:
        await watched.until(lambda: len(watched.told) == 2)
        uid = server.of("Pod").objects["a/x"]["metadata"]["uid"]
        assert watched.told[0].uid == uid
        assert watched.told[1] == Change("Pod", what="synced", keys=frozenset({"a/x"}), version=str(server.version))

    watching(work, before=one_pod)


def test_watch_goes_on_where_it_ended() -> None:
    async def work(server: ApiServer, watched: Watched) -> None:
        await watched.hear("+a/x", "synced")
        server.put("Pod", "a/y")
        await watched.hear("+a/y")
        at = server.version
        server.cut("Pod")
        server.put("Pod", "a/z")
        await watched.hear("+a/z")
        assert server.asked[-1].query["resourceVersion"] == str(at)
        assert watched.reflector.lists == 1

    watching(work, before=one_pod)


def test_bookmark_is_a_place_to_go_on_from() -> None:
    async def work(server: ApiServer, watched: Watched) -> None:
        await watched.hear("+a/x", "synced")
        await watched.tell({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "777"}}})
        server.put("Pod", "a/y")  # so that the bookmark has been read when this is told
        await watched.hear("+a/y")
        server.cut("Pod")
        await watched.asked(PODS, 2, watch=True)
        assert server.asked[-1].query["resourceVersion"] == "777"

    watching(work, before=one_pod)


@pytest.mark.parametrize("how", ["event", "answer"])
def test_version_that_is_too_old_means_to_list_again_and_tell_the_difference(how: str) -> None:
    async def work(server: ApiServer, watched: Watched) -> None:
        await watched.hear("+a/x", "+a/y", "+a/z", "synced")
        server.cut("Pod")  # nobody sees what follows
        server.delete("Pod", "a/y")
        server.delete("Pod", "a/z")
        server.put("Pod", "a/z")
        server.put("Pod", "a/new")
        server.compact("Pod")
        if how == "answer":
            server.script(f"watch {PODS}", Answer(410))
        await watched.hear("-a/y", "-a/z", "+a/z", "+a/new", "synced")

    def before(server: ApiServer) -> None:
        for key in ("a/x", "a/y", "a/z"):
            server.put("Pod", key)

    watching(work, before=before)


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_busy_server_is_not_asked_for_everything(code: int) -> None:
    async def work(server: ApiServer, watched: Watched) -> None:
        await watched.hear("+a/x", "synced")
        server.script(f"watch {PODS}", *[Answer(code)] * 3)
        server.cut("Pod")
        await watched.asked(PODS, 4, watch=True)
        assert str(code) in watched.reflector.problem
        server.put("Pod", "a/y")
        await watched.hear("+a/y")
        assert (watched.reflector.lists, watched.reflector.problem) == (1, "")

    watching(work, before=one_pod)


def test_server_that_never_goes_on_from_a_version_is_asked_for_everything() -> None:
    async def work(server: ApiServer, watched: Watched) -> None:
        await watched.hear("synced")
        server.script(f"watch {PODS}", *[Answer(500)] * module.REFUSALS)
        server.cut("Pod")
        await watched.hear("synced")

    watching(work)


def test_version_that_the_server_does_not_know_yet_means_to_list() -> None:
    async def work(server: ApiServer, watched: Watched) -> None:
        await watched.hear("+a/x", "synced")
        message = "Too large resource version: 900, current: 5"
        server.script(f"watch {PODS}", Answer(504, encoded(status(504, message=message))))
        server.cut("Pod")
        await watched.hear("synced")

    watching(work, before=one_pod)


def test_restored_backup_is_told_before_its_objects() -> None:
    async def work(server: ApiServer, watched: Watched) -> None:
        await watched.hear("+a/x", "synced")
        server.version = 40
        server.put("Pod", "a/x", spec={"nodeName": "old"})
        server.script(f"watch {PODS}", Answer(410))
        server.cut("Pod")
        await watched.hear("rewound", "+a/x", "synced")
        server.put("Pod", "a/x", spec={"nodeName": "new"})
        await watched.hear("+a/x")

    watching(work, before=one_pod)


@pytest.mark.parametrize("event", [status(500), status(429), status(504), {}, {"code": "x"}])
def test_error_event_ends_the_watch_only(event: dict[str, Any]) -> None:
    async def work(server: ApiServer, watched: Watched) -> None:
        await watched.hear("+a/x", "synced")
        await watched.tell({"type": "ERROR", "object": event})
        await watched.asked(PODS, 2, watch=True)
        server.put("Pod", "a/y")
        await watched.hear("+a/y")
        assert watched.reflector.lists == 1

    watching(work, before=one_pod)


@pytest.mark.parametrize(
    "text",
    [
        b"<html>\n",
        b"[]\n",
        b'{"type":"ADDED"}\n',
        b'{"type":"ADDED","object":null}\n',
        b'{"type":"ADDED","object":{"spec":{}}}\n',
        b'{"type":"ADDED","object":{"metadata":{"name":""}}}\n',
        b'{"type":"BOOKMARK","object":{}}\n',
        b'{"type":"ADDED","object":{"metadata":{"name":"x","resourceVersion":5}}}\n',
    ],
)
def test_line_of_nonsense_means_to_list_again(text: bytes) -> None:
    async def work(server: ApiServer, watched: Watched) -> None:
        await watched.hear("+a/x", "synced")
        server.script(f"watch {PODS}", Answer(lines=(text,), hang=True))
        server.cut("Pod")
        await watched.hear("synced")

    watching(work, before=one_pod)


def test_kind_of_event_that_is_not_known_is_a_change() -> None:
    """Whatever it is called: the object is what the server says."""

    async def work(server: ApiServer, watched: Watched) -> None:
        await watched.hear("synced")
        tree = {"metadata": {"name": "x", "namespace": "a", "uid": "u", "resourceVersion": "200"}}
        await watched.tell({"type": "RENAMED", "object": tree})
        await watched.hear("+a/x")

    watching(work)


def test_watch_that_ends_at_once_again_and_again_is_no_hot_loop() -> None:
    async def work(server: ApiServer, watched: Watched) -> None:
        server.script(f"watch {PODS}", *[Answer(lines=(b"\n",))] * 1000)
        await watched.hear("synced")
        await asyncio.sleep(0.3)
        assert server.count(PODS, watch=True) < 40
        assert server.count(PODS) == 1

    watching(work)


def test_version_that_is_always_too_old_is_no_hot_loop() -> None:
    async def work(server: ApiServer, watched: Watched) -> None:
        server.script(f"watch {PODS}", *[Answer(410)] * 1000)
        await asyncio.sleep(0.3)
        assert 2 <= server.count(PODS) < 40

    watching(work)


def test_silence_is_the_end_of_a_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SILENCE_S", 0.05)

    async def work(server: ApiServer, watched: Watched) -> None:
        await watched.hear("synced")
        await watched.asked(PODS, 2, watch=True)
        server.put("Pod", "a/y")
        await watched.hear("+a/y")

    watching(work)


def test_event_of_two_megabytes() -> None:
    async def work(server: ApiServer, watched: Watched) -> None:
        await watched.hear("synced")
        server.put("Pod", "a/x", metadata={"annotations": {"big": "x" * 2_000_000}})
        await watched.hear("+a/x")

    watching(work)


def test_connection_that_breaks_in_the_middle_of_an_event() -> None:
    async def work(server: ApiServer, watched: Watched) -> None:
        await watched.hear("synced")
        server.script(f"watch {PODS}", Answer(200, b'{"type":"ADDED","object":{"metadata"' * 50, cut=True))
        server.cut("Pod")
        server.put("Pod", "a/x")
        await watched.hear("+a/x")

    watching(work)


# What is believed


def test_late_events_are_no_news() -> None:
    async def work(server: ApiServer, watched: Watched) -> None:
        await watched.hear("+a/x", "synced")
        old = server.of("Pod").objects["a/x"]
        server.put("Pod", "a/x")
        await watched.hear("+a/x")
        now = server.of("Pod").objects["a/x"]
        other = {**old, "metadata": {**old["metadata"], "uid": "another"}}
        await watched.tell({"type": "MODIFIED", "object": old})
        await watched.tell({"type": "MODIFIED", "object": now})
        await watched.tell({"type": "DELETED", "object": other})
        await watched.tell({"type": "DELETED", "object": {"metadata": {"name": "unknown", "namespace": "a"}}})
        server.put("Pod", "a/y")
        await watched.hear("+a/y")
        at = server.version
        server.cut("Pod")
        await watched.asked(PODS, 2, watch=True)
        assert server.asked[-1].query["resourceVersion"] == str(at), "not from where the late event was"

    watching(work, before=one_pod)


def test_another_object_of_the_name_ends_the_first() -> None:
    async def work(server: ApiServer, watched: Watched) -> None:
        await watched.hear("+a/x", "synced")
        metadata = {"name": "x", "namespace": "a", "uid": "another", "resourceVersion": "900"}
        await watched.tell({"type": "ADDED", "object": {"metadata": metadata}})
        await watched.hear("-a/x", "+a/x")

    watching(work, before=one_pod)


def test_object_that_cannot_be_read_any_more_stays_as_it_was() -> None:
    """What a node does not have any more may be taken away with it: in doubt it is still there."""

    async def work(server: ApiServer, watched: Watched) -> None:
        await watched.hear("+a/x", "synced")
        server.put("Pod", "a/x", spec=5)
        server.put("Pod", "a/y")
        await watched.hear("+a/y")
        server.compact("Pod")
        server.script(f"watch {PODS}", Answer(410))
        server.cut("Pod")
        await watched.until(lambda: len(watched.told) == 1)
        assert watched.told[0].keys == {"a/x", "a/y"}
        await watched.hear("synced")
        server.put("Pod", "a/x", spec={})
        await watched.hear("+a/x")
        server.put("Pod", "a/x", spec=5)
        server.delete("Pod", "a/x")
        await watched.hear("-a/x")

    watching(work, before=one_pod)


def test_unreadable_object_ends_another_of_its_name() -> None:
    async def work(server: ApiServer, watched: Watched) -> None:
        await watched.hear("+a/x", "synced")
        server.delete("Pod", "a/x")
        server.put("Pod", "a/x", spec=5)
        await watched.hear("-a/x")

    watching(work, before=one_pod)


# Kinds that come and go


def one_pool(server: ApiServer) -> None:
    server.put("NodePool", "gpu", spec=POOL)


def test_kind_that_is_removed_and_put_back() -> None:
    async def work(server: ApiServer, watched: Watched) -> None:
        await watched.hear("+gpu", "synced")
        server.missing.add("NodePool")
        server.of("NodePool").objects.clear()
        server.cut("NodePool")
        await watched.hear("-gpu", "missing")
        busy = Answer(429, encoded(status(429, message="storage is (re)initializing")))
        await watched.asked(POOLS, server.count(POOLS) + 2)
        server.script(POOLS, busy, busy)
        server.missing.clear()
        server.put("NodePool", "new", spec=POOL)
        await watched.hear("+new", "synced")
        server.put("NodePool", "newer", spec=POOL)
        await watched.hear("+newer")

    watching(work, "NodePool", one_pool)


def test_objects_that_are_kept_go_when_a_list_of_their_kind_does_not_have_them() -> None:
    async def work(server: ApiServer, watched: Watched) -> None:
        await watched.hear("+gpu", "+old", "synced")
        server.missing.add("NodePool")
        server.cut("NodePool")
        await watched.hear("missing")
        del server.of("NodePool").objects["old"]
        server.put("NodePool", "new", spec=POOL)
        server.missing.clear()
        await watched.hear("-old", "+new", "synced")

    def before(server: ApiServer) -> None:
        one_pool(server)
        server.put("NodePool", "old", spec=POOL)

    watching(work, "NodePool", before, keeps=True)


def test_kind_that_is_not_there_is_missing_and_told_once() -> None:
    async def work(server: ApiServer, watched: Watched) -> None:
        await watched.asked(POOLS, 4)
        await watched.hear("missing")
        assert "404" in watched.reflector.problem
        server.missing.clear()
        await watched.hear("synced")

    watching(work, "NodePool", lambda server: server.missing.add("NodePool"))


@pytest.mark.parametrize("kind", ["NodePool", "Pod"])
def test_not_found_page_of_something_in_between_ends_nothing(kind: str) -> None:
    """A proxy without its server answers 404 to everything: no machine may be ended for that."""

    async def work(server: ApiServer, watched: Watched) -> None:
        await watched.until(lambda: len(watched.told) == 2)
        watched.told = []
        page, path = Answer(404, b"<html>no such backend</html>"), POOLS if kind == "NodePool" else PODS
        server.script(f"watch {path}", page)
        server.script(path, *[page] * 3)
        server.script("/apis", *[page] * 4)
        server.cut(kind)
        await watched.hear("synced")
        assert server.count(path) >= 5

    watching(work, kind, one_pool if kind == "NodePool" else one_pod)


def test_kind_that_we_may_not_ask_about_is_missing_only_where_nothing_is_known() -> None:
    async def work(server: ApiServer, watched: Watched) -> None:
        await watched.hear("missing")
        server.missing.clear()
        one_pool(server)
        await watched.hear("+gpu", "synced")
        server.script(POOLS, *[Answer(404)] * 3)
        server.script(f"watch {POOLS}", Answer(404))
        server.cut("NodePool")
        await watched.hear("synced")

    def before(server: ApiServer) -> None:
        server.missing.add("NodePool")
        server.script("/apis", *[Answer(403)] * 1000)

    watching(work, "NodePool", before)


# The beginning and the end


def test_refused_list_is_asked_for_again_and_said() -> None:
    async def work(server: ApiServer, watched: Watched) -> None:
        await watched.asked(PODS, 2)
        assert "403 Forbidden" in watched.reflector.problem
        await watched.hear("+a/x", "synced")
        assert watched.reflector.problem == ""

    def before(server: ApiServer) -> None:
        one_pod(server)
        server.script(PODS, *[Answer(403, encoded(status(403, "Forbidden")))] * 3)

    watching(work, before=before)


def test_closed_reflector_leaves_no_watch_behind() -> None:
    async def main() -> None:
        async with served() as server, Client.connect(server.access, LIMITS) as client:
            one_pod(server)
            changes = Reflector(client, "Pod").changes()
            for _ in range(2):
                await anext(changes)
            waiting = asyncio.ensure_future(anext(changes))
            while not server.count(PODS, watch=True):
                await asyncio.sleep(0.002)
            waiting.cancel()
            await asyncio.wait([waiting])
            await changes.aclose()
            connector = client.http._open().connector
            assert connector is not None
            assert not connector._acquired

    asyncio.run(main())
