"""Counters of claims and nodes, one change at a time."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from fretsaw.api.meta import Object
from fretsaw.api.node import Node
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.pod import Container, ResourceRequirements
from fretsaw.api.times import MINUTE, SECOND, rfc3339
from fretsaw.controllers.telemetry.changes import MOST_ORDERS, Orders
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.turn import Turn
from support.lives import objects_of
from support.performer import START
from support.telemetry_pages import Stage

POOL = {"name": "main", "after": "1m"}


def made(**given: Any) -> list[Any]:
    """The objects of a case, the pool first."""
    objects: list[Object] = list(objects_of({"pools": [POOL], **given}))
    return sorted(objects, key=lambda obj: ("NodePool", "NodeClaim", "Node", "Pod").index(type(obj).__name__))


def deleted(obj: Any, at: int) -> Any:
    """The object with a deletion time."""
    return replace(obj, metadata=replace(obj.metadata, deletion_timestamp=rfc3339(at)))


def test_a_claim_that_nobody_here_ordered_is_not_counted() -> None:
    stage = Stage()
    stage.put(*made(claims=[{"name": "g"}]))
    assert stage.page().total("karpenter_nodeclaims_created_total") == 0


def test_an_ordered_claim_counts_once_however_often_it_is_ordered() -> None:
    stage = Stage()
    pool, claim = made(claims=[{"name": "g", "stage": "created"}])
    claim = replace(
        claim,
        metadata=replace(claim.metadata, annotations={"karpenter.sh/nodeclaim-min-values-relaxed": "true"}),
    )
    stage.put(pool)
    for _ in range(2):
        stage.turns(Turn((a.CreateClaim(claim, "drifted"),)))
    stage.put(claim, claim)
    labels = {"reason": "drifted", "nodepool": "main", "min_values_relaxed": "true"}
    assert stage.page().by("karpenter_nodeclaims_created_total", *labels) == {tuple(labels.values()): 1}


@pytest.mark.parametrize(
    ("reason", "grace", "policy", "mode"),
    [
        ("empty", None, "when_empty_or_underutilized", "graceful"),
        ("underutilized", "30m", "when_empty_or_underutilized", "eventual"),
        ("drifted", "0s", "", "forceful"),
        ("expired", None, "", "graceful"),
        ("spot_interrupted", "30m", "", ""),
    ],
)
def test_a_disruption_is_labelled_by_how_the_claim_goes(reason: str, grace: str | None, policy: str, mode: str) -> None:
    stage = Stage()
    spec = {"terminationGracePeriod": grace} if grace else {}
    objects = made(
        claims=[{"name": "g", "spec": spec, "labels": {"karpenter.sh/capacity-type": "spot"}}],
        nodes=[{"name": "n", "of": "g"}],
        pods=[
            {"name": "moves", "node": "n"},
            {"name": "stays", "node": "n", "owner": "DaemonSet"},
            {"name": "done", "node": "n", "phase": "Succeeded"},
        ],
    )
    stage.put(*objects)
    claim = next(obj for obj in objects if isinstance(obj, NodeClaim))
    claim = replace(claim, status=replace(claim.status, node_name="n"))
    stage.put(claim)
    for _ in range(3):
        stage.turns(Turn((a.DeleteClaim("g", reason),)))
    assert stage.page().total("karpenter_nodeclaims_disrupted_total") == 0
    stage.put(deleted(claim, stage.now))
    labels = (reason, "main", "spot", policy, mode)
    keys = ("reason", "nodepool", "capacity_type", "consolidation_policy", "termination_mode")
    page = stage.page()
    assert page.by("karpenter_nodeclaims_disrupted_total", *keys) == {labels: 1}
    pods = {labels: 1} if reason != "spot_interrupted" else {}
    assert page.by("karpenter_pods_disruption_initiated_total", *keys) == pods


@pytest.mark.parametrize("reason", ["node_deleted", "scaled_down", ""])
def test_a_deletion_by_hand_or_of_a_fixed_pool_is_no_disruption(reason: str) -> None:
    stage = Stage()
    pool, claim = made(claims=[{"name": "g"}])
    stage.put(pool, claim)
    if reason:
        stage.turns(Turn((a.DeleteClaim("g", reason),)))
    stage.put(deleted(claim, stage.now))
    assert stage.page().total("karpenter_nodeclaims_disrupted_total") == 0


def test_the_first_reason_for_a_deletion_counts() -> None:
    stage = Stage()
    pool, claim = made(claims=[{"name": "g"}])
    stage.put(pool, claim)
    for reason in ("empty", "expired"):
        stage.turns(Turn((a.DeleteClaim("g", reason),)))
    stage.put(deleted(claim, stage.now))
    assert stage.page().by("karpenter_nodeclaims_disrupted_total", "reason") == {("empty",): 1}


def test_orders_that_never_come_to_anything_are_forgotten_in_the_end() -> None:
    orders = Orders()
    for i in range(MOST_ORDERS + 3):
        orders.note(f"g{i}", "provisioned")
    assert len(orders) == MOST_ORDERS
    assert next(iter(orders)) == "g3"


def test_a_finalizer_that_is_taken_from_what_stays_ends_nothing() -> None:
    stage = Stage()
    objects = made(claims=[{"name": "g"}], nodes=[{"name": "n", "of": "g"}])
    stage.put(*objects)
    stage.put(*(replace(obj, metadata=replace(obj.metadata, finalizers=())) for obj in objects))
    page = stage.page()
    assert page.total("karpenter_nodes_terminated_total") == 0
    assert page.total("karpenter_nodeclaims_terminated_total") == 0


def test_a_claim_that_goes_without_having_been_seen_deleted_counts() -> None:
    stage = Stage()
    pool, claim = made(claims=[{"name": "g", "stage": "created", "finalizer": False}])
    stage.put(pool, claim)
    stage.turns(Turn((a.DeleteClaim("g", "insufficient_capacity"),)))
    stage.happens(e.Gone("NodeClaim", "g"))
    page = stage.page()
    assert page.total("karpenter_nodeclaims_disrupted_total", reason="insufficient_capacity") == 1
    assert page.total("karpenter_nodeclaims_terminated_total") == 0


def test_a_sick_node_is_told_with_its_condition() -> None:
    stage = Stage()
    sick = [
        {"type": "StorageReady", "status": "False", "lastTransitionTime": "@2s"},
        {"type": "AcceleratedHardwareReady", "status": "False", "lastTransitionTime": "@1m"},
    ]
    objects = made(
        claims=[{"name": "g", "status": {"imageID": "ami-1"}}], nodes=[{"name": "n", "of": "g", "conditions": sick}]
    )
    stage.put(*objects)
    stage.now += 20 * MINUTE
    stage.turns(Turn((a.DeleteClaim("g", "unhealthy"),)))
    stage.put(deleted(objects[1], stage.now))
    found = stage.page().by("karpenter_nodeclaims_unhealthy_disrupted_total", "condition", "nodepool", "image_id")
    assert found == {("accelerated_hardware_ready", "main", "ami-1"): 1}


def test_the_ends_of_a_claim_and_its_node_are_timed() -> None:
    stage = Stage()
    terminating = {"InstanceTerminating": "True InstanceTerminating @2m"}
    objects = made(claims=[{"name": "g", "conditions": terminating}], nodes=[{"name": "n", "of": "g"}])
    pool, claim, node = (next(o for o in objects if type(o).__name__ == k) for k in ("NodePool", "NodeClaim", "Node"))
    claim, node = deleted(claim, START + MINUTE), deleted(node, START + MINUTE)
    stage.put(pool, claim, node)
    stage.now += 5 * MINUTE
    stage.happens(e.Gone("Node", "n"), e.Gone("NodeClaim", "g"))
    page = stage.page()
    assert page.total("karpenter_nodes_terminated_total", nodepool="main") == 1
    assert page.total("karpenter_nodes_termination_duration_seconds_sum") == 240
    assert page.total("karpenter_nodes_termination_duration_seconds", quantile="0.5") == 240
    assert page.total("karpenter_nodes_lifetime_duration_seconds_sum") == 300
    assert page.total("karpenter_nodeclaims_termination_duration_seconds_sum") == 240
    assert page.total("karpenter_nodeclaims_instance_termination_duration_seconds_sum") == 180


def test_a_claim_whose_finalizer_is_seen_to_go_ends_once() -> None:
    stage = Stage()
    pool, claim = made(claims=[{"name": "g", "deleted": "@1m"}])
    stage.put(pool, claim)
    stage.put(replace(claim, metadata=replace(claim.metadata, finalizers=())))
    stage.happens(e.Gone("NodeClaim", "g"))
    assert stage.page().total("karpenter_nodeclaims_terminated_total") == 1


def test_a_node_registers_and_is_drained_once() -> None:
    stage = Stage()
    pool, before = made(claims=[{"name": "g", "stage": "launched"}])
    after = made(claims=[{"name": "g", "stage": "registered", "conditions": {"Drained": "True Drained @1m"}}])[1]
    stage.put(pool, before, after, after)
    page = stage.page()
    assert page.total("karpenter_nodes_created_total", nodepool="main") == 1
    assert page.total("karpenter_nodes_drained_total", nodepool="main") == 1


def test_what_was_registered_before_we_looked_is_not_counted() -> None:
    stage = Stage()
    stage.put(*made(claims=[{"name": "g"}]))
    assert stage.page().total("karpenter_nodes_created_total") == 0


def test_another_claim_of_the_same_name_is_another_claim() -> None:
    stage = Stage()
    pool, first = made(claims=[{"name": "g", "stage": "launched"}])
    second = made(claims=[{"name": "g", "stage": "registered"}])[1]
    second = replace(second, metadata=replace(second.metadata, uid="another"))
    stage.put(pool, first, second)
    assert stage.page().total("karpenter_nodes_created_total") == 0


# What nodes are full of


def full_node(stage: Stage) -> None:
    """A node with two pods, one of a DaemonSet, and one that has ended."""
    limits = {"cpu": "2", "memory": "1Gi"}
    requests = {"cpu": "500m", "nvidia.com/gpu": "1"}
    objects = made(
        claims=[{"name": "g"}],
        nodes=[
            {
                "name": "n",
                "of": "g",
                "capacity": {"cpu": "4", "memory": "8Gi", "nvidia.com/gpu": "2", "ephemeral-storage": "0"},
                "labels": {"karpenter.k8s.aws/instance-gpu-name": "a10g"},
            }
        ],
        pods=[
            {"name": "work", "node": "n"},
            {"name": "daemon", "node": "n", "owner": "DaemonSet"},
            {"name": "over", "node": "n", "phase": "Failed"},
        ],
    )
    for obj in objects:
        if type(obj).__name__ == "Pod":
            container = Container(name="c", resources=ResourceRequirements(requests, limits))
            obj = replace(obj, spec=replace(obj.spec, containers=(container,), overhead={"cpu": "100m", "x/y": "1"}))
        elif isinstance(obj, Node):
            obj = replace(obj, status=replace(obj.status, allocatable={**obj.status.allocatable, "cpu": "3920m"}))
        stage.put(obj)


def test_a_node_tells_what_it_offers_and_what_is_asked_of_it() -> None:
    stage = Stage()
    full_node(stage)
    page = stage.page()
    here = {"node_name": "n", "managed": "true", "instance_gpu_name": "a10g", "nodepool": "main", "phase": ""}

    def told(name: str) -> dict[str, float]:
        return {s.labels["resource_type"]: s.value for s in page.samples(f"karpenter_nodes_{name}", **here)}

    assert told("allocatable") == {"cpu": 3.92, "memory": 8 * 2**30, "nvidia.com/gpu": 2, "ephemeral_storage": 0}
    assert told("system_overhead") == {"cpu": 0.08, "memory": 0, "nvidia.com/gpu": 0, "ephemeral_storage": 0}
    assert told("total_pod_requests") == {"cpu": 1.2, "nvidia.com/gpu": 2, "pods": 2, "x/y": 2}
    assert told("total_daemon_requests") == {"cpu": 0.6, "nvidia.com/gpu": 1, "pods": 1, "x/y": 1}
    assert told("total_pod_limits") == {"cpu": 4.2, "memory": 2 * 2**30, "pods": 2}
    assert told("total_daemon_limits") == {"cpu": 2.1, "memory": 2**30, "pods": 1}
    assert page.by("karpenter_cluster_utilization_percent", "resource_type") == pytest.approx(
        {("cpu",): 100 * 1200 / 3920, ("memory",): 0, ("nvidia.com/gpu",): 100}
    )


def test_a_node_is_told_anew_when_its_pods_change_and_not_at_all_when_it_is_gone() -> None:
    stage = Stage()
    full_node(stage)
    stage.page()
    stage.happens(e.Gone("Pod", "default/work"))
    assert stage.page().total("karpenter_nodes_total_pod_requests", resource_type="pods") == 1
    stage.now += 7 * SECOND
    assert stage.page().total("karpenter_nodes_current_lifetime_seconds") == 7
    stage.happens(e.Gone("Node", "n"))
    assert list(stage.page().samples("karpenter_nodes_allocatable")) == []


def test_a_node_of_nobody_is_told_as_such() -> None:
    stage = Stage()
    (node,) = list(objects_of({"nodes": [{"name": "n", "stage": "created", "unregistered": False}]}))
    stage.put(node)
    assert [s.labels["managed"] for s in stage.page().samples("karpenter_nodes_current_lifetime_seconds")] == ["false"]
