"""How long each step takes from an instance that runs to a pod that works; every figure with where it comes from.

"Model" marks a constant that was chosen between known figures, not measured.
"""

from __future__ import annotations

import msgspec

from fretsaw.api.times import MINUTE, SECOND
from fretsaw.sim.spread import Spread


def seconds(low: float, typical: float, high: float) -> Spread:
    """A spread given in seconds."""
    return Spread(round(low * SECOND), round(typical * SECOND), round(high * SECOND))


class Durations(msgspec.Struct, frozen=True, kw_only=True):
    """Times of the virtual nodes, in the order in which they come."""

    boot: Spread = seconds(25, 40, 75)
    """From a running instance to the kubelet's Node object. Source: model; a CI pod on a new node starts within about
    5 minutes in all, a small GPU node within 90 to 150 s."""
    boot_bottlerocket: Spread = seconds(15, 25, 40)
    """The same for Bottlerocket, which has less to start. Source: model."""
    boot_large: Spread = seconds(60, 120, 240)
    """The same for the families of `large_families`, whatever the image. Source: model; p5 takes 6 to 12 minutes to a
    model server that answers."""
    large_families: tuple[str, ...] = ("p4", "p5", "p6")
    """What the names of slow families begin with: eight-GPU machines that check their fabric first."""
    ready: Spread = seconds(5, 10, 20)
    """From the Node object to Ready: the network plugin. Source: model."""
    startup_taint: Spread = seconds(10, 10, 10)
    """From Ready to the removal of a startup taint by its owner, where `NodeSettings.startup_taints` says nothing."""

    nfd: Spread = seconds(13, 17, 28)
    """node-feature-discovery's own image, its labels, and the operator's answer to them. Source: model, so that the
    whole takes 30 to 90 s from Ready on an image with a driver."""
    daemons: Spread = seconds(1, 1, 2)
    """DaemonSet pods made and bound. Source: model."""
    stack_images: Spread = seconds(10, 20, 40)
    """The operands' images, 0.2 to 0.5 GB each. Source: model."""
    driver: Spread = seconds(150, 192, 210)
    """The driver's container builds and loads the modules. Source: NVIDIA/gpu-operator issue 707: 3 to 5 minutes for
    the whole stack on a node without a driver."""
    toolkit: Spread = seconds(5, 5, 10)
    """The toolkit waits for the driver's validation in loops of 5 s. Source: gpu-operator's validator, sleep 5."""
    plugin: Spread = seconds(1, 4, 10)
    """The device plugin registers and the kubelet's next status says so. Source: model."""
    plugin_image: Spread = seconds(8, 12, 18)
    """The image of a device plugin without the operator: 10 to 30 s from Ready in all. Source: model."""
    host_plugin: Spread = seconds(0, 2, 5)
    """Bottlerocket's device plugin, a service of the host, from Ready on. Source: model."""
    gfd: Spread = seconds(1, 5, 15)
    """gpu-feature-discovery's first labels after the toolkit; it looks again every 60 s. Source: model."""
    dcgm: Spread = seconds(5, 10, 20)
    """The DCGM exporter serves its first sample. Source: model."""

    device_health: Spread = seconds(1, 5, 10)
    """From an XID to an allocatable without the device: the next node status. Source: kubelet,
    nodeStatusUpdateFrequency 10 s."""
    health_agent: Spread = seconds(5, 15, 60)
    """From an XID to the condition of the node monitoring agent. Source: model."""

    attach: Spread = seconds(5, 10, 30)
    """An EBS volume attached and mounted. Source: EBS CSI driver in practice, unverified."""
    detach: Spread = seconds(2, 5, 15)
    """An EBS volume unmounted and free for another node. Source: model."""
    mount: Spread = seconds(1, 2, 5)
    """A file system such as EFS mounted. Source: model."""
    forced_detach: Spread = Spread.fixed(6 * MINUTE)
    """Until a volume of a node that vanished is free. Source: kube-controller-manager, maxWaitForUnmountDuration."""

    pull_start: Spread = seconds(0.2, 0.5, 2)
    """The registry's answer before the first byte of an image. Source: model."""
    container_start: Spread = seconds(0.3, 0.8, 2)
    """Sandbox and containers made and started. Source: model."""

    def to_join(self, family: str, *, bottlerocket: bool) -> Spread:
        """From a running instance of this family to its Node object."""
        if family.startswith(self.large_families):
            return self.boot_large
        return self.boot_bottlerocket if bottlerocket else self.boot


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """How fast images come, compressed bytes a second.

    Source: AWS Karpenter blueprint soci-snapshotter, a vLLM image of 9.35 GB: 130.8 s plain, 39.6 s with SOCI's
    parallel pull on AL2023, 23.2 s on Bottlerocket.
    """

    plain: int = 70_000_000
    soci: int = 236_000_000
    soci_bottlerocket: int = 400_000_000

    def of(self, *, soci: bool, bottlerocket: bool) -> int:
        """The rate of a node whose disk is fast enough."""
        if not soci:
            return self.plain
        return self.soci_bottlerocket if bottlerocket else self.soci
