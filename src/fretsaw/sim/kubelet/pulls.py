"""Images of one node: what it has, and when what it lacks will be there. Pulls go one after the other."""

from __future__ import annotations

import msgspec

from fretsaw.api.times import Millis

MIB = 2**20


class Pull(msgspec.Struct, frozen=True):
    """One pull: from when to when the image is on its way."""

    began: Millis
    ends: Millis


class Images:
    """The images of a node. Source: kubelet, serializeImagePulls true."""

    def __init__(self, bytes_per_s: int, disk_mib_per_s: int | None) -> None:
        """bytes_per_s: of the network, compressed. disk_mib_per_s: of the volume that they are written to; None: so
        fast that it does not matter, as an instance store is."""
        disk = bytes_per_s if disk_mib_per_s is None else disk_mib_per_s * MIB
        self.bytes_per_s = min(bytes_per_s, disk)
        self._there: dict[str, Millis] = {}
        """By image when it is, or will be, there."""
        self._busy_until: Millis = 0

    def known(self, image: str) -> Millis | None:
        """When an image is there, or was; None where nobody has asked for it yet."""
        return self._there.get(image)

    def pull(self, image: str, size: int, now: Millis, *, start: Millis = 0, factor: float = 1.0) -> Pull:
        """Queue the pull of an image that is not known. start: the registry's answer. factor: how much slower it is."""
        began = max(now, self._busy_until)
        ends = began + start + round(size * 1000 * factor / self.bytes_per_s)
        self._there[image] = self._busy_until = ends
        return Pull(began, ends)
