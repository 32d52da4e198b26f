"""What other parts rely on in workloads: shared specs, stable names, speed, few writes, and times in time zones."""

from __future__ import annotations

import time
from collections import Counter
from zoneinfo import ZoneInfo

import msgspec
import pytest
from msgspec.structs import replace

from fretsaw.api.meta import Condition, LabelSelector, ObjectMeta, scaled
from fretsaw.api.node import Node
from fretsaw.api.pod import Container, Pod, PodSpec, PodStatus, PodTemplateSpec
from fretsaw.api.times import millis, rfc3339
from fretsaw.api.workload import (
    DaemonSet,
    DaemonSetSpec,
    Deployment,
    DeploymentSpec,
    Job,
    JobSpec,
    StatefulSet,
    StatefulSetSpec,
)
from fretsaw.engine.orders import NAME_LETTERS
from fretsaw.sim.workloads import start
from fretsaw.sim.workloads.cronjob import next_in_zone
from fretsaw.sim.world import World

START = millis("2026-01-01T00:00:00Z")
NAMED = ObjectMeta("a", "default")


def template(restart: str = "Always") -> PodTemplateSpec:
    return PodTemplateSpec(ObjectMeta(labels={"app": "a"}), PodSpec((Container("c", "i"),), restart_policy=restart))


def cluster(seed: int = 0) -> World:
    world = World(START, seed)
    start(world)
    return world


def pods(world: World) -> list[Pod]:
    return list(world.store.all("Pod").values())


def to(pod: Pod, phase: str, *, ready: bool = False) -> Pod:
    return replace(pod, status=PodStatus(phase, (Condition("Ready", str(ready), last_transition_time=rfc3339(START)),)))


def test_pods_of_one_deployment_share_spec_labels_and_annotations() -> None:
    world = cluster()
    world.store.put(Deployment(NAMED, DeploymentSpec(20, LabelSelector({"app": "a"}), template())))
    world.loop.run(START + 1000)
    # Scaling later makes pods of the same mold.
    found = world.store.get("Deployment", "default/a")
    world.store.put(replace(found, spec=replace(found.spec, replicas=30)))
    world.loop.run(START + 2000)
    assert len(pods(world)) == 30
    for part in (lambda p: p.spec, lambda p: p.metadata.labels, lambda p: p.metadata.annotations):
        assert len({id(part(pod)) for pod in pods(world)}) == 1


@pytest.mark.parametrize(
    "workload",
    [
        Job(NAMED, JobSpec(5, 5, template=template("Never"))),
        Job(NAMED, JobSpec(5, 5, "Indexed", template=template("Never"))),
        StatefulSet(NAMED, StatefulSetSpec(5, template=template(), pod_management_policy="Parallel")),
    ],
    ids=["job", "indexed", "statefulset"],
)
def test_pods_of_one_workload_share_one_spec(workload: Job | StatefulSet) -> None:
    world = cluster()
    world.store.put(workload)
    world.loop.run(START + 1000)
    assert len(pods(world)) == 5
    assert len({id(pod.spec) for pod in pods(world)}) == 1


def test_the_same_seed_gives_the_same_bytes_and_another_one_other_names() -> None:
    def bytes_of(seed: int) -> bytes:
        world = cluster(seed)
        world.store.put(Deployment(NAMED, DeploymentSpec(9, LabelSelector({"app": "a"}), template())))
        world.store.put(Job(NAMED, JobSpec(3, 3, "Indexed", template=template("Never"))))
        world.loop.run(START + 5000)
        return b"\n".join(msgspec.json.encode(pod) for pod in pods(world))

    assert bytes_of(1) == bytes_of(1) != bytes_of(2)


def test_generated_names_end_in_five_signs_of_the_api_servers_alphabet() -> None:
    world = cluster()
    long = ObjectMeta("x" * 63, "default")
    world.store.put(Job(long, JobSpec(4, 4, template=template("Never"))))
    world.loop.run(START + 1000)
    names = [pod.name for pod in pods(world)]
    assert len(set(names)) == 4
    assert all(name[:58] == "x" * 58 and len(name) == 63 and set(name[58:]) <= set(NAME_LETTERS) for name in names)


