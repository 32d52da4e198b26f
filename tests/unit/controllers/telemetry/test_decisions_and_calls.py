"""Disruptions, pools and their prices, calls to others, conditions, and what is told while somebody else leads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry, Counter

from fretsaw.api.capacitybuffer import CapacityBuffer
from fretsaw.api.catalog import Catalog, InstanceType, Offering
from fretsaw.api.labels import CAPACITY_TYPE, INSTANCE_TYPE, ZONE
from fretsaw.api.meta import Condition
from fretsaw.api.nodeoverlay import NodeOverlay
from fretsaw.api.nodepool import TemplateMeta
from fretsaw.api.times import MINUTE, SECOND, rfc3339
from fretsaw.controllers.telemetry import Telemetry
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.disruption.balanced import Score
from fretsaw.engine.state import ClusterState
from fretsaw.engine.turn import Turn
from fretsaw.errors import InstanceNotFound, NotReady, OutOfCapacity, Throttled
from support.lives import objects_of
from support.performer import START
from support.telemetry_pages import Page, Stage

SPOT = {INSTANCE_TYPE: "g5.xlarge", ZONE: "z-a", CAPACITY_TYPE: "spot"}


def cluster(stage: Stage, *claims: str, **pool: Any) -> None:
    """A pool with machines of which each is initialised, and has a ready node."""
    given = {
        "pools": [{"name": "main", "after": "1m", **pool}],
        "claims": [{"name": name, "labels": SPOT} for name in claims],
        "nodes": [{"name": f"n-{name}", "of": name, "labels": SPOT} for name in claims],
    }
    stage.put(*objects_of(given))


def command(*candidates: str, method: Any = "single", **more: Any) -> e.Command:
    """A consolidation."""
    return e.Command(f"{method}/1", method, more.pop("reason", "Underutilized"), candidates, **more)


def note(stage: Stage, *notes: e.Event) -> None:
    """A turn that only remembers."""
    stage.turns(Turn(notes=notes))


# Disruption


def test_a_consolidation_is_followed_from_finding_to_beginning() -> None:
    stage, found = Stage(), command("g1", types=(("g5.xlarge",),), savings_usd_per_hour=0.5)
    cluster(stage, "g1")
    note(stage, e.CommandProposed(found, stage.now + 15 * SECOND))
    stage.now += 15 * SECOND
    begun = replace(found, replacements=("r1",))
    note(stage, e.CommandStarted(begun, stage.now))
    page = stage.page()
    what = {"reason": "underutilized", "consolidation_type": "single"}
    name = "karpenter_voluntary_disruption_decision_evaluation_duration_seconds"
    assert page.total(f"{name}_sum", **what) == 15
    assert page.total("karpenter_voluntary_disruption_decisions_total", decision="replace", **what) == 1
    by_pool = "karpenter_voluntary_disruption_decisions_by_nodepool_total"
    assert page.total(by_pool, nodepool="main", decision="replace", **what) == 1
    moves = page.by("karpenter_consolidation_moves_total", "decision", "nodepool", "policy")
    assert moves == {("approved", "main", "WhenEmptyOrUnderutilized"): 1}
    note(stage, e.CommandEnded(found.id))
    assert stage.page().by("fretsaw_disruption_savings_per_hour_total", "reason") == {("underutilized",): 0.5}


def test_drift_has_no_consolidation_type_and_no_move() -> None:
    stage = Stage()
    cluster(stage, "g1", "g2")
    note(stage, e.CommandStarted(command("g1", "g2", method="drift", reason="Drifted"), stage.now))
    page = stage.page()
    keys = ("decision", "reason", "consolidation_type")
    assert page.by("karpenter_voluntary_disruption_decisions_total", *keys) == {("delete", "drifted", ""): 1}
    assert page.total("karpenter_voluntary_disruption_decisions_by_nodepool_total") == 1
    assert page.total("karpenter_consolidation_moves_total") == 0


def test_candidates_that_do_not_stand_their_validation_are_counted() -> None:
    stage, found = Stage(), command("g1", "g2", method="multi")
    cluster(stage, "g1", "g2")
    note(stage, e.CommandProposed(found, stage.now), e.CommandDropped(found, "churn"))
    failed = stage.page().by("karpenter_voluntary_disruption_failed_validations_total", "consolidation_type")
    assert failed == {("multi",): 2}


def test_a_failed_disruption_counts_replacements_that_were_not_ready_and_saves_nothing() -> None:
    stage = Stage()
    cluster(stage, "g1", "ready")
    begun = command("g1", types=((), ()), replacements=("ready", "late"), savings_usd_per_hour=1.0)
    note(stage, e.CommandStarted(begun, stage.now))
    note(stage, e.CommandEnded(begun.id, "command reached timeout"))
    page = stage.page()
    keys = ("decision", "reason", "consolidation_type")
    failures = page.by("karpenter_voluntary_disruption_queue_failures_total", *keys)
    assert failures == {("replace", "underutilized", "replace"): 1}
    assert page.total("fretsaw_disruption_savings_per_hour_total") == 0


def test_a_disruption_that_is_done_has_not_failed_whatever_became_of_its_replacements() -> None:
    stage = Stage()
    cluster(stage, "g1")
    begun = command("g1", types=((),), replacements=("gone",), savings_usd_per_hour=1.0)
    note(stage, e.CommandStarted(begun, stage.now))
    note(stage, e.CommandEnded(begun.id))
    page = stage.page()
    assert page.total("karpenter_voluntary_disruption_queue_failures_total") == 0
    assert page.total("fretsaw_disruption_savings_per_hour_total") == 1


def test_rounds_that_were_cut_short_are_counted_from_nought() -> None:
    stage = Stage()
    name = "karpenter_voluntary_disruption_consolidation_timeouts_total"
    assert stage.page().by(name, "consolidation_type") == {("multi",): 0, ("single",): 0}
    note(stage, e.MethodCut(("main",)))
    assert stage.page().by(name, "consolidation_type") == {("multi",): 0, ("single",): 1}


@pytest.mark.parametrize("about", ["NodeClaim/g1", "NodePool/main"])
def test_the_score_is_read_from_the_event_that_tells_of_it(about: str) -> None:
    stage = Stage()
    cluster(stage, "g1")
    text = str(Score(savings=0.3, disruption=0.2))
    tells = [a.Tell(about, "ConsolidationApproved", text), a.Tell("Node/n-g1", "ConsolidationApproved", text)]
    stage.turns(Turn(tuple(tells)))
    page = stage.page()
    assert page.total("karpenter_consolidation_score_sum", decision="approved", nodepool="main") == 1.5
    assert page.total("karpenter_consolidation_score_count") == 1


# Pools and prices


def catalog(price: float = 0.4) -> Catalog:
    """One type for sale."""
    labels = {"kubernetes.io/arch": ["amd64"]}
    return Catalog([InstanceType("g5.xlarge", {"cpu": "4"}, {}, labels, [Offering("z-a", "spot", price)])])


def test_a_pool_tells_its_limits_and_what_it_has() -> None:
    stage = Stage()
    status = {"status": {"resources": {"cpu": "4500m", "nvidia.com/gpu": "1"}}}
    cluster(stage, limits={"cpu": "100", "ephemeral-storage": "1Ki"}, **status)
    page = stage.page()
    limits = page.by("karpenter_nodepools_limit", "nodepool", "resource_type")
    assert limits == {("main", "cpu"): 100, ("main", "ephemeral_storage"): 1024}
    usage = page.by("karpenter_nodepools_usage", "nodepool", "resource_type")
    assert usage == {("main", "cpu"): 4.5, ("main", "nvidia.com/gpu"): 1}


def test_what_budgets_allow_is_told_for_every_reason() -> None:
    stage = Stage()
    cluster(stage, *(f"g{i}" for i in range(15)))
    started = command("g0", "g1")
    note(stage, e.CommandStarted(started, stage.now))
    page = stage.page()
    allowed = page.by("karpenter_nodepools_allowed_disruptions", "nodepool", "reason")
    assert allowed == {("main", reason): 2 for reason in ("Underutilized", "Empty", "Drifted")}
    consuming = page.by("karpenter_nodepools_nodes_consuming_budgets", "nodepool", "reason")
    assert consuming == {("main", reason): 2 for reason in ("Underutilized", "Empty", "Drifted")}


def test_the_cost_is_that_of_the_catalog_and_overlays_change_only_karpenters() -> None:
    stage = Stage()
    cluster(stage, "g1", "g2")
    stage.happens(e.CatalogRead(("main",), catalog()))
    page = stage.page()
    assert page.total("karpenter_nodepools_cost_total", nodepool="main") == 0.8
    assert page.total("fretsaw_cost_per_hour", nodepool="main", capacity_type="spot") == 0.8
    spec = {"requirements": [{"key": CAPACITY_TYPE, "operator": "In", "values": ["spot"]}], "price": "0.1"}
    overlay = msgspec.convert({"metadata": {"name": "o"}, "spec": spec}, NodeOverlay)
    stage.put(overlay)
    page = stage.page()
    assert page.total("karpenter_nodepools_cost_total") == pytest.approx(0.2)
    assert page.total("fretsaw_cost_per_hour") == 0.8
    elsewhere = {"requirements": [{"key": CAPACITY_TYPE, "operator": "In", "values": ["on-demand"]}], "price": "0.1"}
    stage.put(msgspec.convert({"metadata": {"name": "o"}, "spec": elsewhere}, NodeOverlay))
    assert stage.page().total("karpenter_nodepools_cost_total") == 0.8
    stage.put(overlay)
    own = {"requirements": [{"key": "team", "operator": "In", "values": ["a"]}], "price": "0.3"}
    stage.put(msgspec.convert({"metadata": {"name": "p"}, "spec": {**own, "weight": 10}}, NodeOverlay))
    assert stage.page().total("karpenter_nodepools_cost_total") == pytest.approx(0.2)
    pool = stage.state.pools["main"]
    template = replace(pool.spec.template, metadata=TemplateMeta(labels={"team": "a"}))
    stage.put(replace(pool, spec=replace(pool.spec, template=template)))
    assert stage.page().total("karpenter_nodepools_cost_total") == pytest.approx(0.6)
    stage.happens(e.Gone("NodeOverlay", "p"))
    stage.happens(e.Gone("NodeOverlay", "o"), e.CatalogRead(("main",), catalog(1.0)))
    page = stage.page()
    assert page.total("karpenter_nodepools_cost_total") == 2


def test_the_price_that_the_cloud_named_counts_more_than_the_list() -> None:
    stage = Stage()
    cluster(stage, "g1")
    stage.happens(
        e.CatalogRead(("main",), catalog()),
        e.InstanceCreated("g1", "aws:///z-a/i-g1", {}, {}, {}, price_usd_per_hour=0.35),
    )
    assert stage.page().total("fretsaw_cost_per_hour") == 0.35
    assert stage.page().total("karpenter_nodepools_cost_total") == 0.4


@pytest.mark.parametrize(("sold", "errors"), [(True, 0), (False, 1)])
def test_a_machine_without_a_price_is_counted(sold: bool, errors: int) -> None:
    stage = Stage()
    stage.happens(e.CatalogRead(("main",), catalog() if sold else Catalog([])))
    for stage_name in ("created", "launched", "launched"):
        stage.put(*objects_of({"claims": [{"name": "g1", "stage": stage_name, "labels": SPOT}]}))
    assert stage.page().total("karpenter_nodepools_cost_tracker_errors_total", nodepool="main") == errors


# Our own


def test_gpus_are_counted_by_pool_and_of_pods_that_wait() -> None:
    stage = Stage()
    cluster(stage, "g1", "g2")
    assert stage.page().by("fretsaw_gpus_allocatable", "nodepool") == {("main",): 2}
    for name, node in (("on", "n-g1"), ("waits", "")):
        (pod,) = objects_of({"pods": [{"name": name, "node": node, "phase": "Pending"}]})
        tree = msgspec.to_builtins(pod)
        tree["spec"]["containers"] = [{"name": "c", "resources": {"requests": {"nvidia.com/gpu": "1"}}}]
        stage.put(msgspec.convert(tree, type(pod)))
    page = stage.page()
    assert page.by("fretsaw_gpus_requested", "nodepool") == {("main",): 1}
    assert page.total("fretsaw_gpus_waiting") == 1


@pytest.mark.parametrize(("node", "landed"), [("n-g1", "as_planned"), ("n-g2", "elsewhere"), ("", "gone")])
def test_a_planned_pod_lands_somewhere(node: str, landed: str) -> None:
    stage = Stage()
    cluster(stage, "g1", "g2")
    (pod,) = objects_of({"pods": [{"name": "p", "phase": "Pending"}]})
    stage.put(pod)
    note(stage, e.Planned((("default/p", "g2"),), stage.now), e.Planned((("default/p", "g1"),), stage.now))
    note(stage, e.Planned((("default/virtual", "g2"),), stage.now))
    if node:
        stage.put(*objects_of({"pods": [{"name": "p", "node": node}]}))
    stage.happens(e.Gone("Pod", "default/p"))
    expected = {("as_planned",): 0, ("elsewhere",): 0, ("gone",): 0} | {(landed,): 1}
    assert stage.page().by("fretsaw_planned_pods_total", "landed") == expected
    assert len(stage.telemetry.own._plans) == 0


def test_the_stages_of_a_wait_are_timed() -> None:
    stage = Stage()
    (pod,) = objects_of({"pods": [{"name": "p", "phase": "Pending"}]})
    (claim,) = objects_of({"claims": [{"name": "g1", "stage": "created", "created": "@4s"}]})
    stage.put(pod)
    stage.now += 4 * SECOND
    stage.turns(Turn((a.CreateClaim(claim, "provisioned", ("default/p",)),)))
    when = {"Launched": "@6s", "Registered": "@46s", "Initialized": "@106s"}
    conditions: dict[str, str] = {}
    stage.put(claim)
    for type_, at in when.items():
        conditions[type_] = f"True {type_} {at}"
        (claim,) = objects_of(
            {"claims": [{"name": "g1", "stage": "created", "created": "@4s", "conditions": conditions}]}
        )
        stage.put(claim, claim)
    sums = stage.page().by("fretsaw_wait_seconds_sum", "nodepool", "stage")
    assert sums == {
        ("main", "claim"): 4, ("main", "launched"): 2, ("main", "registered"): 40, ("main", "initialized"): 60,
    }  # fmt: skip


def test_an_offering_that_runs_out_is_counted_each_time_and_told_while_it_is_out() -> None:
    stage, here = Stage(), ("g5.xlarge", "z-a", "spot")
    for out in (frozenset({here}), frozenset({here}), frozenset[Any](), frozenset({here})):
        stage.happens(e.OfferingsOut(out))
    page = stage.page()
    assert page.by("fretsaw_insufficient_capacity_total", "instance_type", "zone", "capacity_type") == {here: 2}
    assert page.by("fretsaw_offerings_unavailable", "instance_type", "zone", "capacity_type") == {here: 1}
    stage.happens(e.OfferingsOut(frozenset()))
    assert list(stage.page().samples("fretsaw_offerings_unavailable")) == []


# Calls


def clocked(*times: float) -> Telemetry:
    """A Telemetry whose clock shows these times."""
    ticks: Iterator[float] = iter(times)
    return Telemetry(clock=lambda: next(ticks), version="1.2.3", commit="abc")


def read(telemetry: Telemetry) -> Page:
    """What it tells of an empty cluster."""
    return Page(telemetry.page(START, ClusterState()))


def test_a_call_of_the_provider_is_timed_by_method_and_controller() -> None:
    telemetry = clocked(1.0, 3.5, 10.0, 11.0)
    with telemetry.provider_call("Create"):
        pass
    with telemetry.provider_call("List", "elsewhere"):
        pass
    sums = read(telemetry).by("karpenter_cloudprovider_duration_seconds_sum", "controller", "method", "provider")
    assert sums == {("nodeclaim.lifecycle", "Create", "aws"): 2.5, ("elsewhere", "List", "aws"): 1}
    assert read(telemetry).total("karpenter_cloudprovider_errors_total") == 0


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (OutOfCapacity("none left"), "InsufficientCapacityError"),
        (NotReady("class"), "NodeClassNotReadyError"),
        (InstanceNotFound("i-1"), "NodeClaimNotFoundError"),
        (Throttled("wait"), ""),
        (RuntimeError("odd"), ""),
    ],
)
def test_a_call_that_fails_is_counted_and_raises(error: Exception, name: str) -> None:
    telemetry = clocked(0.0, 1.0)
    with pytest.raises(type(error)), telemetry.provider_call("Delete"):
        raise error
    page = read(telemetry)
    assert page.by("karpenter_cloudprovider_errors_total", "method", "error") == {("Delete", name): 1}
    assert page.total("karpenter_cloudprovider_duration_seconds_count") == 1


def test_requests_to_the_api_server_are_told_by_http_method() -> None:
    telemetry = Telemetry()
    telemetry.api_request("list", "karpenter.sh", "v1", "NodeClaim", "", 200, 0.25)
    telemetry.api_request("PATCH", "karpenter.sh", "v1", "NodeClaim", "status", 409, 0.5)
    telemetry.api_request("watch", "", "v1", "Pod", "", 200, 300.0)
    telemetry.api_request("create", "", "v1", "Pod", "eviction", "<error>", 1.0)
    page = read(telemetry)
    assert page.by("client_go_request_total", "code", "method") == {
        ("200", "GET"): 2, ("409", "PATCH"): 1, ("<error>", "POST"): 1,
    }  # fmt: skip
    keys = ("verb", "group", "version", "kind", "subresource")
    assert page.by("client_go_request_duration_seconds_sum", *keys) == {
        ("GET", "karpenter.sh", "v1", "NodeClaim", ""): 0.25,
        ("PATCH", "karpenter.sh", "v1", "NodeClaim", "status"): 0.5,
        ("POST", "", "v1", "Pod", "eviction"): 1,
    }


def test_the_build_is_told() -> None:
    (sample,) = read(clocked()).samples("karpenter_build_info", version="1.2.3", commit="abc")
    assert sample.value == 1
    assert sample.labels["goversion"].startswith("python3.")


def test_the_wait_of_events_is_told() -> None:
    telemetry = Telemetry()
    telemetry.event_waited(0.25)
    assert read(telemetry).total("fretsaw_event_lag_seconds_sum") == 0.25


def test_metrics_of_others_stand_on_the_same_page() -> None:
    registry = CollectorRegistry()
    Counter("theirs", "Help.", registry=registry).inc()
    assert Page(Telemetry(registry).page(START, ClusterState())).total("theirs_total") == 1


# Conditions


def test_a_transition_is_counted_by_what_it_became_and_timed_by_what_it_was() -> None:
    stage = Stage()
    for text in ("Unknown Waiting @0s", "True Launched @30s", "True Launched @30s", "False Gone @1m"):
        given = {"name": "g", "stage": "created", "labels": {"x": "y"}, "conditions": {"Launched": text}}
        stage.put(*objects_of({"claims": [given]}))
    page = stage.page()
    labels = {"type": "Launched", "karpenter_k8s_aws_ec2nodeclass": "default", "karpenter_sh_nodepool": "main"}
    total = "operator_nodeclaim_status_condition_transitions_total"
    assert page.total(total, status="True", reason="Launched", **labels) == 1
    assert page.total(total, status="False", reason="Gone", **labels) == 1
    assert page.total(total, **labels) == 2
    stay = "operator_nodeclaim_status_condition_transition_seconds_sum"
    assert page.total(stay, status="Unknown", **labels) == 30
    assert page.total(stay, status="True", **labels) == 30
    twin = {"type": "Launched", "group": "karpenter.sh", "kind": "NodeClaim"}
    assert page.total("operator_status_condition_transition_seconds_sum", **twin) == 60
    assert page.total("operator_status_condition_transitions_total", **twin) == 2


def test_a_condition_is_counted_on_first_sight_unless_it_is_unknown() -> None:
    stage = Stage()
    stage.put(*objects_of({"claims": [{"name": "g", "stage": "launched"}]}))
    found = stage.page().by("operator_nodeclaim_status_condition_transitions_total", "type", "status")
    assert found == {("Launched", "True"): 1}
    assert stage.page().total("operator_nodeclaim_status_condition_transition_seconds_count") == 0


def test_how_long_a_condition_has_held_and_a_deletion_has_taken() -> None:
    stage = Stage()
    stage.put(*objects_of({"claims": [{"name": "g", "deleted": "@1m"}]}))
    stage.now += 5 * MINUTE
    page = stage.page()
    assert page.total("operator_nodeclaim_status_condition_current_status_seconds", type="Launched") == 299
    assert page.total("operator_nodeclaim_termination_current_time_seconds", name="g") == 240
    assert page.total("operator_termination_current_time_seconds", kind="NodeClaim", name="g") == 240
    stage.happens(e.Gone("NodeClaim", "g"))
    page = stage.page()
    assert page.total("operator_nodeclaim_termination_duration_seconds_sum") == 240
    assert page.total("operator_termination_duration_seconds_sum", kind="NodeClaim") == 240
    assert list(page.samples("operator_nodeclaim_status_condition_count")) == []


def test_nodes_have_no_twin_and_buffers_have_one() -> None:
    stage = Stage()
    stage.put(*objects_of({"nodes": [{"name": "n", "of": "g"}]}))
    tree = {"metadata": {"name": "b", "namespace": "ns"}, "spec": {"replicas": 1}}
    buffer = msgspec.convert(tree, CapacityBuffer)
    ready = Condition("ReadyForProvisioning", "True", "Ready", "", rfc3339(START))
    stage.put(replace(buffer, status=replace(buffer.status, conditions=(ready,))))
    page = stage.page()
    (own,) = page.samples("operator_node_status_condition_count")
    assert (own.labels["karpenter_sh_initialized"], own.labels["type"]) == ("true", "Ready")
    (twin,) = page.samples("operator_status_condition_count")
    assert (twin.labels["group"], twin.labels["kind"]) == ("autoscaling.x-k8s.io", "CapacityBuffer")
    assert (twin.labels["namespace"], twin.labels["name"]) == ("ns", "b")


# Who tells what


def test_without_observability_nothing_is_told_of_single_objects() -> None:
    stage = Stage()
    stage.telemetry = Telemetry(observability=False)
    cluster(stage, "g1")
    stage.put(*objects_of({"pods": [{"name": "p"}]}))
    names = {family.name for family in stage.page().families}
    assert not [name for name in names if name.startswith(("operator_", "karpenter_nodes_", "karpenter_nodepools_"))]
    assert "karpenter_pods_state" not in names
    assert "karpenter_cluster_state_node_count" in names


def test_who_does_not_lead_follows_and_tells_only_of_its_calls() -> None:
    stage = Stage()
    stage.telemetry.lead(False)
    for stage_name in ("created", "launched", "registered"):
        stage.put(*objects_of({"claims": [{"name": "g", "stage": stage_name}]}))
    stage.telemetry.api_request("get", "", "v1", "Node", "", 200, 0.1)
    assert {family.name for family in stage.page().families} == {
        "karpenter_build_info", "client_go_request", "client_go_request_duration_seconds",
    }  # fmt: skip
    stage.telemetry.lead(True)
    page = stage.page()
    assert page.total("karpenter_nodes_created_total") == 0
    assert page.total("client_go_request_total") == 1
    stage.put(*objects_of({"claims": [{"name": "g", "conditions": {"Drained": "True Drained @1m"}}]}))
    assert stage.page().total("karpenter_nodes_drained_total") == 1
