"""Whatever the order in which watches and answers tell of objects, the state comes to what the server has."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fretsaw.api.meta import ObjectMeta
from fretsaw.api.policy import Namespace
from fretsaw.controllers import inbox as module
from fretsaw.controllers.inbox import Inbox
from fretsaw.engine import events as e
from fretsaw.engine.state import ClusterState
from fretsaw.kube.client import Client
from fretsaw.kube.errors import KubeError
from fretsaw.kube.reflector import Change, Reflector
from support.api_store import ApiStore
from support.memory_http import Fate, MemoryHttp
from support.virtual_time import run


def _made(version: int, uid: str = "u", *, name: str = "x", **labels: str) -> Namespace:
    return Namespace(metadata=ObjectMeta(name=name, uid=uid, resource_version=str(version), labels=labels))


def _gone(uid: str, name: str = "x") -> Change:
    return Change("Namespace", name, uid=uid)


def _synced(version: int, *names: str) -> Change:
    return Change("Namespace", what="synced", keys=frozenset(names), version=str(version))


class Life:
    """An inbox and the state behind it."""

    def __init__(self) -> None:
        self.inbox, self.state = Inbox(), ClusterState()

    def hear(self, *told: Namespace | Change | e.Event) -> list[str]:
        """What of all this is news: `+label`, or `-`."""
        for one in told:
            if isinstance(one, Change):
                self.inbox.heard(one)
            else:
                self.inbox.put(e.Changed(one) if isinstance(one, Namespace) else one)
        found = []
        for event in self.inbox.news(self.state):
            self.state.apply(event)
            found.append("-" if isinstance(event, e.Gone) else f"+{event.obj.metadata.labels.get('a', '')}")
        return found


def test_change_and_the_answer_to_it_are_one() -> None:
    life = Life()
    assert life.hear(_made(5, a="1"), _made(5, a="1"), _made(6, a="2"), _made(5, a="1")) == ["+1", "+2"]
    assert life.inbox.version("Namespace", "x") == "6"
    assert (life.inbox.dropped, len(life.inbox)) == (2, 0)


def test_change_of_nothing_that_is_read_moves_only_the_version() -> None:
    life = Life()
    assert life.hear(_made(5, a="1"), _made(7, a="1")) == ["+1"]
    assert life.inbox.version("Namespace", "x") == "7"


def test_versions_are_numbers() -> None:
    life = Life()
    assert life.hear(_made(9, a="1"), _made(10, a="2"), _made(9, a="1")) == ["+1", "+2"]


def test_late_answer_does_not_raise_the_dead() -> None:
    life = Life()
    assert life.hear(_made(5, a="1"), _gone("u"), _made(6, a="2")) == ["+1", "-"]
    assert life.hear(_gone("never-told", "y"), _made(7, "never-told", name="y")) == []
    assert life.inbox.version("Namespace", "x") == ""


def test_end_of_an_earlier_object_of_the_name_is_not_the_end_of_the_new_one() -> None:
    """Our create is answered before the watch tells that the first one has gone."""
    life = Life()
    assert life.hear(_made(5, "first", a="1"), _made(9, "second", a="2")) == ["+1", "-", "+2"]
    assert life.hear(_gone("first"), _made(9, "second", a="2"), _made(10, "second", a="3")) == ["+3"]
    assert life.hear(_made(6, "first", a="0")) == []
    assert life.hear(_gone("second")) == ["-"]


def test_older_object_of_the_name_is_not_news() -> None:
    life = Life()
    assert life.hear(_made(9, "second", a="2"), _made(5, "first", a="1")) == ["+2"]


def test_what_only_our_answer_told_of_is_gone_when_a_list_does_not_have_it() -> None:
    """It was made and ended while nobody watched: no watch will ever tell."""
    life = Life()
    assert life.hear(_made(5, a="1"), _made(20, "v", name="y", a="2"), _synced(10)) == ["+1", "+2", "-"]
    assert life.state.get("Namespace", "y") is not None, "made after the list"
    assert life.hear(_synced(30, "y")) == []
    assert life.hear(_made(6, a="1")) == []
    assert life.hear(Change("Namespace", what="missing")) == ["-"]


def test_answer_that_comes_after_a_list_without_its_object_is_too_late() -> None:
    life = Life()
    assert life.hear(_synced(10), _made(5, a="1"), _made(10, "v", name="y", a="2")) == []
    assert life.hear(_made(11, "w", name="z", a="3")) == ["+3"]


def test_lists_of_other_kinds_do_not_matter() -> None:
    life = Life()
    assert life.hear(_made(5, a="1"), Change("Node", what="synced", version="10")) == ["+1"]


def test_restored_backup_counts_though_it_is_older() -> None:
    life = Life()
    assert life.hear(_made(9, a="2"), _made(8, "v", name="y", a="1"), _gone("v", "y")) == ["+2", "+1", "-"]
    assert life.hear(Change("Namespace", what="rewound"), _made(5, a="1"), _made(4, "v", name="y", a="1")) == [
        "+1",
        "+1",
    ]
    assert life.inbox.version("Namespace", "x") == "5"


def test_end_without_a_uid_is_that_of_the_one_that_is_known() -> None:
    life = Life()
    assert life.hear(e.Gone("Namespace", "x"), _made(5, a="1"), e.Gone("Namespace", "x"), _made(6, a="1")) == [
        "+1",
        "-",
    ]


def test_other_events_pass_in_their_order() -> None:
    life = Life()
    event = e.InstanceGone("i-1")
    life.inbox.put(e.Changed(_made(5)))
    life.inbox.put(event)
    assert list(life.inbox.news(life.state))[1] == event


def test_memory_of_the_dead_has_an_end(monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 2)
    life = Life()
    for uid in ("a", "b", "c"):
        life.hear(_gone(uid))
    assert life.hear(_made(5, "c"), _made(5, "b"), _made(5, "a", a="1")) == ["+1"]


# By law

NAMES = ["x", "y", "z"]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "delete", "replace", "create", "patch", "remove", "cut", "compact", "apply"]),
        st.sampled_from(NAMES),
        st.sampled_from([0.0, 0.01, 0.3, 20.0]),
        st.booleans(),
    ),
    max_size=30,
)
FATES = st.builds(
    Fate,
    there_s=st.sampled_from([0.001, 0.05, 0.5]),
    back_s=st.sampled_from([0.0, 0.02, 0.7, 30.0]),
    lost=st.sampled_from([False, False, False, True]),
)


class Cluster:
    """A server that others change, too, with an inbox that hears of it by a Reflector and by our own writes."""

    def __init__(self, fates: list[Fate]) -> None:
        self.store, self.inbox, self.state = ApiStore(), Inbox(), ClusterState()
        left = deque(fates)
        self._watcher = Client(MemoryHttp(self.store))
        self._writer = Client(MemoryHttp(self.store, lambda: left.popleft() if left else Fate()))
        self._tasks: list[asyncio.Task[None]] = []
        self._dead: set[str] = set()
        self._seen: dict[str, str] = {}

    async def live(self, steps: list[tuple[str, str, float, bool]]) -> None:
        """All steps, and then the time to hear of them."""
        watching = asyncio.ensure_future(self._watch())
        for what, name, delay, unseen in steps:
            await asyncio.sleep(delay)
            self._act(what, name)
            if unseen:
                self.store.compact("Namespace")
                self.store.cut("Namespace")
        await asyncio.sleep(100)
        self.store.cut("Namespace")
        self.store.compact("Namespace")
        await asyncio.sleep(1000)
        self._apply()
        assert not watching.done(), watching.exception()
        for task in [watching, *self._tasks]:
            task.cancel()
        await asyncio.wait([watching, *self._tasks])

    def _act(self, what: str, name: str) -> None:
        there = name in self.store.of("Namespace").objects
        labels = {"labels": {"a": str(self.store.version)}}
        match what:
            case "put":
                self.store.put("Namespace", name, metadata=labels)
            case "delete" if there:
                self.store.delete("Namespace", name)
            case "replace" if there:
                self.store.delete("Namespace", name)
                self.store.put("Namespace", name, metadata=labels)
            case "create":
                self._write(lambda: self._writer.create("Namespace", {"metadata": {"name": name, **labels}}))
            case "patch":
                self._write(lambda: self._writer.patch("Namespace", name, {"metadata": labels}))
            case "remove":
                self._write(lambda: self._writer.delete("Namespace", name))
            case "cut":
                self.store.cut("Namespace")
            case "compact":
                self.store.compact("Namespace")
            case "apply":
                self._apply()

    def _write(self, write: Callable[[], Any]) -> None:
        async def written() -> None:
            try:
                obj = await write()
            except KubeError:
                return
            if obj is not None:
                self.inbox.put(e.Changed(obj))

        self._tasks.append(asyncio.ensure_future(written()))

    async def _watch(self) -> None:
        async for change in Reflector(self._watcher, "Namespace").changes():
            self.inbox.heard(change)

    def _apply(self) -> None:
        """Fails where an object comes back after its end, in an older version, or another one without an end between."""
        for event in self.inbox.news(self.state):
            if isinstance(event, e.Gone):
                self._dead.add(self._seen.pop(event.key))
            elif isinstance(event, e.Changed):
                uid, name = event.obj.metadata.uid, event.obj.metadata.name
                assert uid not in self._dead
                assert self._seen.get(name, uid) == uid
                self._seen[name] = uid
            self.state.apply(event)


@settings(max_examples=400, deadline=None)
@given(STEPS, st.lists(FATES, max_size=15))
def test_state_comes_to_what_the_server_has(steps: list[tuple[str, str, float, bool]], fates: list[Fate]) -> None:
    cluster = Cluster(fates)
    run(cluster.live(steps))
    there = cluster.store.of("Namespace").objects
    found = {name: cluster.state.get("Namespace", name) for name in NAMES}
    assert {name: obj.metadata.labels for name, obj in found.items() if obj is not None} == {
        name: tree["metadata"].get("labels", {}) for name, tree in there.items()
    }
    versions = {name: cluster.inbox.version("Namespace", name) for name in there}
    assert versions == {name: tree["metadata"]["resourceVersion"] for name, tree in there.items()}
