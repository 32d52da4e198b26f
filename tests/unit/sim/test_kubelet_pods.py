"""Pods on their node: admission, images, readiness, work, restarts, deletion. Times with `fixed`: a node joins by 60 s."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from fretsaw.api.affinity import Toleration
from fretsaw.api.meta import Condition
from fretsaw.api.node import Taint
from fretsaw.api.pod import Pod, Probe
from fretsaw.sim.behavior import Behavior
from fretsaw.sim.gpu_sharing import Sharing
from fretsaw.sim.kubelet import NodeFault
from fretsaw.sim.spread import Spread
from support.kubelets import GPU, Bench, fixed, job, lasting, machine

MIB = 2**20
TAKEN = 60.01
"""When a pod that is bound at 60 s is taken; its containers start two seconds later: pull and start, one each."""
RUNS = 62.01


def _container(bench: Bench, key: str) -> Any:
    pod = bench.get(key)
    assert pod is not None
    return pod.status.container_statuses[0]


# From bound to Ready


def test_a_pod_goes_from_creating_to_running_and_ready_in_three_writes() -> None:
    """Source: kubernetes.io, Pod Lifecycle."""
    bench = Bench(serve=Behavior(loads=lasting(30), image_bytes=0))
    name = bench.join()
    writes: list[tuple[str, bool]] = []

    def write(old: Pod | None, new: Pod | None) -> None:
        if new is not None and old is not None:
            writes.append((new.status.phase, bench.is_ready("default/p")))

    bench.world.store.watch("Pod", write)
    key = bench.pod("p", name, does="serve", gpus=1)
    bench.until(61)
    assert _container(bench, key).state.waiting.reason == "ContainerCreating"
    bench.until(100)
    assert writes == [("Pending", False), ("Running", False), ("Running", True)]
    pod = bench.get(key)
    assert pod is not None
    assert pod.status.start_time == "2026-01-01T00:01:00Z"
    assert _container(bench, key).state.running.started_at == "2026-01-01T00:01:02Z"
    assert (_container(bench, key).ready, _container(bench, key).started) == (True, True)
    assert (bench.when("pod-admitted"), bench.when("pod-running")) == ([TAKEN], [RUNS])
    assert (bench.when("pod-working"), bench.when("pod-ready")) == ([92.01], [92.01])
    assert bench.nodes.is_working(key)


def test_what_the_scheduler_wrote_stays() -> None:
    bench = Bench()
    name = bench.join()
    key = bench.pod("p", name)
    pod = bench.get(key)
    assert pod is not None
    scheduled = Condition("PodScheduled", "True")
    bench.world.store.put(replace(pod, status=replace(pod.status, conditions=(scheduled,))))
    bench.until(70)
    pod = bench.get(key)
    assert pod is not None
    assert pod.status.conditions[0] == scheduled
    assert [c.type for c in pod.status.conditions] == ["PodScheduled", "Initialized", "ContainersReady", "Ready"]


def test_a_pod_waits_for_its_node_to_be_ready() -> None:
    bench = Bench(durations=fixed(ready=20))
    bench.run()
    bench.until(2)
    key = bench.pod(
        "daemon", "ip-10-0-0-1.ec2.internal", owner="DaemonSet", tolerations=(Toleration(operator="Exists"),)
    )
    bench.until(20)
    assert bench.phase(key) == ""
    bench.until(25)
    assert bench.when("pod-running") == [23.01]


PROBES = [
    ("no probe: when loaded", {}, 30, 30),
    ("asked at once, every 10 s", {"readiness_probe": Probe()}, 30, 30),
    ("between two questions", {"readiness_probe": Probe()}, 31, 40),
    ("loaded before the delay", {"readiness_probe": Probe(initial_delay_seconds=60)}, 30, 60),
    ("loaded after the delay", {"readiness_probe": Probe(initial_delay_seconds=60)}, 75, 80),
    ("every 3 s", {"readiness_probe": Probe(period_seconds=3)}, 31, 33),
    ("period 0 is the default", {"readiness_probe": Probe(period_seconds=0)}, 31, 40),
    ("two successes", {"readiness_probe": Probe(success_threshold=2)}, 30, 40),
    ("a startup probe alone", {"startup_probe": Probe(period_seconds=5, failure_threshold=30)}, 31, 35),
    ("readiness follows startup at once", {"startup_probe": Probe(period_seconds=5, failure_threshold=30), "readiness_probe": Probe()}, 31, 35),
    ("but not before its own delay", {"startup_probe": Probe(period_seconds=5, failure_threshold=30), "readiness_probe": Probe(initial_delay_seconds=50)}, 31, 50),
    ("as the LLM server of the GPU platform", {"readiness_probe": Probe(initial_delay_seconds=60, period_seconds=10)}, 83, 90),
]  # fmt: skip


@pytest.mark.parametrize(("name", "container", "loads", "ready"), PROBES, ids=[row[0] for row in PROBES])
def test_ready_by_probes(name: str, container: dict[str, Any], loads: float, ready: float) -> None:
    """Source: kubernetes.io, Configure Liveness, Readiness and Startup Probes."""
    bench = Bench(serve=Behavior(loads=lasting(loads), image_bytes=0))
    key = bench.pod("p", bench.join(), does="serve", container=container)
    bench.until(RUNS + ready - 0.1)
    assert not bench.is_ready(key)
    bench.until(RUNS + ready + 0.1)
    assert bench.is_ready(key)
    assert bench.when("pod-ready") == [pytest.approx(RUNS + ready)]


def test_without_a_probe_ready_may_mean_started() -> None:
    """Source: kubernetes.io, Pod Lifecycle, Container probes: without one the state is Success."""
    bench = Bench(serve=Behavior(loads=lasting(30), image_bytes=0), ready_without_probe="started")
    bench.pod("p", bench.join(), does="serve")
    bench.until(100)
    assert (bench.when("pod-ready"), bench.when("pod-working")) == ([RUNS], [92.01])


def test_a_startup_probe_that_gives_up_restarts_the_container() -> None:
    """Source: kubernetes.io: failureThreshold × periodSeconds is all that a start may take."""
    bench = Bench(serve=Behavior(loads=lasting(100), image_bytes=0))
    probe = {"startup_probe": Probe(period_seconds=10, failure_threshold=3)}
    key = bench.pod("p", bench.join(), does="serve", container=probe, policy="Always")
    bench.until(200)
    first = bench.data("container-ended", key)[0]
    assert (first["exit_code"], first["why"], first["wait_ms"]) == (137, "startup-probe", 0)
    assert bench.when("container-ended")[0] == 82.01
    assert bench.when("pod-ready") == []
    assert _container(bench, key).restart_count >= 2


# Admission


@pytest.mark.parametrize(
    ("requests", "gpus", "phase"),
    [
        ({"cpu": "47"}, 0, "Running"),
        ({"cpu": "48"}, 0, "Failed OutOfcpu"),
        ({"memory": "191Gi"}, 0, "Failed OutOfmemory"),
        ({"ephemeral-storage": "200Gi"}, 0, "Failed OutOfephemeral-storage"),
        ({}, 4, "Running"),
        ({}, 5, "Failed UnexpectedAdmissionError"),
        ({"aws.amazon.com/neuron": "1"}, 0, "Failed UnexpectedAdmissionError"),
        ({"cpu": "48"}, 5, "Failed UnexpectedAdmissionError"),
    ],
)
def test_the_kubelet_refuses_what_does_not_fit(requests: dict[str, str], gpus: int, phase: str) -> None:
    """Source: kubelet, HandlePodAdditions: devices first, then the general predicates."""
    bench = Bench()
    key = bench.pod("p", bench.join(), requests=requests, gpus=gpus)
    bench.until(100)
    assert bench.phase(key) == phase
    if phase != "Running":
        (ended,) = bench.data("pod-ended")
        assert (ended["result"], ended["reason"], ended["held_ms"]) == ("rejected", phase.split()[1], 0)
        assert bench.data("pod-admitted") == []


def test_a_pod_that_came_before_the_device_is_refused() -> None:
    """Source: kubelet device manager: allocation without a registered device is unexpected."""
    bench = Bench()
    bench.run()
    bench.until(3)
    key = bench.pod("p", "ip-10-0-0-1.ec2.internal", gpus=1)
    bench.until(10)
    assert bench.phase(key) == "Failed UnexpectedAdmissionError"
    pod = bench.get(key)
    assert pod is not None
    assert pod.status.message.startswith("Pod was rejected: Allocate failed due to")


def test_too_many_pods() -> None:
    bench = Bench()
    name = bench.join(machine(pods="2"))
    keys = [bench.pod(f"p{i}", name, requests={"cpu": "1m"}) for i in range(3)]
    bench.until(100)
    assert [bench.phase(key) for key in keys] == ["Running", "Running", "Failed OutOfpods"]


def test_an_untolerated_no_execute_taint_refuses() -> None:
    """Source: kubelet general filters: NoExecute alone counts."""
    bench = Bench()
    name = bench.join()
    node = bench.node(name)
    taints = (Taint("a", "NoSchedule"), Taint("b", "NoExecute"))
    bench.world.store.put(replace(node, spec=replace(node.spec, taints=taints)))
    refused = bench.pod("p", name)
    taken = bench.pod("q", name, tolerations=(Toleration("b", "Exists"),))
    bench.until(100)
    assert (bench.phase(refused), bench.phase(taken)) == ("Failed TaintToleration", "Running")


def test_room_comes_back_when_a_pod_ends() -> None:
    bench = Bench(train=job(10))
    name = bench.join()
    first = bench.pod("a", name, does="train", gpus=4, requests={"cpu": "40"})
    bench.until(80)
    second = bench.pod("b", name, does="train", gpus=4, requests={"cpu": "40"})
    bench.until(100)
    assert (bench.phase(first), bench.phase(second)) == ("Succeeded", "Succeeded")


def test_two_shares_may_be_refused() -> None:
    """Source: k8s-device-plugin, failRequestsGreaterThanOne."""
    bench = Bench(sharing=Sharing(mode="time-slicing", replicas=4, fail_multiple=True))
    name = bench.join()
    one, two = bench.pod("a", name, gpus=1), bench.pod("b", name, gpus=2)
    bench.until(100)
    assert (bench.phase(one), bench.phase(two)) == ("Running", "Failed UnexpectedAdmissionError")
    assert bench.data("pod-admitted")[0]["gpus"] == 0.25


# Images


def test_pulls_of_a_node_come_one_after_the_other_and_once() -> None:
    """Source: kubelet, serializeImagePulls; gp3 caps at 125 MiB/s, plain pulls at 70 MB/s."""
    bench = Bench(durations=fixed(pull_start=0, container_start=0), big=Behavior(image_bytes=700_000_000))
    name = bench.join()
    for pod, image in (("a", "x"), ("b", "y"), ("c", "x")):
        bench.pod(pod, name, does="big", container={"image": image})
    bench.until(200)
    started = {
        f.about: (f.at - bench.world.loop.start) / 1000 for f in bench.world.journal.facts if f.what == "pod-running"
    }
    assert started == {"Pod/default/a": 70.01, "Pod/default/c": 70.01, "Pod/default/b": 80.01}
    pulls = [(d["image"], d["took_ms"], d["waited_ms"]) for d in bench.data("image-pulled")]
    assert pulls == [("x", 10_000, 0), ("y", 10_000, 10_000)]
    bench.pod("d", name, does="big", container={"image": "y"})
    bench.until(201)
    assert bench.when("pod-running")[-1] == 200.01


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [
        ({}, 133.6),
        ({"soci": True, "disk_mib_per_s": 1000}, 39.6),
        ({"soci": True, "image": "bottlerocket", "disk_mib_per_s": 1000}, 23.4),
        ({"soci": True}, 71.3),
        ({"preloaded": ("vllm/*",)}, 0),
        ({"faults": (NodeFault(kind="slow-pulls", factor=3),)}, 400.7),
        ({"faults": (NodeFault(kind="slow-pulls", factor=3, chance=0),)}, 133.6),
    ],
)
def test_how_long_a_vllm_image_takes(settings: dict[str, Any], seconds: float) -> None:
    """Source: AWS Karpenter blueprint soci-snapshotter: 9.35 GB in 130.8, 39.6 and 23.2 s."""
    times = fixed(pull_start=0, container_start=0)
    bench = Bench(durations=times, llm=Behavior(image_bytes=9_350_000_000), **settings)
    bench.pod("p", bench.join(), does="llm", container={"image": "vllm/vllm-openai:latest"})
    bench.until(1000)
    assert bench.when("pod-running") == [pytest.approx(TAKEN + seconds, abs=0.1)]


@pytest.mark.parametrize(("limit", "size"), [(50 * MIB, 50 * MIB), (None, 512 * MIB)])
def test_a_daemons_image_is_small(limit: int | None, size: int) -> None:
    bench = Bench(daemon=Behavior(), daemon_image_bytes=limit)
    bench.pod("p", bench.join(), does="daemon", owner="DaemonSet")
    bench.until(100)
    assert [d["bytes"] for d in bench.data("image-pulled")] == [size]


def test_a_node_lists_its_images_the_largest_first() -> None:
    """Source: kubernetes.io, Node status; kube-scheduler's ImageLocality reads it; kubelet, nodeStatusMaxImages 50."""
    behaviors = {f"i{n}": Behavior(image_bytes=n * MIB) for n in range(60)}
    bench = Bench(durations=fixed(pull_start=0), **behaviors)
    name = bench.join(machine(pods="100"))
    for does in behaviors:
        bench.pod(does, name, does=does, container={"image": does}, requests={"cpu": "1m", "memory": "1Mi"})
    bench.until(60.04)
    assert [image.names for image in bench.node(name).status.images] == [("i1",), ("i0",)]
    bench.until(200)
    images = bench.node(name).status.images
    assert [image.size_bytes for image in images] == [n * MIB for n in range(59, 9, -1)]


