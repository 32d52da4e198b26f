"""Memory that nodes really have, by type and images: more exact than the estimate, once one has registered.

The smallest figure counts, since the next node may be as small. Entries are forgotten after 60 days without news.
Source: Karpenter AWS provider v1.14 pkg/controllers/providers/instancetype/capacity.
"""

from __future__ import annotations

from collections.abc import Iterable

KEPT_S = 60 * 24 * 3600.0

Images = frozenset[str]
"""Ids of the images that a node class resolves to: another kernel may leave another amount of memory."""


class SeenMemory:
    """What was seen. The times are seconds of a clock that nobody sets."""

    def __init__(self) -> None:
        self.version = 0
        """Counts the changes."""
        self._seen: dict[tuple[Images, str], tuple[int, float]] = {}

    def saw(self, instance_type: str, images: Iterable[str], memory_bytes: int, now: float) -> None:
        """A node of the type registered with so much memory."""
        if memory_bytes <= 0:
            return
        key = (frozenset(images), instance_type)
        known, until = self._seen.get(key, (memory_bytes, float("inf")))
        if until > now and memory_bytes > known:
            return
        if key not in self._seen or memory_bytes != known:
            self.version += 1
        self._seen[key] = (memory_bytes, now + KEPT_S)

    def of(self, images: Iterable[str], now: float) -> dict[str, int]:
        """Type → bytes, for nodes of these images."""
        wanted = frozenset(images)
        return {name: memory for (of, name), (memory, until) in self._seen.items() if of == wanted and until > now}
