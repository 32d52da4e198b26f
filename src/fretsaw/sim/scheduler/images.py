"""ImageLocality: nodes that have a pod's images are better, the larger and the more widespread the images.

Source: kube-scheduler v1.36 imagelocality.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

import numpy as np

from fretsaw.api.node import Node
from fretsaw.sim.scheduler.columns import TOP, Columns, Ints
from fretsaw.sim.scheduler.mold import MIB, Mold

LEAST: Final = 23 * MIB
MOST: Final = 1000 * MIB
"""For each container."""


class Images:
    """Which node has which image."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._sizes: dict[str, dict[int, int]] = defaultdict(dict)
        """Size by image name and slot."""
        self._of: dict[int, tuple[str, ...]] = {}

    def put(self, slot: int, node: Node | None) -> None:
        """Take in the images of a node; None: it is gone."""
        for name in self._of.pop(slot, ()):
            del self._sizes[name][slot]
            if not self._sizes[name]:
                del self._sizes[name]
        if node is None or not node.status.images:
            return
        found = {name: image.size_bytes for image in node.status.images for name in image.names}
        self._of[slot] = tuple(found)
        for name, size in found.items():
            self._sizes[name][slot] = size

    def score(self, mold: Mold, slots: Ints) -> Ints | None:
        """0 to 100 for each feasible slot, None where no node has any of the images."""
        if not self._sizes:
            return None
        there = [self._sizes[name] for image in mold.images if (name := tagged(image)) in self._sizes]
        if not there:
            return None
        total = np.zeros(self._columns.size, np.int64)
        for sizes in there:
            for slot, size in sizes.items():
                total[slot] += int(size * (len(sizes) / len(self._columns)))
        most = MOST * mold.containers
        out: Ints = TOP * (np.clip(total[slots], LEAST, most) - LEAST) // (most - LEAST)
        return out


def tagged(image: str) -> str:
    """An image's name with the tag that it has by default."""
    return image if ":" in image.rpartition("/")[2] or "@" in image else f"{image}:latest"
