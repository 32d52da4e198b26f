"""The device manager of one node: which devices there are, who holds them, which are healthy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from fretsaw.engine.requests import Amounts


def is_device(resource: str) -> bool:
    """Whether a resource comes from a device plugin and not from the node itself."""
    return "/" in resource and not resource.partition("/")[0].endswith("kubernetes.io")


class Device(msgspec.Struct):
    """One device of a resource; `gpu` is the physical one behind it."""

    gpu: int
    pod: str = ""
    healthy: bool = True


class Devices:
    """All devices of a node by resource."""

    def __init__(self) -> None:
        self._all: dict[str, list[Device]] = {}
        self.broken: set[tuple[str, int]] = set()
        """(resource, index) of physical devices on which every program fails."""

    def register(self, resource: str, gpus: Iterable[int]) -> None:
        """A plugin registers: one device for each entry, which is the physical device behind it."""
        self._all[resource] = [Device(gpu) for gpu in gpus]

    def __contains__(self, resource: str) -> bool:
        return resource in self._all

    @property
    def resources(self) -> tuple[str, ...]:
        """All resources that have registered, in that order."""
        return tuple(self._all)

    def capacity(self, resource: str) -> int:
        """Devices in all."""
        return len(self._all.get(resource, ()))

    def allocatable(self, resource: str) -> int:
        """Healthy devices; an unhealthy one drops out, whoever holds it. Source: kubelet device manager."""
        return sum(device.healthy for device in self._all.get(resource, ()))

    def free(self, resource: str) -> int:
        """Healthy devices that no pod holds."""
        return sum(device.healthy and not device.pod for device in self._all.get(resource, ()))

    def held(self, resource: str) -> int:
        """Devices that pods hold."""
        return sum(bool(device.pod) for device in self._all.get(resource, ()))

    def take(self, pod: str, wanted: Mapping[str, int]) -> bool:
        """Give a pod its devices, lowest first: all of them, or none where some are missing."""
        if any(self.free(resource) < count for resource, count in wanted.items()):
            return False
        for resource, count in wanted.items():
            free = (device for device in self._all.get(resource, ()) if device.healthy and not device.pod)
            for _ in range(count):
                next(free).pod = pod
        return True

    def release(self, pod: str) -> None:
        """The pod has ended."""
        for devices in self._all.values():
            for device in devices:
                if device.pod == pod:
                    device.pod = ""

    def holders(self, resource: str, gpu: int) -> list[str]:
        """The pods that hold a physical device or a part of it, each once."""
        devices = self._all.get(resource, ())
        return list(dict.fromkeys(device.pod for device in devices if device.pod and device.gpu == gpu))

    def sicken(self, resource: str, gpu: int) -> None:
        """The plugin marks a physical device unhealthy; it stays so."""
        for device in self._all.get(resource, ()):
            if device.gpu == gpu:
                device.healthy = False

    def holds_broken(self, pod: str) -> bool:
        """Whether a pod holds a device on which every program fails."""
        return any(
            device.pod == pod and (resource, device.gpu) in self.broken
            for resource, devices in self._all.items()
            for device in devices
        )


def devices_of(requests: Amounts) -> Amounts:
    """The part of a pod's requests that device plugins serve."""
    return {resource: amount for resource, amount in requests.items() if amount and is_device(resource)}
