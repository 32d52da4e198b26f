"""Jobs: pods until so many have succeeded, or too many have failed.

Source: Kubernetes v1.36 pkg/controller/job (job_controller.go), pkg/controller/ttlafterfinished; kubernetes.io, Jobs.
`job_policy` has the rules, `job_tally` the count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec.structs import replace

from fretsaw.api.meta import Condition, OwnerReference
from fretsaw.api.pod import Container, EnvVar, Pod, PodSpec
from fretsaw.api.times import SECOND, Millis, millis, rfc3339
from fretsaw.api.workload import Job, JobStatus
from fretsaw.engine.state import key_of
from fretsaw.sim.conditions import status_of, with_condition
from fretsaw.sim.controller import WorkQueue
from fretsaw.sim.workloads import indexes
from fretsaw.sim.workloads import job_policy as policy
from fretsaw.sim.workloads.family import Children
from fretsaw.sim.workloads.job_tally import INDEX, Count, Tally, index_of
from fretsaw.sim.workloads.making import BURST, Mold, Workshop, delete_all, owner_key
from fretsaw.sim.workloads.pods import said_something
from fretsaw.sim.workloads.ranking import job_pods_to_delete

KIND: Final = "Job"
BATCH: Final[Millis] = 1 * SECOND
"""Changes of pods are looked at together after so long, as the job controller does."""
_OWN_CONTROLLER: Final = "kubernetes.io/job-controller"
_FAILURES: Final = "batch.kubernetes.io/job-index-failure-count"
_IGNORED: Final = "batch.kubernetes.io/job-index-ignored-failure-count"
_VARIABLE: Final = "JOB_COMPLETION_INDEX"
_FAILING: Final = "FailureTarget"
_SUCCEEDING: Final = "SuccessCriteriaMet"
_FINAL: Final = {_FAILING: "Failed", _SUCCEEDING: "Complete"}


class Jobs:
    """Runs each Job to its end and deletes it when its time to live is over."""

    def __init__(self, workshop: Workshop) -> None:
        self._shop = workshop
        self._store = workshop.store
        self._loop = workshop.loop
        self._tallies: dict[str, Tally] = {}
        self.queue = WorkQueue(workshop.loop, self.sync)
        workshop.store.watch(KIND, self._changed)
        workshop.family.listen(KIND, self._pod)
        for key, job in workshop.store.all(KIND).items():
            self._meet(job)
            self.queue.add(key)

    def _meet(self, job: Job) -> None:
        """Pods that ended before this controller came are counted now; the status of the input says what was before."""
        tally = self._tallies[job.metadata.uid] = Tally.of(job)
        for pod in self._shop.family.of(job).ended.values():
            tally.see(pod, gone=False)

    def _changed(self, old: Job | None, new: Job | None) -> None:
        if new is None:
            if old is not None:
                self._tallies.pop(old.metadata.uid, None)
                self._shop.forget(old)
            return
        if old is None:
            self._tallies.setdefault(new.metadata.uid, Tally.of(new))
        ended = old is not None and finished(old) is None and finished(new) is not None
        if old is None or old.spec is not new.spec or ended:
            self.queue.add(key_of(new))

    def _pod(self, owner: OwnerReference, old: Pod | None, new: Pod | None) -> None:
        tally, pod = self._tallies.get(owner.uid), new if new is not None else old
        if tally is None or pod is None:
            return
        if said_something(old, new):
            tally.see(pod, gone=new is None)
        elif old is None or new is None or old.status.container_statuses == new.status.container_statuses:
            return
        self.queue.add(owner_key(owner, pod.metadata.namespace), after=BATCH)

    def sync(self, key: str) -> None:
        """Count what ended, decide whether the job is over, make or delete pods, and write the status."""
        job: Job | None = self._store.get(KIND, key)
        if job is None or job.spec.managed_by not in ("", _OWN_CONTROLLER):
            return
        if (since := finished(job)) is not None:
            self._expire(job, since)
        elif not job.metadata.deletion_timestamp:
            self._step(job, self._tallies[job.metadata.uid])

    def _expire(self, job: Job, since: Millis) -> None:
        """Delete a finished job when its time to live is over."""
        ttl = job.spec.ttl_seconds_after_finished
        if ttl is None:
            return
        left = since + ttl * SECOND - self._loop.now
        if left > 0:
            self.queue.add(key_of(job), after=left)
        else:
            self._store.delete(KIND, key_of(job))

    def _step(self, job: Job, tally: Tally) -> None:
        now, children = self._loop.now, self._shop.family.of(job)
        status = job.status
        if status.start_time is None and not job.spec.suspend:
            status = replace(status, start_time=rfc3339(now))
        count = tally.count(job, now)
        status = _counted(job, status, tally, count)
        verdict = _verdict(job, status, tally, count, children, now)
        if verdict is None:
            active = self._manage(job, status, tally, children)
            if _is_complete(job, status, active):
                verdict = Condition(
                    _SUCCEEDING, "True", "CompletionsReached", "Reached expected number of succeeded pods"
                )
            else:
                status = _suspended(job, status, now)
        else:
            delete_all(self._shop, list(children.active.values()))
            active = 0
        children = self._shop.family.of(job)
        status = replace(status, active=active, ready=len(children.ready), terminating=len(children.leaving))
        if verdict is not None:
            status = _ended(status, verdict, over=not children.leaving and not tally.waits, now=now)
        if status != job.status:
            self._store.put(replace(job, status=status))
        self._wake(job, status)

    def _wake(self, job: Job, status: JobStatus) -> None:
        """Come back when the job has run for too long."""
        limit = job.spec.active_deadline_seconds
        if limit is not None and status.start_time and not job.spec.suspend:
            due = millis(status.start_time) + limit * SECOND
            if due > self._loop.now:
                self.queue.add(key_of(job), after=due - self._loop.now)

    # Pods

    def _manage(self, job: Job, status: JobStatus, tally: Tally, children: Children) -> int:
        """Delete what is too much or make what is missing, at most 500 in one sync; how many pods are active then."""
        active = list(children.active.values())
        if job.spec.suspend:
            return len(active) - self._drop(tally, self._surplus(job, active, len(active)))
        want = _wanted(job, status, len(active))
        if len(active) > want:
            return len(active) - self._drop(tally, self._surplus(job, active, len(active) - want)[:BURST])
        if self._has_stray(job, active):
            return len(active) - self._drop(tally, self._surplus(job, active, 0)[:BURST])
        leaving = list(children.leaving.values()) if policy.replaces_only_failed(job.spec) else []
        missing = want - len(active) - len(leaving)
        return len(active) + (self._make(job, tally, [*active, *leaving], min(missing, BURST)) if missing > 0 else 0)

    def _drop(self, tally: Tally, pods: Sequence[Pod]) -> int:
        """Delete pods without counting them as failures."""
        for pod in pods:
            tally.settle(pod)
        return delete_all(self._shop, pods)

    def _has_stray(self, job: Job, active: Sequence[Pod]) -> bool:
        return job.spec.completion_mode == policy.INDEXED and bool(_strays(job, active))

    def _surplus(self, job: Job, active: Sequence[Pod], count: int) -> list[Pod]:
        """The pods to delete: second ones of an index and those beyond the last index in any case, then by rank."""
        strays = _strays(job, active) if job.spec.completion_mode == policy.INDEXED else []
        gone = {pod.metadata.uid for pod in strays}
        others = [pod for pod in active if pod.metadata.uid not in gone]
        return [*strays, *job_pods_to_delete(others, max(0, count - len(strays)))]

    def _make(self, job: Job, tally: Tally, there: Sequence[Pod], count: int) -> int:
        """Make pods unless failures hold that back; how many."""
        key = key_of(job)
        if job.spec.backoff_limit_per_index is None:
            wait = tally.last_failure + policy.backoff(tally.failures) - self._loop.now if tally.failures else 0
            if wait > 0:
                self.queue.add(key, after=wait)
                return 0
        mold = self._mold(job)
        if not isinstance(mold, Mold):
            self._shop.world.journal.note("pod-refused", f"Job/{key}", why=mold)
            self.queue.add(key, after=self._shop.retry(KIND, key))
            return 0
        self._shop.calm(KIND, key)
        if job.spec.completion_mode != policy.INDEXED:
            for _ in range(count):
                self._store.put(mold.pod(self._shop.name("Pod", mold.namespace, f"{job.name}-")))
            return count
        found = self._free_indexes(job, tally, there, count)
        for index in found:
            self._store.put(_indexed(mold, job, tally, index, self._shop))
        return len(found)

    def _free_indexes(self, job: Job, tally: Tally, there: Sequence[Pod], count: int) -> list[int]:
        """The lowest indexes that nobody works on; of those, the ones that no failure holds back."""
        taken = tally.done | tally.failed | {index for pod in there if (index := index_of(pod)) is not None}
        free = [index for index in range(job.spec.completions or 0) if index not in taken][:count]
        if job.spec.backoff_limit_per_index is None:
            return free
        ready, waits = [], []
        for index in free:
            of = tally.by_index.get(index)
            due = of.last + policy.backoff(of.counted + of.ignored) if of is not None else 0
            if due <= self._loop.now:
                ready.append(index)
            else:
                waits.append(due)
        if waits:
            self.queue.add(key_of(job), after=min(waits) - self._loop.now)
        return ready

    def _mold(self, job: Job) -> Mold | str:
        uid, name, prefix = job.metadata.uid, job.name, "batch.kubernetes.io/"
        labels = {f"{prefix}controller-uid": uid, f"{prefix}job-name": name, "controller-uid": uid, "job-name": name}
        adapt = _with_index_variable if job.spec.completion_mode == policy.INDEXED else None
        return self._shop.mold(job, job.spec.template, labels=labels, adapt=adapt)


def finished(job: Job) -> Millis | None:
    """When a job ended, well or badly; None while it has not."""
    for condition in job.status.conditions:
        if condition.type in ("Complete", "Failed") and condition.status == "True":
            return millis(condition.last_transition_time or rfc3339(0))
    return None


# Status


def _counted(job: Job, status: JobStatus, tally: Tally, count: Count) -> JobStatus:
    done = status.succeeded + count.succeeded
    if job.spec.completion_mode == policy.INDEXED:
        in_range = range(job.spec.completions or 0)
        tally.done = frozenset(index for index in tally.done if index in in_range)
        done = len(tally.done)
        status = replace(status, completed_indexes=indexes.render(tally.done))
        if job.spec.backoff_limit_per_index is not None:
            status = replace(status, failed_indexes=indexes.render(tally.failed - tally.done))
    return replace(status, succeeded=done, failed=status.failed + count.failed)


def _verdict(
    job: Job, status: JobStatus, tally: Tally, count: Count, children: Children, now: Millis
) -> Condition | None:
    """Why the job ends; None while it goes on. A verdict once written stands."""
    spec = job.spec
    for condition in status.conditions:
        if condition.type in _FINAL and condition.status == "True":
            return condition
    if count.message:
        return _failing("PodFailurePolicy", count.message)
    if status.failed > policy.backoff_limit(spec) or policy.restarted_too_often(spec, children.active.values()):
        return _failing("BackoffLimitExceeded", "Job has reached the specified backoff limit")
    limit = spec.active_deadline_seconds
    if (
        limit is not None
        and status.start_time
        and not spec.suspend
        and millis(status.start_time) + limit * SECOND <= now
    ):
        return _failing("DeadlineExceeded", "Job was active longer than specified deadline")
    if spec.completion_mode == policy.INDEXED:
        return _index_verdict(job, tally)
    return None


def _index_verdict(job: Job, tally: Tally) -> Condition | None:
    spec, failed = job.spec, len(tally.failed - tally.done)
    if spec.backoff_limit_per_index is not None:
        if spec.max_failed_indexes is not None and failed > spec.max_failed_indexes:
            return _failing(
                "MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes"
            )
        if failed and failed + len(tally.done) >= (spec.completions or 0):
            return _failing("FailedIndexes", "Job has failed indexes")
    if policy.succeeded(job, tally.done):
        return Condition(_SUCCEEDING, "True", "SuccessPolicy", "Matched rules of the success policy")
    return None


def _failing(reason: str, message: str) -> Condition:
    return Condition(_FAILING, "True", reason, message)


def _ended(status: JobStatus, verdict: Condition, *, over: bool, now: Millis) -> JobStatus:
    """The status with the verdict, and with the end itself once no pod is left to wait for."""
    conditions = with_condition(status.conditions, verdict, now)
    if over:
        end = Condition(_FINAL[verdict.type], "True", verdict.reason, verdict.message)
        conditions = with_condition(conditions, end, now)
        if end.type == "Complete":
            status = replace(status, completion_time=rfc3339(now))
    return replace(status, conditions=conditions)


def _suspended(job: Job, status: JobStatus, now: Millis) -> JobStatus:
    """The status with the condition Suspended; a job that resumes starts its time anew."""
    was = status_of(status.conditions, "Suspended") == "True"
    if job.spec.suspend and not was:
        said = Condition("Suspended", "True", "JobSuspended", "Job suspended")
        return replace(status, conditions=with_condition(status.conditions, said, now))
    if was and not job.spec.suspend:
        said = Condition("Suspended", "False", "JobResumed", "Job resumed")
        conditions = with_condition(status.conditions, said, now)
        return replace(status, conditions=conditions, start_time=rfc3339(now))
    return status


def _is_complete(job: Job, status: JobStatus, active: int) -> bool:
    """Whether enough pods have succeeded; a work queue is done when one has and none runs any more."""
    total = policy.completions(job.spec)
    return not active and (status.succeeded > 0 if total is None else status.succeeded >= total)


def _wanted(job: Job, status: JobStatus, active: int) -> int:
    """How many pods shall be active."""
    total, at_once = policy.completions(job.spec), policy.parallelism(job.spec)
    if total is None:
        return active if status.succeeded else at_once
    return max(0, min(total - status.succeeded, at_once))


# Indexed pods


def _strays(job: Job, pods: Sequence[Pod]) -> list[Pod]:
    """Pods of no index, or of one that another pod has too: all but the one that has come furthest."""
    by_index: dict[int, list[Pod]] = {}
    strays = []
    for pod in pods:
        index = index_of(pod)
        if index is None or index >= (job.spec.completions or 0):
            strays.append(pod)
        else:
            by_index.setdefault(index, []).append(pod)
    for same in by_index.values():
        strays.extend(job_pods_to_delete(same, len(same) - 1) if len(same) > 1 else ())
    return strays


def _indexed(mold: Mold, job: Job, tally: Tally, index: int, shop: Workshop) -> Pod:
    own = {INDEX: str(index)}
    annotations = mold.annotations | own
    if job.spec.backoff_limit_per_index is not None:
        of = tally.by_index.get(index)
        annotations |= {_FAILURES: str(of.counted if of is not None else 0)}
        if of is not None and of.ignored:
            annotations |= {_IGNORED: str(of.ignored)}
    name = shop.name("Pod", mold.namespace, f"{job.name}-{index}-")
    return mold.pod(name, labels=mold.labels | own, annotations=annotations)


def _with_index_variable(spec: PodSpec) -> PodSpec:
    """The spec whose containers know their index by a variable, unless they set it themselves.

    Its value comes from the pod's label, so one spec serves all indexes.
    """
    return replace(
        spec,
        containers=tuple(_with_variable(spec.containers)),
        init_containers=tuple(_with_variable(spec.init_containers)),
    )


def _with_variable(containers: Sequence[Container]) -> Iterator[Container]:
    for container in containers:
        if any(variable.name == _VARIABLE for variable in container.env):
            yield container
        else:
            yield replace(container, env=(*container.env, EnvVar(_VARIABLE)))
