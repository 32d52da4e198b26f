"""How long the fake kubelets take for what they do, and what a pod's annotations say about it."""

from __future__ import annotations

import msgspec

from fretsaw.api.pod import Pod
from fretsaw.api.resources import BadDuration
from fretsaw.api.times import Millis, span
from fretsaw.errors import UserError
from fretsaw.sim.durations import Durations, seconds
from fretsaw.sim.spread import Spread

RUNS_FOR = "fretsaw.dev/runs-for"
"""How long a pod's containers run before they end by themselves: `90s`; without it they run until they are told."""
EXIT_CODE = "fretsaw.dev/exit-code"
"""Their exit code then; 0 by default."""
STOPS_IN = "fretsaw.dev/stops-in"
"""How long they take to stop once they are told; the grace period ends it sooner."""
_DURATIONS = Durations()


def fixed(time_s: float) -> Spread:
    """Always so many seconds."""
    return Spread.fixed(round(time_s * 1000))


class KubeletSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Times of all nodes and pods. The defaults are short: tests and demonstrations wait for them."""

    boot: Spread = fixed(1.0)
    """From a machine that runs to its Node; a real one takes 25 to 75 s."""
    ready: Spread = fixed(0.5)
    """From the Node to Ready: the network plugin."""
    gpu: Spread = fixed(0.5)
    """From Ready to the devices: until then nobody can ask the node for a GPU."""
    startup_taints: Spread | None = fixed(0.5)
    """From Ready to the removal of the claim's startup taints by their owners. None: somebody else removes them."""
    pod_start: Spread = fixed(0.2)
    """From the pod's arrival on its node to containers that run and are ready."""
    pod_stop: Spread = fixed(0.1)
    """From the deletion of a pod to its end, where no annotation says how long that takes."""
    heartbeat_s: float = 10.0
    """How often a node renews its lease. Source: kubelet, a quarter of nodeLeaseDurationSeconds 40."""
    gpu_labels: bool = True
    """Whether nodes get the labels of gpu-feature-discovery with their GPUs."""
    workers: int = 32
    """Requests under way at once."""
    seed: int = 0
    """Of the draws, where times are spread."""

    @classmethod
    def realistic(cls) -> KubeletSettings:
        """The simulator's times of a node with an image that has a driver, and the GPU operator for the rest."""
        return cls(
            boot=_DURATIONS.boot,
            ready=_DURATIONS.ready,
            gpu=seconds(30, 50, 90),
            startup_taints=_DURATIONS.startup_taint,
            pod_start=seconds(1, 3, 20),
            pod_stop=seconds(1, 2, 5),
        )


class Told(msgspec.Struct, frozen=True):
    """What a pod's annotations ask of its kubelet."""

    runs_for: Millis | None = None
    exit_code: int = 0
    stops_in: Millis | None = None


def told(pod: Pod) -> Told:
    """What the annotations say. Raises UserError for one that cannot be read."""
    annotations = pod.metadata.annotations
    if not annotations:
        return Told()
    code = annotations.get(EXIT_CODE, "0")
    if not code.isdigit() or int(code) > 255:
        raise UserError(f"pod/{pod.key} annotation {EXIT_CODE}", "is no exit code", code, "0 to 255")
    return Told(_span(pod, RUNS_FOR), int(code), _span(pod, STOPS_IN))


def _span(pod: Pod, name: str) -> Millis | None:
    text = pod.metadata.annotations.get(name)
    if text is None:
        return None
    try:
        return span(text)
    except BadDuration as error:
        raise UserError(f"pod/{pod.key} annotation {name}", "is no duration", text, error.right) from error
