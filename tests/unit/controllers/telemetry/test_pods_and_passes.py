"""How pods wait, what passes leave over, and how pods are sent away, one change at a time."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from fretsaw.api.catalog import Catalog, InstanceType, Offering
from fretsaw.api.labels import NODEPOOL, ZONE
from fretsaw.api.meta import Condition, OwnerReference
from fretsaw.api.pod import ClaimVolume, Container, Pod, PodSchedulingGate, ResourceRequirements, Volume
from fretsaw.api.storage import PersistentVolume, PersistentVolumeClaim
from fretsaw.api.times import SECOND, Millis, rfc3339
from fretsaw.controllers.telemetry.pods import code_of
from fretsaw.controllers.telemetry.scheduler import effective_zone
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.options import Options
from fretsaw.engine.turn import Engine, Turn
from fretsaw.engine.volumes import Storage
from support.lives import objects_of
from support.performer import START
from support.telemetry_pages import Page, Stage


def a_pod(name: str = "p", **more: Any) -> Pod:
    """A pod that waits."""
    (pod,) = objects_of({"pods": [{"name": name, "phase": "Pending", **more}]})
    assert isinstance(pod, Pod)
    return pod


def with_condition(pod: Pod, type_: str, at: Millis, *, node: str = "n", phase: str = "Running") -> Pod:
    """The pod on a node, with a condition that holds since then."""
    conditions = (*pod.status.conditions, Condition(type_, "True", last_transition_time=rfc3339(at)))
    status = replace(pod.status, conditions=conditions, phase=phase)
    return replace(pod, spec=replace(pod.spec, node_name=node), status=status)


def pass_for(stage: Stage, *pods: str, on: str = "", unplaced: tuple[str, ...] = ()) -> None:
    """A pass that has looked at the pods now, and has a place for some."""
    placements = tuple((pod, on) for pod in pods if on and pod not in unplaced)
    done = e.BatchDone(stage.now, frozenset(pods), frozenset(unplaced))
    stage.turns(Turn(notes=(e.Planned(placements, stage.now), done)))


def waits(page: Page) -> dict[str, float]:
    """The ages that are told of pods, by the metric's short name."""
    names = ("unstarted", "unbound", "provisioning_unbound", "provisioning_unstarted")
    found = {name: page.total(f"karpenter_pods_{name}_time_seconds") for name in names}
    found["undecided"] = page.total("karpenter_pods_provisioning_scheduling_undecided_time_seconds")
    return found


def test_a_pod_is_followed_from_its_creation_to_its_start() -> None:
    stage, pod = Stage(), a_pod()
    stage.now += 2 * SECOND
    stage.put(pod)
    stage.turns(Turn(notes=(e.BatchOpened(stage.now, stage.now, frozenset({pod.key})),)))
    stage.now += SECOND
    assert waits(stage.page()) == {
        "unstarted": 3, "unbound": 3, "provisioning_unbound": 0, "provisioning_unstarted": 0, "undecided": 1,
    }  # fmt: skip
    pass_for(stage, pod.key, on="g")
    stage.now += 4 * SECOND
    assert waits(stage.page()) == {
        "unstarted": 7, "unbound": 7, "provisioning_unbound": 4, "provisioning_unstarted": 4, "undecided": 0,
    }  # fmt: skip
    bound = with_condition(pod, "PodScheduled", stage.now, phase="Pending")
    stage.put(bound, bound)
    stage.now += 10 * SECOND
    assert waits(stage.page()) == {
        "unstarted": 17, "unbound": 0, "provisioning_unbound": 0, "provisioning_unstarted": 14, "undecided": 0,
    }  # fmt: skip
    ready = with_condition(bound, "Ready", stage.now)
    stage.put(ready, ready)
    page = stage.page()
    assert set(waits(page).values()) == {0}
    assert page.total("karpenter_pods_bound_duration_seconds_sum") == 7
    assert page.total("karpenter_pods_startup_duration_seconds_sum") == 17
    assert page.total("karpenter_pods_startup_duration_seconds", quantile="1") == 17
    assert page.total("karpenter_pods_provisioning_bound_duration_seconds_sum") == 4
    assert page.total("karpenter_pods_provisioning_startup_duration_seconds_sum") == 14
    assert page.total("karpenter_pods_scheduling_decision_duration_seconds_sum") == 1
    assert page.total("karpenter_pods_scheduling_decision_duration_seconds_count") == 1


