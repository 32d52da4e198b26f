"""Whose progress a pod continues: which of its job's runs it is.

An indexed job says so itself. The pods of other jobs are interchangeable, so a new pod takes up the lowest run that a
lost pod has left behind, and begins a new one where there is none.
"""

from __future__ import annotations

import heapq

from fretsaw.api.expand import INDEX
from fretsaw.api.meta import OwnerReference
from fretsaw.api.pod import Pod
from fretsaw.sim.store import Store


class Slots:
    """Hands out slots, and takes back those of pods that were lost."""

    def __init__(self, store: Store) -> None:
        self._held: dict[str, tuple[str, int]] = {}
        """(job, run) by pod uid."""
        self._left: dict[str, list[int]] = {}
        """Runs without a pod by job uid, a heap."""
        self._next: dict[str, int] = {}
        store.watch("Pod", self._pod)

    def of(self, pod: Pod) -> str:
        """`<job uid>/<index or run>` of a job's pod, the pod's own key without a controller or of a StatefulSet;
        empty for pods that are replaceable, such as a Deployment's."""
        owner = pod.metadata.controller
        if owner is None or owner.kind == "StatefulSet":
            return pod.key
        if owner.kind != "Job":
            return ""
        index = pod.metadata.annotations.get(INDEX)
        return f"{owner.uid}/{index if index is not None else self._run(pod, owner)}"

    def _run(self, pod: Pod, owner: OwnerReference) -> int:
        held = self._held.get(pod.metadata.uid)
        if held is not None:
            return held[1]
        left = self._left.get(owner.uid)
        if left:
            run = heapq.heappop(left)
        else:
            run = self._next.get(owner.uid, 0)
            self._next[owner.uid] = run + 1
        self._held[pod.metadata.uid] = (owner.uid, run)
        return run

    def _pod(self, old: Pod | None, new: Pod | None) -> None:
        """A run is over when its pod succeeds, and left behind when that fails, is being deleted or goes."""
        pod = new if new is not None else old
        assert pod is not None
        if pod.metadata.uid not in self._held:
            return
        if pod.status.phase == "Succeeded":
            del self._held[pod.metadata.uid]
        elif new is None or pod.status.phase == "Failed" or pod.metadata.deletion_timestamp:
            job, run = self._held.pop(pod.metadata.uid)
            heapq.heappush(self._left.setdefault(job, []), run)
