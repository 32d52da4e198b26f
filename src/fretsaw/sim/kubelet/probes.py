"""When a pod that started becomes Ready, by the probes of its containers. Times count from the containers' start.

Source: kubernetes.io, Configure Liveness, Readiness and Startup Probes; kubelet prober worker (a startup probe holds
the others back; readiness is asked at once when it succeeds).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from fretsaw.api.pod import Container, Probe
from fretsaw.api.times import SECOND, Millis

_PERIOD_S = 10
_FAILURES = 3


class Outlook(msgspec.Struct, frozen=True):
    """What the probes will find: one of the two."""

    ready: Millis | None = None
    killed: Millis | None = None
    """When a startup probe gives up and the container is killed."""


def outlook(containers: Iterable[Container], loaded: Millis, *, unprobed: Millis) -> Outlook:
    """When the pod is Ready, or killed. loaded: when its program answers. unprobed: Ready without a readiness probe."""
    ready: Millis = 0
    kills: list[Millis] = []
    for container in containers:
        started: Millis = 0
        if container.startup_probe is not None:
            success = _startup(container.startup_probe, loaded)
            if success is None:
                kills.append(_gives_up(container.startup_probe))
                continue
            started = success
        probe = container.readiness_probe
        ready = max(ready, max(started, unprobed) if probe is None else _readiness(probe, loaded, started))
    return Outlook(killed=min(kills)) if kills else Outlook(ready=ready)


def _period(probe: Probe) -> Millis:
    return (probe.period_seconds or _PERIOD_S) * SECOND


def _first(probe: Probe, earliest: Millis) -> Millis:
    """The first time that the probe asks at `earliest` or later."""
    delay, period = probe.initial_delay_seconds * SECOND, _period(probe)
    return delay + max(0, -(-(earliest - delay) // period)) * period


def _gives_up(probe: Probe) -> Millis:
    failures = probe.failure_threshold or _FAILURES
    return probe.initial_delay_seconds * SECOND + (failures - 1) * _period(probe)


def _startup(probe: Probe, loaded: Millis) -> Millis | None:
    success = _first(probe, loaded)
    return None if success > _gives_up(probe) else success


def _readiness(probe: Probe, loaded: Millis, started: Millis) -> Millis:
    more = max(0, (probe.success_threshold or 1) - 1) * _period(probe)
    if started:
        return max(started, probe.initial_delay_seconds * SECOND) + more
    return _first(probe, loaded) + more