def test_a_pod_that_ran_before_we_looked_is_not_timed() -> None:
    stage = Stage()
    stage.put(with_condition(a_pod(phase="Running"), "Ready", stage.now))
    assert stage.page().total("karpenter_pods_startup_duration_seconds_count") == 0
    assert stage.page().total("karpenter_pods_bound_duration_seconds_count") == 0


def test_a_pod_that_ends_before_it_is_ready_has_not_started() -> None:
    stage, pod = Stage(), a_pod()
    stage.put(pod, replace(pod, status=replace(pod.status, phase="Failed")))
    page = stage.page()
    assert page.total("karpenter_pods_startup_duration_seconds_count") == 0
    assert set(waits(page).values()) == {0}


def test_the_first_place_counts_when_a_pod_is_planned_again() -> None:
    stage, pod = Stage(), a_pod()
    stage.put(pod)
    pass_for(stage, pod.key, on="g")
    stage.now += 10 * SECOND
    pass_for(stage, pod.key, on="h")
    stage.now += SECOND
    assert waits(stage.page())["provisioning_unbound"] == 11


def test_a_decision_is_timed_once_and_a_failed_pass_takes_the_place_back() -> None:
    stage, pod = Stage(), a_pod()
    stage.put(pod)
    pass_for(stage, pod.key, on="g")
    pass_for(stage, pod.key, unplaced=(pod.key,))
    stage.now += SECOND
    page = stage.page()
    assert page.total("karpenter_pods_scheduling_decision_duration_seconds_count") == 1
    assert waits(page)["provisioning_unbound"] == 0
    assert page.total("karpenter_scheduler_unschedulable_pods_count", controller="provisioner") == 1


def test_the_state_of_a_pod_names_its_node_and_owner() -> None:
    stage = Stage()
    pod = replace(
        a_pod(node="n"),
        metadata=replace(a_pod().metadata, owner_references=(OwnerReference("ReplicaSet", "rs", "u", "apps/v1"),)),
    )
    (node,) = objects_of({"nodes": [{"name": "n", "of": "g", "labels": {ZONE: "z-a", "kubernetes.io/arch": "amd64"}}]})
    stage.put(node, with_condition(pod, "Ready", stage.now))
    (sample,) = stage.page().samples("karpenter_pods_state")
    assert sample.value == 1
    assert sample.labels == {
        "name": "p", "namespace": "default", "owner": "/apis/apps/v1/namespaces/default/replicasets/rs", "node": "n",
        "scheduled": "false", "nodepool": "main", "zone": "z-a", "arch": "amd64", "capacity_type": "",
        "instance_type": "", "phase": "Running", "ready": "true", "managed": "true",
    }  # fmt: skip
    bare = replace(node, metadata=replace(node.metadata, labels={}))
    stage.put(bare)
    (sample,) = stage.page().samples("karpenter_pods_state")
    assert (sample.labels["managed"], sample.labels[NODEPOOL.rpartition("/")[2]]) == ("false", "")


# Sending away


@pytest.mark.parametrize(
    ("refused", "code"),
    [("", "200"), ("429 TooManyRequests: no", "429"), ("500 InternalError: two", "500"), ("no answer", "unknown")],
)
def test_an_eviction_is_counted_by_its_code(refused: str, code: str) -> None:
    assert code_of(refused) == code


def test_an_evicted_pod_is_drained_for_the_reason_of_its_order() -> None:
    stage, pod = Stage(), a_pod(node="n", phase="Running")
    stage.put(pod)
    order = a.Evict(pod.key, pod.metadata.uid, "n", "Underutilized")
    for refused in ("429 TooManyRequests: no", ""):
        stage.turns(Turn((order,)))
        stage.happens(e.EvictionAnswered(pod.key, refused))
    page = stage.page()
    assert page.by("karpenter_pods_eviction_requests_total", "code") == {("429",): 1, ("200",): 1}
    assert page.by("karpenter_pods_drained_total", "reason") == {("Underutilized",): 1}


def test_a_pod_that_is_deleted_by_force_is_drained_once() -> None:
    stage, pod = Stage(), a_pod(node="n", phase="Running")
    stage.put(pod)
    for grace in (30, 10):
        stage.turns(Turn((a.DeletePod(pod.key, pod.metadata.uid, grace, "Forceful Termination"),)))
    assert stage.page().by("karpenter_pods_drained_total", "reason") == {("Forceful Termination",): 1}


# Passes


