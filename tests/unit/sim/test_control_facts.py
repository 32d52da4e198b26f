"""What the control plane's parts tell the journal, and what an idle autoscaler costs."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from fretsaw.api.autoscaling import (
    HorizontalPodAutoscaler,
    HorizontalPodAutoscalerSpec,
    MetricIdentifier,
    MetricSpec,
    MetricTarget,
    ObjectReference,
    PodsMetric,
)
from fretsaw.api.meta import Condition, LabelSelector, ObjectMeta
from fretsaw.api.node import Node, NodeSpec, NodeStatus, Taint
from fretsaw.api.pod import Pod, PodSpec, PodStatus
from fretsaw.api.workload import Deployment, DeploymentSpec
from fretsaw.sim.eviction import Evictions
from fretsaw.sim.hpa.controller import Autoscalers
from fretsaw.sim.hpa.metrics import PerPod
from fretsaw.sim.node_lifecycle import NodeLifecycle, Settings
from fretsaw.sim.pod_gc import PodGC
from fretsaw.sim.spread import Spread
from fretsaw.sim.world import World

APP = {"app": "a"}


class Flat:
    """Every pod shows the same number."""

    value = 70_000

    def of_pod(self, pod: Pod, metric: str, now: int) -> int | None:
        return self.value

    def usage(self, pod: Pod, resource: str, now: int) -> int | None:
        return None

    def external(self, metric: str, namespace: str, now: int) -> int | None:
        return None


def meta(name: str, **more: Any) -> ObjectMeta:
    return ObjectMeta(name=name, namespace="default", **more)


def running(name: str, node: str = "") -> Pod:
    return Pod(meta(name, labels=APP), PodSpec(node_name=node), PodStatus("Running", (Condition("Ready", "True"),)))


def node(name: str, **spec: Any) -> Node:
    return Node(ObjectMeta(name=name), NodeSpec(**spec), NodeStatus(conditions=(Condition("Ready", "True"),)))


def scaled_world(metrics: Flat, pods: int = 2) -> World:
    world = World()
    Autoscalers(world, metrics)
    metric = MetricSpec(
        "Pods", pods=PodsMetric(MetricIdentifier("m"), MetricTarget("AverageValue", average_value="70"))
    )
    ref = ObjectReference("Deployment", "d", "apps/v1")
    world.store.put(Deployment(meta("d"), DeploymentSpec(pods, LabelSelector(APP))))
    world.store.put(HorizontalPodAutoscaler(meta("h"), HorizontalPodAutoscalerSpec(ref, 1, 10, (metric,))))
    for number in range(pods):
        world.store.put(running(f"p{number}"))
    return world


def facts(world: World) -> list[tuple[int, str, str, dict[str, Any]]]:
    return [(fact.at, fact.what, fact.about, fact.data) for fact in world.journal.facts]


def test_a_change_of_replicas_is_told() -> None:
    metrics = Flat()
    metrics.value = 100_000
    world = scaled_world(metrics)
    world.loop.run(20_000)
    why = "pods metric m above target"
    assert facts(world) == [
        (15_000, "hpa-scaled", "HorizontalPodAutoscaler/default/h", {"old": 2, "new": 3, "why": why})
    ]


def test_an_autoscaler_whose_metrics_stay_writes_and_computes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = scaled_world(Flat())
    world.loop.run(30_000)
    changes: list[object] = []
    world.store.watch_all(lambda old, new: changes.append(new))
    monkeypatch.setattr(PerPod, "propose", lambda *_: pytest.fail("computed anew"))
    before = world.loop.events
    world.loop.run(30_000 + 86_400_000)
    assert world.loop.events - before == 86_400 // 15
    assert changes == []


def test_a_changed_pod_is_looked_at_anew() -> None:
    world = scaled_world(Flat())
    world.loop.run(30_000)
    pod = world.store.get("Pod", "default/p0")
    world.store.put(replace(pod, status=replace(pod.status, phase="Pending")))
    world.store.put(running("p9"))
    world.loop.run(60_000)
    status = world.store.get("HorizontalPodAutoscaler", "default/h").status
    assert (status.current_replicas, status.desired_replicas) == (2, 2)
    assert status.current_metrics[0].pods.current.average_value == "70"


def test_an_eviction_is_told() -> None:
    world = World()
    world.store.put(running("p", "n"))
    assert Evictions(world).evict("default/p") == ""
    assert facts(world) == [(0, "pod-evicted", "Pod/default/p", {"node": "n", "budget": ""})]


def test_a_taint_that_drives_a_pod_out_is_told() -> None:
    world = World()
    NodeLifecycle(world)
    world.store.put(node("n", taints=(Taint("t", "NoExecute"),)))
    world.store.put(running("p", "n"))
    world.loop.run(1000)
    assert facts(world) == [(10, "taint-eviction", "Pod/default/p", {"node": "n"})]


def test_a_node_that_falls_silent_is_told_once() -> None:
    world = World()
    NodeLifecycle(world)
    world.store.put(node("n"))
    world.journal.note("kubelet-stopped", "Node/n")
    world.loop.run(600_000)
    assert facts(world)[1:] == [(50_000, "node-unreachable", "Node/n", {})]


def test_the_deletion_of_a_node_without_an_instance_takes_the_time_that_is_set() -> None:
    world = World()
    NodeLifecycle(world, Settings(gone=Spread.fixed(3000)))
    world.store.put(node("n", provider_id="aws:///us-east-1a/i-1"))
    world.journal.note("instance-ended", "Instance/aws:///us-east-1a/i-1")
    world.loop.run(2999)
    assert world.store.get("Node", "n") is not None
    world.loop.run(3000)
    assert world.store.get("Node", "n") is None
    assert facts(world)[1:] == [(3000, "node-without-instance", "Node/n", {"instance": "aws:///us-east-1a/i-1"})]


def test_a_node_that_appears_after_its_instance_ended_is_deleted_too() -> None:
    world = World()
    NodeLifecycle(world)
    world.journal.note("instance-ended", "Instance/aws:///us-east-1a/i-1")
    world.loop.run(60_000)
    world.store.put(node("n", provider_id="aws:///us-east-1a/i-1"))
    world.loop.run(70_000)
    assert world.store.get("Node", "n") is None


def test_a_node_with_a_finalizer_is_only_marked() -> None:
    world = World()
    NodeLifecycle(world)
    claimed = node("n", provider_id="i")
    world.store.put(replace(claimed, metadata=ObjectMeta(name="n", finalizers=("karpenter.sh/termination",))))
    world.journal.note("instance-ended", "Instance/i")
    world.loop.run(20_000)
    assert world.store.get("Node", "n").metadata.deletion_timestamp


def test_collected_pods_are_told_once_though_a_finalizer_keeps_them() -> None:
    world = World()
    PodGC(world)
    pod = running("p", "nowhere")
    world.store.put(replace(pod, metadata=replace(pod.metadata, finalizers=("batch.kubernetes.io/job-tracking",))))
    world.loop.run(600_000)
    assert facts(world) == [(60_000, "pod-collected", "Pod/default/p", {"node": "nowhere"})]
    events = world.loop.events
    world.loop.run(6_000_000)
    assert world.loop.events == events


def test_a_quiet_cluster_costs_no_events() -> None:
    world = World()
    NodeLifecycle(world)
    PodGC(world)
    for number in range(3):
        world.store.put(node(f"n{number}"))
        world.store.put(running(f"p{number}", f"n{number}"))
    world.loop.run(60_000)
    events = world.loop.events
    world.loop.run(86_400_000)
    assert world.loop.events == events
