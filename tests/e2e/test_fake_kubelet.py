"""Fake kubelets against a real control plane: nodes that join, get their GPUs late, and run what is bound to them."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from msgspec.structs import replace

from fretsaw.api.node import Taint
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.kube.access import load_access
from fretsaw.kube.client import Client
from fretsaw.kubelet import FakeKubelet, KubeletSettings
from fretsaw.kubelet.settings import fixed
from fretsaw.providers.fake.cloud import CloudSettings, FakeCloud
from fretsaw.providers.fake.faults import FAULTS, NodeFault
from fretsaw.providers.fake.provider import FakeProvider
from support.controlplane import Api, ControlPlane
from unit.providers.fake.worlds import named, node_class, served

QUICK = KubeletSettings(
    boot=fixed(0.1), ready=fixed(0.1), gpu=fixed(0.1), startup_taints=fixed(0.1), pod_start=fixed(0.05), heartbeat_s=1
)
ANY = [{"operator": "Exists"}]
WAIT_S = 60


class World:
    """A cluster with a fake cloud and its kubelets."""

    def __init__(self, api: Api, cloud: FakeCloud, provider: FakeProvider) -> None:
        self._api, self.cloud, self.provider = api, cloud, provider

    async def api(self, *call: Any) -> Any:
        """A call of the API server."""
        return await asyncio.to_thread(self._api, *call)

    async def launch(self, claim: NodeClaim) -> str:
        """An instance for a claim: its provider id."""
        return (await self.provider.launch(claim, node_class())).provider_id

    async def node(self, provider_id: str) -> Any:
        """The Node of an instance, None for none."""
        nodes = (await self.api("GET", "/api/v1/nodes"))["items"]
        return next((node for node in nodes if node["spec"].get("providerID") == provider_id), None)

    async def until(self, what: str, look: Callable[[], Awaitable[Any]]) -> Any:
        """The first true answer."""
        deadline = time.monotonic() + WAIT_S
        while not (answer := await look()):
            assert time.monotonic() < deadline, f"not within {WAIT_S} s: {what}"
            await asyncio.sleep(0.02)
        return answer

    async def ready_node(self, claim: NodeClaim) -> Any:
        """The Node of a claim's instance once it is Ready and has its GPU."""
        provider_id = await self.launch(claim)

        async def look() -> Any:
            node = await self.node(provider_id)
            return node if node is not None and is_ready(node) and gpus(node) else None

        return await self.until("a node is ready", look)

    async def pods(self, namespace: str, enough: Callable[[list[Any]], bool], what: str) -> list[Any]:
        """The pods of a namespace once they are as they should be."""

        async def look() -> list[Any] | None:
            found: list[Any] = (await self.api("GET", f"/api/v1/namespaces/{namespace}/pods"))["items"]
            return [*found, None] if enough(found) else None

        return (await self.until(what, look))[:-1]


def is_ready(node: Any) -> bool:
    """Whether a Node says that it is Ready."""
    return any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"]["conditions"])


def gpus(node: Any) -> int:
    """GPUs that a Node has to give."""
    return int(node["status"]["allocatable"].get("nvidia.com/gpu", 0))


def taints(node: Any) -> set[str]:
    """The keys of a Node's taints."""
    return {taint["key"] for taint in node["spec"].get("taints", ())}


def running(pods: list[Any]) -> bool:
    """Whether all of them run."""
    return bool(pods) and all(pod["status"]["phase"] == "Running" for pod in pods)


def phases(pods: list[Any]) -> dict[str, str]:
    """Each pod's phase by its name."""
    return {one["metadata"]["name"]: one["status"]["phase"] for one in pods}


def with_faults(claim: NodeClaim, text: str) -> NodeClaim:
    """The claim of a pool whose template asks for faults."""
    return replace(claim, metadata=replace(claim.metadata, annotations={FAULTS: text}))


