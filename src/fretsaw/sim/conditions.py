"""Conditions of an object's status: one of each type, whose time is that of the last change of its status."""

from __future__ import annotations

from msgspec.structs import replace

from fretsaw.api.meta import Condition
from fretsaw.api.pod import Pod
from fretsaw.api.times import Millis, rfc3339

DISRUPTION_TARGET = "DisruptionTarget"


def status_of(conditions: tuple[Condition, ...], type_: str) -> str:
    """The status of one condition; empty where there is none."""
    return next((condition.status for condition in conditions if condition.type == type_), "")


def with_condition(conditions: tuple[Condition, ...], new: Condition, now: Millis) -> tuple[Condition, ...]:
    """The conditions with `new` in its place; the same tuple where that says nothing new."""
    for index, old in enumerate(conditions):
        if old.type == new.type:
            same = old.status == new.status
            new = replace(new, last_transition_time=old.last_transition_time if same else rfc3339(now))
            return conditions if new == old else (*conditions[:index], new, *conditions[index + 1 :])
    return (*conditions, replace(new, last_transition_time=rfc3339(now)))


def is_ready(pod: Pod) -> bool:
    """Whether a pod's condition Ready is True."""
    return status_of(pod.status.conditions, "Ready") == "True"


def disrupted(pod: Pod, reason: str, message: str, now: Millis) -> Pod:
    """The pod with the condition that says why it is about to be deleted, as Job policies read it."""
    why = Condition(DISRUPTION_TARGET, "True", reason, message)
    return replace(pod, status=replace(pod.status, conditions=with_condition(pod.status.conditions, why, now)))
