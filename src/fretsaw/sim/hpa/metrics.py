"""The metrics of an autoscaler's spec, made ready to be read every 15 seconds: what each reads, proposes and shows.

`read` is cheap and its answer can be compared: where it is what it was, the proposal is too.
Source: Kubernetes v1.36 pkg/controller/podautoscaler/horizontal.go (computeStatusFor…Metric).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from fretsaw.api import autoscaling as api
from fretsaw.api.pod import Pod
from fretsaw.api.times import Millis
from fretsaw.sim.behavior import Metrics
from fretsaw.sim.conditions import is_ready
from fretsaw.sim.hpa import algorithm, readings
from fretsaw.sim.hpa.algorithm import Failure, Proposal, Tolerance
from fretsaw.sim.hpa.readings import Sample, Settings, Sorted

DEFAULT = (
    api.MetricSpec(
        type="Resource",
        resource=api.ResourceMetric("cpu", api.MetricTarget(type="Utilization", average_utilization=80)),
    ),
)
"""What an autoscaler without any metric follows."""


class View:
    """A workload's pods as metrics look at them; made anew when one of them changes."""

    def __init__(self, pods: Mapping[str, Pod], settings: Settings) -> None:
        self.pods = tuple(pods.values())
        self.ready = sum(pod.status.phase == "Running" and is_ready(pod) for pod in self.pods)
        """Pods that run and are ready."""
        self.active = sum(not pod.is_terminal and not pod.metadata.deletion_timestamp for pod in self.pods)
        self._settings = settings
        self._sorted: Sorted | None = None
        self._by_cpu: Sorted | None = None
        self._settled = readings.settled(self.pods, settings)

    def sorted(self, now: Millis, *, cpu: bool) -> Sorted:
        """The pods by what their samples are good for."""
        if not cpu:
            if self._sorted is None:
                self._sorted = readings.sort(self.pods, cpu=False, now=now, settings=self._settings)
            return self._sorted
        if self._by_cpu is not None:
            return self._by_cpu
        found = readings.sort(self.pods, cpu=True, now=now, settings=self._settings)
        if now >= self._settled:
            self._by_cpu = found
        return found


class Scale:
    """The replicas that are wanted, and those that there are."""

    __slots__ = ("current", "made")

    def __init__(self, current: int, made: int) -> None:
        self.current = current
        self.made = made


class Source(Protocol):
    """One metric of a spec."""

    name: str
    """As messages say it."""

    def read(self, view: View, scale: Scale, now: Millis) -> Any:
        """All that the proposal depends on, the current replicas apart."""

    def propose(self, reading: Any, current: int) -> Proposal | Failure:
        """What the metric asks for."""

    def shown(self, proposal: Proposal) -> api.MetricStatus:
        """The proposal's reading as the status has it."""


class PerPod:
    """A metric of each pod: type Pods, and resources."""

    def __init__(
        self,
        spec: api.MetricSpec,
        name: str,
        sample: Sample,
        target: api.MetricTarget,
        tolerance: Tolerance,
        resource: str = "",
        container: str = "",
    ) -> None:
        """resource: `cpu` or `memory`; empty for type Pods."""
        self.name = name
        self._spec = spec
        self._sample = sample
        self._tolerance = tolerance
        self._resource = resource
        self._container = container
        self._average = None if target.average_value is None else readings.thousandths(target.average_value)
        self._percent = target.average_utilization

    def read(self, view: View, scale: Scale, now: Millis) -> tuple[Sorted, tuple[int | None, ...]]:
        """The pods and their samples."""
        pods = view.sorted(now, cpu=self._resource == "cpu")
        return pods, readings.values(pods, self._sample, now)

    def propose(self, reading: tuple[Sorted, tuple[int | None, ...]], current: int) -> Proposal | Failure:
        """By average or by utilization."""
        if self._average is not None:
            pods = readings.averages(*reading)
            if not isinstance(pods, str):
                return algorithm.by_average(current, pods, self._average, self._tolerance)
            return readings.failed(self._spec.type, pods)
        if self._percent is None:
            return readings.failed(self._spec.type, "neither a utilization target nor a value target was set")
        usage = readings.usages(*reading, self._resource, self._container)
        if not isinstance(usage, str):
            return algorithm.by_utilization(current, usage, self._percent, self._tolerance)
        return readings.failed(self._spec.type, usage)

    def shown(self, proposal: Proposal) -> api.MetricStatus:
        """The average, and the utilization where that is the target."""
        value = api.MetricValue(average_value=_text(proposal.value), average_utilization=proposal.utilization)
        if self._spec.pods is not None and self._spec.type == "Pods":
            return api.MetricStatus("Pods", pods=api.NamedMetricStatus(self._spec.pods.metric, value))
        status = api.ResourceMetricStatus(self._resource, value, self._container)
        if self._spec.type == "ContainerResource":
            return api.MetricStatus("ContainerResource", container_resource=status)
        return api.MetricStatus("Resource", resource=status)


