"""Which metrics there are, with which labels, and what became of those that there were.

Names without `karpenter_`, type and labels; `…` stands for the labels of a node.
Source: Karpenter v1.14 and its AWS provider v1.14 (metrics reference), upgrade guide 1.0; dcgm-exporter 4.8 (default
counters). A test compares the table with the metrics that `fretsaw run` serves.
"""

from __future__ import annotations

from typing import Final

import msgspec

PREFIX: Final = "karpenter_"


class Metric(msgspec.Struct, frozen=True):
    """A metric that Karpenter exports."""

    name: str
    type: str
    labels: frozenset[str]
    of_nodes: bool = False
    """Whether it has a node's labels, too."""


_TABLE = """
build_info gauge version goversion goarch commit
cloudprovider_batcher_batch_size histogram batcher
cloudprovider_batcher_batch_time_seconds histogram batcher
cloudprovider_duration_seconds histogram controller method provider
cloudprovider_errors_total counter controller method provider error
cloudprovider_instance_launch_failures_total counter zone zone_id capacity_type reason
cloudprovider_instance_termination_failures_total counter zone zone_id
cloudprovider_instance_type_cpu_cores gauge instance_type
cloudprovider_instance_type_memory_bytes gauge instance_type
cloudprovider_instance_type_offering_available gauge instance_type capacity_type zone
cloudprovider_instance_type_offering_price_estimate gauge instance_type capacity_type zone
cluster_state_node_count gauge
cluster_state_synced gauge
cluster_state_unsynced_time_seconds gauge
cluster_utilization_percent gauge resource_type
consolidation_moves_total counter decision nodepool policy
consolidation_score histogram decision nodepool policy
ec2nodeclasses_userdata_bytes gauge nodeclass
interruption_deleted_messages_total counter
interruption_instance_status_unhealthy_total counter category
interruption_message_queue_duration_seconds histogram
interruption_received_messages_total counter message_type
nodeclaims_created_total counter reason nodepool min_values_relaxed
nodeclaims_disrupted_total counter reason nodepool capacity_type consolidation_policy termination_mode
nodeclaims_instance_termination_duration_seconds histogram nodepool
nodeclaims_terminated_total counter nodepool capacity_type zone
nodeclaims_termination_duration_seconds histogram nodepool
nodeclaims_unhealthy_disrupted_total counter condition nodepool capacity_type image_id
nodepools_allowed_disruptions gauge nodepool reason
nodepools_cost_total gauge nodepool
nodepools_cost_tracker_errors_total counter nodepool
nodepools_limit gauge resource_type nodepool
nodepools_nodes_consuming_budgets gauge nodepool reason
nodepools_usage gauge resource_type nodepool
nodes_allocatable gauge … resource_type
nodes_created_total counter nodepool zone
nodes_current_lifetime_seconds gauge …
nodes_drained_total counter nodepool
nodes_lifetime_duration_seconds histogram nodepool
nodes_system_overhead gauge … resource_type
nodes_terminated_total counter nodepool zone
nodes_termination_duration_seconds summary nodepool
nodes_total_daemon_limits gauge … resource_type
nodes_total_daemon_requests gauge … resource_type
nodes_total_pod_limits gauge … resource_type
nodes_total_pod_requests gauge … resource_type
pods_bound_duration_seconds histogram
pods_disruption_initiated_total counter reason nodepool capacity_type consolidation_policy termination_mode
pods_drained_total counter reason
pods_eviction_requests_total counter code
pods_provisioning_bound_duration_seconds histogram
pods_provisioning_scheduling_undecided_time_seconds gauge name namespace
pods_provisioning_startup_duration_seconds histogram
pods_provisioning_unbound_time_seconds gauge name namespace
pods_provisioning_unstarted_time_seconds gauge name namespace
pods_scheduling_decision_duration_seconds histogram
pods_startup_duration_seconds summary
pods_state gauge name namespace owner node scheduled nodepool zone arch capacity_type instance_type phase ready managed
pods_unbound_time_seconds gauge name namespace
pods_unstarted_time_seconds gauge name namespace
scheduler_ignored_pods_count gauge
scheduler_pending_pods_by_effective_zone_count gauge controller zone
scheduler_queue_depth gauge controller scheduling_id
scheduler_scheduling_duration_seconds histogram controller
scheduler_unfinished_work_seconds gauge controller scheduling_id
scheduler_unschedulable_pods_count gauge controller
voluntary_disruption_consolidation_timeouts_total counter consolidation_type
voluntary_disruption_decision_evaluation_duration_seconds histogram reason consolidation_type
voluntary_disruption_decisions_by_nodepool_total counter nodepool decision reason consolidation_type
voluntary_disruption_decisions_total counter decision reason consolidation_type
voluntary_disruption_eligible_nodes gauge reason
voluntary_disruption_failed_validations_total counter consolidation_type
voluntary_disruption_queue_failures_total counter decision reason consolidation_type
"""


def _read(line: str) -> Metric:
    name, kind, *labels = line.split()
    return Metric(PREFIX + name, kind, frozenset(labels) - {"…"}, "…" in labels)


METRICS: Final = {one.name: one for one in map(_read, _TABLE.strip().splitlines())}

