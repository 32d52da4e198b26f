"""Which writes pods on a fake node come to, against a client that only takes notes."""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec.structs import replace

from fretsaw.api.meta import ObjectMeta
from fretsaw.api.node import Taint
from fretsaw.api.pod import Container, Pod, PodSpec, PodStatus, ResourceRequirements
from fretsaw.kube.errors import NotFound
from fretsaw.kubelet import KubeletSettings
from fretsaw.kubelet.machine import Machine
from fretsaw.kubelet.pods import Pods
from fretsaw.kubelet.settings import RUNS_FOR, fixed
from unit.providers.fake.worlds import Time, cloud, order

SETTINGS = KubeletSettings(boot=fixed(0), ready=fixed(0), gpu=fixed(0), pod_start=fixed(1), pod_stop=fixed(2))
NAME = "ip-10-0-0-1.ec2.internal"


class Notes:
    """A client: what was written, in short."""

    def __init__(self) -> None:
        self.http = self
        self.written: list[str] = []
        self.statuses: list[dict[str, Any]] = []
        self.missing: set[str] = set()

    async def request(self, method: str, path: str, *, body: Any, content: str) -> bytes:
        """A status is patched."""
        name = path.split("/")[-2]
        if name in self.missing:
            raise NotFound("PATCH", 404, "NotFound", "")
        status = body["status"]
        self.statuses.append(status)
        ready = any(one["type"] == "Ready" and one["status"] == "True" for one in status["conditions"])
        self.written.append(
            f"{name} {status['phase']}{' ready' if ready else ''}{' ' + status['reason'] if status['reason'] else ''}"
        )
        return b"{}"

    async def delete(self, kind: str, key: str, *, uid: str, grace_s: int) -> None:
        """A pod is taken away."""
        self.written.append(f"{key.rpartition('/')[2]} deleted with {grace_s}")


class Ground:
    """One node with a GPU, and the pods on it."""

    def __init__(self) -> None:
        self.time = Time()
        found = cloud()
        found.launch(order())
        self.machine = Machine(found.everything()[0], (), SETTINGS, self.time())
        self.machine.draft(NAME, self.time())
        self.machine.join(self.machine.node, self.time())
        self.machine.report(self.time())
        self.notes = Notes()
        self.taints: tuple[Taint, ...] = ()
        self.problems: list[str] = []
        self.pods = Pods(
            self.notes,  # type: ignore[arg-type]
            SETTINGS,
            machine_of={NAME: self.machine}.get,
            taints_of=lambda node: self.taints,
            now=self.time,
            failed=lambda what, why: self.problems.append(f"{what}: {why}"),
        )

    def sync(self, *pods: Pod, seconds: float = 0) -> list[str]:
        """What is written once these pods are so, and time has passed."""
        self.time.pass_(seconds)
        self.notes.written.clear()

        async def run() -> None:
            for pod in pods:
                self.pods.changed(pod.key, pod)
                await self.pods._sync(pod.key)

        asyncio.run(run())
        return list(self.notes.written)

    def gone(self, pod: Pod) -> None:
        """The API server no longer has a pod."""

        async def run() -> None:
            self.pods.changed(pod.key, None)
            await self.pods._sync(pod.key)

        asyncio.run(run())


def pod(name: str = "p", cpu: str = "1", gpu: int = 0, **annotations: str) -> Pod:
    """A pod on the node."""
    requests: dict[str, Any] = {"cpu": cpu, **({"nvidia.com/gpu": gpu} if gpu else {})}
    return Pod(
        metadata=ObjectMeta(name=name, namespace="default", uid=f"uid-{name}", annotations=annotations),
        spec=PodSpec(
            containers=(Container(name="main", image="app:1", resources=ResourceRequirements(requests=requests)),),
            node_name=NAME,
            restart_policy="Never",
        ),
    )


def told(one: Pod, grace_s: int = 30, *finalizers: str) -> Pod:
    """The pod once somebody has asked for its deletion."""
    metadata = replace(
        one.metadata,
        deletion_timestamp="2026-01-01T00:01:00Z",
        deletion_grace_period_seconds=grace_s,
        finalizers=finalizers,
    )
    return replace(one, metadata=metadata)


def test_a_pod_is_written_once_for_its_start_and_once_for_its_end() -> None:
    ground, one = Ground(), pod(**{RUNS_FOR: "5s"})
    assert ground.sync(one) == []
    assert ground.sync(one, seconds=1) == ["p Running ready"]
    assert ground.sync(one, seconds=1) == []
    assert ground.sync(one, seconds=4) == ["p Succeeded"]
    status = ground.notes.statuses[0]
    assert (status["hostIP"], status["podIP"]) == ("10.0.0.1", "10.128.0.1")
    assert status["containerStatuses"][0]["containerID"] == "fake://uid-p/main"
    assert {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}["Ready"] == ("True", "")


