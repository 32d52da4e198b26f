"""Whether something starts the pods of a run all together or not at all."""

from __future__ import annotations

from fretsaw.lint.work import Work

_LABELS = (
    "kueue.x-k8s.io/queue-name",
    "scheduling.x-k8s.io/pod-group",
    "pod-group.scheduling.sigs.k8s.io",
    "scheduling.k8s.io/group-name",
    "scheduling.run.ai",
)
_SCHEDULERS = ("volcano", "coscheduling", "scheduler-plugins-scheduler", "yunikorn", "runai-scheduler", "kai-scheduler")
_OPERATORS = ("LeaderWorkerSet", "RayJob", "RayCluster", "RayService")
"""Kinds that come with ways of their own."""


def has_gang(work: Work) -> bool:
    """By labels or annotations of the object or its pods, by scheduler, or by kind."""
    keys = {*work.labels, *work.annotations, *work.pod_labels, *work.pod_annotations}
    known = any(key.startswith(_LABELS) for key in keys)
    return (
        known
        or work.spec.scheduler_name in _SCHEDULERS
        or work.kind in _OPERATORS
        or "volcano" in work.document.api_version
    )