def pod(name: str, node: str = "", cpu: str = "100m", gpu: int = 0, **annotations: str) -> Any:
    """A pod; with a node it is bound from the start. annotations: those of fretsaw.dev, `_` for `-`."""
    asked = {"cpu": cpu, **({"nvidia.com/gpu": str(gpu)} if gpu else {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "annotations": {f"fretsaw.dev/{key.replace('_', '-')}": value for key, value in annotations.items()},
        },
        "spec": {
            "containers": [{"name": "main", "image": "app:1", "resources": {"requests": asked, "limits": asked}}],
            "tolerations": ANY,
            "restartPolicy": "Never",
            **({"nodeName": node} if node else {}),
        },
    }


@asynccontextmanager
async def world(
    plane: ControlPlane, settings: KubeletSettings = QUICK, cloud: FakeCloud | None = None, *, keep: bool = False
) -> AsyncIterator[World]:
    """A cloud, a provider and kubelets for the test's control plane. keep: its Nodes stay, for others to take over."""
    found = cloud if cloud is not None else FakeCloud(CloudSettings(pending_s=0.05, shutdown_s=0.2))
    problems: list[tuple[str, Exception]] = []
    access = load_access(str(plane.kubeconfig()))
    async with (
        served(found) as provider,
        Client.connect(access) as client,
        FakeKubelet(client, found, settings, failed=lambda *problem: problems.append(problem)),
    ):
        yield World(plane.api, found, provider)
    # Watches that were cut off say goodbye in TLS. Source: aiohttp, Client Advanced, "Graceful Shutdown".
    await asyncio.sleep(0.25)
    if not keep:
        ours = {one.provider_id for one in found.everything()}
        for node in plane.api.items("/api/v1/nodes"):
            if node["spec"].get("providerID") in ours:
                plane.api.delete({"apiVersion": "v1", "kind": "Node", **node})
    assert problems == []


pytestmark = pytest.mark.usefixtures("workloads")


def test_a_node_joins_becomes_ready_and_gets_its_gpu_late(control_plane: ControlPlane) -> None:
    slow = replace(QUICK, ready=fixed(1), gpu=fixed(1), startup_taints=fixed(0.5))
    claim = named("joins")
    claim = replace(claim, spec=replace(claim.spec, startup_taints=(Taint("example.com/starting", "NoSchedule"),)))

    async def run() -> None:
        async with world(control_plane, slow) as found:
            id_ = await found.launch(claim)
            seen: list[tuple[bool, int, bool]] = []
            node: Any = None

            async def look() -> bool:
                nonlocal node
                node = await found.node(id_)
                if node is None:
                    return False
                state = is_ready(node), gpus(node), "example.com/starting" in taints(node)
                if not seen or seen[-1] != state:
                    seen.append(state)
                return state == (True, 1, False)

            await found.until("the node has its GPU", look)
            assert seen == [(False, 0, True), (True, 0, True), (True, 0, False), (True, 1, False)]
            labels = node["metadata"]["labels"]
            assert labels["kubernetes.io/hostname"] == node["metadata"]["name"]
            assert labels["node.kubernetes.io/instance-type"] == "g6.xlarge"
            assert labels["karpenter.sh/nodepool"] == "gpu"
            assert (labels["kubernetes.io/os"], labels["kubernetes.io/arch"]) == ("linux", "amd64")
            assert "karpenter.sh/unregistered" in taints(node)
            lease = f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{node['metadata']['name']}"
            before = (await found.api("GET", lease))["spec"]["renewTime"]

            async def beats() -> bool:
                return bool((await found.api("GET", lease))["spec"]["renewTime"] > before)

            await found.until("the node's heart beats", beats)

    asyncio.run(run())


def test_a_deployment_runs_and_its_pods_take_their_time_to_stop(control_plane: ControlPlane, namespace: str) -> None:
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}, "annotations": {"fretsaw.dev/stops-in": "1s"}},
                "spec": {"containers": [{"name": "web", "image": "web:1"}], "tolerations": ANY},
            },
        },
    }

    async def run() -> None:
        async with world(control_plane) as found:
            await found.ready_node(named("deployment"))
            path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
            await found.api("POST", path, deployment)
            pods = await found.pods(namespace, lambda pods: len(pods) == 3 and running(pods), "three pods run")
            assert len({one["status"]["podIP"] for one in pods}) == 3
            status = pods[0]["status"]["containerStatuses"][0]
            assert (status["ready"], status["image"], list(status["state"])) == (True, "web:1", ["running"])

            async def available() -> bool:
                return (await found.api("GET", f"{path}/web"))["status"].get("readyReplicas") == 3

            await found.until("the deployment is ready", available)
            await found.api("DELETE", f"{path}/web", {"propagationPolicy": "Background"})
            await found.pods(
                namespace, lambda pods: all(one["metadata"].get("deletionTimestamp") for one in pods), "pods are told"
            )
            told = time.monotonic()
            await found.pods(namespace, lambda pods: not pods, "pods are gone")
            assert 0.7 < time.monotonic() - told < 20  # a second each; without the annotation a tenth of one

    asyncio.run(run())


