"""Rules on resources: quantities that read, are not negative, and requests that agree with limits.

Source: kubernetes.io, Resource Management for Pods and Containers; Kubernetes validation of ResourceRequirements.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from msgspec.structs import replace

from fretsaw.api.pod import ResourceRequirements
from fretsaw.api.problem import Problem
from fretsaw.api.resources import BadQuantity, Quantities, Quantity, nanos, parse
from fretsaw.api.rules_text import near, wrong

_CONTAINER: Final = frozenset(("cpu", "memory", "ephemeral-storage"))
_POD_LEVEL: Final = frozenset(("cpu", "memory"))
_FEW_CORES: Final = 100_000
"""More cores than this in one container are a slip, such as 500M for 500m."""


def amounts(path: str, given: Mapping[str, Quantity]) -> Iterator[Problem]:
    """Quantities that do not read or are negative."""
    for resource, quantity in given.items():
        try:
            if nanos(quantity) < 0:
                yield wrong(f"{path}[{resource}]", "must not be negative", str(quantity))
        except BadQuantity as error:
            yield Problem(f"{path}[{resource}]", "not a quantity", by="rule", seen=f'"{quantity}"', right=error.right)


def is_extended(resource: str) -> bool:
    """Whether a resource is one of a device plugin: counted in whole devices, never shared."""
    return "/" in resource and not resource.partition("/")[0].endswith("kubernetes.io")


def requirements(resources: ResourceRequirements, path: str, *, pod_level: bool = False) -> Iterator[Problem]:
    """The requests and limits of a container or of a pod as a whole."""
    if resources.requests or resources.limits:
        for problem in _check(tuple(resources.requests.items()), tuple(resources.limits.items()), pod_level):
            yield replace(problem, path=f"{path}.{problem.path}")


_Items = tuple[tuple[str, Quantity], ...]


@lru_cache(maxsize=65536, typed=True)
def _check(requests: _Items, limits: _Items, pod_level: bool) -> tuple[Problem, ...]:
    """The problems with paths below `resources`; thousands of containers ask for the same."""
    broken = [*amounts("requests", dict(requests)), *amounts("limits", dict(limits))]
    found = list(broken)
    for kind, given in (("requests", requests), ("limits", limits)):
        for resource, quantity in given:
            found += _name(f"{kind}[{resource}]", resource, _POD_LEVEL if pod_level else _CONTAINER)
            if not broken:
                found += _fineness(f"{kind}[{resource}]", resource, quantity)
    if not broken:
        found += _agreement(dict(requests), dict(limits))
    return tuple(found)


def _name(path: str, resource: str, names: frozenset[str]) -> Iterator[Problem]:
    if resource in names or "/" in resource or resource.startswith("hugepages-"):
        return
    meant = {"gpu": "nvidia.com/gpu", "storage": "ephemeral-storage"}.get(resource) or near(resource, names)
    right = f"did you mean {meant}?" if meant else f"{', '.join(sorted(names))} or a device such as nvidia.com/gpu"
    yield wrong(path, "not a resource that a container can ask for", resource, right)


def _fineness(path: str, resource: str, quantity: Quantity) -> Iterator[Problem]:
    """Parts of a device or of a millicore, and amounts that only a slip of the suffix explains."""
    value = parse(quantity)
    if resource == "cpu":
        if (value * 1000).denominator != 1:
            yield wrong(path, "finer than 1m", str(quantity))
        elif value > _FEW_CORES:
            right = f"did you mean {str(quantity)[:-1]}m?" if str(quantity).endswith("M") else ""
            yield Problem(path, f"asks for {int(value)} cores", "warning", "rule", f'"{quantity}"', right)
    elif value.denominator != 1:
        if is_extended(resource) or resource.startswith("hugepages-"):
            yield wrong(path, "must be a whole number", str(quantity))
        else:
            right = f"did you mean {str(quantity)[:-1]}Mi?" if str(quantity).endswith("m") else ""
            yield Problem(path, "a fraction of a byte", "warning", "rule", f'"{quantity}"', right)


def _agreement(requests: Quantities, limits: Quantities) -> Iterator[Problem]:
    """Requests within limits; devices and huge pages are asked for exactly as they are limited."""
    for resource, quantity in requests.items():
        exact = is_extended(resource) or resource.startswith("hugepages-")
        limit = limits.get(resource)
        if limit is None:
            if exact:
                right = f"add limits[{resource}]: {quantity}"
                yield wrong(f"limits[{resource}]", "missing: this resource needs a limit", "", right)
        elif difference := nanos(quantity) - nanos(limit):
            seen = f"request {quantity}, limit {limit}"
            if exact:
                yield Problem(f"requests[{resource}]", "must equal its limit", by="rule", seen=seen)
            elif difference > 0:
                yield Problem(f"requests[{resource}]", "more than its limit", by="rule", seen=seen)