# The end of the work


@pytest.mark.parametrize(
    ("policy", "fails", "phase", "code", "restarts"),
    [
        ("Never", 0.0, "Succeeded", 0, 0),
        ("OnFailure", 0.0, "Succeeded", 0, 0),
        ("Always", 0.0, "Running", 0, 1),
        ("Never", 1.0, "Failed", 3, 0),
        ("OnFailure", 1.0, "Running", 3, 1),
        ("Always", 1.0, "Running", 3, 1),
    ],
)
def test_restart_policy(policy: str, fails: float, phase: str, code: int, restarts: int) -> None:
    """Source: kubernetes.io, Pod Lifecycle, Container restart policy."""
    bench = Bench(train=job(100, fails=fails, exit_code=3, loads=lasting(1)))
    key = bench.pod("p", bench.join(), does="train", policy=policy)
    ended = "pod-ended" if phase != "Running" else "container-restarted"
    while not bench.when(ended):
        bench.until(bench.now + 1)
    assert bench.phase(key) == phase
    status = _container(bench, key)
    state = status.state if phase != "Running" else status.last_state
    assert (state.terminated.exit_code, status.restart_count) == (code, restarts)
    assert state.terminated.reason == ("Error" if code else "Completed")


def test_a_terminal_pod_is_not_ready() -> None:
    bench = Bench(train=job(10))
    key = bench.pod("p", bench.join(), does="train")
    bench.until(70)
    assert bench.is_ready(key)
    bench.until(100)
    pod = bench.get(key)
    assert pod is not None
    assert [(c.type, c.status, c.reason) for c in pod.status.conditions if c.type == "Ready"] == [
        ("Ready", "False", "PodCompleted")
    ]
    assert not bench.nodes.is_working(key)
    assert bench.nodes.life(key) is None


