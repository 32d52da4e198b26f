"""What a Job makes of its pods' ends: which failures count, when it gives up, and when it has done enough.

Source: kubernetes.io, Jobs, "Pod failure policy", "Success policy", "Backoff limit per index"; Kubernetes v1.36
pkg/controller/job (pod_failure_policy.go, success_policy.go, backoff_utils.go).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from fretsaw.api.pod import ContainerStatus, Pod
from fretsaw.api.times import MINUTE, SECOND, Millis, millis
from fretsaw.api.workload import ExitCodes, Job, JobSpec, PodFailureRule
from fretsaw.sim.workloads.indexes import parse

INDEXED: Final = "Indexed"
_BACKOFF_LIMIT: Final = 6
_UNLIMITED: Final = 2**31 - 1
_FIRST_BACKOFF: Final[Millis] = 10 * SECOND
_LAST_BACKOFF: Final[Millis] = 10 * MINUTE


class Judgement(msgspec.Struct, frozen=True):
    """What a failed pod means."""

    action: str = ""
    """Of the rule that matched: `FailJob`, `FailIndex`, `Ignore` or `Count`; empty for none."""
    message: str = ""

    @property
    def counts(self) -> bool:
        """Whether the failure counts against the limits."""
        return self.action != "Ignore"


def judge(spec: JobSpec, pod: Pod) -> Judgement:
    """What the first matching rule of the pod failure policy says; a failure that none matches counts."""
    for number, rule in enumerate(spec.pod_failure_policy.rules if spec.pod_failure_policy is not None else ()):
        if (why := _matched(rule, pod)) is not None:
            text = f"{why} matching {rule.action} rule at index {number}" if rule.action == "FailJob" else ""
            return Judgement(rule.action, text)
    return Judgement()


def _matched(rule: PodFailureRule, pod: Pod) -> str | None:
    """What of the pod a rule is about, None where it is not about this pod."""
    where = f"{pod.metadata.home}/{pod.name}"
    if rule.on_exit_codes is not None:
        statuses = (*pod.status.container_statuses, *pod.status.init_container_statuses)
        hit = next((s for s in statuses if _exit_matches(rule.on_exit_codes, s)), None)
        if hit is None or hit.state.terminated is None:
            return None
        return f"Container {hit.name} for pod {where} failed with exit code {hit.state.terminated.exit_code}"
    for pattern in rule.on_pod_conditions:
        if any((c.type, c.status) == (pattern.type, pattern.status or "True") for c in pod.status.conditions):
            return f"Pod {where} has condition {pattern.type}"
    return None


def _exit_matches(codes: ExitCodes, status: ContainerStatus) -> bool:
    ended = status.state.terminated
    if ended is None or ended.exit_code == 0 or codes.container_name not in (None, status.name):
        return False
    return (ended.exit_code in codes.values) == (codes.operator == "In")


# Limits


def parallelism(spec: JobSpec) -> int:
    """How many pods run at once at most; 1 where it does not say."""
    return 1 if spec.parallelism is None else spec.parallelism


def completions(spec: JobSpec) -> int | None:
    """How many pods have to succeed; None for a work queue, which says only how many run at once."""
    if spec.completions is None and spec.parallelism is None:
        return 1
    return spec.completions


def backoff_limit(spec: JobSpec) -> int:
    """How many failures a job survives: 6, or any number where each index has a limit of its own."""
    if spec.backoff_limit is not None:
        return spec.backoff_limit
    return _BACKOFF_LIMIT if spec.backoff_limit_per_index is None else _UNLIMITED


def replaces_only_failed(spec: JobSpec) -> bool:
    """Whether a pod is replaced, and counts as failed, once it has ended, not when its deletion begins."""
    if not spec.pod_replacement_policy:
        return spec.pod_failure_policy is not None
    return spec.pod_replacement_policy == "Failed"


def restarted_too_often(spec: JobSpec, pods: Iterable[Pod]) -> bool:
    """Whether the containers of unfinished pods have restarted so often that the limit is reached (OnFailure)."""
    if spec.template.spec.restart_policy != "OnFailure":
        return False
    running = (pod.status for pod in pods if pod.status.phase in ("Pending", "Running"))
    restarts = sum(s.restart_count for p in running for s in (*p.container_statuses, *p.init_container_statuses))
    return restarts >= max(1, backoff_limit(spec))


def backoff(failures: int) -> Millis:
    """How long after a failure no new pod is made: 10 s, twice as long with each failure, 10 min at most."""
    return min(_FIRST_BACKOFF << min(failures - 1, 30), _LAST_BACKOFF) if failures > 0 else 0


def succeeded(job: Job, done: frozenset[int]) -> bool:
    """Whether a rule of the success policy holds with these indexes done."""
    policy = job.spec.success_policy
    for rule in policy.rules if policy is not None else ():
        of = done if rule.succeeded_indexes is None else done & parse(rule.succeeded_indexes)
        if rule.succeeded_count is not None:
            if len(of) >= rule.succeeded_count:
                return True
        elif rule.succeeded_indexes is not None and of == parse(rule.succeeded_indexes):
            return True
    return False


def finished_at(pod: Pod, now: Millis) -> Millis:
    """When a pod ended: its last container's end, else the end of its readiness or the start of its deletion."""
    ends = [status.state.terminated for status in pod.status.container_statuses]
    times = [end.finished_at for end in ends if end is not None and end.finished_at]
    if times and len(times) == len(ends):
        return max(map(millis, times))
    for condition in pod.status.conditions:
        if condition.type == "Ready" and condition.status == "False" and condition.last_transition_time:
            return millis(condition.last_transition_time)
    if pod.metadata.deletion_timestamp:
        grace = pod.metadata.deletion_grace_period_seconds or 0
        return millis(pod.metadata.deletion_timestamp) - grace * SECOND
    return now
