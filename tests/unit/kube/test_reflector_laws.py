"""Whatever happens to the server and to the way there, what a Reflector tells comes to what the server has."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fretsaw.kube import client as client_module
from fretsaw.kube.client import Client
from fretsaw.kube.reflector import Change, Reflector
from fretsaw.kube.versions import older
from support.api_store import ApiStore, status
from support.memory_http import Fate, MemoryHttp
from support.virtual_time import run

NAMES = ["a/x", "a/y", "b/x", "b/z"]
KEYS = st.sampled_from(NAMES)
DELAYS = st.sampled_from([0.0, 0.005, 0.05, 0.5, 30.0])
CHANGES = ["put", "put", "delete", "replace", "unreadable"]
WATCHED = ["cut", "compact", "expire", "fail", "bookmark", "nonsense", "stale"]
STEPS = st.lists(st.tuples(st.sampled_from(CHANGES + WATCHED), KEYS, DELAYS, st.booleans()), max_size=25)
"""(what, of which object, after how long, unseen: nobody can watch it any more)."""
FATES = st.builds(
    Fate,
    there_s=st.sampled_from([0.001, 0.02, 0.3]),
    back_s=st.sampled_from([0.0, 0.01, 0.4]),
    lost=st.booleans(),
    refused=st.sampled_from([0, 0, 0, 410, 429, 500, 503, 504, 403, 404]),
)


class Story:
    """What was told, and that each line of it could be true."""

    def __init__(self) -> None:
        self.now: dict[str, tuple[str, str]] = {}
        self.synced = 0
        self._newest: dict[str, str] = {}
        self._ended: set[str] = set()

    def hear(self, change: Change) -> None:
        """Fails where it contradicts what was told before."""
        if change.what == "synced":
            self.synced += 1
            assert change.keys >= self.now.keys()
            return
        assert change.what == "object", change
        if change.obj is None:
            uid, _ = self.now.pop(change.key)  # KeyError: the end of something that was never told
            assert change.uid == uid
            self._ended.add(uid)
            return
        uid, version = change.obj.metadata.uid, change.obj.metadata.resource_version
        assert uid not in self._ended, "risen from the dead"
        assert self.now.get(change.key, (uid, ""))[0] == uid, "another object before the end of the first"
        assert older(self._newest.get(uid, "0"), version), "not newer than what was told"
        self._newest[uid] = version
        self.now[change.key] = uid, version


def act(store: ApiStore, what: str, key: str, unseen: bool) -> None:
    """One step of the world."""
    there = key in store.of("Pod").objects
    if what == "put":
        store.put("Pod", key, spec={"nodeName": f"node-{store.version}"})
    elif what == "unreadable" and there:
        store.put("Pod", key, spec=f"no spec {store.version}")
    elif what == "stale" and there:
        uid = store.of("Pod").objects[key]["metadata"]["uid"]
        log = [tree for _, kind, tree in store.of("Pod").log if kind and tree["metadata"]["uid"] == uid]
        store.tell("Pod", {"type": "MODIFIED", "object": log[0]})
    elif what == "delete" and there:
        store.delete("Pod", key)
    elif what == "replace" and there:
        store.delete("Pod", key)
        store.put("Pod", key)
    elif what == "cut":
        store.cut("Pod")
    elif what == "compact":
        store.compact("Pod")
        store.cut("Pod")
    elif what == "expire":
        store.tell("Pod", {"type": "ERROR", "object": status(410)})
    elif what == "fail":
        store.tell("Pod", {"type": "ERROR", "object": status(500, message="etcdserver: no leader")})
    elif what == "nonsense":
        store.tell("Pod", {"type": "ADDED", "object": {"no": "metadata"}})
    elif what == "bookmark":
        mark = {"metadata": {"resourceVersion": str(store.version)}}
        store.tell("Pod", {"type": "BOOKMARK", "object": mark})
    if unseen and what in CHANGES:
        store.compact("Pod")
        store.cut("Pod")


async def lived(steps: list[tuple[str, str, float, bool]], fates: list[Fate]) -> tuple[Story, ApiStore]:
    """All steps while a Reflector watches, and then time enough to hear of them."""
    store, story, pending = ApiStore(), Story(), deque(fates)
    for key in NAMES:
        store.put("Pod", key)
    client = Client(MemoryHttp(store, lambda: pending.popleft() if pending else Fate()))
    watching = asyncio.ensure_future(follow(client, story))
    for what, key, delay, unseen in steps:
        await asyncio.sleep(delay)
        act(store, what, key, unseen)
    for key in list(store.of("Pod").objects):
        store.put("Pod", key, spec={})  # what could not be read can be read now
    await asyncio.sleep(2000)
    assert not watching.done(), watching.exception()
    watching.cancel()
    await asyncio.wait([watching])
    return story, store


async def follow(client: Client, story: Story) -> None:
    """Hear everything."""
    async for change in Reflector(client, "Pod").changes():
        story.hear(change)


@pytest.fixture(autouse=True, scope="module")
def small_pages() -> Any:
    """Lists of a few objects have several pages, between which the world goes on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client_module, "PAGE", 2)
        yield


@settings(max_examples=300, deadline=None)
@given(STEPS, st.lists(FATES, max_size=12))
def test_what_is_told_comes_to_what_there_is(steps: list[tuple[str, str, float, bool]], fates: list[Fate]) -> None:
    story, store = run(lived(steps, fates))
    assert story.now == store.versions("Pod")


@settings(max_examples=50, deadline=None)
@given(st.lists(FATES, max_size=12))
def test_trouble_at_the_start_only_delays_the_first_list(fates: list[Fate]) -> None:
    story, store = run(lived([], fates))
    assert (story.now, story.synced > 0) == (store.versions("Pod"), True)
