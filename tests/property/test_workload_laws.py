"""Laws of the workload controllers under random lives of their pods."""

from __future__ import annotations

import math
from collections import Counter
from functools import cmp_to_key
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fretsaw.api.meta import Condition, LabelSelector, ObjectMeta
from fretsaw.api.pod import Container, ContainerStatus, Pod, PodSpec, PodStatus, PodTemplateSpec
from fretsaw.api.times import millis, rfc3339
from fretsaw.api.workload import (
    Deployment,
    DeploymentSpec,
    Job,
    JobSpec,
    RollingUpdate,
    UpdateStrategy,
)
from fretsaw.engine.disruption.costs import DELETION_COST
from fretsaw.sim.conditions import is_ready
from fretsaw.sim.workloads import indexes, start
from fretsaw.sim.workloads.ranking import replicas_to_delete
from fretsaw.sim.workloads.rollout import fenceposts
from fretsaw.sim.world import World

START = millis("2026-01-01T00:00:00Z")


def template(image: str, restart: str = "Always") -> PodTemplateSpec:
    return PodTemplateSpec(
        ObjectMeta(labels={"app": "a"}), PodSpec(containers=(Container("c", image),), restart_policy=restart)
    )


def with_phase(pod: Pod, phase: str, now: int, *, ready: bool = False) -> Pod:
    said = Condition("Ready", "True" if ready else "False", last_transition_time=rfc3339(now))
    return replace(pod, status=PodStatus(phase, (said,)))


def counts(pods: list[Pod]) -> tuple[int, int]:
    """(pods that are there and not leaving, those of them that are ready)."""
    active = [pod for pod in pods if not pod.metadata.deletion_timestamp and not pod.is_terminal]
    return len(active), sum(map(is_ready, active))


bounds = st.one_of(st.integers(0, 6), st.integers(0, 100).map(lambda n: f"{n}%"))


@settings(max_examples=60, deadline=None)
@given(
    replicas=st.integers(1, 12), surge=bounds, missing=bounds, seed=st.integers(0, 2**32), versions=st.integers(1, 3)
)
def test_a_rolling_update_keeps_its_fenceposts(
    replicas: int, surge: int | str, missing: int | str, seed: int, versions: int
) -> None:
    world, random = World(START, seed), Random(seed)
    start(world)
    rolling = UpdateStrategy("RollingUpdate", RollingUpdate(missing, surge))
    spec = DeploymentSpec(replicas, LabelSelector({"app": "a"}), template("v0"), strategy=rolling)
    made = world.store.put(Deployment(ObjectMeta("web", "default"), spec))
    most, unavailable = fenceposts(made)

    def pods() -> list[Pod]:
        return list(world.store.all("Pod").values())

    def check(old: Pod | None, new: Pod | None) -> None:
        there, ready = counts(pods())
        assert there <= replicas + most, "more pods than the surge allows"
        assert ready >= replicas - unavailable, "fewer ready pods than have to be available"

    for pod in (world.loop.run(START + 1000), pods())[1]:
        world.store.put(with_phase(pod, "Running", world.loop.now, ready=True))
    world.loop.run(START + 2000)
    world.store.watch("Pod", check)
    for version in range(1, versions + 1):
        latest = world.store.get("Deployment", "default/web")
        world.store.put(replace(latest, spec=replace(latest.spec, template=template(f"v{version}"))))
        for _ in range(random.randint(0, 12) if version < versions else 400):
            world.loop.run(world.loop.now + random.choice((3, 10, 25, 700)))
            waiting = [pod for pod in pods() if not is_ready(pod) and not pod.metadata.deletion_timestamp]
            for pod in random.sample(waiting, random.randint(0, len(waiting))):
                world.store.put(with_phase(pod, "Running", world.loop.now, ready=True))
    world.loop.run(world.loop.now + 1000)
    done = world.store.get("Deployment", "default/web")
    assert {pod.spec.containers[0].image for pod in pods()} == {f"v{versions}"}
    assert counts(pods()) == (replicas, replicas)
    assert done.status.available_replicas == done.status.updated_replicas == done.status.replicas == replicas
    assert {c.type: c.reason for c in done.status.conditions}["Progressing"] == "NewReplicaSetAvailable"


# Which pods a ReplicaSet gives up


@st.composite
def any_pod(draw: st.DrawFn) -> Pod:
    number = draw(st.integers(0, 10**6))
    phase = draw(st.sampled_from(("Pending", "Running", "Running", "Unknown")))
    born = START - draw(st.sampled_from((0, 1, 3, 60, 3600, 90000))) * 1000
    cost = draw(st.sampled_from((None, "-5", "0", "7", "007", "much", "+3", "99999999999")))
    ready = phase == "Running" and draw(st.booleans())
    since = rfc3339(min(START, born + draw(st.sampled_from((0, 1000, 50000)))))
    return Pod(
        ObjectMeta(
            f"p{number}",
            "default",
            annotations={} if cost is None else {DELETION_COST: cost},
            uid=f"{number:08x}",
            creation_timestamp=rfc3339(born),
        ),
        PodSpec(node_name="" if phase == "Pending" and draw(st.booleans()) else draw(st.sampled_from("xyz"))),
        PodStatus(
            phase,
            (Condition("Ready", str(ready), last_transition_time=since),),
            container_statuses=(ContainerStatus("c", restart_count=draw(st.integers(0, 2))),),
        ),
    )


