"""Workloads: what makes pods. `api.expand` turns them into pods at once, `sim.workloads` as controllers would.

Source: Kubernetes v1.36 API reference, groups apps and batch.
"""

# ruff: noqa: RUF012 (msgspec copies an empty default for every object)

from __future__ import annotations

from fretsaw.api.meta import Condition, IntOrText, LabelSelector, Object, ObjectMeta, TypedReference, Value
from fretsaw.api.pod import PodTemplateSpec, VolumeClaimTemplate

# Deployments and ReplicaSets


class RollingUpdate(Value, frozen=True):
    """How far a rollout may go from the wanted number of pods; absent fields have the kind's defaults.

    A Deployment reads `max_unavailable` and `max_surge` (25 % each), a DaemonSet too (1 and 0), a StatefulSet
    `partition` and `max_unavailable` (0 and 1).
    """

    max_unavailable: IntOrText | None = None
    max_surge: IntOrText | None = None
    partition: int | None = None


class UpdateStrategy(Value, frozen=True):
    """`RollingUpdate` (also where it is empty), `Recreate` of Deployments, `OnDelete` of the other kinds."""

    type: str = ""
    rolling_update: RollingUpdate | None = None


class DeploymentSpec(Value, frozen=True):
    """`replicas` absent means 1, `progress_deadline_seconds` 600, `revision_history_limit` 10."""

    replicas: int | None = None
    selector: LabelSelector | None = None
    template: PodTemplateSpec = PodTemplateSpec()
    paused: bool = False
    strategy: UpdateStrategy = UpdateStrategy()
    min_ready_seconds: int = 0
    progress_deadline_seconds: int | None = None
    revision_history_limit: int | None = None


class DeploymentCondition(Condition, frozen=True):
    """A condition that also says when it was last confirmed: the progress deadline counts from there."""

    last_update_time: str | None = None


class DeploymentStatus(Value, frozen=True):
    """How far a rollout is."""

    observed_generation: int | None = None
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    unavailable_replicas: int = 0
    terminating_replicas: int | None = None
    conditions: tuple[DeploymentCondition, ...] = ()


class Deployment(Object, frozen=True):
    """Replicas without an identity."""

    spec: DeploymentSpec = DeploymentSpec()
    status: DeploymentStatus = DeploymentStatus()


class ReplicaSetSpec(Value, frozen=True):
    """`replicas` absent means 1."""

    replicas: int | None = None
    selector: LabelSelector | None = None
    template: PodTemplateSpec = PodTemplateSpec()
    min_ready_seconds: int = 0


class ReplicaSetStatus(Value, frozen=True):
    """Which pods there are; those that are being deleted do not count as replicas."""

    observed_generation: int | None = None
    replicas: int = 0
    fully_labeled_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    terminating_replicas: int | None = None
    conditions: tuple[Condition, ...] = ()


class ReplicaSet(Object, frozen=True):
    """One revision of a Deployment, or replicas on their own."""

    spec: ReplicaSetSpec = ReplicaSetSpec()
    status: ReplicaSetStatus = ReplicaSetStatus()


class ReplicationControllerSpec(Value, frozen=True):
    """The selector is a plain map here."""

    replicas: int | None = None
    selector: dict[str, str] = {}
    template: PodTemplateSpec = PodTemplateSpec()
    min_ready_seconds: int = 0


class ReplicationController(Object, frozen=True):
    """The ancestor of ReplicaSet."""

    spec: ReplicationControllerSpec = ReplicationControllerSpec()
    status: ReplicaSetStatus = ReplicaSetStatus()


# StatefulSets


class StatefulSetOrdinals(Value, frozen=True):
    """Where the numbering of a StatefulSet starts."""

    start: int = 0


class ClaimRetention(Value, frozen=True):
    """What becomes of a StatefulSet's claims: `Retain` (also where it is empty) or `Delete`."""

    when_deleted: str = ""
    when_scaled: str = ""


class StatefulSetSpec(Value, frozen=True):
    """Replicas with names and claims of their own."""

    replicas: int | None = None
    selector: LabelSelector | None = None
    template: PodTemplateSpec = PodTemplateSpec()
    volume_claim_templates: tuple[VolumeClaimTemplate, ...] = ()
    service_name: str = ""
    pod_management_policy: str = "OrderedReady"
    ordinals: StatefulSetOrdinals | None = None
    update_strategy: UpdateStrategy = UpdateStrategy()
    min_ready_seconds: int = 0
    persistent_volume_claim_retention_policy: ClaimRetention = ClaimRetention()
    revision_history_limit: int | None = None


class StatefulSetStatus(Value, frozen=True):
    """Which pods there are, and of which revision."""

    observed_generation: int | None = None
    replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    current_replicas: int = 0
    updated_replicas: int = 0
    current_revision: str = ""
    update_revision: str = ""
    conditions: tuple[Condition, ...] = ()


class StatefulSet(Object, frozen=True):
    """Replicas with an identity."""

    spec: StatefulSetSpec = StatefulSetSpec()
    status: StatefulSetStatus = StatefulSetStatus()


