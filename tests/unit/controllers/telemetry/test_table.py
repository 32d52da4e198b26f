"""Names, types and labels are those of Karpenter v1.14, and the page of the documentation says so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fretsaw.controllers.telemetry.families import Family
from fretsaw.controllers.telemetry.metrics import GROUPS, Telemetry
from fretsaw.controllers.telemetry.reference import page

ROOT = Path(__file__).parents[4]
FAMILIES = {family.name: family for group in GROUPS for family in group.families}
DISRUPTED = "reason nodepool capacity_type consolidation_policy termination_mode"
NODE = (
    "nodepool zone region instance_type arch os capacity_type windows_build zone_id instance_family instance_size "
    "instance_gpu_name instance_gpu_count instance_accelerator_name instance_tenancy capacity_reservation_id "
    "node_name phase managed"
)
"""Labels that a node's series have, among others of the provider."""

# name, type, labels; `…` stands for the labels of a node
KARPENTER = f"""
karpenter_nodeclaims_created_total | counter | reason nodepool min_values_relaxed
karpenter_nodeclaims_terminated_total | counter | nodepool capacity_type zone
karpenter_nodeclaims_disrupted_total | counter | {DISRUPTED}
karpenter_nodeclaims_instance_termination_duration_seconds | histogram | nodepool
karpenter_nodeclaims_termination_duration_seconds | histogram | nodepool
karpenter_nodeclaims_unhealthy_disrupted_total | counter | condition nodepool capacity_type image_id
karpenter_nodes_created_total | counter | nodepool zone
karpenter_nodes_terminated_total | counter | nodepool zone
karpenter_nodes_drained_total | counter | nodepool
karpenter_nodes_termination_duration_seconds | summary | nodepool
karpenter_nodes_lifetime_duration_seconds | histogram | nodepool
karpenter_nodes_allocatable | gauge | … resource_type
karpenter_nodes_total_pod_requests | gauge | … resource_type
karpenter_nodes_total_pod_limits | gauge | … resource_type
karpenter_nodes_total_daemon_requests | gauge | … resource_type
karpenter_nodes_total_daemon_limits | gauge | … resource_type
karpenter_nodes_system_overhead | gauge | … resource_type
karpenter_nodes_current_lifetime_seconds | gauge | …
karpenter_cluster_utilization_percent | gauge | resource_type
karpenter_nodepools_limit | gauge | resource_type nodepool
karpenter_nodepools_usage | gauge | resource_type nodepool
karpenter_nodepools_cost_total | gauge | nodepool
karpenter_nodepools_allowed_disruptions | gauge | nodepool reason
karpenter_nodepools_nodes_consuming_budgets | gauge | nodepool reason
karpenter_nodepools_cost_tracker_errors_total | counter | nodepool
karpenter_pods_state | gauge | name namespace owner node scheduled nodepool zone arch capacity_type instance_type phase ready managed
karpenter_pods_startup_duration_seconds | summary |
karpenter_pods_unstarted_time_seconds | gauge | name namespace
karpenter_pods_bound_duration_seconds | histogram |
karpenter_pods_unbound_time_seconds | gauge | name namespace
karpenter_pods_provisioning_bound_duration_seconds | histogram |
karpenter_pods_provisioning_unbound_time_seconds | gauge | name namespace
karpenter_pods_provisioning_startup_duration_seconds | histogram |
karpenter_pods_provisioning_unstarted_time_seconds | gauge | name namespace
karpenter_pods_provisioning_scheduling_undecided_time_seconds | gauge | name namespace
karpenter_pods_scheduling_decision_duration_seconds | histogram |
karpenter_pods_eviction_requests_total | counter | code
karpenter_pods_drained_total | counter | reason
karpenter_pods_disruption_initiated_total | counter | {DISRUPTED}
karpenter_scheduler_scheduling_duration_seconds | histogram | controller
karpenter_scheduler_ignored_pods_count | gauge |
karpenter_scheduler_unschedulable_pods_count | gauge | controller
karpenter_scheduler_pending_pods_by_effective_zone_count | gauge | controller zone
karpenter_cluster_state_node_count | gauge |
karpenter_cluster_state_synced | gauge |
karpenter_cluster_state_unsynced_time_seconds | gauge |
karpenter_voluntary_disruption_decision_evaluation_duration_seconds | histogram | reason consolidation_type
karpenter_voluntary_disruption_decisions_total | counter | decision reason consolidation_type
karpenter_voluntary_disruption_decisions_by_nodepool_total | counter | nodepool decision reason consolidation_type
karpenter_voluntary_disruption_consolidation_timeouts_total | counter | consolidation_type
karpenter_voluntary_disruption_failed_validations_total | counter | consolidation_type
karpenter_voluntary_disruption_queue_failures_total | counter | decision reason consolidation_type
karpenter_consolidation_score | histogram | decision nodepool policy
karpenter_consolidation_moves_total | counter | decision nodepool policy
karpenter_cloudprovider_duration_seconds | histogram | controller method provider
karpenter_cloudprovider_errors_total | counter | controller method provider error
karpenter_build_info | gauge | version goversion goarch commit
client_go_request_duration_seconds | histogram | verb group version kind subresource
client_go_request_total | counter | code method
"""
MISSING = (
    "karpenter_scheduler_queue_depth",
    "karpenter_scheduler_unfinished_work_seconds",
    "karpenter_voluntary_disruption_eligible_nodes",
)
EXTRA = {
    "nodeclaim_": "karpenter_k8s_aws_ec2nodeclass karpenter_sh_nodepool",
    "nodepool_": "",
    "node_": "karpenter_k8s_aws_ec2nodeclass karpenter_sh_nodepool karpenter_sh_initialized",
    "capacitybuffer_": "",
    "": "group kind",
}
CONDITIONS = (
    ("status_condition_transition_seconds", "histogram", "type status"),
    ("status_condition_count", "gauge", "namespace name type status reason"),
    ("status_condition_current_status_seconds", "gauge", "namespace name type status reason"),
    ("status_condition_transitions_total", "counter", "type status reason"),
    ("termination_current_time_seconds", "gauge", "namespace name"),
    ("termination_duration_seconds", "histogram", ""),
)


