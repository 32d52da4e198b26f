"""What an API server checks of a HorizontalPodAutoscaler.

Source: Kubernetes v1.36 pkg/apis/autoscaling/validation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from fretsaw.api import autoscaling as a
from fretsaw.api.problem import Problem
from fretsaw.api.resources import BadQuantity, nanos
from fretsaw.api.rules_text import choice, wrong

_SOURCES: Final = {
    "Resource": "resource",
    "ContainerResource": "container_resource",
    "Pods": "pods",
    "Object": "object",
    "External": "external",
}
_LONGEST_WINDOW_S: Final = 3600
_LONGEST_PERIOD_S: Final = 1800


def autoscaler(obj: a.HorizontalPodAutoscaler) -> Iterator[Problem]:
    """Every rule that an autoscaler breaks."""
    spec = obj.spec
    for name, text in (("kind", spec.scale_target_ref.kind), ("name", spec.scale_target_ref.name)):
        if not text:
            yield Problem(f"spec.scaleTargetRef.{name}", "missing", by="rule", right="the workload to scale")
    yield from _bounds(spec)
    for index, metric in enumerate(spec.metrics):
        yield from _metric(metric, f"spec.metrics[{index}]")
    if spec.behavior is not None:
        for name, rules in (("scaleUp", spec.behavior.scale_up), ("scaleDown", spec.behavior.scale_down)):
            if rules is not None:
                yield from _rules(rules, f"spec.behavior.{name}")


def _bounds(spec: a.HorizontalPodAutoscalerSpec) -> Iterator[Problem]:
    least = 1 if spec.min_replicas is None else spec.min_replicas
    if least < 0 or (least == 0 and not any(m.object or m.external for m in spec.metrics)):
        right = "at least 1; 0 needs a metric of type Object or External"
        yield wrong("spec.minReplicas", "is too small", str(least), right)
    if spec.max_replicas < 1:
        yield wrong("spec.maxReplicas", "must be at least 1", str(spec.max_replicas))
    elif spec.max_replicas < least:
        yield wrong("spec.maxReplicas", "must not be less than minReplicas", str(spec.max_replicas), f"{least} or more")


def _metric(metric: a.MetricSpec, path: str) -> Iterator[Problem]:
    attribute = _SOURCES.get(metric.type)
    if attribute is None:
        yield choice(f"{path}.type", metric.type, tuple(_SOURCES))
        return
    source = getattr(metric, attribute)
    name = metric.type[0].lower() + metric.type[1:]
    if source is None:
        yield Problem(f"{path}.{name}", "missing", by="rule", right=f"a metric of type {metric.type} needs it")
        return
    yield from _target(source.target, metric.type, f"{path}.{name}.target")


def _target(target: a.MetricTarget, type_: str, path: str) -> Iterator[Problem]:
    if target.type not in ("Utilization", "Value", "AverageValue"):
        yield choice(f"{path}.type", target.type, ("Utilization", "Value", "AverageValue"))
    set_ = {
        "averageUtilization": target.average_utilization is not None and "Resource" in type_,
        "averageValue": target.average_value is not None,
        "value": target.value is not None and type_ in ("Object", "External"),
    }
    if not any(set_.values()):
        right = "averageUtilization or averageValue" if "Resource" in type_ else "averageValue or, without pods, value"
        yield Problem(path, "holds no target", by="rule", right=right)
    if target.average_utilization is not None and target.average_utilization < 1:
        yield wrong(f"{path}.averageUtilization", "must be greater than 0", str(target.average_utilization))
    for name, quantity in (("value", target.value), ("averageValue", target.average_value)):
        if quantity is None:
            continue
        try:
            if nanos(quantity) <= 0:
                yield wrong(f"{path}.{name}", "must be positive", str(quantity))
        except BadQuantity as error:
            yield wrong(f"{path}.{name}", "not a quantity", str(quantity), error.right)


def _rules(rules: a.ScalingRules, path: str) -> Iterator[Problem]:
    window = rules.stabilization_window_seconds
    if window is not None and not 0 <= window <= _LONGEST_WINDOW_S:
        yield wrong(f"{path}.stabilizationWindowSeconds", "must be between 0 and 3600", str(window))
    if rules.select_policy not in (None, "Max", "Min", "Disabled"):
        yield choice(f"{path}.selectPolicy", rules.select_policy or "", ("Max", "Min", "Disabled"))
    for index, policy in enumerate(rules.policies):
        here = f"{path}.policies[{index}]"
        if policy.type not in ("Pods", "Percent"):
            yield choice(f"{here}.type", policy.type, ("Pods", "Percent"))
        if policy.value <= 0:
            yield wrong(f"{here}.value", "must be greater than zero", str(policy.value))
        if not 0 < policy.period_seconds <= _LONGEST_PERIOD_S:
            yield wrong(f"{here}.periodSeconds", "must be between 1 and 1800", str(policy.period_seconds))