class Whole:
    """A metric with one value for all pods: types Object and External."""

    def __init__(self, spec: api.MetricSpec, namespace: str, metrics: Metrics, tolerance: Tolerance) -> None:
        source = spec.object if spec.type == "Object" else spec.external
        assert source is not None
        self._spec = spec
        self._metric = source.metric
        self._namespace = namespace
        self._metrics = metrics
        self._tolerance = tolerance
        target = source.target
        # An Object metric says by its target's type which number counts; an External one by the number that is there.
        average = target.type == "AverageValue" if spec.type == "Object" else target.average_value is not None
        quantity = target.average_value if average else target.value
        self._average = average
        self._target = 0 if quantity is None else readings.thousandths(quantity)
        what = spec.object.described_object.kind if spec.object is not None and not average else "external"
        self.name = f"{what} metric {source.metric.name}"

    def read(self, view: View, scale: Scale, now: Millis) -> tuple[int | None, int | None]:
        """The value, and the pods that it is spread over; None where there is no pod at all."""
        value = self._metrics.external(self._metric.name, self._namespace, now)
        if self._average:
            return value, scale.made
        return value, view.ready if view.pods else None

    def propose(self, reading: tuple[int | None, int | None], current: int) -> Proposal | Failure:
        """By value or by share."""
        value, pods = reading
        if value is None:
            return readings.failed(self._spec.type, f"no metrics returned for {self._metric.name}")
        if not self._target:
            return readings.failed(self._spec.type, "neither a value target nor an average value target was set")
        if self._average:
            return algorithm.by_share(pods or 0, value, self._target, self._tolerance)
        if pods is None and current:
            return readings.failed(self._spec.type, readings.NO_PODS)
        return algorithm.by_value(current, pods or 0, value, self._target, self._tolerance)

    def shown(self, proposal: Proposal) -> api.MetricStatus:
        """The value, or each pod's share."""
        text = _text(proposal.value)
        current = api.MetricValue(average_value=text) if self._average else api.MetricValue(value=text)
        if self._spec.object is not None and self._spec.type == "Object":
            described = self._spec.object.described_object
            return api.MetricStatus("Object", object=api.NamedMetricStatus(self._metric, current, described))
        return api.MetricStatus("External", external=api.NamedMetricStatus(self._metric, current))


def sources(obj: api.HorizontalPodAutoscaler, metrics: Metrics, tolerance: Tolerance) -> tuple[Source, ...]:
    """The metrics of an autoscaler, in the order of its spec."""
    namespace = obj.metadata.home
    return tuple(_source(spec, namespace, metrics, tolerance) for spec in _specs(obj.spec))


def _specs(spec: api.HorizontalPodAutoscalerSpec) -> tuple[api.MetricSpec, ...]:
    if spec.metrics:
        return spec.metrics
    percent = spec.target_cpu_utilization
    if percent is None:
        return DEFAULT
    target = api.MetricTarget(type="Utilization", average_utilization=percent)
    return (api.MetricSpec(type="Resource", resource=api.ResourceMetric("cpu", target)),)


def _source(spec: api.MetricSpec, namespace: str, metrics: Metrics, tolerance: Tolerance) -> Source:
    if spec.type in ("Object", "External"):
        return Whole(spec, namespace, metrics, tolerance)
    if spec.type == "Pods" and spec.pods is not None:
        name = spec.pods.metric.name
        return PerPod(spec, f"pods metric {name}", _of_pod(metrics, name), spec.pods.target, tolerance)
    part = spec.resource if spec.type == "Resource" else spec.container_resource
    assert part is not None
    container = part.container if isinstance(part, api.ContainerResourceMetric) else ""
    kind = "container resource" if container else "resource"
    by_value = part.target.average_value is not None
    name = f"{part.name} {kind}" + ("" if by_value else " utilization (percentage of request)")
    return PerPod(spec, name, _usage(metrics, part.name, container), part.target, tolerance, part.name, container)


def _of_pod(metrics: Metrics, name: str) -> Sample:
    def sample(pod: Pod, now: Millis) -> int | None:
        return metrics.of_pod(pod, name, now)

    return sample


def _usage(metrics: Metrics, resource: str, container: str) -> Sample:
    """Usage in thousandths: that is what cpu is counted in, while memory comes in bytes."""
    factor = 1 if resource == "cpu" else 1000

    def sample(pod: Pod, now: Millis) -> int | None:
        # Usage is known by pod: it is a container's own only where there is no other.
        if container and [c.name for c in pod.spec.containers] != [container]:
            return None
        used = metrics.usage(pod, resource, now)
        return None if used is None else used * factor

    return sample


def _text(thousandths: int) -> str:
    return f"{thousandths}m" if thousandths % 1000 else str(thousandths // 1000)