def rows() -> list[tuple[str, str, set[str]]]:
    """All metrics of Karpenter that there have to be."""
    found = []
    for text in KARPENTER.strip().splitlines():
        name, type_, labels = (part.strip() for part in text.split("|"))
        found.append((name, type_, set(labels.split())))
    for prefix, extra in EXTRA.items():
        for name, type_, labels in CONDITIONS:
            found.append((f"operator_{prefix}{name}", type_, {*labels.split(), *extra.split()}))
    return found


@pytest.mark.parametrize(("name", "type_", "labels"), rows(), ids=lambda v: v if isinstance(v, str) else "")
def test_each_metric_has_its_type_and_labels(name: str, type_: str, labels: set[str]) -> None:
    family = FAMILIES[name]
    assert family.type == type_
    if "…" in labels:
        assert set(NODE.split()) <= set(family.labels)
        assert (labels - {"…"}) <= set(family.labels)
    else:
        assert set(family.labels) == labels
    assert len(set(family.labels)) == len(family.labels)


def test_there_are_no_others_but_our_own() -> None:
    known = {name for name, _, _ in rows()}
    assert {name for name in FAMILIES if not name.startswith("fretsaw_")} == known


def test_histograms_have_karpenters_buckets() -> None:
    assert FAMILIES["karpenter_nodeclaims_instance_termination_duration_seconds"].buckets[-1] == 1024
    assert FAMILIES["karpenter_nodeclaims_termination_duration_seconds"].buckets[-1] == 2048
    lifetimes = FAMILIES["karpenter_nodes_lifetime_duration_seconds"].buckets
    assert (len(lifetimes), lifetimes[0], lifetimes[3], lifetimes[-1]) == (21, 900, 3600, 30 * 86400)
    assert FAMILIES["karpenter_consolidation_score"].buckets == (0.1, 0.25, 0.33, 0.5, 1, 2, 5, 10)
    conditions = FAMILIES["operator_nodeclaim_status_condition_transition_seconds"].buckets
    assert (len(conditions), conditions[0], conditions[-1]) == (15, 0.5, 8192)
    requests = FAMILIES["client_go_request_duration_seconds"].buckets
    assert (len(requests), requests[0]) == (20, 0.001)
    assert requests[1] == pytest.approx(0.0015)
    assert len(FAMILIES["karpenter_scheduler_scheduling_duration_seconds"].buckets) == 45


def test_every_group_tells_only_what_is_in_its_table() -> None:
    telemetry = Telemetry()
    assert tuple(type(group) for group in telemetry.groups) == GROUPS
    for group in telemetry.groups:
        assert {store.family for store in group.stores} <= set(group.families)


def test_a_help_text_is_one_line_and_a_sentence() -> None:
    wrong = [family.name for family in FAMILIES.values() if not _is_sentence(family)]
    assert wrong == []


def _is_sentence(family: Family) -> bool:
    return "\n" not in family.help and "|" not in family.help and family.help.endswith(".")


def test_the_documentation_is_what_the_code_says() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fretsaw.controllers.telemetry"], capture_output=True, text=True, check=True
    )
    assert done.stdout == page()
    assert (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8") == page()


def test_the_documentation_names_every_metric_and_what_is_missing() -> None:
    text = page()
    assert [name for name in (*FAMILIES, *MISSING) if f"`{name}`" not in text] == []
