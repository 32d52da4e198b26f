"""Metrics of what is asked of others: the cloud provider and the API server; and which build this is.

Source: Karpenter v1.14 pkg/cloudprovider/metrics, pkg/metrics; operatorpkg (client-go metrics).
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fretsaw.controllers.telemetry.families import Counter, Family, Gauge, Histogram, doubling
from fretsaw.controllers.telemetry.group import Group
from fretsaw.errors import InstanceNotFound, NotReady, OutOfCapacity

PROVIDER = "aws"
CONTROLLERS = {
    "Create": "nodeclaim.lifecycle",
    "Delete": "nodeclaim.lifecycle",
    "Get": "nodeclaim.lifecycle",
    "List": "nodeclaim.garbagecollection",
    "GetInstanceTypes": "provisioner",
    "IsDrifted": "nodeclaim.disruption",
}
"""The controller that asks with each method, unless the caller says otherwise."""
_ERRORS: tuple[tuple[type[Exception], str], ...] = (
    (InstanceNotFound, "NodeClaimNotFoundError"),
    (NotReady, "NodeClassNotReadyError"),
    (OutOfCapacity, "InsufficientCapacityError"),
)
_METHODS = {"get": "GET", "list": "GET", "watch": "GET", "create": "POST", "update": "PUT", "patch": "PATCH"}
"""The HTTP method of a verb of the API, where it has another name."""
_CALL = ("controller", "method", "provider")

DURATION = Family(
    "karpenter_cloudprovider_duration_seconds",
    "histogram",
    _CALL,
    "How long calls of the cloud provider took.",
    (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
ERRORS = Family(
    "karpenter_cloudprovider_errors_total",
    "counter",
    (*_CALL, "error"),
    "Calls of the cloud provider that failed; error is empty for other errors than those that are expected.",
)
BUILD = Family(
    "karpenter_build_info",
    "gauge",
    ("version", "goversion", "goarch", "commit"),
    "Which build this is; always 1. goversion is Python's, goarch the machine's.",
)
REQUEST_DURATION = Family(
    "client_go_request_duration_seconds",
    "histogram",
    ("verb", "group", "version", "kind", "subresource"),
    "How long requests to the API server took; a watch is not one of them.",
    doubling(0.001, 20, 1.5),
)
REQUESTS = Family(
    "client_go_request_total", "counter", ("code", "method"), "Answers of the API server by HTTP code and method."
)


class Calls(Group):
    """Times calls."""

    title = "Cloud provider, API server and build"
    families = (DURATION, ERRORS, BUILD, REQUEST_DURATION, REQUESTS)

    def __init__(self, version: str, commit: str, clock: Callable[[], float]) -> None:
        """clock: seconds that only grow."""
        self._clock = clock
        self.duration = Histogram(DURATION)
        self.errors = Counter(ERRORS)
        self.request_duration = Histogram(REQUEST_DURATION)
        self.requests = Counter(REQUESTS)
        build = Gauge(BUILD)
        build.set(1, version, f"python{platform.python_version()}", platform.machine(), commit)
        self.stores = (self.duration, self.errors, build, self.request_duration, self.requests)

    @contextmanager
    def call(self, method: str, controller: str = "") -> Iterator[None]:
        """Time what is done within, and count it where it raises."""
        labels = (controller or CONTROLLERS.get(method, ""), method, PROVIDER)
        begin = self._clock()
        try:
            yield
        except Exception as error:
            self.errors.add(*labels, error_of(error))
            raise
        finally:
            self.duration.observe(self._clock() - begin, *labels)

    def request(
        self, verb: str, group: str, version: str, kind: str, subresource: str, code: int | str, took_s: float
    ) -> None:
        """A request was answered."""
        method = _METHODS.get(verb.lower(), verb.upper())
        self.requests.add(str(code), method)
        if verb.lower() != "watch":
            self.request_duration.observe(took_s, method, group, version, kind, subresource)


def error_of(error: Exception) -> str:
    """The error's name where it is one that is expected now and then."""
    return next((name for kind, name in _ERRORS if isinstance(error, kind)), "")