def test_back_off_doubles_to_five_minutes() -> None:
    """Source: kubernetes.io, Pod Lifecycle, How Pods handle problems with containers."""
    bench = Bench(bad=Behavior(runs=lasting(10), fails=1.0, image_bytes=0))
    key = bench.pod("p", bench.join(), does="bad", policy="Always")
    bench.until(3600)
    waits = [d["wait_ms"] / 1000 for d in bench.data("container-ended", key)]
    assert waits[:9] == [0, 10, 20, 40, 80, 160, 300, 300, 300]


def test_back_off_is_shown_and_the_phase_stays_running() -> None:
    """Source: kubernetes.io, Pod Lifecycle: CrashLoopBackOff is a reason, not a phase."""
    bench = Bench(bad=Behavior(runs=lasting(1), fails=1.0, image_bytes=0))
    key = bench.pod("p", bench.join(), does="bad", policy="Always")
    bench.until(RUNS + 6)
    assert bench.phase(key) == "Running"
    assert _container(bench, key).state.waiting.reason == "CrashLoopBackOff"
    assert not bench.is_ready(key)


def test_ten_good_minutes_forgive() -> None:
    """Source: kubernetes.io, Pod Lifecycle: the back-off is reset after ten minutes."""
    bench = Bench(work=job(700))
    key = bench.pod("p", bench.join(), does="work", policy="Always")
    bench.until(6000)
    assert {d["wait_ms"] for d in bench.data("container-ended", key)} == {0}
    assert len(bench.when("container-ended")) >= 5


