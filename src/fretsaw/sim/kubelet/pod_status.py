"""The status that a kubelet writes for a pod, from what it knows of the pod's life.

Source: kubelet generateAPIPodStatus; kubernetes.io, Pod Lifecycle (phases, conditions, container states).
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec.structs import replace

from fretsaw.api.meta import Condition
from fretsaw.api.pod import (
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    Pod,
    PodStatus,
)
from fretsaw.api.times import Millis, rfc3339
from fretsaw.sim.conditions import with_condition

CREATING = "ContainerCreating"
CRASH_LOOP = "CrashLoopBackOff"
Phase = Literal["Pending", "Running", "Succeeded", "Failed"]


class Exit(msgspec.Struct, frozen=True):
    """How a container ended."""

    code: int
    reason: str
    began: Millis
    ended: Millis

    @property
    def state(self) -> ContainerState:
        """As a status shows it."""
        began, ended = rfc3339(self.began), rfc3339(self.ended)
        return ContainerState(terminated=ContainerStateTerminated(self.code, self.reason, "", began, ended))


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to tell of a pod."""

    phase: Phase
    since: Millis
    """When the kubelet took it."""
    ready: bool = False
    running_since: Millis | None = None
    waits: str = CREATING
    """Why its containers do not run, where they do not."""
    last: Exit | None = None
    """How they ended the last time, or for good."""
    restarts: int = 0
    reason: str = ""
    message: str = ""


def status(pod: Pod, look: Look, now: Millis) -> PodStatus:
    """The pod's status as it is now; conditions of others and granted resources are kept."""
    terminal = look.phase in ("Succeeded", "Failed")
    return replace(
        pod.status,
        phase=look.phase,
        reason=look.reason,
        message=look.message,
        start_time=pod.status.start_time or rfc3339(look.since),
        conditions=_conditions(pod, look, now, terminal=terminal),
        container_statuses=() if look.reason else _containers(pod, look, terminal=terminal),
    )


def _conditions(pod: Pod, look: Look, now: Millis, *, terminal: bool) -> tuple[Condition, ...]:
    truth = "True" if look.ready and not terminal else "False"
    why = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}.get(look.phase, "ContainersNotReady")
    reason = "" if truth == "True" else why
    found = with_condition(pod.status.conditions, Condition("Initialized", "True"), now)
    for type_ in ("ContainersReady", "Ready"):
        found = with_condition(found, Condition(type_, truth, reason), now)
    return found


def _containers(pod: Pod, look: Look, *, terminal: bool) -> tuple[ContainerStatus, ...]:
    """All containers of a pod do the same at the same time."""
    state, last = _state(look, terminal=terminal), ContainerState()
    if look.last is not None and not terminal:
        last = look.last.state
    known = {one.name: one for one in pod.status.container_statuses}
    return tuple(
        replace(
            known.get(container.name) or ContainerStatus(name=container.name),
            ready=look.ready and not terminal,
            started=look.running_since is not None and not terminal,
            restart_count=look.restarts,
            state=state,
            last_state=last,
        )
        for container in pod.spec.containers
    )


def _state(look: Look, *, terminal: bool) -> ContainerState:
    if terminal and look.last is not None:
        return look.last.state
    if look.running_since is not None:
        return ContainerState(running=ContainerStateRunning(rfc3339(look.running_since)))
    return ContainerState(waiting=ContainerStateWaiting(look.waits))
