"""Where waiting pods are meant to go, and whether they get there.

Pods that are alike may take each other's places: each still has a node of the kind that was paid for it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from fretsaw.api.pod import Pod
from fretsaw.engine.planned import likeness


class Plans:
    """The last plan for each pod that waits."""

    def __init__(self) -> None:
        self._of: dict[str, tuple[str, str]] = {}
        """(likeness, machine) by pod."""
        self._pods: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)

    def __contains__(self, pod: str) -> bool:
        return pod in self._of

    def __iter__(self) -> Iterator[str]:
        return iter(self._of)

    def __len__(self) -> int:
        return len(self._of)

    def meant(self, pod: Pod, machine: str) -> None:
        """A pass has planned the pod for a machine."""
        self.forget(pod.key)
        self._put(pod.key, (likeness(pod), machine))

    def bound(self, pod: Pod, machine: str) -> bool:
        """Whether one like it was planned for that machine. The pod whose place it took gets its place."""
        own = self._of[pod.key]
        there = (own[0], machine)
        found = own == there or bool(self._pods.get(there))
        self.forget(pod.key)
        if found and own != there:
            other = next(iter(self._pods[there]))
            self.forget(other)
            self._put(other, own)
        return found

    def forget(self, pod: str) -> None:
        """The pod does not wait any more."""
        place = self._of.pop(pod, None)
        if place is not None:
            del self._pods[place][pod]
            if not self._pods[place]:
                del self._pods[place]

    def _put(self, pod: str, place: tuple[str, str]) -> None:
        self._of[pod] = place
        self._pods[place][pod] = None