def test_a_model_that_does_not_fit_crash_loops() -> None:
    """Row T5 of a troubleshooting table: GPU out of memory; an 8B model in fp16 does not fit a T4."""
    bench = Bench(llm=Behavior(gpu_memory_bytes=18 * 2**30, loads=lasting(20), image_bytes=0))
    small = bench.join(machine("g4dn.xlarge", 1, "t4", 16384))
    large = bench.join(machine("g5.xlarge", 1))
    key, fits = bench.pod("p", small, does="llm", gpus=1, policy="Always"), bench.pod("q", large, does="llm", gpus=1)
    bench.until(600)
    assert bench.data("gpu-out-of-memory", key)[0]["has"] == 15360 * MIB
    assert _container(bench, key).restart_count > 2
    assert bench.when("pod-ready", f"Pod/{key}") == []
    assert bench.is_ready(fits)
    assert bench.when("container-ended", f"Pod/{key}")[0] == pytest.approx(
        bench.when("pod-running", f"Pod/{key}")[0] + 20
    )


def test_gpu_memory_matters_only_where_it_is_known_and_asked_for() -> None:
    bench = Bench(llm=Behavior(gpu_memory_bytes=2**60, image_bytes=0))
    unknown = bench.join(machine("x.large", 1, ""))
    known = bench.join()
    keys = [bench.pod("p", unknown, does="llm", gpus=1), bench.pod("q", known, does="llm")]
    bench.until(200)
    assert [bench.is_ready(key) for key in keys] == [True, True]


