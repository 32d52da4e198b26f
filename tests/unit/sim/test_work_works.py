"""How pods behave, and whose progress they continue."""

from __future__ import annotations

from msgspec.structs import replace

from fretsaw.api.expand import INDEX
from fretsaw.api.meta import Object, ObjectMeta, OwnerReference
from fretsaw.api.pod import Pod, PodSpec, PodStatus
from fretsaw.api.workload import CronJob, Deployment, Job, ReplicaSet
from fretsaw.sim.behavior import MIB, Behavior
from fretsaw.sim.scenario.model import Behaves
from fretsaw.sim.spread import Spread
from fretsaw.sim.work.works import ScenarioWorks
from fretsaw.sim.world import World
from support.scenarios import JOB, scenario


def _works(work: str = "[]") -> tuple[World, ScenarioWorks]:
    world = World()
    entries = [entry for entry in scenario(f"work: {work}").usable().work if isinstance(entry, Behaves)]
    return world, ScenarioWorks(world.store, entries)


def _owned(name: str, owner: Object, index: str = "") -> Pod:
    ref = OwnerReference(type(owner).__name__, owner.name, owner.metadata.uid, controller=True)
    annotations = {INDEX: index} if index else {}
    return Pod(ObjectMeta(name, owner.namespace, owner_references=(ref,), annotations=annotations))


def test_an_entry_says_all_that_the_kubelet_asks() -> None:
    world, works = _works(
        "[{for: job/ml/train, starts: {image: 9GB, loads: 1m}, runs: 1h, checkpoint: 10m, restart: 2m, fails: 5%, "
        "exitCode: 3, gpuUse: 90%, gpuMemory: 20Gi, stops: 5s}]"
    )
    pod = _owned("train-x", world.store.put(Job(ObjectMeta("train", "ml"))))
    assert works.behavior(pod) == Behavior(
        runs=Spread.fixed(3_600_000), fails=0.05, exit_code=3, checkpoint=600_000, restart=120_000, image_bytes=9_000_000_000,
        loads=Spread.fixed(60_000), gpu_use=0.9, gpu_memory_bytes=20 * 1024 * MIB, stops=5000,
    )  # fmt: skip


def test_what_no_entry_mentions_runs_until_it_is_deleted() -> None:
    _, works = _works("[{for: job/ml/train, runs: 1h}]")
    assert works.behavior(Pod(ObjectMeta("alone"))) == Behavior()


def test_the_first_entry_that_matches_counts() -> None:
    world, works = _works("[{for: job/ml/train, runs: 1h}, {for: job/ml/*, runs: 2h}, {for: '*/*/*', runs: 3h}]")
    runs = []
    for namespace, name in (("ml", "train"), ("ml", "train-2"), ("other", "train")):
        job = world.store.put(Job(ObjectMeta(name, namespace)))
        found = works.behavior(_owned(f"{name}-x", job)).runs
        runs.append(found.low if found else None)
    assert runs == [3_600_000, 7_200_000, 10_800_000]


def test_owners_are_followed_to_the_outermost() -> None:
    world, works = _works("[{for: deployment/serving/web, gpuUse: 30%}]")
    web = world.store.put(Deployment(ObjectMeta("web", "serving")))
    ref = OwnerReference("Deployment", "web", web.metadata.uid, controller=True)
    pods = world.store.put(ReplicaSet(ObjectMeta("web-1", "serving", owner_references=(ref,))))
    pod = _owned("web-1-x", pods)
    assert works.line(pod) == ("replicaset/serving/web-1", "deployment/serving/web")
    assert works.workload(pod) == "deployment/serving/web"
    assert works.behavior(pod).gpu_use == 0.3
    nightly = world.store.put(CronJob(ObjectMeta("nightly", "ml")))
    ref = OwnerReference("CronJob", "nightly", nightly.metadata.uid, controller=True)
    job = world.store.put(Job(ObjectMeta("nightly-1", "ml", owner_references=(ref,))))
    assert works.workload(_owned("nightly-1-x", job)) == "cronjob/ml/nightly"


def test_replayed_work_does_as_it_was_recorded() -> None:
    world, works = _works("[{for: '*/*/*', runs: 3h}]")
    works.replay("job/ml/openb-1", Behavior(runs=Spread.fixed(5)))
    recorded = _owned("openb-1-x", world.store.put(Job(ObjectMeta("openb-1", "ml"))))
    other = _owned("openb-2-x", world.store.put(Job(ObjectMeta("openb-2", "ml"))))
    assert [works.behavior(pod).runs for pod in (recorded, other)] == [Spread.fixed(5), Spread.fixed(10_800_000)]


def test_a_pod_of_an_indexed_job_has_its_index_as_slot() -> None:
    world, works = _works()
    job = world.store.put(Job(ObjectMeta("train", "ml")))
    assert works.slot(_owned("train-2-abc", job, index="2")) == f"{job.metadata.uid}/2"


def test_bare_pods_and_those_of_stateful_sets_have_their_own_and_replicas_have_none() -> None:
    _, works = _works()
    replica = Pod(
        ObjectMeta("web-x", "a", owner_references=(OwnerReference("ReplicaSet", "web", "u", controller=True),))
    )
    ordinal = Pod(
        ObjectMeta("db-0", "a", owner_references=(OwnerReference("StatefulSet", "db", "u", controller=True),))
    )
    assert [works.slot(pod) for pod in (Pod(ObjectMeta("bare")), ordinal, replica)] == ["default/bare", "a/db-0", ""]


def test_a_new_pod_of_a_job_takes_up_the_run_that_a_lost_one_left_behind() -> None:
    world, works = _works()
    job = world.store.put(Job(ObjectMeta("train", "ml")))
    pods = [world.store.put(replace(_owned(f"train-{n}", job), spec=PodSpec(node_name="n"))) for n in range(4)]
    uid = job.metadata.uid
    assert [works.slot(pod) for pod in pods] == [f"{uid}/{run}" for run in range(4)]
    assert works.slot(pods[1]) == f"{uid}/1"  # asking again changes nothing
    world.store.put(replace(pods[0], status=PodStatus("Succeeded")))
    world.store.put(replace(pods[2], status=PodStatus("Failed")))
    world.store.remove("Pod", pods[1].key)
    new = [world.store.put(_owned(f"train-{n}", job)) for n in range(4, 7)]
    assert [works.slot(pod) for pod in new] == [f"{uid}/1", f"{uid}/2", f"{uid}/4"]


def test_a_pod_that_is_told_to_stop_leaves_its_run_at_once() -> None:
    world, works = _works()
    job = world.store.put(Job(ObjectMeta("train", "ml")))
    old = world.store.put(replace(_owned("train-a", job), spec=PodSpec(node_name="n")))
    works.slot(old)
    world.store.delete("Pod", old.key)
    assert world.store.get("Pod", old.key).metadata.deletion_timestamp
    assert works.slot(world.store.put(_owned("train-b", job))) == f"{job.metadata.uid}/0"


def test_jobs_that_arrive_behave_as_their_pattern_says() -> None:
    world, works = _works(f"[{{for: job/ml/tune-*, runs: 7m}}, {{arrivals: {{at: [1h]}}, make: {JOB}}}]")
    found = works.behavior(_owned("tune-12-x", world.store.put(Job(ObjectMeta("tune-12", "ml"))))).runs
    assert found == Spread.fixed(420_000)