def test_devices_and_room_are_taken_and_given_back() -> None:
    ground = Ground()
    first, second, third = pod("a", gpu=1), pod("b", gpu=1), pod("c", cpu="3")
    ground.sync(first)
    assert ground.machine.used["cpu"] == 1000
    assert ground.sync(second) == ["b Failed UnexpectedAdmissionError"]
    assert ground.sync(third) == ["c Failed OutOfcpu"]
    assert ground.machine.used == {"cpu": 1000, "nvidia.com/gpu": 1, "pods": 1}
    ground.gone(first)
    assert not any(ground.machine.used.values())
    assert ground.machine.devices.free("nvidia.com/gpu") == 1
    assert ground.sync(pod("d", gpu=1), seconds=2) == []


def test_a_pod_does_not_tolerate_the_nodes_taint() -> None:
    ground = Ground()
    ground.taints = (Taint("team", "NoExecute"), Taint("other", "NoSchedule"))
    assert ground.sync(pod()) == ["p Failed TaintToleration"]


def test_a_pod_that_is_told_to_go_is_taken_away_when_it_has_stopped() -> None:
    ground, one = Ground(), pod()
    ground.sync(one)
    ground.sync(one, seconds=1)
    assert ground.sync(told(one)) == []
    assert ground.machine.used["cpu"] == 1000
    assert ground.sync(told(one), seconds=2) == ["p deleted with 0"]
    assert not any(ground.machine.used.values())
    assert ground.sync(told(one, 0)) == []  # the server says that its grace is over now, and then that it is gone
    ground.gone(one)
    assert ground.pods._ended == {}


def test_who_counts_how_a_pod_ended_is_told_before_it_goes() -> None:
    ground, one = Ground(), pod()
    ground.sync(one)
    ground.sync(one, seconds=1)
    ending = told(one, 30, "batch.kubernetes.io/job-tracking")
    ground.sync(ending)
    assert ground.sync(ending, seconds=2) == ["p Failed", "p deleted with 0"]


def test_a_pod_that_never_started_goes_at_once() -> None:
    ground = Ground()
    assert ground.sync(told(pod())) == ["p deleted with 0"]


def test_pods_wait_until_their_node_is_ready() -> None:
    ground = Ground()
    ground.machine.down_until = ground.time() + 5000
    ground.sync(pod())
    assert ground.pods._lives == {}
    ground.time.pass_(5)
    ground.pods.look(ground.machine)
    assert ground.sync(pod()) == []
    assert ground.sync(pod(), seconds=1) == ["p Running ready"]


def test_pods_of_a_machine_that_is_gone_are_not_spoken_of() -> None:
    ground, one = Ground(), pod()
    ground.sync(one)
    ground.machine.alive = False
    ground.pods.forget(ground.machine)
    assert ground.sync(told(one), seconds=100) == []


def test_a_pod_that_has_ended_or_is_on_another_node_is_left_alone() -> None:
    ground = Ground()
    over = replace(pod(), status=PodStatus(phase="Succeeded"))
    elsewhere = replace(pod("q"), spec=replace(pod().spec, node_name="other"))
    assert ground.sync(over, elsewhere, seconds=5) == []
    assert ground.pods._lives == {}


def test_another_pod_of_the_same_name_begins_anew() -> None:
    ground, one = Ground(), pod(gpu=1)
    ground.sync(one)
    other = replace(one, metadata=replace(one.metadata, uid="other"))
    assert ground.sync(other) == []
    assert ground.machine.used == {"cpu": 1000, "nvidia.com/gpu": 1, "pods": 1}
    assert ground.pods._lives["default/p"].uid == "other"


def test_a_status_that_reaches_nobody_is_written_again() -> None:
    ground, one = Ground(), pod()
    ground.sync(one)
    ground.notes.missing.add("p")
    assert ground.sync(one, seconds=1) == []
    ground.notes.missing.clear()
    assert ground.sync(one) == ["p Running ready"]


def test_an_annotation_that_cannot_be_read_is_told_and_passed_over() -> None:
    ground = Ground()
    ground.sync(pod(**{RUNS_FOR: "soon"}))
    assert ground.sync(pod(**{RUNS_FOR: "soon"}), seconds=1) == ["p Running ready"]
    assert len(ground.problems) == 1
    assert RUNS_FOR in ground.problems[0]