# Deletion. Source: kubernetes.io, Pod Lifecycle, Termination of Pods


@pytest.mark.parametrize(
    ("stops", "grace", "gone_after", "code"),
    [(1, None, 1, 143), (5, 30, 5, 143), (60, None, 30, 137), (60, 120, 60, 143), (5, 0, 0, 137), (5, 5, 5, 143)],
)
def test_a_pod_stops_within_its_grace(stops: float, grace: int | None, gone_after: float, code: int) -> None:
    bench = Bench(serve=Behavior(stops=int(stops * 1000), image_bytes=0))
    key = bench.pod("p", bench.join(), does="serve")
    bench.until(100)
    bench.delete(key, grace)
    bench.until(100.01 + gone_after - 0.005)
    assert bench.phase(key) == "Running"
    bench.until(100.01 + gone_after)
    assert bench.phase(key) == "gone"
    (ended,) = bench.data("pod-ended")
    assert (ended["result"], ended["exit_code"]) == ("deleted", code)


def test_the_pods_own_grace_counts() -> None:
    bench = Bench(serve=Behavior(stops=200_000, image_bytes=0))
    key = bench.pod("p", bench.join(), does="serve", termination_grace_period_seconds=120)
    bench.until(100)
    bench.delete(key)
    bench.until(300)
    assert bench.when("pod-ended") == [220.01]


