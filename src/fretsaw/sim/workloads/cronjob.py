"""CronJobs: a Job at each time of a schedule.

Source: Kubernetes v1.36 pkg/controller/cronjob (cronjob_controllerv2.go, utils.go); kubernetes.io, CronJob.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from fretsaw.api.cron import next_after, schedule_problem
from fretsaw.api.meta import ObjectMeta, TypedReference
from fretsaw.api.times import HOUR, MINUTE, SECOND, Millis, millis, rfc3339
from fretsaw.api.workload import CronJob, CronJobStatus, Job
from fretsaw.engine.state import key_of
from fretsaw.sim.controller import WorkQueue, asks_anew
from fretsaw.sim.workloads.job_status import finished
from fretsaw.sim.workloads.making import Workshop, owner_reference, parent

KIND: Final = "CronJob"
SCHEDULED: Final = "batch.kubernetes.io/cronjob-scheduled-timestamp"
_DELTA: Final[Millis] = 100
"""So long after the scheduled time the controller looks, lest its clock be a little slow."""


class CronJobs:
    """Starts the Jobs of each CronJob and keeps only the last of them."""

    def __init__(self, workshop: Workshop) -> None:
        self._store = workshop.store
        self._loop = workshop.loop
        self._journal = workshop.world.journal
        self.queue = WorkQueue(workshop.loop, self.sync)
        workshop.store.watch(KIND, self._changed)
        workshop.store.watch("Job", self._job)
        for key in workshop.store.all(KIND):
            self.queue.add(key)

    def _changed(self, old: CronJob | None, new: CronJob | None) -> None:
        if new is not None and asks_anew(old, new):
            self.queue.add(key_of(new))

    def _job(self, old: Job | None, new: Job | None) -> None:
        job = new if new is not None else old
        key = parent(job, KIND) if job is not None else None
        if key is not None and (old is None or new is None or finished(old) != finished(new)):
            self.queue.add(key)

    def sync(self, key: str) -> None:
        """Take note of jobs that ended, start the one that is due, delete old ones."""
        found: CronJob | None = self._store.get(KIND, key)
        if found is None:
            return
        jobs: list[Job] = list(self._store.owned_by(found, "Job"))
        status = _noted(found, jobs)
        self._prune(found, jobs)
        if not found.metadata.deletion_timestamp and not found.spec.suspend and _is_readable(found):
            status = self._start_due(found, status)
            after = next_run(found, self._loop.now)
            if after is not None:
                self.queue.add(key, after=after + _DELTA - self._loop.now)
        if status != found.status:
            self._store.put(replace(found, status=status))

    def _start_due(self, found: CronJob, status: CronJobStatus) -> CronJobStatus:
        """Start the latest run that was due and has not been started; runs before it are never made up for."""
        now, limit = self._loop.now, found.spec.starting_deadline_seconds
        due = self._latest_due(found, status)
        if due is None:
            return status
        if limit is not None and due + limit * SECOND < now:
            return status
        name = f"{found.name}-{due // MINUTE}"
        if any(reference.name == name for reference in status.active):
            return status
        if status.active and found.spec.concurrency_policy == "Forbid":
            self._journal.note("cronjob-run-skipped", f"CronJob/{key_of(found)}", scheduled=rfc3339(due))
            return status
        if found.spec.concurrency_policy == "Replace":
            for reference in status.active:
                self._store.delete("Job", f"{reference.namespace}/{reference.name}")
            status = replace(status, active=())
        return self._started(found, status, name, due)

    def _started(self, found: CronJob, status: CronJobStatus, name: str, due: Millis) -> CronJobStatus:
        key = f"{found.metadata.home}/{name}"
        if self._store.get("Job", key) is None:
            job = self._store.put(_job(found, name, due))
            status = replace(status, active=(*status.active, _reference(job)))
        return replace(status, last_schedule_time=rfc3339(due))

    def _latest_due(self, found: CronJob, status: CronJobStatus) -> Millis | None:
        """The latest scheduled time up to now that is after the last one and within the starting deadline."""
        since = millis(status.last_schedule_time or found.metadata.creation_timestamp or rfc3339(0))
        limit = found.spec.starting_deadline_seconds
        if limit is not None:
            since = max(since, self._loop.now - limit * SECOND)
        latest = None
        while (when := next_run(found, since)) is not None and when <= self._loop.now:
            latest = since = when
        return latest

    def _prune(self, found: CronJob, jobs: Iterable[Job]) -> None:
        """Delete the oldest ended jobs beyond the limits, good and bad ones apart."""
        ended = [job for job in jobs if finished(job) is not None]
        for good, limit in (
            (True, found.spec.successful_jobs_history_limit),
            (False, found.spec.failed_jobs_history_limit),
        ):
            same = [job for job in ended if _is_good(job) == good]
            oldest = sorted(same, key=lambda job: (job.status.start_time or "", job.name))
            for job in oldest[: max(0, len(same) - limit)]:
                self._store.delete("Job", key_of(job))


def next_run(found: CronJob, when: Millis) -> Millis | None:
    """The next time of a CronJob's schedule after `when`, in its time zone; None where there is none."""
    if not found.spec.time_zone:
        return next_after(found.spec.schedule, when)
    return next_in_zone(found.spec.schedule, when, ZoneInfo(found.spec.time_zone))


