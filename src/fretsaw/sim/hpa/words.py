"""What an autoscaler's conditions say, in the words of the API.

Source: Kubernetes v1.36 pkg/controller/podautoscaler/horizontal.go (setCondition).
"""

from __future__ import annotations

from typing import Final

from fretsaw.api.autoscaling import ObjectReference
from fretsaw.api.meta import Condition
from fretsaw.sim.hpa import targets
from fretsaw.sim.hpa.algorithm import Failure
from fretsaw.sim.hpa.behavior import Outcome

_ABLE: Final = {
    "ReadyForNewScale": "recommended size matches current size",
    "ScaleUpStabilized": "recent recommendations were lower than current one, "
    "applying the lowest recent recommendation",
    "ScaleDownStabilized": "recent recommendations were higher than current one, "
    "applying the highest recent recommendation",
}
_LIMITED: Final = {
    "DesiredWithinRange": "the desired count is within the acceptable range",
    "ScaleUpLimit": "the desired replica count is increasing faster than the maximum scale rate",
    "ScaleDownLimit": "the desired replica count is decreasing faster than the maximum scale rate",
    "TooManyReplicas": "the desired replica count is more than the maximum replica count",
    "TooFewReplicas": "the desired replica count is less than the minimum replica count",
}


def usual(outcome: Outcome, metric: str) -> tuple[Condition, ...]:
    """Of an autoscaler that follows `metric`; the first is AbleToScale."""
    valid = f"the HPA was able to successfully calculate a replica count from {metric}"
    limited = "False" if outcome.limited == "DesiredWithinRange" else "True"
    return (
        Condition("AbleToScale", "True", outcome.able, _ABLE[outcome.able]),
        Condition("ScalingActive", "True", "ValidMetricFound", valid),
        Condition("ScalingLimited", limited, outcome.limited, _LIMITED[outcome.limited]),
    )


def rescaled(replicas: int) -> Condition:
    """It has just changed the replicas."""
    message = f"the HPA controller was able to update the target scale to {replicas}"
    return Condition("AbleToScale", "True", "SucceededRescale", message)


def failed(why: Failure) -> tuple[Condition, ...]:
    """It sees the workload, but no metric that it may follow."""
    message = "the HPA controller was able to get the target's current scale"
    able = Condition("AbleToScale", "True", "SucceededGetScale", message)
    return able, Condition("ScalingActive", "False", why.reason, why.message)


def no_scale(ref: ObjectReference) -> Condition:
    """There is nothing to scale."""
    message = f"the HPA controller was unable to get the target's current scale: {targets.unknown(ref)}"
    return Condition("AbleToScale", "False", "FailedGetScale", message)


DISABLED: Final = Failure("ScalingDisabled", "scaling is disabled since the replica count of the target is zero")
