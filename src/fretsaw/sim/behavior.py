"""How a pod behaves once it runs: how long it works, what it saves, how it starts, what load it bears.

The scenario's `work` section says so by workload; what it does not mention runs until it is deleted.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from fretsaw.api.pod import Pod
from fretsaw.api.times import Millis
from fretsaw.sim.spread import Spread

MIB = 1024**2


class Behavior(msgspec.Struct, frozen=True, kw_only=True):
    """One workload's ways."""

    runs: Spread | None = None
    """Time of work until the pod ends well; None: until it is deleted."""
    fails: float = 0.0
    """Chance that a run ends badly instead, at a random point of its work."""
    exit_code: int = 1
    """Exit code of a run that ends badly."""
    checkpoint: Millis | None = None
    """Progress is saved so often; None: what a pod did is lost when it is stopped before its end."""
    restart: Millis = 0
    """Extra time before work goes on from a checkpoint."""
    image_bytes: int = 512 * MIB
    """Compressed size of what a node has to pull the first time."""
    loads: Spread = Spread(0, 0, 0)
    """From the containers' start to the pod's being ready to work: weights, engine start; probes come on top."""
    gpu_use: float = 1.0
    """Share of its GPUs that the pod keeps busy while it works; services have it from their load instead."""
    gpu_memory_bytes: int = 0
    """What the pod needs on each of its GPUs; it crashes while it loads where the device has less. 0: not told."""
    stops: Millis = 1000
    """From the signal to the end, when the pod is deleted; its grace cuts it short."""


class Works(Protocol):
    """Who knows how pods behave."""

    def behavior(self, pod: Pod) -> Behavior:
        """The pod's ways."""

    def slot(self, pod: Pod) -> str:
        """Whose progress the pod continues: the pod's own name, or its job's index; empty for none."""


class Metrics(Protocol):
    """What a metrics adapter serves to the HPA."""

    def of_pod(self, pod: Pod, metric: str, now: Millis) -> int | None:
        """A pod's value in thousandths, such as 70000 for `gpu_utilization` 70; None where there is no sample."""

    def usage(self, pod: Pod, resource: str, now: Millis) -> int | None:
        """What a pod uses of `cpu` (millicores) or `memory` (bytes); None where there is no sample."""

    def external(self, metric: str, namespace: str, now: Millis) -> int | None:
        """An object's or external metric's value in thousandths; None where nothing serves it."""
