"""Horizontal pod autoscalers, version 2 of their API; what version 1 alone has is one field.

Source: Kubernetes v1.36 API reference, HorizontalPodAutoscaler v2.
"""

from __future__ import annotations

from msgspec import field

from fretsaw.api.meta import Condition, LabelSelector, Object, Value
from fretsaw.api.resources import Quantity


class ObjectReference(Value, frozen=True):
    """An object of the autoscaler's namespace: what is scaled, or what a metric describes."""

    kind: str = ""
    name: str = ""
    api_version: str = ""


class MetricIdentifier(Value, frozen=True):
    """A metric by name; the selector picks among its series."""

    name: str = ""
    selector: LabelSelector | None = None


class MetricTarget(Value, frozen=True):
    """What a metric shall be: `Utilization` (percent of the request), `Value` or `AverageValue` (a pod)."""

    type: str = ""
    value: Quantity | None = None
    average_value: Quantity | None = None
    average_utilization: int | None = None


class ResourceMetric(Value, frozen=True):
    """What pods use of cpu or memory."""

    name: str = ""
    target: MetricTarget = MetricTarget()


class ContainerResourceMetric(Value, frozen=True):
    """What one container of each pod uses of cpu or memory."""

    name: str = ""
    container: str = ""
    target: MetricTarget = MetricTarget()


class PodsMetric(Value, frozen=True):
    """A metric that each pod has a value of."""

    metric: MetricIdentifier = MetricIdentifier()
    target: MetricTarget = MetricTarget()


class ObjectMetric(Value, frozen=True):
    """A metric of one object, such as requests a second of an Ingress."""

    described_object: ObjectReference = ObjectReference()
    metric: MetricIdentifier = MetricIdentifier()
    target: MetricTarget = MetricTarget()


class ExternalMetric(Value, frozen=True):
    """A metric of nothing in the cluster, such as a queue's length."""

    metric: MetricIdentifier = MetricIdentifier()
    target: MetricTarget = MetricTarget()


class MetricSpec(Value, frozen=True):
    """One metric; `type` says which of the fields is set."""

    type: str = ""
    resource: ResourceMetric | None = None
    container_resource: ContainerResourceMetric | None = None
    pods: PodsMetric | None = None
    object: ObjectMetric | None = None
    external: ExternalMetric | None = None


class ScalingPolicy(Value, frozen=True):
    """A limit of the change within a time: `Pods` (a number) or `Percent`."""

    type: str = ""
    value: int = 0
    period_seconds: int = 0


class ScalingRules(Value, frozen=True):
    """How one direction is slowed down. None: the direction's default."""

    stabilization_window_seconds: int | None = None
    select_policy: str | None = None
    """`Max` (the biggest change), `Min` or `Disabled`."""
    policies: tuple[ScalingPolicy, ...] = ()
    """Empty: the direction's default policies."""
    tolerance: Quantity | None = None


class Behavior(Value, frozen=True):
    """How scaling is slowed down, by direction."""

    scale_up: ScalingRules | None = None
    scale_down: ScalingRules | None = None


class HorizontalPodAutoscalerSpec(Value, frozen=True):
    """What is scaled, between which numbers, by which metrics."""

    scale_target_ref: ObjectReference = ObjectReference()
    min_replicas: int | None = None
    """None means 1."""
    max_replicas: int = 0
    metrics: tuple[MetricSpec, ...] = ()
    """None at all mean 80 % of the cpu request."""
    behavior: Behavior | None = None
    target_cpu_utilization: int | None = field(default=None, name="targetCPUUtilizationPercentage")
    """The one metric that version 1 has."""


class MetricValue(Value, frozen=True):
    """What a metric was."""

    value: Quantity | None = None
    average_value: Quantity | None = None
    average_utilization: int | None = None


class ResourceMetricStatus(Value, frozen=True):
    """What was used of cpu or memory."""

    name: str = ""
    current: MetricValue = MetricValue()
    container: str = ""


class NamedMetricStatus(Value, frozen=True):
    """What a metric of pods, of an object or of the outside was."""

    metric: MetricIdentifier = MetricIdentifier()
    current: MetricValue = MetricValue()
    described_object: ObjectReference | None = None


class MetricStatus(Value, frozen=True):
    """The last reading of one metric of the spec."""

    type: str = ""
    resource: ResourceMetricStatus | None = None
    container_resource: ResourceMetricStatus | None = None
    pods: NamedMetricStatus | None = None
    object: NamedMetricStatus | None = None
    external: NamedMetricStatus | None = None


class HorizontalPodAutoscalerStatus(Value, frozen=True):
    """What the controller saw and decided last."""

    observed_generation: int | None = None
    last_scale_time: str | None = None
    current_replicas: int | None = None
    desired_replicas: int = 0
    current_metrics: tuple[MetricStatus, ...] = ()
    conditions: tuple[Condition, ...] = ()


class HorizontalPodAutoscaler(Object, frozen=True):
    """Sets a workload's replicas by metrics."""

    spec: HorizontalPodAutoscalerSpec = HorizontalPodAutoscalerSpec()
    status: HorizontalPodAutoscalerStatus = HorizontalPodAutoscalerStatus()

    def condition(self, type_: str) -> Condition | None:
        """The condition of that type, if there is one."""
        return next((condition for condition in self.status.conditions if condition.type == type_), None)
