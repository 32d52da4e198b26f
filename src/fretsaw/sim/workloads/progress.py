"""What a Deployment says of itself: counts, and the conditions Available, Progressing and ReplicaFailure.

Source: Kubernetes v1.36 pkg/controller/deployment (progress.go, sync.go); kubernetes.io, Deployments, "Deployment
status".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from fretsaw.api.times import SECOND, Millis, millis, rfc3339
from fretsaw.api.workload import Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet, wanted_replicas
from fretsaw.sim.workloads.rollout import fenceposts, total

AVAILABLE, PROGRESSING, FAILURE = "Available", "Progressing", "ReplicaFailure"
COMPLETE, TIMED_OUT = "NewReplicaSetAvailable", "ProgressDeadlineExceeded"
_DEADLINE_S: Final = 600
_NEVER_S: Final = 2**31 - 1
_Conditions = tuple[DeploymentCondition, ...]


def deadline(deployment: Deployment) -> Millis | None:
    """How long a rollout may stand still; None: for ever."""
    seconds = deployment.spec.progress_deadline_seconds
    seconds = _DEADLINE_S if seconds is None else seconds
    return None if seconds == _NEVER_S else seconds * SECOND


def counted(
    deployment: Deployment, new: ReplicaSet | None, sets: Sequence[ReplicaSet], now: Millis
) -> DeploymentStatus:
    """The status after a look at all ReplicaSets, with the condition Available."""
    available = sum(one.status.available_replicas for one in sets)
    status = DeploymentStatus(
        observed_generation=deployment.metadata.generation,
        replicas=sum(one.status.replicas for one in sets),
        updated_replicas=new.status.replicas if new is not None else 0,
        ready_replicas=sum(one.status.ready_replicas for one in sets),
        available_replicas=available,
        unavailable_replicas=max(0, total(sets) - available),
        terminating_replicas=sum(one.status.terminating_replicas or 0 for one in sets),
        conditions=deployment.status.conditions,
    )
    enough = available >= wanted_replicas(deployment) - fenceposts(deployment)[1]
    if enough:
        said = condition(AVAILABLE, "True", "MinimumReplicasAvailable", now)
    else:
        said = condition(AVAILABLE, "False", "MinimumReplicasUnavailable", now)
    return with_conditions(status, put(status.conditions, said))


def rolled(
    deployment: Deployment, status: DeploymentStatus, new: ReplicaSet | None, sets: Sequence[ReplicaSet], now: Millis
) -> DeploymentStatus:
    """The status with Progressing and ReplicaFailure as a rollout leaves them."""
    conditions = status.conditions
    if deadline(deployment) is None:
        conditions = without(conditions, PROGRESSING)
    else:
        conditions = _progressing(deployment, status, now)
    failure = _failure(new, sets)
    if failure is None:
        return with_conditions(status, without(conditions, FAILURE))
    return with_conditions(status, put(conditions, condition(FAILURE, "True", "FailedCreate", now, failure)))


def is_complete(deployment: Deployment, status: DeploymentStatus) -> bool:
    """Whether all pods are of the newest template and available, and no others are left."""
    goal = wanted_replicas(deployment)
    return (
        goal == status.updated_replicas == status.replicas == status.available_replicas
        and status.observed_generation == deployment.metadata.generation
    )


def stuck_at(deployment: Deployment, status: DeploymentStatus) -> Millis | None:
    """When the rollout will have stood still for too long; None while nothing is awaited, and after it has."""
    limit, current = deadline(deployment), find(status.conditions, PROGRESSING)
    if limit is None or current is None or current.reason in (COMPLETE, TIMED_OUT):
        return None
    return millis(current.last_update_time or rfc3339(0)) + limit + SECOND


def _progressing(deployment: Deployment, status: DeploymentStatus, now: Millis) -> _Conditions:
    old, conditions = deployment.status, status.conditions
    current = find(conditions, PROGRESSING)
    if status.replicas == status.updated_replicas and current is not None and current.reason == COMPLETE:
        return conditions
    if is_complete(deployment, status):
        return put(conditions, condition(PROGRESSING, "True", COMPLETE, now))
    if _moved(old, status):
        said = condition(PROGRESSING, "True", "ReplicaSetUpdated", now)
        if current is not None and current.status == "True":
            said = replace(said, last_transition_time=current.last_transition_time)
        return (*without(conditions, PROGRESSING), said)
    if _timed_out(deployment, current, now):
        return put(conditions, condition(PROGRESSING, "False", TIMED_OUT, now))
    return conditions


def _moved(old: DeploymentStatus, new: DeploymentStatus) -> bool:
    """Whether there are more new pods, fewer old ones, or more that are ready or available."""
    return (
        new.updated_replicas > old.updated_replicas
        or new.replicas - new.updated_replicas < old.replicas - old.updated_replicas
        or new.ready_replicas > old.ready_replicas
        or new.available_replicas > old.available_replicas
    )


def _timed_out(deployment: Deployment, current: DeploymentCondition | None, now: Millis) -> bool:
    if current is None or current.reason == COMPLETE:
        return False
    if current.reason == TIMED_OUT:
        return True
    since = millis(current.last_update_time) if current.last_update_time else 0
    return since + (deadline(deployment) or 0) < now


def _failure(new: ReplicaSet | None, sets: Sequence[ReplicaSet]) -> str | None:
    """Why pods are refused: what the newest ReplicaSet says, else any other."""
    told = [said for one in sets for said in one.status.conditions if said.type == FAILURE and said.status == "True"]
    newest = [said for said in told if new is not None and said in new.status.conditions]
    return next((said.message for said in (*newest, *told)), None)


# Conditions


def condition(type_: str, status: str, reason: str, now: Millis, message: str = "") -> DeploymentCondition:
    """A condition that begins now."""
    stamp = rfc3339(now)
    return DeploymentCondition(type_, status, reason, message, stamp, last_update_time=stamp)


def find(conditions: _Conditions, type_: str) -> DeploymentCondition | None:
    """The condition of that type."""
    return next((said for said in conditions if said.type == type_), None)


def without(conditions: _Conditions, type_: str) -> _Conditions:
    """The conditions but for one type."""
    return tuple(said for said in conditions if said.type != type_)


def put(conditions: _Conditions, new: DeploymentCondition) -> _Conditions:
    """The conditions with `new` at their end, unless they say the same; a status that stays keeps its time."""
    old = find(conditions, new.type)
    if old is not None and (old.status, old.reason) == (new.status, new.reason):
        return conditions
    if old is not None and old.status == new.status:
        new = replace(new, last_transition_time=old.last_transition_time)
    return (*without(conditions, new.type), new)


def with_conditions(status: DeploymentStatus, conditions: _Conditions) -> DeploymentStatus:
    """The status with other conditions."""
    return status if conditions is status.conditions else replace(status, conditions=conditions)
