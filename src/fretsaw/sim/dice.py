"""Chance, by name: each purpose has a stream of its own, so that changing one part of a run leaves the rest as it was.

Two scenarios that are compared on the same seed thus meet the same boot times, reclaims and arrivals.
"""

from __future__ import annotations

import hashlib
from random import Random


class Dice:
    """Streams of random numbers of one seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._streams: dict[tuple[str, ...], Random] = {}

    def stream(self, *name: str) -> Random:
        """The stream of a purpose, such as `("reclaim", "g5.xlarge", "us-east-1a")`; it goes on where it stopped."""
        known = self._streams.get(name)
        if known is None:
            known = self._streams[name] = self.once(*name)
        return known

    def once(self, *name: str) -> Random:
        """A fresh stream that always begins the same, for what is asked once for each object."""
        digest = hashlib.blake2b("\x00".join((str(self.seed), *name)).encode(), digest_size=8).digest()
        return Random(int.from_bytes(digest, "big"))
