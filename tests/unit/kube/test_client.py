"""Verbs on typed objects: lists of any length, objects of any shape, and writes that say who they are meant for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from fretsaw.api.kinds import KINDS
from fretsaw.kube import client as module
from fretsaw.kube.client import APPLY, MERGE, Client, path_of
from fretsaw.kube.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Expired,
    KubeError,
    NotFound,
    NotUnderstood,
    TooManyRequests,
)
from fretsaw.kube.http import Limits
from support.api_server import Answer, ApiServer, served
from support.api_store import status

PODS, POD = "/api/v1/pods", "/api/v1/namespaces/a/pods/x"
LIMITS = Limits(patience_s=1.0)


def with_client(work: Callable[[ApiServer, Client], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        async with served() as server, Client.connect(server.access, LIMITS) as client:
            return await work(server, client)

    return asyncio.run(main())


# Paths


@pytest.mark.parametrize(
    ("kind", "key", "part", "path"),
    [
        ("Pod", None, "", "/api/v1/pods"),
        ("Pod", "a/x", "eviction", "/api/v1/namespaces/a/pods/x/eviction"),
        ("Node", "n", "", "/api/v1/nodes/n"),
        ("StorageClass", None, "", "/apis/storage.k8s.io/v1/storageclasses"),
        ("EC2NodeClass", "c", "status", "/apis/karpenter.k8s.aws/v1/ec2nodeclasses/c/status"),
        ("NodeOverlay", None, "", "/apis/karpenter.sh/v1alpha1/nodeoverlays"),
        ("CapacityBuffer", "a/x", "", "/apis/autoscaling.x-k8s.io/v1beta1/namespaces/a/capacitybuffers/x"),
        ("HorizontalPodAutoscaler", None, "", "/apis/autoscaling/v2/horizontalpodautoscalers"),
    ],
)
def test_paths(kind: str, key: str | None, part: str, path: str) -> None:
    assert path_of(kind, key, part) == path


def test_every_kind_can_be_listed() -> None:
    async def work(server: ApiServer, client: Client) -> None:
        for kind in KINDS.values():
            server.put(kind.name, "a/x" if kind.namespaced else "x", **_least(kind.name))
            listed = await client.list(kind.name)
            assert [obj.metadata.name for obj in listed.objects] == ["x"], kind.name

    with_client(work)


def _least(kind: str) -> dict[str, Any]:
    """The fields that a kind cannot be without."""
    ref = {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "c"}
    spec = {"nodeClassRef": ref, "requirements": []}
    return {
        "NodePool": {"spec": {"template": {"spec": spec}}},
        "NodeClaim": {"spec": spec},
        "NodeOverlay": {"spec": {"requirements": []}},
        "CapacityBuffer": {"spec": {}},
    }.get(kind, {})


# Lists


def _filled(server: ApiServer, number: int) -> None:
    for index in range(number):
        server.put("Pod", f"a/{index:04}")


def test_long_list_comes_in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 10)

    async def work(server: ApiServer, client: Client) -> None:
        _filled(server, 35)
        listed = await client.list("Pod", labels="a=b")
        assert [obj.metadata.name for obj in listed.objects] == [f"{index:04}" for index in range(35)]
        assert listed.resource_version == str(server.version)
        assert server.count(PODS) == 4
        assert {one.query.get("labelSelector") for one in server.asked} == {"a=b"}

    with_client(work)


@pytest.mark.parametrize("expiries", [1, 2])
def test_list_that_expires_in_the_middle_begins_again(monkeypatch: pytest.MonkeyPatch, expiries: int) -> None:
    monkeypatch.setattr(module, "PAGE", 10)

    async def work(server: ApiServer, client: Client) -> None:
        _filled(server, 25)
        left, real = expiries, server.handle

        def handle(method: str, path: str, query: Any, body: Any) -> Any:
            nonlocal left
            if query.get("continue") and left:
                left -= 1
                server.compact("Pod")
                server.put("Pod", f"a/new-{left}")
            return real(method, path, query, body)

        server.handle = handle  # type: ignore[method-assign]
        listed = await client.list("Pod")
        assert len(listed.objects) == 25 + expiries
        assert listed.resource_version == str(server.version)
        assert ("limit" not in server.asked[-1].query) is (expiries == 2)

    with_client(work)


def test_list_that_always_expires_is_told() -> None:
    async def work(server: ApiServer, client: Client) -> None:
        server.script(PODS, *[Answer(410)] * 3)
        with pytest.raises(Expired):
            await client.list("Pod")
        assert server.count(PODS) == 3

    with_client(work)


def test_objects_that_change_while_pages_are_read_are_watched_from_the_first_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server may go on at a later moment; what happened in between is then told by the watch."""
    monkeypatch.setattr(module, "PAGE", 1)

    async def work(server: ApiServer, client: Client) -> None:
        first = (
            b'{"metadata":{"resourceVersion":"5","continue":"c"},"items":[{"metadata":{"name":"x","namespace":"a"}}]}'
        )
        server.script(PODS, Answer(body=first), Answer(body=b'{"metadata":{"resourceVersion":"9"},"items":[]}'))
        assert (await client.list("Pod")).resource_version == "5"

    with_client(work)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>please log in</html>",
        b'{"metadata":{"resourceVersion":"5"},"items":[',
        b'{"items":[]}',
        b'{"metadata":null,"items":[]}',
        b'{"metadata":{"resourceVersion":5},"items":[]}',
        b'{"metadata":{"resourceVersion":""},"items":[]}',
        b'{"metadata":{"resourceVersion":"5"},"items":{}}',
        b'{"metadata":{"resourceVersion":"5"},"items":[{"metadata":{"name":"\xff"}}]}',
        b"[]",
        b"null",
        b"[" * 100_000,
    ],
)
def test_what_is_no_list_is_not_understood(body: bytes) -> None:
    async def work(server: ApiServer, client: Client) -> None:
        server.script(PODS, Answer(body=body))
        with pytest.raises(NotUnderstood, match="not an answer of a Kubernetes API"):
            await client.list("Pod")

    with_client(work)