RENAMED: Final = {
    PREFIX + old: PREFIX + new
    for old, new in (
        ("nodepool_usage", "nodepools_usage"),
        ("nodepool_limit", "nodepools_limit"),
        ("provisioner_usage", "nodepools_usage"),
        ("provisioner_limit", "nodepools_limit"),
        ("nodeclaims_created", "nodeclaims_created_total"),
        ("nodeclaims_terminated", "nodeclaims_terminated_total"),
        ("nodeclaims_disrupted", "nodeclaims_disrupted_total"),
        ("nodes_created", "nodes_created_total"),
        ("nodes_terminated", "nodes_terminated_total"),
        ("nodes_termination_time_seconds", "nodes_termination_duration_seconds"),
        ("pods_startup_time_seconds", "pods_startup_duration_seconds"),
        ("provisioner_scheduling_duration_seconds", "scheduler_scheduling_duration_seconds"),
        ("provisioner_scheduling_simulation_duration_seconds", "scheduler_scheduling_duration_seconds"),
        ("provisioner_scheduling_queue_depth", "scheduler_queue_depth"),
        ("disruption_actions_performed_total", "voluntary_disruption_decisions_total"),
        ("disruption_eligible_nodes", "voluntary_disruption_eligible_nodes"),
        ("disruption_evaluation_duration_seconds", "voluntary_disruption_decision_evaluation_duration_seconds"),
        ("disruption_budgets_allowed_disruptions", "nodepools_allowed_disruptions"),
        ("disruption_consolidation_timeouts_total", "voluntary_disruption_consolidation_timeouts_total"),
        ("disruption_replacement_nodeclaim_failures_total", "voluntary_disruption_queue_failures_total"),
        ("interruption_received_messages", "interruption_received_messages_total"),
        ("interruption_deleted_messages", "interruption_deleted_messages_total"),
        ("interruption_message_latency_time_seconds", "interruption_message_queue_duration_seconds"),
        ("cloudprovider_instance_type_price_estimate", "cloudprovider_instance_type_offering_price_estimate"),
    )
}
"""Names that are gone, and the ones that say the same now."""

DROPPED: Final = {
    PREFIX + old: new
    for old, new in (
        ("nodeclaims_launched", 'operator_nodeclaim_status_condition_transitions_total{type="Launched"}'),
        ("nodeclaims_registered", 'operator_nodeclaim_status_condition_transitions_total{type="Registered"}'),
        ("nodeclaims_initialized", 'operator_nodeclaim_status_condition_transitions_total{type="Initialized"}'),
        ("nodeclaims_drifted", 'karpenter_nodeclaims_disrupted_total{reason="drifted"}'),
        ("interruption_actions_performed", "karpenter_nodeclaims_disrupted_total"),
        ("disruption_nodes_disrupted_total", "karpenter_nodeclaims_disrupted_total"),
        ("disruption_pods_disrupted_total", "karpenter_pods_disruption_initiated_total"),
        ("provisioner_usage_pct", "karpenter_nodepools_usage / karpenter_nodepools_limit"),
    )
    for old in (old, f"{old}_total")
}
"""Names that are gone without a successor, and what to ask instead."""

TARGET_LABELS: Final = frozenset(
    (
        "job", "instance", "namespace", "pod", "service", "endpoint", "container", "node", "prometheus",
        "prometheus_replica", "cluster", "region", "le", "quantile", "environment", "env", "account",
        "exported_namespace", "exported_pod", "exported_container", "exported_node", "exported_service", "exported_job",
    )
)  # fmt: skip
"""What a scrape adds to every metric, or commonly does."""


class Gauge(msgspec.Struct, frozen=True):
    """A metric of DCGM: its type and the values that it can have."""

    type: str
    low: float | None = None
    high: float | None = None


_PERCENT, _RATIO, _AMOUNT = Gauge("gauge", 0, 100), Gauge("gauge", 0, 1), Gauge("gauge", 0)
DCGM: Final = {
    **dict.fromkeys(
        ("DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_MEM_COPY_UTIL", "DCGM_FI_DEV_ENC_UTIL", "DCGM_FI_DEV_DEC_UTIL"), _PERCENT
    ),
    **dict.fromkeys(
        (
            "DCGM_FI_PROF_GR_ENGINE_ACTIVE",
            "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE",
            "DCGM_FI_PROF_DRAM_ACTIVE",
            "DCGM_FI_PROF_SM_ACTIVE",
            "DCGM_FI_PROF_SM_OCCUPANCY",
        ),
        _RATIO,
    ),
    **dict.fromkeys(
        (
            "DCGM_FI_DEV_FB_USED",
            "DCGM_FI_DEV_FB_FREE",
            "DCGM_FI_DEV_FB_RESERVED",
            "DCGM_FI_DEV_SM_CLOCK",
            "DCGM_FI_DEV_MEM_CLOCK",
            "DCGM_FI_DEV_GPU_TEMP",
            "DCGM_FI_DEV_MEMORY_TEMP",
            "DCGM_FI_DEV_POWER_USAGE",
            "DCGM_FI_DEV_XID_ERRORS",
        ),
        _AMOUNT,
    ),
    **dict.fromkeys(
        (
            "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",
            "DCGM_FI_DEV_PCIE_REPLAY_COUNTER",
            "DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL",
        ),
        Gauge("counter", 0),
    ),
}


def known(name: str) -> Metric | None:
    """The metric that a series' name belongs to: `_bucket`, `_sum` and `_count` are parts of one."""
    for suffix in ("", "_bucket", "_sum", "_count"):
        found = METRICS.get(name.removesuffix(suffix)) if not suffix or name.endswith(suffix) else None
        if found is not None:
            return found
    return None


def base(name: str, table: dict[str, str]) -> str | None:
    """The entry of a table that a series' name belongs to."""
    for suffix in ("", "_bucket", "_sum", "_count"):
        if name.removesuffix(suffix) in table and (not suffix or name.endswith(suffix)):
            return name.removesuffix(suffix)
    return None
