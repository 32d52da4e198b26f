"""What a Job has counted: each pod once, however it ended.

In a real cluster the finalizer `batch.kubernetes.io/job-tracking` keeps a pod until it is counted. Here the tally sees
every change of a pod before the pod can be gone, so the pods need no finalizer and nothing is lost or counted twice.
"""

from __future__ import annotations

import msgspec

from fretsaw.api.expand import INDEX
from fretsaw.api.pod import Pod
from fretsaw.api.times import Millis
from fretsaw.api.workload import Job
from fretsaw.sim.workloads import indexes
from fretsaw.sim.workloads.job_policy import INDEXED, Judgement, finished_at, judge, replaces_only_failed


class IndexFailures(msgspec.Struct):
    """How often the pods of one index failed."""

    counted: int = 0
    ignored: int = 0
    last: Millis = 0


class Tally:
    """One Job's count. The Job controller alone writes to it."""

    def __init__(self) -> None:
        self._pending: dict[str, tuple[Pod, bool]] = {}
        """Pods that have ended or are leaving and wait to be counted, by uid; and whether they are gone."""
        self._settled: dict[str, None] = {}
        """Pods that are still there and count no more."""
        self.done: frozenset[int] = frozenset()
        """Indexes that succeeded."""
        self.failed: frozenset[int] = frozenset()
        """Indexes that failed for good."""
        self.by_index: dict[int, IndexFailures] = {}
        self.failures = 0
        """Failures since the last success, ignored ones too: they hold new pods back as others do."""
        self.last_failure: Millis = 0

    @classmethod
    def of(cls, job: Job) -> Tally:
        """The tally of a job as its status says it."""
        tally = cls()
        tally.done = indexes.parse(job.status.completed_indexes)
        tally.failed = indexes.parse(job.status.failed_indexes or "")
        return tally

    @property
    def waits(self) -> bool:
        """Whether pods are still to be counted."""
        return bool(self._pending)

    def see(self, pod: Pod, *, gone: bool) -> None:
        """Take note of a pod's change."""
        uid = pod.metadata.uid
        if uid not in self._settled:
            if gone or pod.is_terminal or pod.metadata.deletion_timestamp:
                self._pending[uid] = (pod, gone)
        elif gone:
            del self._settled[uid]

    def settle(self, pod: Pod) -> None:
        """Let a pod that the Job itself is about to delete not count."""
        self._settled[pod.metadata.uid] = None

    def count(self, job: Job, now: Millis) -> Count:
        """Count what waits; what changed by it."""
        ripe = [(pod, gone) for pod, gone in self._pending.values() if self._is_ripe(job, pod, gone=gone)]
        found = Count()
        for pod, gone in sorted(ripe, key=lambda item: finished_at(item[0], now)):
            del self._pending[pod.metadata.uid]
            if not gone:
                self._settled[pod.metadata.uid] = None
            self._count(job, pod, found, now)
        return found

    def _is_ripe(self, job: Job, pod: Pod, *, gone: bool) -> bool:
        return gone or pod.is_terminal or not replaces_only_failed(job.spec)

    def _count(self, job: Job, pod: Pod, found: Count, now: Millis) -> None:
        index = index_of(pod) if job.spec.completion_mode == INDEXED else None
        out_of_range = job.spec.completion_mode == INDEXED and not _in_range(index, job)
        if pod.status.phase == "Succeeded":
            found.succeeded += 1
            self.failures = 0
            if index is not None and not out_of_range:
                self.done |= {index}
                self.by_index.pop(index, None)
            return
        judgement = judge(job.spec, pod)
        found.message = found.message or judgement.message
        if judgement.counts and not out_of_range:
            found.failed += 1
        self.failures += 1
        self.last_failure = max(self.last_failure, finished_at(pod, now))
        if index is not None and not out_of_range:
            self._fail_index(job, index, judgement, finished_at(pod, now))

    def _fail_index(self, job: Job, index: int, judgement: Judgement, when: Millis) -> None:
        """Count a failure against its index; beyond the index's limit, or by a rule, the index has failed."""
        limit = job.spec.backoff_limit_per_index
        if limit is None:
            return
        of = self.by_index.setdefault(index, IndexFailures())
        of.last = when
        if judgement.counts:
            of.counted += 1
        else:
            of.ignored += 1
        if (judgement.action == "FailIndex" or of.counted > limit) and index not in self.done:
            self.failed |= {index}


class Count(msgspec.Struct):
    """What one round of counting found."""

    succeeded: int = 0
    failed: int = 0
    message: str = ""
    """Why the pod failure policy fails the job; empty where it does not."""


def index_of(pod: Pod) -> int | None:
    """The completion index that a pod works on."""
    text = pod.metadata.annotations.get(INDEX, "")
    return int(text) if text.isascii() and text.isdigit() else None


def _in_range(index: int | None, job: Job) -> bool:
    return index is not None and job.spec.completions is not None and index < job.spec.completions