def next_in_zone(schedule: str, when: Millis, zone: ZoneInfo) -> Millis | None:
    """The next time after `when` at which clocks of a zone show a time of the schedule.

    Rules: a time that clocks skip in spring does not come; one that they show twice in autumn comes twice.
    """
    best: Millis | None = None
    shown = _shown(when, zone) - (HOUR if _is_shown_twice(when, zone) else 0)
    while (following := next_after(schedule, shown)) is not None:
        shown = following
        moments = [moment for moment in _moments(shown, zone) if moment > when]
        if moments and (best is None or moments[0] < best):
            best = moments[0]
        # Later times on the clock come later, but for those of the hour that is shown twice.
        if best is not None and shown > _shown(best, zone) + HOUR:
            return best
        if best is not None and not _is_shown_twice(best, zone):
            return best
    return best


def _shown(when: Millis, zone: ZoneInfo) -> Millis:
    """What clocks show, as if it were UTC."""
    local = datetime.fromtimestamp(when / SECOND, zone)
    return when + round((local.utcoffset() or UTC.utcoffset(None)).total_seconds()) * SECOND


def _moments(shown: Millis, zone: ZoneInfo) -> list[Millis]:
    """When clocks show a time: never, once or twice, in order."""
    local = datetime.fromtimestamp(shown / SECOND, UTC).replace(tzinfo=zone)
    found = {round(local.replace(fold=fold).timestamp()) * SECOND for fold in (0, 1)}
    return [moment for moment in sorted(found) if _shown(moment, zone) == shown]


def _is_shown_twice(when: Millis, zone: ZoneInfo) -> bool:
    return len(_moments(_shown(when, zone) // SECOND * SECOND, zone)) > 1


def _is_readable(found: CronJob) -> bool:
    """Whether schedule and time zone are known; the controller leaves others alone."""
    if schedule_problem(found.spec.schedule) is not None:
        return False
    try:
        ZoneInfo(found.spec.time_zone or "UTC")
    except (KeyError, ValueError, OSError):
        return False
    return True


def _noted(found: CronJob, jobs: Iterable[Job]) -> CronJobStatus:
    """The status without jobs that ended or are gone, with running ones that it lacks, and the last success."""
    jobs = list(jobs)
    running = tuple(_reference(job) for job in jobs if finished(job) is None)
    ends = [job.status.completion_time for job in jobs if _is_good(job) and job.status.completion_time]
    last = max([found.status.last_successful_time or "", *ends]) or None
    status = replace(found.status, last_successful_time=last)
    return status if running == status.active else replace(status, active=running)


def _is_good(job: Job) -> bool:
    return any(c.type == "Complete" and c.status == "True" for c in job.status.conditions)


def _reference(job: Job) -> TypedReference:
    return TypedReference(job.name, "Job", api_version="batch/v1", namespace=job.metadata.namespace)


def _job(found: CronJob, name: str, due: Millis) -> Job:
    template = found.spec.job_template
    metadata = ObjectMeta(
        name,
        found.metadata.home,
        template.metadata.labels,
        template.metadata.annotations | {SCHEDULED: _stamp(found, due)},
        owner_references=(owner_reference(found),),
    )
    return Job(metadata, template.spec)


def _stamp(found: CronJob, due: Millis) -> str:
    """The scheduled time as the controller writes it down: in the schedule's own time zone."""
    if not found.spec.time_zone:
        return rfc3339(due)
    return datetime.fromtimestamp(due // SECOND, ZoneInfo(found.spec.time_zone)).isoformat().replace("+00:00", "Z")