def test_a_turn_is_timed_by_what_it_did() -> None:
    stage = Stage()
    passed = Turn(notes=(e.BatchDone(0, frozenset()),))
    looked = Turn(notes=(e.Looked(0),))
    for turn, took in ((passed, 1.0), (looked, 2.0), (Turn(), 4.0)):
        stage.telemetry.turn_took(took, turn)
    stage.telemetry.turn_took(8.0, passed, {"provisioner": 5.0, "disruption": 3.0})
    sums = stage.page().by("karpenter_scheduler_scheduling_duration_seconds_sum", "controller")
    assert sums == {("provisioner",): 6, ("disruption",): 5}
    assert stage.page().total("fretsaw_turn_duration_seconds_sum") == 15


def test_pods_that_no_pool_could_help_are_told_apart() -> None:
    stage = Stage()
    gated = a_pod("gated")
    gated = replace(gated, spec=replace(gated.spec, scheduling_gates=(PodSchedulingGate("g"),)))
    big = a_pod("big")
    big = replace(big, spec=replace(big.spec, containers=(Container(resources=ResourceRequirements({"cpu": "99"})),)))
    small = InstanceType("small", {"cpu": "4", "memory": "8Gi", "pods": "9"}, offerings=[Offering("z-a", "spot", 0.1)])
    stage.put(*objects_of({"pools": [{"name": "main"}]}), gated, big)
    stage.happens(e.CatalogRead(("main",), Catalog([small])))
    engine = Engine(Options(batch_idle=0))
    for _ in range(2):  # the batch opens, then closes
        stage.turns(engine.turn(stage.state, stage.now))
    page = stage.page()
    assert page.total("karpenter_scheduler_ignored_pods_count") == 1
    assert page.total("karpenter_scheduler_unschedulable_pods_count") == 1


def test_waiting_pods_are_counted_by_the_zone_that_they_are_bound_to() -> None:
    stage = Stage()

    def bound_to(name: str, *zones: str, volume: str = "") -> Pod:
        pod = a_pod(name)
        volumes = (Volume("v", ClaimVolume(volume)),) if volume else ()
        spec = replace(pod.spec, node_selector={ZONE: zones[0]} if zones else {}, volumes=volumes)
        return replace(pod, spec=spec)

    stage.put(bound_to("a1", "z-a"), bound_to("a2", "z-a"), bound_to("b", "z-b"), bound_to("any"))
    found = stage.page().by("karpenter_scheduler_pending_pods_by_effective_zone_count", "controller", "zone")
    assert found == {("provisioner", "flexible"): 1, ("provisioner", "z-a"): 2, ("provisioner", "z-b"): 1}


def test_a_volume_binds_a_pod_to_its_zone_and_may_leave_none() -> None:
    volume = msgspec.convert(
        {
            "metadata": {"name": "pv"},
            "spec": {
                "nodeAffinity": {
                    "required": {
                        "nodeSelectorTerms": [
                            {"matchExpressions": [{"key": ZONE, "operator": "In", "values": ["z-b"]}]}
                        ]
                    }
                }
            },
        },
        PersistentVolume,
    )
    claim = msgspec.convert(
        {"metadata": {"name": "data", "namespace": "default"}, "spec": {"volumeName": "pv"}}, PersistentVolumeClaim
    )
    storage = Storage.of((claim,), (volume,), ())
    pod = a_pod(volume="data")
    assert effective_zone(pod, storage) == "z-b"
    contradicting = replace(pod, spec=replace(pod.spec, node_selector={ZONE: "z-a"}))
    assert effective_zone(contradicting, storage) == "none"


def test_the_state_says_how_much_it_knows() -> None:
    stage = Stage()
    stage.put(*objects_of({"claims": [{"name": "g"}], "nodes": [{"name": "n", "of": "g"}, {"name": "other"}]}))
    assert stage.page().total("karpenter_cluster_state_node_count") == 2
    assert list(stage.page().samples("karpenter_cluster_state_synced")) == []
    stage.telemetry.synced(START, False)
    stage.telemetry.synced(START + 5 * SECOND, False)
    stage.now = START + 9 * SECOND
    page = stage.page()
    assert page.total("karpenter_cluster_state_synced") == 0
    assert page.total("karpenter_cluster_state_unsynced_time_seconds") == 9
    stage.telemetry.synced(stage.now, True)
    page = stage.page()
    assert page.total("karpenter_cluster_state_synced") == 1
    assert page.total("karpenter_cluster_state_unsynced_time_seconds") == 0


def test_quantiles_are_not_a_number_while_nothing_was_observed_lately() -> None:
    stage, pod = Stage(), a_pod()
    stage.put(pod, with_condition(pod, "Ready", stage.now))
    stage.now += 3600 * SECOND
    (sample,) = stage.page().samples("karpenter_pods_startup_duration_seconds", quantile="0.99")
    assert math.isnan(sample.value)
