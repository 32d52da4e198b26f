"""The API client and the election before a real API server, with the faults that real ones have."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from fretsaw.controllers.leader import Election, Terms
from fretsaw.kube import client as client_module
from fretsaw.kube.access import load_access
from fretsaw.kube.client import Client
from fretsaw.kube.errors import AlreadyExists, Conflict, Invalid, NotFound, TooManyRequests
from fretsaw.kube.http import Http, Limits
from fretsaw.kube.reflector import Change, Reflector
from support.controlplane import Api, ControlPlane

REF = {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"}
SPEC = {"nodeClassRef": REF, "requirements": []}
LIMITS = Limits(patience_s=60.0)


def _claim(name: str, **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **metadata}, "spec": SPEC}


def _pod(namespace: str, name: str, **labels: str) -> dict[str, Any]:
    containers = [{"name": "main", "image": "registry.example/none"}]
    return {"metadata": {"name": name, "namespace": namespace, "labels": labels}, "spec": {"containers": containers}}


def connected(plane: ControlPlane, work: Callable[[Client], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        async with Client.connect(load_access(str(plane.kubeconfig())), LIMITS) as client:
            return await work(client)

    return asyncio.run(main())


class Mirror:
    """What a Reflector has told."""

    def __init__(self, client: Client, kind: str) -> None:
        self.reflector = Reflector(client, kind)
        self.objects: dict[str, Any] = {}
        self.told: list[Change] = []

    async def follow(self) -> None:
        async for change in self.reflector.changes():
            self.told.append(change)
            if change.what == "object" and change.obj is None:
                del self.objects[change.key]
            elif change.what == "object":
                self.objects[change.key] = change.obj

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(120):
            while not done():
                await asyncio.sleep(0.02)


async def _mirrored(client: Client, kind: str, work: Callable[[Mirror], Awaitable[None]]) -> None:
    mirror = Mirror(client, kind)
    following = asyncio.ensure_future(mirror.follow())
    try:
        await mirror.until(lambda: any(change.what == "synced" for change in mirror.told))
        await work(mirror)
        assert not following.done(), following.exception()
    finally:
        following.cancel()
        await asyncio.wait([following])


# Keeping up


def test_watch_goes_on_over_a_restart_of_the_server(control_plane: ControlPlane, crds: list[str]) -> None:
    first, second = f"c-{uuid.uuid4().hex[:6]}", f"c-{uuid.uuid4().hex[:6]}"

    async def work(client: Client) -> None:
        await client.create("NodeClaim", _claim(first))

        async def restarted(mirror: Mirror) -> None:
            assert first in mirror.objects
            await asyncio.to_thread(control_plane.restart, "kube-apiserver")
            made = await client.create("NodeClaim", _claim(second))
            await client.delete("NodeClaim", first)
            await mirror.until(lambda: second in mirror.objects and first not in mirror.objects)
            assert mirror.objects[second] == made
            await client.delete("NodeClaim", second)
            await mirror.until(lambda: second not in mirror.objects)

        await _mirrored(client, "NodeClaim", restarted)

    connected(control_plane, work)


def test_requests_wait_for_an_etcd_that_hangs(control_plane: ControlPlane, crds: list[str]) -> None:
    name = f"c-{uuid.uuid4().hex[:6]}"

    async def work(client: Client) -> None:
        async def paused(mirror: Mirror) -> None:
            with control_plane.paused("etcd"):
                making = asyncio.ensure_future(client.create("NodeClaim", _claim(name)))
                await asyncio.sleep(2)
                assert not making.done()
            with suppress(AlreadyExists):  # an earlier try had got through
                await making
            await mirror.until(lambda: name in mirror.objects)
            await client.delete("NodeClaim", name)

        await _mirrored(client, "NodeClaim", paused)

    connected(control_plane, work)


def test_kind_is_missing_until_its_definition_is_there_again(
    control_plane: ControlPlane, api: Api, crds: list[str]
) -> None:
    name = "nodeoverlays.karpenter.sh"
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}"

    async def work(client: Client) -> None:
        async def removed(mirror: Mirror) -> None:
            definition = await asyncio.to_thread(api, "GET", path)
            await asyncio.to_thread(api, "DELETE", path)
            await mirror.until(lambda: mirror.told[-1].what == "missing")
            kept = {
                key: definition["metadata"][key] for key in ("name", "annotations") if key in definition["metadata"]
            }
            again = {**definition, "metadata": kept, "status": None}
            await asyncio.to_thread(api.create, again)
            await mirror.until(lambda: mirror.told[-1].what == "synced")

        assert await client.serves("NodeOverlay")
        await _mirrored(client, "NodeOverlay", removed)

    connected(control_plane, work)


def test_thousands_of_objects_come_in_pages(control_plane: ControlPlane, namespace: str) -> None:
    number = 2000

    async def work(client: Client) -> None:
        pods = [_pod(namespace, f"p-{index}") for index in range(number)]
        await asyncio.gather(*(client.create("Pod", pod) for pod in pods))
        pages: list[str] = []
        client.http.observers.append(lambda method, path, status, seconds: pages.append(path))
        listed = await client.list("Pod")
        ours = [obj.metadata.name for obj in listed.objects if obj.metadata.namespace == namespace]
        assert sorted(ours) == sorted(f"p-{index}" for index in range(number))
        assert len(pages) == -(-len(listed.objects) // client_module.PAGE)

        async def seen(mirror: Mirror) -> None:
            await asyncio.gather(*(client.delete("Pod", f"{namespace}/p-{i}", grace_s=0) for i in range(number)))
            await mirror.until(lambda: not any(key.startswith(f"{namespace}/") for key in mirror.objects))
            assert mirror.reflector.lists == 1

        await _mirrored(client, "Pod", seen)

    connected(control_plane, work)


# Writing


def test_own_fields_are_applied_and_taken_back(control_plane: ControlPlane, crds: list[str]) -> None:
    name = f"c-{uuid.uuid4().hex[:6]}"

    async def work(client: Client) -> None:
        tree = {"metadata": {"name": name, "labels": {"a": "1", "b": "2"}}, "spec": SPEC}
        made = await client.apply("NodeClaim", name, tree)
        assert made.metadata.labels == {"a": "1", "b": "2"}
        tree["metadata"] = {"name": name, "labels": {"a": "1"}}
        assert (await client.apply("NodeClaim", name, tree)).metadata.labels == {"a": "1"}
        await client.delete("NodeClaim", name)
        with pytest.raises(NotFound):
            await client.get("NodeClaim", name)

    connected(control_plane, work)


def test_status_of_another_version_is_refused(control_plane: ControlPlane, crds: list[str]) -> None:
    name = f"c-{uuid.uuid4().hex[:6]}"

    async def work(client: Client) -> None:
        made = await client.create("NodeClaim", _claim(name))
        with pytest.raises(AlreadyExists):
            await client.create("NodeClaim", _claim(name))
        old = {"metadata": {"resourceVersion": made.metadata.resource_version}}
        await client.patch("NodeClaim", name, {"metadata": {"labels": {"a": "1"}}})
        with pytest.raises(Conflict):
            await client.patch("NodeClaim", name, {**old, "status": {"nodeName": "n"}}, "status")
        patched = await client.patch("NodeClaim", name, {"status": {"nodeName": "n"}}, "status")
        assert (patched.status.node_name, patched.metadata.labels) == ("n", {"a": "1"})
        with pytest.raises(Invalid):
            await client.patch("NodeClaim", name, {"spec": {"expireAfter": "soon"}})
        with pytest.raises(Conflict):
            await client.delete("NodeClaim", name, uid="another")
        await client.delete("NodeClaim", name, uid=made.metadata.uid)

    connected(control_plane, work)


def test_object_with_a_finalizer_is_answered_by_its_deletion(control_plane: ControlPlane, crds: list[str]) -> None:
    name = f"c-{uuid.uuid4().hex[:6]}"

    async def work(client: Client) -> None:
        await client.create("NodeClaim", _claim(name, finalizers=["karpenter.sh/termination"]))
        held = await client.delete("NodeClaim", name)
        assert held.metadata.deletion_timestamp
        await client.patch("NodeClaim", name, {"metadata": {"finalizers": None}})
        with pytest.raises(NotFound):
            await client.get("NodeClaim", name)

    connected(control_plane, work)


@pytest.mark.usefixtures("workloads")
def test_eviction_is_refused_by_a_budget(control_plane: ControlPlane, api: Api, namespace: str) -> None:
    path = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "all", "namespace": namespace},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
    }
    api("POST", path, budget)

    async def work(client: Client) -> None:
        made = await client.create("Pod", _pod(namespace, "web", app="web"))
        ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        await client.patch("Pod", f"{namespace}/web", {"status": ready}, "status")
        with pytest.raises(TooManyRequests, match="disruption budget"):
            await client.evict(f"{namespace}/web", made.metadata.uid)
        await asyncio.to_thread(api, "DELETE", f"{path}/all")
        with pytest.raises(Conflict):
            await client.evict(f"{namespace}/web", "another")
        await client.evict(f"{namespace}/web", made.metadata.uid)
        with pytest.raises(NotFound):
            await client.evict(f"{namespace}/not-there", "")

    connected(control_plane, work)


# Leading


def test_lease_goes_from_one_to_the_other(control_plane: ControlPlane, api: Api, namespace: str) -> None:
    terms = Terms(duration_s=3, renew_s=2, retry_s=0.2)

    async def main() -> None:
        access = load_access(str(control_plane.kubeconfig()))
        async with Http(access) as one, Http(access) as other:
            first = Election(one, namespace, "leader", "first", terms)
            second = Election(other, namespace, "leader", "second", terms)
            await first.acquire()
            keeping = asyncio.ensure_future(first.keep())
            waiting = asyncio.ensure_future(second.acquire())
            await asyncio.sleep(4)
            assert (first.leading, second.leading, second.holder) == (True, False, "first")
            keeping.cancel()
            await asyncio.wait([keeping])
            await first.release()
            async with asyncio.timeout(2):
                await waiting
            assert (first.leading, second.leading) == (False, True)

    asyncio.run(main())
    lease = api("GET", f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/leader")["spec"]
    assert (lease["holderIdentity"], lease["leaseTransitions"]) == ("second", 1)
