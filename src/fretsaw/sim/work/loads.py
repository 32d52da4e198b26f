"""What pods are measured to do: the metrics adapter of the virtual cluster.

A service's pods share its load evenly: each is busy to the share `rate / (ready pods × capacity)`, 1 at most; requests
that are too many do not queue. Any other pod keeps its GPUs busy as its behavior says, while it is ready.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Final

from fretsaw.api.pod import Pod
from fretsaw.api.times import Millis
from fretsaw.engine.requests import pod_requests
from fretsaw.sim.conditions import is_ready
from fretsaw.sim.scenario.model import Behaves
from fretsaw.sim.work.curves import LoadCurve
from fretsaw.sim.work.works import ScenarioWorks
from fretsaw.sim.world import World

GPU_METRICS: Final = frozenset({"gpu_utilization", "DCGM_FI_DEV_GPU_UTIL"})
"""Names under which the use of any pod's GPUs, 0 to 100, is served."""
PER_POD: Final = "requests_per_second"
"""The name under which a service's requests a second for each ready pod are served."""


class Loads:
    """Implements `sim.behavior.Metrics`, and tells the ledger how busy GPUs are."""

    def __init__(self, world: World, works: ScenarioWorks, folder: Path = Path()) -> None:
        self._works = works
        self._start = world.loop.start
        self._folder = folder
        self._curves: dict[str, LoadCurve] = {}
        """By workload."""
        self._ready: dict[str, set[str]] = defaultdict(set)
        """Ready pods of services, by workload."""
        self._services: dict[str, list[tuple[str, str]]] = defaultdict(list)
        """(external metric, workload) by namespace, in the order in which their first pods came."""
        self._known: dict[str, tuple[Behaves | None, str]] = {}
        """Entry and workload of the pods that are there, by uid: they are asked for at every look of every HPA."""
        world.store.watch("Pod", self._pod)

    def use(self, pod: Pod, now: Millis) -> float:
        """The share of its GPUs that a pod keeps busy, 0 to 1."""
        if pod.is_terminal or not is_ready(pod):
            return 0.0
        entry, _ = self._of(pod)
        if entry is None or entry.serves is None:
            return self._works.behavior(pod).gpu_use
        return self._busy(pod, entry, now)

    def varies(self, pod: Pod) -> bool:
        """Whether the use of a pod's GPUs may change while it is ready."""
        entry, _ = self._of(pod)
        return entry is not None and entry.serves is not None

    def of_pod(self, pod: Pod, metric: str, now: Millis) -> int | None:
        """A pod's value in thousandths: of the use of its GPUs, or of its requests; None where there is no sample."""
        if pod.status.phase != "Running":
            return None
        entry, _ = self._of(pod)
        serves = entry.serves if entry is not None else None
        if metric in GPU_METRICS or (serves is not None and metric == serves.metric):
            return round(100_000 * self.use(pod, now))
        if serves is not None and metric == PER_POD:
            return round(1000 * self._share(pod, now)) if is_ready(pod) else 0
        return None

    def usage(self, pod: Pod, resource: str, now: Millis) -> int | None:
        """What a pod uses of `cpu` (millicores), in proportion to its load, or of `memory` (bytes): its request."""
        if pod.status.phase != "Running" or resource not in ("cpu", "memory"):
            return None
        requested: int = pod_requests(pod.spec).get(resource, 0)
        if resource == "memory":
            return requested
        entry, _ = self._of(pod)
        if entry is None or not is_ready(pod):
            return 0
        busy = 1.0 if entry.serves is None else self._busy(pod, entry, now)
        return round(requested * entry.cpu_use * busy)

    def external(self, metric: str, namespace: str, now: Millis) -> int | None:
        """The whole load of the services of a namespace that serve it under this name, in thousandths."""
        rates = [
            self._curves[workload].rate(now) for name, workload in self._services.get(namespace, ()) if name == metric
        ]
        return round(1000 * sum(rates)) if rates else None

    def _of(self, pod: Pod) -> tuple[Behaves | None, str]:
        found = self._known.get(pod.metadata.uid)
        if found is None:
            found = self._known[pod.metadata.uid] = (self._works.entry(pod), self._works.workload(pod))
        return found

    def _busy(self, pod: Pod, entry: Behaves, now: Millis) -> float:
        assert entry.serves is not None
        share = self._share(pod, now)
        return min(1.0, share / entry.serves.capacity) if entry.serves.capacity else float(share > 0)

    def _share(self, pod: Pod, now: Millis) -> float:
        """Requests a second that come to each ready pod of a service."""
        _, workload = self._of(pod)
        ready = len(self._ready[workload])
        curve = self._curves.get(workload)
        return curve.rate(now) / ready if curve is not None and ready else 0.0

    def _pod(self, old: Pod | None, new: Pod | None) -> None:
        """Keeps count of the services' ready pods."""
        pod = new if new is not None else old
        assert pod is not None
        entry, workload = self._of(pod)
        if new is None:
            self._known.pop(pod.metadata.uid, None)
        if entry is None or entry.serves is None:
            return
        if workload not in self._curves:
            self._curves[workload] = LoadCurve(entry.serves.load, self._start, self._folder)
            if entry.serves.external:
                namespace = pod.metadata.home
                self._services[namespace].append((entry.serves.external, workload))
        if new is not None and not new.is_terminal and not new.metadata.deletion_timestamp and is_ready(new):
            self._ready[workload].add(pod.metadata.uid)
        else:
            self._ready[workload].discard(pod.metadata.uid)