def goes_first(a: Pod, b: Pod, crowd: Counter[str], now: int) -> bool:
    """The rules of kubernetes.io and KEP-2255 and 2185, one by one."""
    if bool(a.spec.node_name) != bool(b.spec.node_name):
        return not a.spec.node_name
    order = ["Pending", "Unknown", "Running"]
    if a.status.phase != b.status.phase:
        return order.index(a.status.phase) < order.index(b.status.phase)
    if is_ready(a) != is_ready(b):
        return not is_ready(a)
    if plain_cost(a) != plain_cost(b):
        return plain_cost(a) < plain_cost(b)
    if crowd[a.spec.node_name] != crowd[b.spec.node_name]:
        return crowd[a.spec.node_name] > crowd[b.spec.node_name]
    since, other = a.status.conditions[0].last_transition_time, b.status.conditions[0].last_transition_time
    if is_ready(a) and since != other:
        return plain_younger(since, other, a, b, now)
    mine, others = (pod.status.container_statuses[0].restart_count for pod in (a, b))
    if mine != others:
        return mine > others
    if a.metadata.creation_timestamp != b.metadata.creation_timestamp:
        return plain_younger(a.metadata.creation_timestamp, b.metadata.creation_timestamp, a, b, now)
    return a.metadata.uid < b.metadata.uid


def plain_cost(pod: Pod) -> int:
    return {"-5": -5, "7": 7}.get(pod.metadata.annotations.get(DELETION_COST, ""), 0)


def plain_younger(since: str | None, other: str | None, a: Pod, b: Pod, now: int) -> bool:
    mine, others = (plain_power((now - millis(text or "")) * 1_000_000) for text in (since, other))
    return a.metadata.uid < b.metadata.uid if mine == others else mine < others


def plain_power(age_ns: int) -> int:
    return int(math.log2(age_ns)) if age_ns > 0 else -1


@settings(max_examples=300, deadline=None)
@given(
    st.lists(any_pod(), max_size=8, unique_by=lambda pod: pod.metadata.uid),
    st.lists(any_pod(), max_size=6),
    st.integers(0, 9),
)
def test_the_order_of_deletion_is_that_of_the_plain_rules(pods: list[Pod], related: list[Pod], count: int) -> None:
    now = START + 5000
    crowd = Counter(pod.spec.node_name for pod in [*pods, *related])
    plain = sorted(pods, key=cmp_to_key(lambda a, b: -1 if goes_first(a, b, crowd, now) else 1))
    found = replicas_to_delete(pods, [*pods, *related], count, now)
    assert [pod.name for pod in found] == [pod.name for pod in plain[:count]]


# Jobs


@settings(max_examples=80, deadline=None)
@given(
    completions=st.integers(1, 12),
    parallelism=st.integers(1, 6),
    indexed=st.booleans(),
    replacement=st.sampled_from(("", "Failed")),
    seed=st.integers(0, 2**32),
)
def test_a_job_counts_every_pod_once_and_runs_no_more_than_it_may(
    completions: int, parallelism: int, indexed: bool, replacement: str, seed: int
) -> None:
    world, random = World(START, seed), Random(seed)
    start(world)
    spec = JobSpec(
        parallelism,
        completions,
        "Indexed" if indexed else "NonIndexed",
        template=template("v", "Never"),
        backoff_limit=10**6,
        pod_replacement_policy=replacement,
    )
    world.store.put(Job(ObjectMeta("train", "default"), spec))
    ended: Counter[str] = Counter()
    uids: set[str] = set()

    def check(old: Pod | None, new: Pod | None) -> None:
        active, _ = counts(list(world.store.all("Pod").values()))
        assert active <= parallelism
        uids.add((new or old).metadata.uid)

    world.store.watch("Pod", check)
    for _ in range(2000):
        world.loop.run(world.loop.now + random.choice((100, 5000, 700_000)))
        job = world.store.get("Job", "default/train")
        if job.status.completion_time:
            break
        for pod in list(world.store.all("Pod").values()):
            if not pod.is_terminal:
                live_on(world, random, pod, ended)
    assert job.status.completion_time
    leaving = sum(not pod.is_terminal for pod in world.store.all("Pod").values())
    assert leaving == 0
    assert job.status.succeeded == completions
    if indexed:
        assert job.status.completed_indexes == indexes.render(range(completions))
    # Each pod that ever was has either succeeded or failed, whatever became of it.
    assert job.status.failed == len(uids) - ended["Succeeded"]
    assert ended["Succeeded"] == completions


def live_on(world: World, random: Random, pod: Pod, ended: Counter[str]) -> None:
    """One of the things that can happen to a pod: it ends well or badly, it is deleted, or nothing."""
    dice = random.random()
    if pod.metadata.deletion_timestamp:
        if dice < 0.5:
            world.store.remove("Pod", pod.key)
    elif dice < 0.3:
        ended["Succeeded"] += 1
        world.store.put(with_phase(pod, "Succeeded", world.loop.now))
    elif dice < 0.45:
        world.store.put(with_phase(pod, "Failed", world.loop.now))
    elif dice < 0.55:
        world.store.delete("Pod", pod.key)
    elif dice < 0.6 and not pod.spec.node_name:
        world.store.put(replace(pod, spec=replace(pod.spec, node_name="n1")))
    elif dice < 0.63:
        world.store.delete("Pod", pod.key, now=True)


@given(st.sets(st.integers(0, 60)))
def test_indexes_read_back_as_they_were_written(found: set[int]) -> None:
    assert indexes.parse(indexes.render(found)) == found


@pytest.mark.parametrize(("found", "text"), [((), ""), ((3,), "3"), ((3, 4), "3,4"), ((0, 2, 3, 4, 9), "0,2-4,9")])
def test_indexes_are_written_short(found: tuple[int, ...], text: str) -> None:
    assert indexes.render(found) == text