def test_objects_that_cannot_be_read_are_left_out_and_told() -> None:
    async def work(server: ApiServer, client: Client) -> None:
        told: list[tuple[str, str]] = []
        client.on_unreadable(lambda kind, key, why: told.append((key, why)))
        items = [
            {"metadata": {"name": "good", "namespace": "a", "labels": None}, "spec": {"nodeName": None}},
            {"metadata": {"name": "bad", "namespace": "a", "uid": "u"}, "spec": {"nodeName": 5}},
            {"metadata": {"namespace": "a"}},
            {"spec": {}},
            None,
            5,
        ]
        server.script(PODS, Answer(body=msgspec.json.encode({"metadata": {"resourceVersion": "5"}, "items": items})))
        listed = await client.list("Pod")
        assert ([obj.metadata.name for obj in listed.objects], listed.unread) == (["good"], {"a/bad": "u"})
        assert told == [
            ("a/bad", 'spec.nodeName: must be text: 5 (put it in quotes: "5")'),
            ("?", "metadata.name: missing"),
            ("?", "metadata.name: missing"),
            ("?", "must be a map: None"),
            ("?", "must be a map: 5"),
        ]

    with_client(work)


def test_list_without_items_is_empty() -> None:
    async def work(server: ApiServer, client: Client) -> None:
        for items in (b"", b',"items":null'):
            server.script(PODS, Answer(body=b'{"metadata":{"resourceVersion":"5","continue":null}' + items + b"}"))
            assert (await client.list("Pod")).objects == ()

    with_client(work)


# What the server has


def test_server_says_itself_which_kinds_it_has() -> None:
    async def work(server: ApiServer, client: Client) -> None:
        assert await client.serves("NodePool")
        server.missing = {"NodePool"}
        assert not await client.serves("NodePool"), "the group is there, the kind is not"
        server.missing = {"EC2NodeClass"}
        assert not await client.serves("EC2NodeClass"), "the group is not there"
        server.missing = {"Pod"}
        assert await client.serves("Pod"), "a server without pods is none"

    with_client(work)


@pytest.mark.parametrize("answer", [Answer(404), Answer(body=b"<html>"), Answer(503), Answer(403), Answer(body=b"{}")])
def test_no_list_of_kinds_proves_nothing(answer: Answer) -> None:
    async def work(server: ApiServer, client: Client) -> None:
        server.script("/apis", *[answer] * 1000)
        with pytest.raises(KubeError):
            await client.serves("NodePool")

    with_client(work)