def test_grace_ends_a_pod_that_does_not_stop(control_plane: ControlPlane, namespace: str) -> None:
    async def run() -> None:
        async with world(control_plane) as found:
            node = (await found.ready_node(named("grace")))["metadata"]["name"]
            path = f"/api/v1/namespaces/{namespace}/pods"
            await found.api("POST", path, pod("slow", node, stops_in="1h"))
            await found.pods(namespace, running, "the pod runs")
            await found.api("DELETE", f"{path}/slow", {"gracePeriodSeconds": 1})
            await found.pods(namespace, lambda pods: not pods, "the pod is gone")

    asyncio.run(run())


def test_pods_end_by_themselves_when_their_annotation_says_so(control_plane: ControlPlane, namespace: str) -> None:
    template = {
        "metadata": {"annotations": {"fretsaw.dev/runs-for": "200ms"}},
        "spec": {"containers": [{"name": "main", "image": "job:1"}], "tolerations": ANY, "restartPolicy": "Never"},
    }
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "train"},
        "spec": {"completions": 2, "parallelism": 2, "template": template},
    }

    async def run() -> None:
        async with world(control_plane) as found:
            node = (await found.ready_node(named("ends")))["metadata"]["name"]
            await found.api("POST", f"/apis/batch/v1/namespaces/{namespace}/jobs", job)
            path = f"/apis/batch/v1/namespaces/{namespace}/jobs/train"

            async def done() -> bool:
                return (await found.api("GET", path))["status"].get("succeeded") == 2

            await found.until("the job is done", done)
            await found.api(
                "POST", f"/api/v1/namespaces/{namespace}/pods", pod("fails", node, runs_for="100ms", exit_code="3")
            )
            pods = await found.pods(
                namespace, lambda pods: any(one["status"]["phase"] == "Failed" for one in pods), "the pod fails"
            )
            failed = next(one for one in pods if one["metadata"]["name"] == "fails")
            assert failed["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 3
            # What an ended pod held is free again.
            await found.api("POST", f"/api/v1/namespaces/{namespace}/pods", pod("first", node, gpu=1, runs_for="100ms"))
            await found.pods(namespace, lambda pods: phases(pods)["first"] == "Succeeded", "the first has ended")
            await found.api("POST", f"/api/v1/namespaces/{namespace}/pods", pod("next", node, gpu=1))
            await found.pods(namespace, lambda pods: phases(pods)["next"] == "Running", "the next has its GPU")

    asyncio.run(run())


def test_a_pod_that_does_not_fit_is_refused(control_plane: ControlPlane, namespace: str) -> None:
    async def run() -> None:
        async with world(control_plane) as found:
            node = (await found.ready_node(named("refuses")))["metadata"]["name"]
            path = f"/api/v1/namespaces/{namespace}/pods"
            for made in (pod("huge", node, cpu="100"), pod("gpus", node, gpu=2)):
                await found.api("POST", path, made)
            pods = await found.pods(
                namespace, lambda pods: all(one["status"]["phase"] == "Failed" for one in pods), "both are refused"
            )
            assert sorted(one["status"]["reason"] for one in pods) == ["OutOfcpu", "UnexpectedAdmissionError"]

    asyncio.run(run())


def test_machines_with_faults(control_plane: ControlPlane) -> None:
    async def run() -> None:
        async with world(control_plane) as found:
            never = await found.launch(with_faults(named("never"), "never-joins"))
            no_gpu = await found.launch(with_faults(named("no-gpu"), "gpu-never-registers"))
            found.cloud.inject(NodeFault(node_fault="never-ready", claim="unready"))
            unready = await found.launch(named("unready"))
            good = await found.ready_node(named("good"))  # the last one: the others have had the same time

            async def others() -> bool:
                nodes = [await found.node(one) for one in (no_gpu, unready)]
                return all(nodes) and is_ready(nodes[0])

            await found.until("the others have joined", others)
            assert await found.node(never) is None
            assert gpus(await found.node(no_gpu)) == 0
            assert not is_ready(await found.node(unready))

            name = good["metadata"]["name"]
            found.cloud.inject(NodeFault(node_fault="not-ready", node=name, seconds=1))

            async def down() -> bool:
                return not is_ready(await found.api("GET", f"/api/v1/nodes/{name}"))

            async def up() -> bool:
                return not await down()

            await found.until("the node is not ready", down)
            await found.until("the node is ready again", up)
            await found.api("PATCH", f"/api/v1/nodes/{name}", {"metadata": {"annotations": {FAULTS: "not-ready=1h"}}})
            await found.until("the annotation is heard", down)

    asyncio.run(run())


def test_a_machine_that_ends_is_not_heard_of_any_more(control_plane: ControlPlane, namespace: str) -> None:
    async def run() -> None:
        async with world(control_plane) as found:
            node = await found.ready_node(named("ended"))
            await found.api("POST", f"/api/v1/namespaces/{namespace}/pods", pod("left", node["metadata"]["name"]))
            await found.pods(namespace, running, "the pod runs")
            await found.provider.terminate(node["spec"]["providerID"])
            await found.api("DELETE", f"/api/v1/namespaces/{namespace}/pods/left", {"gracePeriodSeconds": 1})
            lease = f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{node['metadata']['name']}"
            before = (await found.api("GET", lease))["spec"]["renewTime"]
            other = await found.ready_node(named("beats"))
            path = lease.replace(node["metadata"]["name"], other["metadata"]["name"])
            first = (await found.api("GET", path))["spec"]["renewTime"]

            async def another_beat() -> bool:
                return bool((await found.api("GET", path))["spec"]["renewTime"] > first)

            await found.until("another node's heart beats", another_beat)
            assert (await found.api("GET", lease))["spec"]["renewTime"] == before
            (left,) = (await found.api("GET", f"/api/v1/namespaces/{namespace}/pods"))["items"]
            assert left["metadata"]["deletionTimestamp"]

    asyncio.run(run())


def test_kubelets_that_come_back_take_over_what_is_there(control_plane: ControlPlane, namespace: str) -> None:
    async def run() -> None:
        cloud = FakeCloud(CloudSettings(pending_s=0.05, shutdown_s=0.2))
        async with world(control_plane, cloud=cloud, keep=True) as found:
            made = await found.ready_node(named("stays"))
            node, id_ = made["metadata"]["name"], made["spec"]["providerID"]
            path = f"/api/v1/namespaces/{namespace}/pods"
            await found.api("POST", path, pod("stays", node, gpu=1))
            await found.pods(namespace, running, "the pod runs")
        async with world(control_plane, cloud=cloud) as found:
            await found.api("POST", path, pod("second", node, gpu=1))
            pods = await found.pods(namespace, lambda pods: phases(pods)["second"] == "Failed", "the second is refused")
            assert phases(pods)["stays"] == "Running"
            await found.api("DELETE", f"{path}/stays")
            await found.pods(namespace, lambda pods: len(pods) == 1, "the first is gone")
            nodes = (await found.api("GET", "/api/v1/nodes"))["items"]
            assert [one["metadata"]["name"] for one in nodes if one["spec"].get("providerID") == id_] == [node]

    asyncio.run(run())


def test_the_command_serves_until_it_is_told_to_end(control_plane: ControlPlane) -> None:
    command = [sys.executable, "-m", "fretsaw", "fake-kubelet", "--kubeconfig", str(control_plane.kubeconfig())]
    with subprocess.Popen([*command, "--cloud", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("fake cloud at http://127.0.0.1:")
            assert control_plane.api.url in line
            with urllib.request.urlopen(f"{line.split()[3].rstrip(',')}/instances", timeout=10) as answer:
                assert answer.read() == b"[]"
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()