def test_a_second_delete_shortens() -> None:
    bench = Bench(serve=Behavior(stops=100_000, image_bytes=0))
    key = bench.pod("p", bench.join(), does="serve")
    bench.until(100)
    bench.delete(key, 90)
    bench.until(110)
    bench.delete(key, 200)
    bench.delete(key, 5)
    bench.until(300)
    assert bench.when("pod-ended") == [115.01]


def test_a_pod_that_has_not_started_goes_at_once() -> None:
    bench = Bench(serve=Behavior(stops=20_000, image_bytes=10**12))
    key = bench.pod("p", bench.join(), does="serve", gpus=4)
    bench.until(100)
    bench.delete(key)
    bench.until(100.1)
    assert bench.phase(key) == "gone"
    assert bench.when("pod-running") == []


def test_a_pod_that_is_told_to_go_does_not_work() -> None:
    bench = Bench(serve=Behavior(stops=20_000, image_bytes=0))
    key = bench.pod("p", bench.join(), does="serve")
    bench.until(100)
    assert bench.nodes.is_working(key)
    bench.delete(key)
    bench.until(110)
    assert not bench.nodes.is_working(key)
    bench.until(200)
    assert bench.data("pod-ended")[0]["worked_ms"] == pytest.approx(38_000)


def test_a_pod_with_a_finalizer_ends_failed_and_stays_for_its_owner() -> None:
    """Source: kubernetes.io, Jobs: batch.kubernetes.io/job-tracking stays until the pod is counted."""
    bench = Bench(train=job(1000))
    key = bench.pod("p", bench.join(), does="train")
    pod = bench.get(key)
    assert pod is not None
    held = replace(pod.metadata, finalizers=("batch.kubernetes.io/job-tracking",))
    bench.world.store.put(replace(pod, metadata=held))
    bench.until(100)
    bench.delete(key)
    bench.until(200)
    assert bench.phase(key) == "Failed"
    assert _container(bench, key).state.terminated.exit_code == 143
    pod = bench.get(key)
    assert pod is not None
    bench.world.store.put(replace(pod, metadata=replace(pod.metadata, finalizers=())))
    bench.until(300)
    assert bench.phase(key) == "gone"
    assert len(bench.when("pod-ended")) == 1


def test_a_pod_that_is_deleted_before_the_kubelet_took_it() -> None:
    bench = Bench()
    key = bench.pod("p", bench.join())
    bench.delete(key)
    bench.until(61)
    assert bench.phase(key) == "gone"
    assert bench.data("pod-admitted") == []


def test_a_forced_deletion_kills_at_once() -> None:
    bench = Bench(train=job(1000))
    name = bench.join()
    key = bench.pod("p", name, does="train", gpus=4)
    bench.until(100)
    bench.world.store.delete("Pod", key, now=True)
    again = bench.pod("p", name, does="train", gpus=4)
    bench.until(200)
    assert bench.data("pod-killed")[0]["why"] == "removed"
    assert bench.phase(again) == "Running"
    assert bench.allocatable(name, GPU) == "4"


def test_a_pod_of_the_same_name_elsewhere_takes_over() -> None:
    """A StatefulSet's pod comes back under its name."""
    bench = Bench(serve=Behavior(image_bytes=0))
    first, second = bench.join(), bench.join()
    bench.pod("web-0", first, does="serve")
    bench.until(150)
    bench.delete("default/web-0")
    bench.until(155)
    bench.pod("web-0", second, does="serve")
    bench.until(200)
    assert [d["node"] for d in bench.data("pod-running")] == [first, second]
    life = bench.nodes.life("default/web-0")
    assert life is not None
    assert life.began is not None


