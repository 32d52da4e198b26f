"""What pods are measured to do."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from fretsaw.api.meta import Condition, ObjectMeta, OwnerReference
from fretsaw.api.pod import Container, Pod, PodSpec, PodStatus, ResourceRequirements
from fretsaw.api.times import MINUTE
from fretsaw.api.workload import Deployment, Job, ReplicaSet
from fretsaw.sim.scenario.model import Behaves
from fretsaw.sim.work.loads import Loads
from fretsaw.sim.work.works import ScenarioWorks
from fretsaw.sim.world import World
from support.scenarios import scenario

MONDAY = 1_767_571_200_000


class Cluster:
    """A store with a Deployment `serving/web` and its ReplicaSet, a Job `ml/train`, and their loads."""

    def __init__(self, work: str) -> None:
        self.world = World(MONDAY)
        entries = [entry for entry in scenario(f"work: {work}").usable().work if isinstance(entry, Behaves)]
        self.works = ScenarioWorks(self.world.store, entries)
        self.loads = Loads(self.world, self.works)
        web = self.world.store.put(Deployment(ObjectMeta("web", "serving")))
        owner = OwnerReference("Deployment", "web", web.metadata.uid, controller=True)
        self.set = self.world.store.put(ReplicaSet(ObjectMeta("web-1", "serving", owner_references=(owner,))))
        self.job = self.world.store.put(Job(ObjectMeta("train", "ml")))

    def pod(self, name: str, *, ready: bool = True, of: str = "web", phase: str = "Running") -> Pod:
        """A pod of the Deployment or of the Job."""
        obj, kind = (self.set, "ReplicaSet") if of == "web" else (self.job, "Job")
        owner = OwnerReference(kind, obj.metadata.name, obj.metadata.uid, controller=True)
        container = Container("main", resources=ResourceRequirements({"cpu": "2", "memory": "1Gi"}))
        status = PodStatus(phase, (Condition("Ready", "True" if ready else "False"),))
        metadata = ObjectMeta(name, obj.metadata.namespace, owner_references=(owner,))
        return self.world.store.put(Pod(metadata, PodSpec((container,)), status))

    def of(self, pod: Pod, metric: str = "gpu_utilization") -> int | None:
        """A metric of a pod now."""
        return self.loads.of_pod(pod, metric, self.world.loop.now)


SERVICE = "[{for: deployment/serving/web, serves: {capacity: 10/s, load: 12/s, external: requests}}, {for: job/ml/train, runs: 1h, gpuUse: 90%}]"


def test_a_services_pods_share_its_load() -> None:
    cluster = Cluster(SERVICE)
    one = cluster.pod("web-1-a")
    assert cluster.of(one) == 100_000
    two = cluster.pod("web-1-b")
    assert (cluster.of(one), cluster.of(two)) == (60_000, 60_000)
    assert cluster.loads.use(one, MONDAY) == pytest.approx(0.6)


@pytest.mark.parametrize("ends", ["unready", "failed", "deleting", "gone"])
def test_a_pod_that_is_not_ready_any_more_bears_nothing(ends: str) -> None:
    cluster = Cluster(SERVICE)
    one, two = cluster.pod("web-1-a"), cluster.pod("web-1-b")
    if ends == "unready":
        two = cluster.pod("web-1-b", ready=False)
    elif ends == "failed":
        two = cluster.world.store.put(replace(two, status=replace(two.status, phase="Failed")))
    elif ends == "deleting":
        cluster.world.store.put(replace(two, metadata=replace(two.metadata, deletion_timestamp="2026-01-05T00:00:30Z")))
    else:
        cluster.world.store.remove("Pod", two.key)
    assert cluster.of(one) == 100_000
    if ends == "unready":
        assert cluster.of(two) == 0
    if ends == "failed":
        assert cluster.of(two) is None


def test_a_pod_that_waits_has_no_sample() -> None:
    cluster = Cluster(SERVICE)
    pod = cluster.pod("web-1-a", ready=False, phase="Pending")
    assert [cluster.of(pod), cluster.loads.usage(pod, "cpu", MONDAY)] == [None, None]


def test_a_batch_pod_keeps_its_gpus_busy_while_it_is_ready() -> None:
    cluster = Cluster(SERVICE)
    assert cluster.of(cluster.pod("train-a", of="train")) == 90_000
    assert cluster.of(cluster.pod("train-a", of="train", ready=False)) == 0
    assert cluster.loads.use(cluster.pod("train-a", of="train", phase="Succeeded"), MONDAY) == 0


def test_metrics_have_the_names_that_the_scenario_gives_and_that_dcgm_gives() -> None:
    cluster = Cluster("[{for: deployment/serving/web, serves: {capacity: 10/s, load: 5/s, metric: busy}}]")
    pod = cluster.pod("web-1-a")
    values = {name: cluster.of(pod, name) for name in ("busy", "DCGM_FI_DEV_GPU_UTIL", "requests_per_second", "other")}
    assert values == {"busy": 50_000, "DCGM_FI_DEV_GPU_UTIL": 50_000, "requests_per_second": 5_000, "other": None}
    assert cluster.of(cluster.pod("train-a", of="train"), "busy") is None


def test_the_whole_load_is_an_external_metric_of_its_namespace() -> None:
    cluster = Cluster(SERVICE)
    assert cluster.loads.external("requests", "serving", MONDAY) is None  # before its first pod
    cluster.pod("web-1-a", ready=False)
    assert cluster.loads.external("requests", "serving", MONDAY) == 12_000
    assert cluster.loads.external("requests", "ml", MONDAY) is None
    assert cluster.loads.external("others", "serving", MONDAY) is None


def test_cpu_follows_the_load_and_memory_is_what_was_asked_for() -> None:
    cluster = Cluster(
        "[{for: deployment/serving/web, serves: {capacity: 10/s, load: 5/s}, cpuUse: 80%}, {for: job/ml/train, runs: 1h, cpuUse: 25%}]"
    )
    web, train = cluster.pod("web-1-a"), cluster.pod("train-a", of="train")
    use = {
        pod.name: [cluster.loads.usage(pod, name, MONDAY) for name in ("cpu", "memory", "gpu")] for pod in (web, train)
    }
    assert use == {"web-1-a": [800, 2**30, None], "train-a": [500, 2**30, None]}
    assert cluster.loads.usage(cluster.pod("web-1-a", ready=False), "cpu", MONDAY) == 0


def test_the_load_moves_with_the_time() -> None:
    cluster = Cluster(
        "[{for: deployment/serving/web, serves: {capacity: 10/s, load: {steps: [{at: 0, rate: 1/s}, {at: 10m, rate: 5/s}]}}}]"
    )
    pod = cluster.pod("web-1-a")
    assert [cluster.loads.of_pod(pod, "gpu_utilization", MONDAY + at * MINUTE) for at in (0, 9, 10)] == [
        10_000,
        10_000,
        50_000,
    ]
