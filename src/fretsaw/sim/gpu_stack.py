"""From a Ready node to GPUs that pods can ask for: which steps, in which order, by the node's image.

Modelled by times, not by pods. Steps of the host start at Ready; all others are DaemonSets, which start when no taint
keeps them off.
Source: NVIDIA gpu-operator v26.7 (states; init containers wait for driver, toolkit and plugin in turn); EKS user guide,
accelerated AMIs; Bottlerocket (the device plugin is part of the image); AWS Neuron documentation.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Literal

import msgspec

from fretsaw.api.affinity import Toleration
from fretsaw.api.node import Taint
from fretsaw.api.times import Millis
from fretsaw.engine.taints import PREFER_NO_SCHEDULE, untolerated
from fretsaw.sim.durations import Durations
from fretsaw.sim.workloads.daemon_nodes import DAEMON_TOLERATIONS

NodeImage = Literal["al2023-operator", "al2023-plugin", "operator-driver", "bottlerocket"]
"""How a node comes by its devices: AL2023 with a driver and the GPU operator for the rest; the same with a plain device
plugin; the operator with its driver container, which builds the driver on the node; Bottlerocket."""


class Step(msgspec.Struct, frozen=True):
    """One step; its time is the field of `Durations` of that name."""

    name: str
    after: tuple[str, ...] = ()
    host: bool = False
    """Whether a service of the image does it, which no taint holds back."""


def _chain(*names: str) -> tuple[Step, ...]:
    return tuple(Step(name, names[max(0, i - 1) : i]) for i, name in enumerate(names))


_OPERATOR = (*_chain("nfd", "daemons", "stack_images", "toolkit", "plugin"),)
_OPERATOR_DRIVER = (*_chain("nfd", "daemons", "stack_images", "driver", "toolkit", "plugin"),)
_PLAIN = _chain("daemons", "plugin_image", "plugin")
_LOOKS = (Step("gfd", ("toolkit",)), Step("dcgm", ("toolkit",)))

NVIDIA: dict[NodeImage, tuple[Step, ...]] = {
    "al2023-operator": (*_OPERATOR, *_LOOKS),
    "operator-driver": (*_OPERATOR_DRIVER, *_LOOKS),
    "al2023-plugin": (*_PLAIN, Step("dcgm", ("plugin_image",))),
    "bottlerocket": (
        Step("host_plugin", host=True),
        *_chain("nfd", "daemons", "stack_images"),
        Step("gfd", ("stack_images",)),
        Step("dcgm", ("stack_images",)),
    ),
}
"""Steps of nvidia.com resources."""
NEURON: dict[NodeImage, tuple[Step, ...]] = {
    "al2023-operator": _PLAIN,
    "al2023-plugin": _PLAIN,
    "operator-driver": _chain("daemons", "plugin_image", "driver", "plugin"),
    "bottlerocket": _PLAIN,
}
"""Steps of aws.amazon.com/neuron…: no image has the device plugin."""
OTHER = _PLAIN
"""Steps of every other device, such as vpc.amazonaws.com/efa: a DaemonSet with its plugin."""
REGISTERS = frozenset({"plugin", "host_plugin"})
"""Steps with whose end the devices are there."""

NVIDIA_GPU = "nvidia.com/gpu"
NEURON_DEVICE = "aws.amazon.com/neuron"
OPERAND_TOLERATIONS = (
    Toleration(key=NVIDIA_GPU, operator="Exists", effect="NoSchedule"),
    Toleration(key=NEURON_DEVICE, operator="Exists", effect="NoSchedule"),
)
"""Source: gpu-operator chart, daemonsets.tolerations; the Neuron device plugin's manifest."""


def vendor(resource: str) -> str:
    """Which stack brings a resource: `nvidia`, `neuron` or its own name's domain."""
    domain = resource.partition("/")[0]
    return {"nvidia.com": "nvidia", "aws.amazon.com": "neuron"}.get(domain, domain)


def steps(of_vendor: str, image: NodeImage) -> tuple[Step, ...]:
    """The steps to a vendor's devices on a node with this image."""
    table = {"nvidia": NVIDIA, "neuron": NEURON}.get(of_vendor)
    return OTHER if table is None else table[image]


def timeline(of: Iterable[Step], durations: Durations, random: Random) -> dict[str, Millis]:
    """When each step ends, counted from the start of the first; steps that wait for the same one run side by side."""
    ends: dict[str, Millis] = {}
    for step in of:
        took = getattr(durations, step.name).draw(random)
        ends[step.name] = max((ends[before] for before in step.after), default=0) + took
    return ends


def keeps_off(taints: Iterable[Taint], tolerations: Iterable[Toleration]) -> Taint | None:
    """The taint that keeps the stack's DaemonSets off a node, None for none.

    Source: gpu-operator chart: a team's own taint needs an entry in `daemonsets.tolerations`, or the GPUs never appear.
    """
    hard = [taint for taint in taints if taint.effect != PREFER_NO_SCHEDULE]
    return untolerated(hard, (*tolerations, *DAEMON_TOLERATIONS))