# XIDs on a node with pods


def test_a_fatal_xid_takes_the_device_the_program_and_the_nodes_health() -> None:
    """Source: NVIDIA XID 79; device plugin: allocatable drops, capacity stays; EKS node monitoring agent."""
    bench = Bench(train=job(10_000))
    name = bench.join()
    hit = bench.pod("a", name, does="train", gpus=2, policy="OnFailure")
    spared = bench.pod("b", name, does="train", gpus=1)
    bench.until(100)
    bench.nodes.xid(name, 79, gpu=1)
    bench.until(101)
    assert (bench.allocatable(name), bench.node(name).status.capacity[GPU]) == ("3", "4")
    assert bench.condition(name, "AcceleratedHardwareReady") == ("False", "NvidiaXID79Error")
    bench.until(1000)
    whys = [d["why"] for d in bench.data("container-ended", hit)]
    assert whys[:2] == ["xid-79", "device-lost"]
    assert _container(bench, hit).restart_count > 2
    assert _container(bench, spared).restart_count == 0
    next_one = bench.pod("c", name, gpus=1)
    too_much = bench.pod("d", name, gpus=1)
    bench.until(1100)
    assert (bench.phase(next_one), bench.phase(too_much)) == ("Running", "Failed UnexpectedAdmissionError")


def test_an_application_xid_kills_the_container_alone() -> None:
    """Source: NVIDIA XID 13: restart the application; the plugin skips it."""
    bench = Bench(train=job(10_000))
    name = bench.join()
    hit = bench.pod("a", name, does="train", gpus=1, policy="OnFailure")
    gone = bench.pod("b", name, does="train", gpus=1, policy="Never")
    bench.until(100)
    bench.nodes.xid(name, 13, gpu=0)
    bench.nodes.xid(name, 31, gpu=1)
    bench.until(200)
    assert bench.allocatable(name) == "4"
    assert bench.condition(name, "AcceleratedHardwareReady") == ("True", "AcceleratedHardwareIsReady")
    assert (bench.phase(hit), _container(bench, hit).restart_count) == ("Running", 1)
    assert bench.phase(gone) == "Failed"


def test_a_harmless_xid_is_only_noted() -> None:
    bench = Bench(train=job(10_000))
    name = bench.join()
    bench.pod("a", name, does="train", gpus=4)
    bench.until(100)
    bench.nodes.xid(name, 43)
    bench.until(200)
    assert bench.when("xid") == [100]
    assert bench.when("container-ended") == []
    assert bench.allocatable(name) == "4"


def test_without_the_agent_no_condition() -> None:
    bench = Bench(monitoring_agent=False)
    name = bench.join()
    bench.nodes.xid(name, 48)
    bench.until(100)
    assert bench.condition(name, "AcceleratedHardwareReady") is None
    assert bench.allocatable(name) == "3"


def test_a_time_slice_of_a_broken_gpu_hits_all_its_pods() -> None:
    bench = Bench(train=job(10_000), sharing=Sharing(mode="time-slicing", replicas=2))
    name = bench.join()
    keys = [bench.pod(n, name, does="train", gpus=1) for n in "abc"]
    bench.until(100)
    bench.nodes.xid(name, 79, gpu=0)
    bench.until(110)
    assert [bench.phase(key) for key in keys] == ["Failed", "Failed", "Running"]
    assert bench.allocatable(name) == "6"


def test_an_xid_by_chance_comes_after_its_time() -> None:
    fault = NodeFault(kind="xid", code=48, gpu=3, after=Spread.fixed(500_000))
    bench = Bench(faults=(fault,))
    name = bench.join()
    bench.until(1000)
    assert bench.when("xid") == [510.01]
    assert bench.condition(name, "AcceleratedHardwareReady") == ("False", "NvidiaDoubleBitError")
