"""What the virtual nodes are like, and what goes wrong with them."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Literal

import msgspec

from fretsaw.api.affinity import Toleration
from fretsaw.api.meta import LabelSelector
from fretsaw.sim.durations import Durations, Rates
from fretsaw.sim.gpu_sharing import Sharing
from fretsaw.sim.gpu_stack import OPERAND_TOLERATIONS, NodeImage
from fretsaw.sim.spread import Spread
from fretsaw.sim.xid import SKIPPED

FaultKind = Literal["dies-at-boot", "never-registers", "gpu-never-registers", "gpu-missing", "xid", "slow-pulls"]
MIB = 2**20


class NodeFault(msgspec.Struct, frozen=True, kw_only=True):
    """Something that goes wrong with some nodes. Whether it does is decided once for each node."""

    kind: FaultKind
    """dies-at-boot: the instance ends before its node is there. never-registers: it runs, but no node comes.
    gpu-never-registers, gpu-missing: no device, or `missing` too few. xid: the driver reports `code` once, `after` the
    devices are there. slow-pulls: images take `factor` times as long."""
    chance: float = 1.0
    """Share of the nodes that it hits."""
    selector: LabelSelector = LabelSelector()
    """Labels of the nodes that it can hit; every node by default."""
    missing: int = 1
    factor: float = 10.0
    code: int = 79
    gpu: int = 0
    """Index of the GPU that the XID is about."""
    after: Spread = Spread(0, 0, 0)


class NodeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How nodes start and what their kubelets do."""

    durations: Durations = Durations()
    """Times of all steps."""
    rates: Rates = Rates()
    """Speed of image pulls."""
    soci: bool = False
    """Images are pulled by SOCI in parallel; off, as on nodes that nobody set up for it."""
    image: NodeImage | None = None
    """Image of all nodes. None: Bottlerocket where the node class's alias says so, else AL2023 with the operator."""
    images: dict[str, NodeImage] = {}
    """By node class, before `image`."""
    registers: Spread | None = None
    """From Ready to the devices, in place of the steps' times, whatever the image; None: the steps'."""
    sharing: Sharing = Sharing()
    """How NVIDIA GPUs are divided; exclusive, the only way that Karpenter can count."""
    shared: tuple[tuple[LabelSelector, Sharing], ...] = ()
    """The same by the node's labels; the first that matches goes before `sharing`."""
    startup_taints: dict[str, Spread | None] = {}
    """By key: from Ready to the taint's removal by its owner; None: it stays for ever."""
    operand_tolerations: tuple[Toleration, ...] = OPERAND_TOLERATIONS
    """What the device stack's DaemonSets tolerate; on nodes with another taint the devices never appear."""
    monitoring_agent: bool = True
    """Whether the EKS node monitoring agent reports AcceleratedHardwareReady."""
    skipped_xids: frozenset[int] = SKIPPED
    """XIDs that leave a device healthy for its plugin (DP_DISABLE_HEALTHCHECKS)."""
    preloaded: tuple[str, ...] = ()
    """Patterns of images that are on every node from the start, such as `vllm/*`."""
    daemon_image_bytes: int | None = 50 * MIB
    """Most that a DaemonSet's pod pulls: such images are small. None: what its workload says."""
    disk_mib_per_s: int = 125
    """Throughput of a root volume that the node class says nothing about: gp3's own."""
    ready_without_probe: Literal["loaded", "started"] = "loaded"
    """When a pod without a readiness probe is Ready. Kubernetes says `started`; `loaded` is what a probe would find, so
    that a scenario need not declare one for each workload."""
    faults: tuple[NodeFault, ...] = ()
    """Faults that hold during the whole run."""

    def is_preloaded(self, image: str) -> bool:
        """Whether every node has this image."""
        return any(fnmatchcase(image, pattern) for pattern in self.preloaded)

    def sharing_of(self, labels: dict[str, str]) -> Sharing:
        """How the GPUs of a node with these labels are divided."""
        return next((sharing for selector, sharing in self.shared if selector.matches(labels)), self.sharing)
