"""From pods and what a metrics adapter says of them to the readings that `algorithm` works on.

Source: Kubernetes v1.36 pkg/controller/podautoscaler/replica_calculator.go (groupPods, calculatePodRequests).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from fretsaw.api.pod import Container, Pod
from fretsaw.api.resources import NANO, nanos
from fretsaw.api.times import MINUTE, SECOND, Millis, millis
from fretsaw.sim.hpa.algorithm import Failure, PodReadings, UsageReadings

NO_PODS: Final = "no pods returned by selector while calculating replica count"
Sample = Callable[[Pod, Millis], int | None]
"""A pod's value in thousandths, None where there is none."""


class Settings(msgspec.Struct, frozen=True):
    """The controller's flags."""

    period: Millis = 15 * SECOND
    """Between two looks at one autoscaler."""
    start_up: Millis = 5 * MINUTE
    """After its start a pod's cpu counts only while it is ready: starting burns cpu that says nothing of the load."""
    first_ready: Millis = 30 * SECOND
    """A pod that was last ready so soon after its start has never really been ready."""
    window: Millis = 30 * SECOND
    """Time that a cpu sample is an average over."""


class Sorted(msgspec.Struct, frozen=True):
    """The pods of a workload by what their samples are good for."""

    counted: tuple[Pod, ...]
    """Those whose sample counts if they have one."""
    unready: tuple[Pod, ...]


def sort(pods: Iterable[Pod], *, cpu: bool, now: Millis, settings: Settings) -> Sorted:
    """Pods that are being deleted or have failed are left out; those that cannot work yet are unready.

    Only for cpu is a running pod's readiness asked: one that loads a model and reports a busy GPU counts.
    """
    counted: list[Pod] = []
    unready: list[Pod] = []
    for pod in pods:
        if pod.metadata.deletion_timestamp or pod.status.phase == "Failed":
            continue
        waits = pod.status.phase in ("", "Pending") or (cpu and is_starting(pod, now, settings))
        (unready if waits else counted).append(pod)
    return Sorted(tuple(counted), tuple(unready))


def is_starting(pod: Pod, now: Millis, settings: Settings) -> bool:
    """Whether a running pod's cpu says nothing yet."""
    ready = next((condition for condition in pod.status.conditions if condition.type == "Ready"), None)
    if ready is None or pod.status.start_time is None:
        return True
    started = millis(pod.status.start_time)
    turned = millis(ready.last_transition_time) if ready.last_transition_time else started
    if now < started + settings.start_up:
        return ready.status == "False" or now < turned + settings.window
    return ready.status == "False" and started + settings.first_ready > turned


def settled(pods: Iterable[Pod], settings: Settings) -> Millis:
    """From when on `sort` for cpu says the same of these pods, as long as they stay as they are."""
    starts = [millis(pod.status.start_time) + settings.start_up for pod in pods if pod.status.start_time]
    return max(starts, default=0)


def values(pods: Sorted, sample: Sample, now: Millis) -> tuple[int | None, ...]:
    """The samples of the pods that count."""
    return tuple([sample(pod, now) for pod in pods.counted])


def averages(pods: Sorted, samples: tuple[int | None, ...]) -> PodReadings | str:
    """What `by_average` works on; or why there is nothing."""
    if not (pods.counted or pods.unready):
        return NO_PODS
    found = tuple([value for value in samples if value is not None])
    if not found:
        return "did not receive metrics for targeted pods (pods might be unready)"
    return PodReadings(found, len(pods.unready), len(samples) - len(found))


def usages(pods: Sorted, samples: tuple[int | None, ...], resource: str, container: str = "") -> UsageReadings | str:
    """What `by_utilization` works on; or why there is nothing. container: only that one's request; empty for all."""
    if isinstance(simple := averages(pods, samples), str):
        return simple
    requests: dict[str, int] = {}
    for pod in (*pods.counted, *pods.unready):
        asked = requested(pod, resource, container)
        if isinstance(asked, str):
            return asked
        requests[pod.key] = asked
    pairs = [(value, requests[pod.key]) for pod, value in zip(pods.counted, samples, strict=True) if value is not None]
    if not sum(request for _, request in pairs):
        return "no metrics returned matched known pods"
    return UsageReadings(
        tuple(pairs),
        tuple(requests[pod.key] for pod in pods.unready),
        tuple(requests[pod.key] for pod, value in zip(pods.counted, samples, strict=True) if value is None),
    )


def requested(pod: Pod, resource: str, container: str = "") -> int | str:
    """Thousandths of a resource that a pod (or one container) requests; or what is missing."""
    whole = pod.spec.resources
    if not container and whole is not None and resource in whole.requests:
        return thousandths(whole.requests[resource])
    found = [c for c in _running(pod) if not container or c.name == container]
    if not found:
        return f"container {container} not found in Pod {pod.metadata.name}"
    without = next((c for c in found if resource not in c.resources.requests), None)
    if without is not None:
        return f"missing request for {resource} in container {without.name} of Pod {pod.metadata.name}"
    return sum(thousandths(c.resources.requests[resource]) for c in found)


def _running(pod: Pod) -> tuple[Container, ...]:
    return (*pod.spec.containers, *(c for c in pod.spec.init_containers if c.is_sidecar))


def thousandths(quantity: str | int | float) -> int:
    """A quantity in thousandths, rounded up."""
    return -(-nanos(quantity) * 1000 // NANO)


def failed(kind: str, why: str) -> Failure:
    """A metric of a kind, such as `Pods`, that could not be used."""
    return Failure(f"FailedGet{kind}Metric", f"the HPA was unable to compute the replica count: {why}")
