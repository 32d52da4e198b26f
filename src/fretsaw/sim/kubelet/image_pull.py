"""A pod's image: how long its node takes to have it, and what is told once it is there."""

from __future__ import annotations

from random import Random

from fretsaw.api.pod import Pod
from fretsaw.api.times import Millis
from fretsaw.sim.kubelet.host import Ground, Host
from fretsaw.sim.kubelet.node_object import with_image


def time_to_image(ground: Ground, host: Host, pod: Pod, size: int, random: Random) -> Millis:
    """Time until a pod's image is on its node; a pull is queued where nobody has asked for the image yet.

    The first container's image stands for all of them. size: compressed bytes by the workload's word. random: for the
    registry's answer.
    """
    image, now = pod.spec.containers[0].image if pod.spec.containers else "", ground.world.loop.now
    if not image or ground.settings.is_preloaded(image):
        return 0
    known = host.images.known(image)
    if known is not None:
        return max(0, known - now)
    slow = ground.faults.hitting("slow-pulls", host.claim or host.name, host.labels)
    factor = max((fault.factor for fault in slow), default=1.0)
    size = _size(ground, pod, size)
    start = ground.settings.durations.pull_start.draw(random)
    pull = host.images.pull(image, size, now, start=start, factor=factor)
    data = {"image": image, "bytes": size, "pod": pod.key, "waited_ms": pull.began - now}
    ground.world.loop.at(pull.ends, _pulled, ground, host, pull.began, data)
    return pull.ends - now


def _size(ground: Ground, pod: Pod, size: int) -> int:
    """A DaemonSet's image is small, whatever is said of workloads in general."""
    most, owner = ground.settings.daemon_image_bytes, pod.metadata.controller
    if most is None or owner is None or owner.kind != "DaemonSet":
        return size
    return min(size, most)


def _pulled(ground: Ground, host: Host, began: Millis, data: dict[str, str | int]) -> None:
    """The image is there: the node lists it, unless its kubelet is silent."""
    if not host.alive:
        return
    world = ground.world
    world.journal.note("image-pulled", host.about, took_ms=world.loop.now - began, **data)
    node = world.store.get("Node", host.name)
    if node is not None and not host.silent:
        world.store.put(with_image(node, str(data["image"]), int(data["bytes"])))