# Objects


def test_one_object() -> None:
    async def work(server: ApiServer, client: Client) -> None:
        server.put("Pod", "a/x", spec={"nodeName": "n"})
        assert (await client.get("Pod", "a/x")).spec.node_name == "n"
        with pytest.raises(NotFound):
            await client.get("Pod", "a/y")
        server.script(POD, Answer(body=b"<html>"))
        with pytest.raises(NotUnderstood):
            await client.get("Pod", "a/x")

    with_client(work)


def test_create_in_its_namespace_and_once_only() -> None:
    async def work(server: ApiServer, client: Client) -> None:
        made = await client.create("Pod", {"metadata": {"name": "x", "namespace": "a"}, "spec": {}})
        assert (made.metadata.key, made.metadata.resource_version) == ("a/x", str(server.version))
        path = "/api/v1/namespaces/a/pods"
        assert (server.asked[-1].path, server.asked[-1].body["kind"]) == (path, "Pod")
        server.script(path, Answer(504, after=True))
        with pytest.raises(AlreadyExists):  # of our own first try
            await client.create("Pod", {"metadata": {"name": "y", "namespace": "a"}})
        assert "a/y" in server.of("Pod").objects

    with_client(work)


def test_patch_and_apply_say_what_they_are() -> None:
    async def work(server: ApiServer, client: Client) -> None:
        server.put("Pod", "a/x", spec={"nodeName": "n", "priority": 1})
        patched = await client.patch("Pod", "a/x", {"spec": {"nodeName": None}}, "status")
        assert (patched.spec.node_name, patched.spec.priority) == ("", 1)
        assert (server.asked[-1].path, server.asked[-1].headers["Content-Type"]) == (f"{POD}/status", MERGE)
        with pytest.raises(Conflict):
            await client.patch("Pod", "a/x", {"metadata": {"resourceVersion": "1"}})
        await client.apply("Pod", "a/x", {"spec": {"priority": 2}}, force=False)
        assert server.asked[-1].headers["Content-Type"] == APPLY
        assert server.asked[-1].query == {"fieldManager": "fretsaw", "force": "false"}

    with_client(work)


def test_delete_of_that_one_only() -> None:
    async def work(server: ApiServer, client: Client) -> None:
        uid = server.put("Pod", "a/x")["metadata"]["uid"]
        with pytest.raises(Conflict):
            await client.delete("Pod", "a/x", uid="other")
        assert await client.delete("Pod", "a/x", uid=uid, grace_s=0) is None
        assert server.asked[-1].body["gracePeriodSeconds"] == 0
        assert server.of("Pod").objects == {}

    with_client(work)


def test_delete_that_something_holds_up_answers_the_object() -> None:
    async def work(server: ApiServer, client: Client) -> None:
        metadata = {"name": "x", "namespace": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"}
        server.script(
            POD,
            Answer(body=msgspec.json.encode({"kind": "Pod", "metadata": metadata})),
            Answer(body=msgspec.json.encode({"kind": "Pod", "metadata": {"name": "x"}})),
            Answer(body=b'{"kind":"Status","status":"Success"}'),
        )
        assert (await client.delete("Pod", "a/x")).metadata.deletion_timestamp
        assert await client.delete("Pod", "a/x") is None
        assert await client.delete("Pod", "a/x") is None
        server.script(POD, Answer(body=b"gone"))
        with pytest.raises(NotUnderstood):
            await client.delete("Pod", "a/x")

    with_client(work)


def test_eviction_is_asked_once() -> None:
    async def work(server: ApiServer, client: Client) -> None:
        body = msgspec.json.encode(status(429, message="Cannot evict pod", retryAfterSeconds=10))
        server.script(f"{POD}/eviction", Answer(429, body), Answer(500), Answer(201))
        with pytest.raises(TooManyRequests, match="Cannot evict pod"):
            await client.evict("a/x", "uid")
        with pytest.raises(ApiError):
            await client.evict("a/x", "uid")
        await client.evict("a/x", "uid")
        assert server.count(f"{POD}/eviction", "POST") == 3
        assert server.asked[-1].body["deleteOptions"] == {"preconditions": {"uid": "uid"}}

    with_client(work)