def test_a_job_is_written_once_for_each_thing_that_happens_to_it() -> None:
    world = cluster()
    writes: list[Job] = []
    world.store.watch("Job", lambda old, new: writes.append(new))
    world.store.put(Job(NAMED, JobSpec(template=template("Never"))))
    world.loop.run(START + 2000)
    world.store.put(to(pods(world)[0], "Running", ready=True))
    world.loop.run(START + 4000)
    world.store.put(to(pods(world)[0], "Succeeded"))
    world.loop.run(START + 60_000)
    # Made, started, ready, done.
    assert len(writes) == 4
    assert writes[-1].status.succeeded == 1


def test_eight_thousand_jobs_and_a_large_deployment_take_seconds() -> None:
    world = cluster()
    before = time.perf_counter()
    for number in range(8000):
        world.store.put(Job(ObjectMeta(f"j{number}", "default"), JobSpec(template=template("Never"))))
    world.store.put(Deployment(NAMED, DeploymentSpec(500, LabelSelector({"app": "a"}), template())))
    world.loop.run(START + 1000)
    for number, pod in enumerate(pods(world)):
        world.loop.run(START + 1000 + 20 * number)
        world.store.put(to(pod, "Running", ready=True))
    for pod in pods(world):
        if pod.name.startswith("j"):
            world.store.put(to(pod, "Succeeded"))
    world.loop.run(world.loop.now + 5000)
    done = Counter(job.status.succeeded for job in world.store.all("Job").values())
    assert done == {1: 8000}
    assert world.store.get("Deployment", "default/a").status.available_replicas == 500
    # About 2 s alone on the machine; a look at all pods in each sync would take hours.
    assert time.perf_counter() - before < 60


def test_a_node_that_comes_costs_a_look_at_that_node_alone() -> None:
    world = cluster()
    for number in range(5):
        meta = ObjectMeta(f"agent-{number}", "kube-system")
        world.store.put(DaemonSet(meta, DaemonSetSpec(template=template())))
    before = time.perf_counter()
    for number in range(1000):
        world.store.put(Node(ObjectMeta(f"n{number}")))
        world.loop.run(world.loop.now + 100)
    assert len(pods(world)) == 5000
    assert world.store.get("DaemonSet", "kube-system/agent-0").status.desired_number_scheduled == 1000
    assert time.perf_counter() - before < 60


def test_what_a_controller_finds_when_it_starts_is_taken_on() -> None:
    world = World(START)
    job = world.store.put(Job(NAMED, JobSpec(template=template("Never"))))
    world.store.put(Deployment(NAMED, DeploymentSpec(2, LabelSelector({"app": "a"}), template())))
    world.store.put(Node(ObjectMeta("n1")))
    world.store.put(DaemonSet(NAMED, DaemonSetSpec(template=template())))
    start(world)
    world.loop.run(START + 1000)
    assert len(pods(world)) == 4
    assert sum(owner.uid == job.metadata.uid for pod in pods(world) for owner in pod.metadata.owner_references) == 1


# Schedules in time zones: Berlin skips 02:00 to 03:00 on 2026-03-29 and shows it twice on 2026-10-25.


@pytest.mark.parametrize(
    ("schedule", "after", "runs"),
    [
        ("0 12 * * *", "2026-01-10T00:00:00Z", ["2026-01-10T11:00:00Z", "2026-01-11T11:00:00Z"]),
        ("0 12 * * *", "2026-07-10T00:00:00Z", ["2026-07-10T10:00:00Z"]),
        ("30 2 * * *", "2026-03-28T12:00:00Z", ["2026-03-30T00:30:00Z"]),
        (
            "30 2 * * *",
            "2026-10-24T12:00:00Z",
            ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"],
        ),
        (
            "*/30 2 * * *",
            "2026-10-25T00:00:00Z",
            ["2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z"],
        ),
        ("0 0 30 2 *", "2026-01-01T00:00:00Z", [None]),
    ],
)
def test_the_next_time_in_a_zone(schedule: str, after: str, runs: list[str | None]) -> None:
    when: int | None = millis(after)
    for run in runs:
        assert when is not None
        when = next_in_zone(schedule, when, ZoneInfo("Europe/Berlin"))
        assert (None if when is None else rfc3339(when)) == run


@pytest.mark.parametrize(
    ("value", "whole", "up", "down"),
    [(3, 10, 3, 3), ("25%", 10, 3, 2), ("25%", 3, 1, 0), ("0%", 9, 0, 0), ("100%", 7, 7, 7)],
)
def test_a_share_is_rounded_as_it_is_asked(value: int | str, whole: int, up: int, down: int) -> None:
    assert (scaled(value, whole, up=True), scaled(value, whole, up=False)) == (up, down)
