"""What a pod asks a node for, in base units (millicores, bytes, devices), with one `pods` slot.

Source: Kubernetes component-helpers resource.PodRequests with pod-level resources and in-place resize (KEP-1287,
KEP-2837, KEP-753 for sidecars); Karpenter v1.14 pkg/utils/resources (RequestsForPods).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fretsaw.api.pod import Container, ContainerStatus, PodSpec, PodStatus
from fretsaw.api.resources import units

Amounts = dict[str, int]
_POD_LEVEL = ("cpu", "memory")
"""Resources that a pod-level request may set; huge pages too."""


def pod_requests(spec: PodSpec, status: PodStatus | None = None) -> Amounts:
    """The pod's requests: containers and sidecars together, or the largest init step if that is more, plus overhead.

    A pod-level request replaces the sum for cpu, memory and huge pages. A running pod that is being resized counts with
    the larger of what it asks for and what it has.
    """
    statuses = _statuses(status)
    running: Amounts = {}
    for container in spec.containers:
        add(running, _container(container, statuses, infeasible=_infeasible(status)))
    peak: Amounts = {}
    sidecars: Amounts = {}
    for container in spec.init_containers:
        asked = _container(container, statuses, infeasible=_infeasible(status))
        if container.is_sidecar:
            add(running, asked)
            add(sidecars, asked)
            _raise(peak, sidecars)
        else:
            step = dict(asked)
            add(step, sidecars)
            _raise(peak, step)
    _raise(running, peak)
    if spec.resources is not None:
        for resource, quantity in spec.resources.requests.items():
            if resource in _POD_LEVEL or resource.startswith("hugepages-"):
                running[resource] = units(resource, quantity)
    for resource, quantity in spec.overhead.items():
        running[resource] = running.get(resource, 0) + units(resource, quantity)
    running["pods"] = 1
    return running


def add(total: Amounts, more: Mapping[str, int]) -> None:
    """Add `more` to `total` in place."""
    for resource, amount in more.items():
        total[resource] = total.get(resource, 0) + amount


def total(requests: Iterable[Mapping[str, int]]) -> Amounts:
    """The sum of several requests."""
    found: Amounts = {}
    for request in requests:
        add(found, request)
    return found


def _raise(total: Amounts, at_least: Mapping[str, int]) -> None:
    for resource, amount in at_least.items():
        if amount > total.get(resource, 0):
            total[resource] = amount


def _container(container: Container, statuses: Mapping[str, ContainerStatus], *, infeasible: bool) -> Amounts:
    asked = _amounts(container.resources.requests)
    status = statuses.get(container.name)
    if status is None:
        return asked
    granted = _amounts(status.resources.requests) if status.resources is not None else {}
    _raise(granted, _amounts(status.allocated_resources))
    if infeasible and granted:
        return granted
    _raise(asked, granted)
    return asked


def _amounts(quantities: Mapping[str, str | int | float]) -> Amounts:
    return {resource: units(resource, quantity) for resource, quantity in quantities.items()}


def _statuses(status: PodStatus | None) -> dict[str, ContainerStatus]:
    if status is None:
        return {}
    return {s.name: s for s in (*status.container_statuses, *status.init_container_statuses)}


def _infeasible(status: PodStatus | None) -> bool:
    return status is not None and any(
        c.type == "PodResizePending" and c.reason == "Infeasible" for c in status.conditions
    )
