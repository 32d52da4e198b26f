"""Workloads: what makes pods. `api.expand` turns them into pods."""

# ruff: noqa: RUF012 (msgspec copies an empty default for every object)

from __future__ import annotations

from fretsaw.api.meta import LabelSelector, Object, Value
from fretsaw.api.pod import PodTemplateSpec, VolumeClaimTemplate


class DeploymentSpec(Value, frozen=True):
    """Also the spec of a ReplicaSet. `replicas` absent means 1."""

    replicas: int | None = None
    selector: LabelSelector | None = None
    template: PodTemplateSpec = PodTemplateSpec()
    paused: bool = False


class Deployment(Object, frozen=True):
    """Replicas without an identity."""

    spec: DeploymentSpec = DeploymentSpec()


class ReplicaSet(Object, frozen=True):
    """One revision of a Deployment, or replicas on their own."""

    spec: DeploymentSpec = DeploymentSpec()


class ReplicationControllerSpec(Value, frozen=True):
    """The selector is a plain map here."""

    replicas: int | None = None
    selector: dict[str, str] = {}
    template: PodTemplateSpec = PodTemplateSpec()


class ReplicationController(Object, frozen=True):
    """The ancestor of ReplicaSet."""

    spec: ReplicationControllerSpec = ReplicationControllerSpec()


class StatefulSetOrdinals(Value, frozen=True):
    """Where the numbering of a StatefulSet starts."""

    start: int = 0


class StatefulSetSpec(Value, frozen=True):
    """Replicas with names and claims of their own."""

    replicas: int | None = None
    selector: LabelSelector | None = None
    template: PodTemplateSpec = PodTemplateSpec()
    volume_claim_templates: tuple[VolumeClaimTemplate, ...] = ()
    service_name: str = ""
    pod_management_policy: str = "OrderedReady"
    ordinals: StatefulSetOrdinals | None = None


class StatefulSet(Object, frozen=True):
    """Replicas with an identity."""

    spec: StatefulSetSpec = StatefulSetSpec()


class DaemonSetSpec(Value, frozen=True):
    """One pod a node."""

    selector: LabelSelector | None = None
    template: PodTemplateSpec = PodTemplateSpec()


class DaemonSet(Object, frozen=True):
    """A pod on every node that suits it: overhead for placement."""

    spec: DaemonSetSpec = DaemonSetSpec()


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


class JobStatus(Value, frozen=True):
    """How far a job has come."""

    active: int = 0
    succeeded: int = 0
    failed: int = 0
    completed_indexes: str = ""
    completion_time: str | None = None


class Job(Object, frozen=True):
    """Pods that run to their end."""

    spec: JobSpec = JobSpec()
    status: JobStatus = JobStatus()


class JobTemplateSpec(Value, frozen=True):
    """The job of a CronJob."""

    spec: JobSpec = JobSpec()


class CronJobSpec(Value, frozen=True):
    """A job on a schedule."""

    schedule: str = ""
    suspend: bool = False
    job_template: JobTemplateSpec = JobTemplateSpec()


class CronJob(Object, frozen=True):
    """A job on a schedule."""

    spec: CronJobSpec = CronJobSpec()


class PodTemplate(Object, frozen=True):
    """A pod to be made elsewhere, such as by a CapacityBuffer."""

    template: PodTemplateSpec = PodTemplateSpec()
