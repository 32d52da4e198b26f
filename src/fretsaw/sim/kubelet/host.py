"""One machine as its kubelet sees it: devices, images, room, and the pods that live on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fretsaw.api.pod import Pod
from fretsaw.api.times import Millis
from fretsaw.engine.requests import Amounts
from fretsaw.engine.shape import gpu_count
from fretsaw.sim.behavior import Works
from fretsaw.sim.gpu_sharing import Sharing
from fretsaw.sim.gpu_stack import NodeImage
from fretsaw.sim.instance import Instance
from fretsaw.sim.kubelet.devices import Devices
from fretsaw.sim.kubelet.faults import Faults
from fretsaw.sim.kubelet.progress import Progress
from fretsaw.sim.kubelet.pulls import Images
from fretsaw.sim.kubelet.settings import NodeSettings
from fretsaw.sim.kubelet.volumes import Attachments
from fretsaw.sim.world import World

if TYPE_CHECKING:
    from fretsaw.sim.kubelet.pod_life import PodLife


class Ground:
    """What all hosts and pods of a run share."""

    def __init__(self, world: World, works: Works, settings: NodeSettings) -> None:
        self.world = world
        self.works = works
        self.settings = settings
        self.progress = Progress(world.dice)
        self.attachments = Attachments(world, settings.durations)
        self.faults = Faults(world.dice, settings.faults)


class Host:
    """One machine. `Nodes` moves it through its start; its pods' lives take from it and give back."""

    def __init__(
        self,
        name: str,
        labels: dict[str, str],
        image: NodeImage,
        sharing: Sharing,
        images: Images,
        instance: Instance | None,
    ) -> None:
        """instance: None for a node that was there before the run began."""
        self.name = name
        self.labels = labels
        self.image = image
        self.sharing = sharing
        self.images = images
        self.instance = instance
        self.devices = Devices()
        self.used: Amounts = {}
        self.lives: dict[str, PodLife] = {}
        """Pods that the kubelet has taken and that have not ended, by key."""
        self.unsent: dict[str, PodLife] = {}
        """Pods whose status could not be written while the kubelet was silent."""
        self.alive = True
        self.ready = False
        """Whether pods can start."""
        self.silent = False
        self.down_until: Millis = 0
        """Until when a fault keeps it from being ready."""
        self.landed = False
        """Whether the device stack's DaemonSets have come onto the node."""
        self.dcgm_up = False
        """Whether the DCGM exporter serves samples."""
        self.taints_due: dict[tuple[str, str], Millis] = {}
        """(key, effect) of startup taints: when their owner removes them. Taints that stay are left out."""

    @property
    def about(self) -> str:
        """Its name in the journal."""
        return f"Node/{self.name}"

    @property
    def claim(self) -> str:
        """The claim's name; empty for a node without one."""
        return self.instance.claim.metadata.name if self.instance is not None else ""

    def gpus(self, requests: Amounts) -> float:
        """GPUs that requests are worth here; parts of one where they are shared."""
        count = gpu_count(requests)
        return count if self.sharing.shares == 1 else count / self.sharing.shares

    def take(self, life: PodLife, requests: Amounts) -> None:
        """A pod lives here from now on."""
        self.lives[life.key] = life
        for resource, amount in requests.items():
            self.used[resource] = self.used.get(resource, 0) + amount

    def release(self, pod: str, requests: Amounts) -> None:
        """A pod has ended."""
        self.lives.pop(pod, None)
        self.devices.release(pod)
        for resource, amount in requests.items():
            self.used[resource] -= amount


def slot_of(works: Works, pod: Pod) -> str:
    """Whose progress a pod continues; its own where nobody says."""
    return works.slot(pod) or f"{pod.key}/{pod.metadata.uid}"
