"""The scheduler's queue in time, what it tells the journal, and how little it tries again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from fretsaw.api.meta import ObjectMeta
from fretsaw.api.node import ContainerImage, Node, NodeStatus
from fretsaw.api.pod import Container, Pod, PodSpec, PodStatus, ResourceRequirements
from fretsaw.sim.scheduler import Scheduler
from fretsaw.sim.scheduler.columns import Columns
from fretsaw.sim.scheduler.images import Images
from fretsaw.sim.scheduler.mold import MIB, make
from fretsaw.sim.scheduler.queue import Queue, backoff
from fretsaw.sim.world import World


def node(name: str, **room: str) -> Node:
    allocatable = {"cpu": "4", "memory": "16Gi", "pods": "110", **room}
    return Node(
        ObjectMeta(name=name, labels={"kubernetes.io/hostname": name}), status=NodeStatus(allocatable=allocatable)
    )


def pod(name: str, at: str = "", nominated: str = "", **requests: str) -> Pod:
    asked = {key.replace("gpu", "nvidia.com/gpu"): value for key, value in requests.items()}
    spec = PodSpec(containers=(Container(name="c", resources=ResourceRequirements(asked)),), node_name=at)
    return Pod(ObjectMeta(name=name, namespace="default"), spec, PodStatus(nominated_node_name=nominated))


def world_with(*objects: Any, **options: Any) -> tuple[World, Scheduler]:
    world = World()
    scheduler = Scheduler(world, **options)
    for obj in objects:
        world.store.put(obj)
    return world, scheduler


def facts(world: World, what: str) -> list[tuple[int, str, dict[str, Any]]]:
    return [(fact.at, fact.about, fact.data) for fact in world.journal.facts if fact.what == what]


def bound(world: World) -> dict[str, str]:
    return {pod.metadata.name: pod.spec.node_name for pod in world.store.all("Pod").values() if pod.spec.node_name}


def test_pods_are_bound_one_after_another() -> None:
    world, _ = world_with(node("a"), *(pod(f"p{number}", cpu="1") for number in range(3)), bind=10)
    world.loop.run(1000)
    assert facts(world, "pod-bound") == [(10 * n, f"Pod/default/p{n - 1}", {"node": "a"}) for n in (1, 2, 3)]


def test_objects_that_were_there_before_are_known() -> None:
    world = World()
    world.store.put(node("a", cpu="1"))
    world.store.put(pod("x", at="a", cpu="1"))
    world.store.put(pod("p", cpu="1"))
    Scheduler(world)
    world.loop.run(100)
    assert [about for _, about, _ in facts(world, "pod-unschedulable")] == ["Pod/default/p"]


def test_a_pod_is_called_unschedulable_once() -> None:
    world, scheduler = world_with(node("a"), pod("p", gpu="1"))
    world.loop.run(19 * 60_000)
    assert len(facts(world, "pod-unschedulable")) == 1
    assert scheduler.attempts == 1 + 3  # flushed every five minutes, at the next half minute


def test_the_flush_comes_with_the_first_half_minute_after_five() -> None:
    world, scheduler = world_with(node("a"))
    world.loop.run(7_000)
    world.store.put(pod("p", gpu="1"))
    world.loop.run(329_999)
    assert scheduler.attempts == 1
    world.loop.run(330_000)
    assert scheduler.attempts == 2


@pytest.mark.parametrize(
    "event",
    [
        lambda world: world.store.put(node("b")),
        lambda world: world.store.put(pod("y", at="a", cpu="1")),
        lambda world: world.store.remove("Pod", "default/x"),
        lambda world: world.store.put(
            replace(world.store.get("Node", "a"), metadata=ObjectMeta("a", annotations={"k": "v"}))
        ),
    ],
    ids=["a node without GPUs", "a pod comes", "a pod without GPUs leaves a node without any", "an annotation"],
)
def test_events_that_cannot_help_try_nothing(event: Any) -> None:
    world, scheduler = world_with(node("a"), pod("x", at="a", cpu="1"), pod("p", gpu="1"))
    world.loop.run(30_000)
    event(world)
    world.loop.run(60_000)
    assert scheduler.attempts == 1


def test_equal_pods_that_wait_cost_one_attempt_an_event() -> None:
    world, scheduler = world_with(node("a"), *(pod(f"p{number}", cpu="3") for number in range(50)))
    world.loop.run(30_000)
    assert scheduler.attempts == 50
    world.store.put(node("b"))
    world.loop.run(60_000)
    assert scheduler.attempts == 52  # one is bound, the next one fails for all that are left
    assert bound(world) == {"p0": "a", "p1": "b"}


def test_backoff_grows_with_the_attempts() -> None:
    assert [backoff(attempts) for attempts in range(7)] == [0, 1000, 2000, 4000, 8000, 10_000, 10_000]
    world, scheduler = world_with(pod("p", cpu="3"))
    tried = []
    for second in range(1, 40):
        world.store.put(node(f"n{second}", cpu="3500m"))
        if second == 1:
            world.store.put(pod("x", at="n1", cpu="1"))
        else:
            world.store.put(pod(f"x{second}", at=f"n{second}", cpu="1"))
        world.loop.run(second * 1000)
        tried.append(scheduler.attempts)
    # At 0 and 1 s (seen a second later), then 2, 4, 8 and 10 s after the last failure.
    assert [tried.index(count) + 1 for count in range(1, 7)] == [1, 2, 3, 7, 15, 25]


def test_pods_that_back_off_are_tried_when_it_is_over() -> None:
    world, _ = world_with(pod("p", cpu="1"))
    world.loop.run(300)
    world.store.put(node("a"))
    world.loop.run(999)
    assert bound(world) == {}
    world.loop.run(1010)
    assert bound(world) == {"p": "a"}


def test_a_pod_deleted_while_it_is_bound_is_left_alone() -> None:
    world, _ = world_with(node("a"), pod("p", cpu="1"), pod("q", cpu="1"), bind=10)
    world.loop.run(5)
    world.store.delete("Pod", "default/p")
    world.loop.run(100)
    assert bound(world) == {"q": "a"}


def test_a_node_that_goes_while_a_pod_is_bound_is_not_used() -> None:
    world, _ = world_with(node("a"), pod("p", cpu="1"), bind=10)
    world.loop.run(5)
    world.store.delete("Node", "a")
    world.store.put(node("b"))
    world.loop.run(100)
    assert bound(world) == {"p": "b"}


def test_a_pod_made_again_under_its_name_is_another_pod() -> None:
    world, _ = world_with(node("a"), node("b", gpu="1"), pod("p", cpu="1"), bind=10)
    world.loop.run(5)
    world.store.delete("Pod", "default/p")
    world.store.put(pod("p", cpu="3"))
    world.loop.run(100)
    (found,) = world.store.all("Pod").values()
    assert found.spec.node_name in ("a", "b")
    assert [at for at, _, _ in facts(world, "pod-bound")] == [20]


def test_planned_landings_are_told() -> None:
    world, _ = world_with(
        node("a"),
        node("b", cpu="1"),
        pod("p", nominated="a", cpu="1"),
        pod("q", nominated="b", cpu="2"),
        pod("r", cpu="1"),
    )
    world.loop.run(1000)
    assert [(about, data) for _, about, data in facts(world, "planned-landing")] == [
        ("Pod/default/p", {"planned": "a", "actual": "a"}),
        ("Pod/default/q", {"planned": "b", "actual": "a"}),
    ]


def test_pods_planned_for_nodes_to_come_land_there() -> None:
    plans = {f"p{number}": f"n{number % 4}" for number in range(16)}
    world, scheduler = world_with(*(pod(name, cpu="1") for name in plans))
    for number in range(4):
        world.loop.run((number + 1) * 20_000)
        for name in (name for name, to in plans.items() if to == f"n{number}"):
            waiting = world.store.get("Pod", f"default/{name}")
            world.store.put(replace(waiting, status=replace(waiting.status, nominated_node_name=f"n{number}")))
        world.store.put(node(f"n{number}"))
    world.loop.run(200_000)
    assert bound(world) == plans
    assert scheduler.attempts < 50


def test_preemption_is_told() -> None:
    low = pod("low", at="a", cpu="4")
    high = pod("high", cpu="4")
    world, _ = world_with(node("a"), low, replace(high, spec=replace(high.spec, priority=5)))
    world.loop.run(100)
    assert facts(world, "pod-preempted") == [(0, "Pod/default/low", {"by": "default/high", "node": "a"})]
    assert [c.reason for c in world.store.get("Pod", "default/low").status.conditions] == ["PreemptionByScheduler"]


def test_what_preemption_nominated_is_no_plan() -> None:
    high = pod("high", cpu="4")
    world, _ = world_with(node("a"), pod("low", at="a", cpu="4"), replace(high, spec=replace(high.spec, priority=5)))
    world.loop.run(100)
    world.store.remove("Pod", "default/low")
    world.loop.run(5000)
    assert bound(world) == {"high": "a"}
    assert facts(world, "planned-landing") == []


def test_each_of_several_equal_pods_preempts_for_itself() -> None:
    lows = [pod(f"low{n}", at=f"n{n}", cpu="4") for n in range(3)]
    highs = [pod(f"high{n}", cpu="4") for n in range(3)]
    world, _ = world_with(
        *(node(f"n{n}") for n in range(3)), *lows, *(replace(h, spec=replace(h.spec, priority=5)) for h in highs)
    )
    world.loop.run(100)
    nominated = [world.store.get("Pod", f"default/high{n}").status.nominated_node_name for n in range(3)]
    assert sorted(nominated) == ["n0", "n1", "n2"]


def test_the_same_seed_binds_the_same() -> None:
    def run() -> list[Any]:
        world, _ = world_with(*(node(f"n{n}") for n in range(5)), *(pod(f"p{n}", cpu="1") for n in range(12)))
        world.loop.run(1000)
        return facts(world, "pod-bound")

    assert run() == run()


def test_pods_on_a_node_that_is_not_there_count_when_it_comes() -> None:
    world, _ = world_with(pod("x", at="a", cpu="4"), pod("p", cpu="1"))
    world.loop.run(100)
    world.store.put(node("a"))
    world.loop.run(5000)
    assert bound(world) == {"x": "a"}
    world.store.remove("Pod", "default/x")
    world.loop.run(10_000)
    assert bound(world) == {"p": "a"}


def test_a_resized_pod_counts_with_the_larger_of_both() -> None:
    running = pod("x", at="a", cpu="1")
    world, _ = world_with(node("a"), running)
    grown = world.store.get("Pod", "default/x")
    containers = (replace(grown.spec.containers[0], resources=ResourceRequirements({"cpu": "3"})),)
    world.store.put(replace(grown, spec=replace(grown.spec, containers=containers)))
    world.store.put(pod("p", cpu="2"))
    world.loop.run(100)
    assert bound(world) == {"x": "a"}


@pytest.mark.parametrize(("size", "score"), [(20, 0), (46, 0), (48, 0), (1023, 50), (2000, 100), (9000, 100)])
def test_images_score_between_23_and_1000_mebibytes(size: int, score: int) -> None:
    """Half of the nodes have the image, so that half of its size counts."""
    columns = Columns()
    images = Images(columns)
    for name in ("a", "b"):
        columns.put(node(name))
    having = replace(node("b").status, images=(ContainerImage(names=("app:latest",), size_bytes=size * MIB),))
    images.put(1, replace(node("b"), status=having))
    mold = make(0, replace(pod("p"), spec=PodSpec(containers=(Container(name="c", image="app"),))), None)
    found = images.score(mold, np.array([0, 1]))
    assert found is not None
    assert found.tolist() == [0, score]


def test_an_empty_queue_has_nothing_to_try() -> None:
    queue = Queue(World().loop, lambda: None)
    assert queue.next() is None
    assert queue.drop("default/p") is None
