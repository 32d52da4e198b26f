"""Jobs: pods until so many have succeeded, or too many have failed.

Source: Kubernetes v1.36 pkg/controller/job (job_controller.go), pkg/controller/ttlafterfinished; kubernetes.io, Jobs.
`job_policy` has the rules, `job_tally` the count, `job_status` the verdicts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec.structs import replace

from fretsaw.api.expand import INDEX
from fretsaw.api.meta import Condition, OwnerReference
from fretsaw.api.pod import Container, EnvVar, Pod, PodSpec
from fretsaw.api.times import SECOND, Millis
from fretsaw.api.workload import Job, JobStatus
from fretsaw.engine.state import key_of
from fretsaw.sim.controller import WorkQueue
from fretsaw.sim.workloads import job_policy as policy
from fretsaw.sim.workloads.family import Children
from fretsaw.sim.workloads.job_status import (
    SUCCEEDING,
    counted,
    deadline,
    ended,
    finished,
    is_complete,
    started,
    suspended,
    verdict,
    wanted,
)
from fretsaw.sim.workloads.job_tally import Tally, index_of
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
        count = tally.count(job, now)
        status = counted(job, started(job, now), tally, count)
        why = verdict(job, status, tally, count, children, now)
        if why is None:
            active = self._manage(job, status, tally, children)
            if is_complete(job, status, active):
                why = Condition(SUCCEEDING, "True", "CompletionsReached", "Reached expected number of succeeded pods")
            else:
                status = suspended(job, status, now)
        else:
            delete_all(self._shop, list(children.active.values()))
            active = 0
        children = self._shop.family.of(job)
        status = replace(status, active=active, ready=len(children.ready), terminating=len(children.leaving))
        if why is not None:
            status = ended(status, why, over=not children.leaving and not tally.waits, now=now)
        if status != job.status:
            self._store.put(replace(job, status=status))
        self._wake(job, status)

    def _wake(self, job: Job, status: JobStatus) -> None:
        """Come back when the job has run for too long."""
        due = deadline(job, status)
        if due is not None and due > self._loop.now:
            self.queue.add(key_of(job), after=due - self._loop.now)

    # Pods

    def _manage(self, job: Job, status: JobStatus, tally: Tally, children: Children) -> int:
        """Delete what is too much or make what is missing, at most 500 in one sync; how many pods are active then."""
        active = list(children.active.values())
        if job.spec.suspend:
            return len(active) - self._drop(tally, self._surplus(job, active, len(active)))
        want = wanted(job, status, len(active))
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
