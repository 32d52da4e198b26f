"""What the API server and its admission plugins fill into pods, as far as placement reads it.

Source: kubernetes.io, Resource Management for Pods and Containers (a limit alone is the request too), Pod Overhead,
Pod Priority; KEP-2837 (pod-level resources).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from fretsaw.api.pod import Container, PodSpec, PodTemplateSpec, ResourceRequirements
from fretsaw.api.policy import PriorityClass, RuntimeClass
from fretsaw.api.resources import Quantities, render, units

_SYSTEM: Final = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


class Defaults:
    """Fills defaults in; equal specs by identity stay one object."""

    def __init__(self, priorities: Mapping[str, PriorityClass], runtimes: Mapping[str, RuntimeClass]) -> None:
        self._priorities = _SYSTEM | {name: item.value for name, item in priorities.items()}
        self._default_priority = next((i.value for _, i in sorted(priorities.items()) if i.global_default), None)
        self._runtimes = runtimes

    def template(self, template: PodTemplateSpec) -> PodTemplateSpec:
        """A workload's template with its spec's defaults."""
        spec = self.spec(template.spec)
        return template if spec is template.spec else replace(template, spec=spec)

    def spec(self, spec: PodSpec) -> PodSpec:
        """The spec with requests, priority and overhead; the same object where nothing was to fill in."""
        containers = _containers(spec.containers)
        init_containers = _containers(spec.init_containers)
        if containers is not spec.containers or init_containers is not spec.init_containers:
            spec = replace(spec, containers=containers, init_containers=init_containers)
        if spec.resources is not None:
            spec = _pod_level(spec, spec.resources)
        spec = self._runtime(spec)
        priority = spec.priority if spec.priority is not None else self._priority(spec.priority_class_name)
        return spec if priority == spec.priority else replace(spec, priority=priority)

    def _priority(self, name: str) -> int | None:
        return self._priorities.get(name) if name else self._default_priority

    def _runtime(self, spec: PodSpec) -> PodSpec:
        """Overhead, node selector and tolerations of the pod's RuntimeClass."""
        runtime = self._runtimes.get(spec.runtime_class_name) if spec.runtime_class_name else None
        if runtime is None:
            return spec
        if runtime.overhead is not None and not spec.overhead:
            spec = replace(spec, overhead=runtime.overhead.pod_fixed)
        if runtime.scheduling is not None:
            new = tuple(t for t in runtime.scheduling.tolerations if t not in spec.tolerations)
            selector = {**spec.node_selector, **runtime.scheduling.node_selector}
            spec = replace(spec, node_selector=selector, tolerations=(*spec.tolerations, *new))
        return spec


def _containers(containers: tuple[Container, ...]) -> tuple[Container, ...]:
    """Containers whose limits stand in for missing requests."""
    for container in containers:
        resources = container.resources
        if resources.limits and not resources.limits.keys() <= resources.requests.keys():
            return tuple(_with_requests(item) for item in containers)
    return containers


def _with_requests(container: Container) -> Container:
    resources = container.resources
    if resources.limits.keys() <= resources.requests.keys():
        return container
    requests = {**resources.limits, **resources.requests}
    return replace(container, resources=replace(resources, requests=requests))


def _pod_level(spec: PodSpec, resources: ResourceRequirements) -> PodSpec:
    """Pod-level requests where only limits are given: what the containers ask for together, else the limit.

    Source: Kubernetes v1.36 defaults for pod-level resources; only cpu, memory and huge pages take part.
    """
    if not resources.limits:
        return spec
    together = {name: amount for name, amount in _together(spec).items() if _is_pod_level(name)}
    limits = {name: limit for name, limit in resources.limits.items() if _is_pod_level(name)}
    requests: Quantities = {**limits, **together, **resources.requests}
    if requests == resources.requests:
        return spec
    return replace(spec, resources=replace(resources, requests=requests))


def _is_pod_level(resource: str) -> bool:
    return resource in ("cpu", "memory") or resource.startswith("hugepages-")


def _together(spec: PodSpec) -> Quantities:
    """What the containers ask for at most at one time: sidecars and containers, or an init container before them."""
    sidecars: Counter[str] = Counter()
    peak: Counter[str] = Counter()
    for container in spec.init_containers:
        own = _amounts(container)
        peak |= sidecars + own
        if container.is_sidecar:
            sidecars += own
    running = sum((_amounts(container) for container in spec.containers), sidecars)
    return {resource: render(resource, amount) for resource, amount in (peak | running).items()}


def _amounts(container: Container) -> Counter[str]:
    requests = container.resources.requests.items()
    return Counter({resource: units(resource, quantity) for resource, quantity in requests})
