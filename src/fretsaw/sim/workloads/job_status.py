"""What a Job's status says: counts, why it ends, and when it has ended.

Source: Kubernetes v1.36 pkg/controller/job/job_controller.go; kubernetes.io, Jobs, "Terminal Job conditions".
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from fretsaw.api.meta import Condition
from fretsaw.api.times import SECOND, Millis, millis, rfc3339
from fretsaw.api.workload import Job, JobStatus
from fretsaw.sim.conditions import status_of, with_condition
from fretsaw.sim.workloads import indexes
from fretsaw.sim.workloads import job_policy as policy
from fretsaw.sim.workloads.family import Children
from fretsaw.sim.workloads.job_tally import Count, Tally

_FAILING: Final = "FailureTarget"
SUCCEEDING: Final = "SuccessCriteriaMet"
FINAL: Final = {_FAILING: "Failed", SUCCEEDING: "Complete"}
"""Conditions that decide a job, with those that it has once its pods are gone."""


def finished(job: Job) -> Millis | None:
    """When a job ended, well or badly; None while it has not."""
    for condition in job.status.conditions:
        if condition.type in ("Complete", "Failed") and condition.status == "True":
            return millis(condition.last_transition_time or rfc3339(0))
    return None


def started(job: Job, now: Millis) -> JobStatus:
    """The status with a start time, unless the job is suspended; a job that resumes starts its time anew."""
    status = job.status
    if job.spec.suspend:
        return status
    if status_of(status.conditions, "Suspended") == "True":
        said = Condition("Suspended", "False", "JobResumed", "Job resumed")
        return replace(status, conditions=with_condition(status.conditions, said, now), start_time=rfc3339(now))
    return status if status.start_time is not None else replace(status, start_time=rfc3339(now))


def suspended(job: Job, status: JobStatus, now: Millis) -> JobStatus:
    """The status of a job that goes on, with the condition Suspended where it is."""
    if not job.spec.suspend:
        return status
    said = Condition("Suspended", "True", "JobSuspended", "Job suspended")
    return replace(status, conditions=with_condition(status.conditions, said, now))


def counted(job: Job, status: JobStatus, tally: Tally, count: Count) -> JobStatus:
    """The status with what has been counted; indexes that the job no longer has are forgotten."""
    done = status.succeeded + count.succeeded
    if job.spec.completion_mode == policy.INDEXED:
        in_range = range(job.spec.completions or 0)
        tally.done = frozenset(index for index in tally.done if index in in_range)
        done = len(tally.done)
        status = replace(status, completed_indexes=indexes.render(tally.done))
        if job.spec.backoff_limit_per_index is not None:
            status = replace(status, failed_indexes=indexes.render(tally.failed - tally.done))
    return replace(status, succeeded=done, failed=status.failed + count.failed)


def verdict(
    job: Job, status: JobStatus, tally: Tally, count: Count, children: Children, now: Millis
) -> Condition | None:
    """Why the job ends; None while it goes on. A verdict once written stands."""
    spec = job.spec
    for condition in status.conditions:
        if condition.type in FINAL and condition.status == "True":
            return condition
    if count.message:
        return _failing("PodFailurePolicy", count.message)
    if status.failed > policy.backoff_limit(spec) or policy.restarted_too_often(spec, children.active.values()):
        return _failing("BackoffLimitExceeded", "Job has reached the specified backoff limit")
    due = deadline(job, status)
    if due is not None and due <= now:
        return _failing("DeadlineExceeded", "Job was active longer than specified deadline")
    if spec.completion_mode == policy.INDEXED:
        return _index_verdict(job, tally)
    return None


def deadline(job: Job, status: JobStatus) -> Millis | None:
    """When the job will have run for too long; None while it is suspended, and where it may run for ever."""
    limit = job.spec.active_deadline_seconds
    if limit is None or not status.start_time or job.spec.suspend:
        return None
    return millis(status.start_time) + limit * SECOND


def _index_verdict(job: Job, tally: Tally) -> Condition | None:
    spec, failed = job.spec, len(tally.failed - tally.done)
    if spec.backoff_limit_per_index is not None:
        if spec.max_failed_indexes is not None and failed > spec.max_failed_indexes:
            return _failing("MaxFailedIndexesExceeded", "Job has more failed indexes than it may have")
        if failed and failed + len(tally.done) >= (spec.completions or 0):
            return _failing("FailedIndexes", "Job has failed indexes")
    if policy.succeeded(job, tally.done):
        return Condition(SUCCEEDING, "True", "SuccessPolicy", "Matched rules of the success policy")
    return None


def _failing(reason: str, message: str) -> Condition:
    return Condition(_FAILING, "True", reason, message)


def ended(status: JobStatus, verdict: Condition, *, over: bool, now: Millis) -> JobStatus:
    """The status with the verdict, and with the end itself once no pod is left to wait for."""
    conditions = with_condition(status.conditions, verdict, now)
    if over:
        end = Condition(FINAL[verdict.type], "True", verdict.reason, verdict.message)
        conditions = with_condition(conditions, end, now)
        if end.type == "Complete":
            status = replace(status, completion_time=rfc3339(now))
    return replace(status, conditions=conditions)


def is_complete(job: Job, status: JobStatus, active: int) -> bool:
    """Whether enough pods have succeeded; a work queue is done when one has and none runs any more."""
    total = policy.completions(job.spec)
    return not active and (status.succeeded > 0 if total is None else status.succeeded >= total)


def wanted(job: Job, status: JobStatus, active: int) -> int:
    """How many pods shall be active."""
    total, at_once = policy.completions(job.spec), policy.parallelism(job.spec)
    if total is None:
        return active if status.succeeded else at_once
    return max(0, min(total - status.succeeded, at_once))