# DaemonSets


class DaemonSetSpec(Value, frozen=True):
    """One pod a node."""

    selector: LabelSelector | None = None
    template: PodTemplateSpec = PodTemplateSpec()
    update_strategy: UpdateStrategy = UpdateStrategy()
    min_ready_seconds: int = 0
    revision_history_limit: int | None = None


class DaemonSetStatus(Value, frozen=True):
    """Nodes by how their daemon pod is."""

    observed_generation: int | None = None
    desired_number_scheduled: int = 0
    current_number_scheduled: int = 0
    number_misscheduled: int = 0
    number_ready: int = 0
    updated_number_scheduled: int = 0
    number_available: int = 0
    number_unavailable: int = 0
    conditions: tuple[Condition, ...] = ()


class DaemonSet(Object, frozen=True):
    """A pod on every node that suits it: overhead for placement."""

    spec: DaemonSetSpec = DaemonSetSpec()
    status: DaemonSetStatus = DaemonSetStatus()


# Jobs


class ExitCodes(Value, frozen=True):
    """Exit codes of a pod's containers; `operator` is In or NotIn. 0 never counts."""

    operator: str = ""
    values: tuple[int, ...] = ()
    container_name: str | None = None


class PodConditionPattern(Value, frozen=True):
    """A pod's condition by type and status; an empty status means True."""

    type: str = ""
    status: str = ""


class PodFailureRule(Value, frozen=True):
    """What a kind of failure means: `FailJob`, `FailIndex`, `Ignore` or `Count`."""

    action: str = ""
    on_exit_codes: ExitCodes | None = None
    on_pod_conditions: tuple[PodConditionPattern, ...] = ()


class PodFailurePolicy(Value, frozen=True):
    """Rules for failed pods; the first that matches holds."""

    rules: tuple[PodFailureRule, ...] = ()


class SuccessRule(Value, frozen=True):
    """Which indexes have to succeed, such as `0,2-4`, and how many of them."""

    succeeded_indexes: str | None = None
    succeeded_count: int | None = None


class SuccessPolicy(Value, frozen=True):
    """When an Indexed job counts as done before all its indexes are; one rule is enough."""

    rules: tuple[SuccessRule, ...] = ()


class JobSpec(Value, frozen=True):
    """Pods that run to their end; `parallelism` of them at a time."""

    parallelism: int | None = None
    completions: int | None = None
    completion_mode: str = "NonIndexed"
    suspend: bool = False
    template: PodTemplateSpec = PodTemplateSpec()
    backoff_limit: int | None = None
    active_deadline_seconds: int | None = None
    ttl_seconds_after_finished: int | None = None
    backoff_limit_per_index: int | None = None
    max_failed_indexes: int | None = None
    pod_failure_policy: PodFailurePolicy | None = None
    success_policy: SuccessPolicy | None = None
    pod_replacement_policy: str = ""
    """`TerminatingOrFailed` or `Failed`; where it is empty, Failed if there is a `pod_failure_policy`."""
    managed_by: str = ""


class JobStatus(Value, frozen=True):
    """How far a job has come."""

    active: int = 0
    succeeded: int = 0
    failed: int = 0
    completed_indexes: str = ""
    completion_time: str | None = None
    ready: int | None = None
    terminating: int | None = None
    start_time: str | None = None
    failed_indexes: str | None = None
    conditions: tuple[Condition, ...] = ()


class Job(Object, frozen=True):
    """Pods that run to their end."""

    spec: JobSpec = JobSpec()
    status: JobStatus = JobStatus()


class JobTemplateSpec(Value, frozen=True):
    """The job of a CronJob."""

    metadata: ObjectMeta = ObjectMeta()
    spec: JobSpec = JobSpec()


class CronJobSpec(Value, frozen=True):
    """A job on a schedule."""

    schedule: str = ""
    suspend: bool = False
    job_template: JobTemplateSpec = JobTemplateSpec()
    time_zone: str | None = None
    """An IANA name; None: the controller's zone, which is UTC."""
    concurrency_policy: str = "Allow"
    """`Allow`, `Forbid` (a run waits for the one before) or `Replace`."""
    starting_deadline_seconds: int | None = None
    successful_jobs_history_limit: int = 3
    failed_jobs_history_limit: int = 1


class CronJobStatus(Value, frozen=True):
    """The jobs that run, and the last times."""

    active: tuple[TypedReference, ...] = ()
    last_schedule_time: str | None = None
    last_successful_time: str | None = None


class CronJob(Object, frozen=True):
    """A job on a schedule."""

    spec: CronJobSpec = CronJobSpec()
    status: CronJobStatus = CronJobStatus()


def wanted_replicas(scalable: Deployment | ReplicaSet | ReplicationController | StatefulSet) -> int:
    """How many pods it shall have; 1 where it does not say."""
    replicas = scalable.spec.replicas
    return 1 if replicas is None else replicas


class PodTemplate(Object, frozen=True):
    """A pod to be made elsewhere, such as by a CapacityBuffer."""

    template: PodTemplateSpec = PodTemplateSpec()
