"""ReplicaSets: so many pods of one template, and which go first when there are too many.

Source: Kubernetes v1.36 pkg/controller/replicaset. Slow start (1, 2, 4 … pods at a time) matters only where the API
server refuses pods; as all pods of a set are equal, it refuses the first or none, and then no more are tried.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from fretsaw.api.meta import Condition
from fretsaw.api.pod import Pod
from fretsaw.api.times import Millis, rfc3339
from fretsaw.api.workload import ReplicaSet, wanted_replicas
from fretsaw.engine.state import key_of
from fretsaw.sim.controller import WorkQueue, asks_anew
from fretsaw.sim.workloads.family import Children
from fretsaw.sim.workloads.making import BURST, Mold, Workshop, delete_all, parent
from fretsaw.sim.workloads.pods import availability
from fretsaw.sim.workloads.ranking import replicas_to_delete

KIND: Final = "ReplicaSet"


class ReplicaSets:
    """Keeps the number of pods of each ReplicaSet."""

    def __init__(self, workshop: Workshop) -> None:
        self._shop = workshop
        self._store = workshop.store
        self._loop = workshop.loop
        self.queue = WorkQueue(workshop.loop, self.sync)
        workshop.store.watch(KIND, self._changed)
        workshop.queue_owners(KIND, self.queue)
        for key in workshop.store.all(KIND):
            self.queue.add(key)

    def _changed(self, old: ReplicaSet | None, new: ReplicaSet | None) -> None:
        if new is None and old is not None:
            self._shop.forget(old)
        elif new is not None and asks_anew(old, new):
            self.queue.add(key_of(new))

    def sync(self, key: str) -> None:
        """Make or delete pods, then write what there was before: the new pods are seen in the next sync."""
        found: ReplicaSet | None = self._store.get(KIND, key)
        if found is None:
            return
        children = self._shop.family.of(found)
        seen = len(children.active), len(children.ready), len(children.leaving)
        available, again = self._available(found, children)
        why = "" if found.metadata.deletion_timestamp else self._manage(found, children)
        if why:
            self.queue.add(key, after=self._shop.retry(KIND, key))
        else:
            self._shop.calm(KIND, key)
        self._write(found, seen, available, why)
        if again is not None:
            self.queue.add(key, after=again - self._loop.now)

    def _available(self, found: ReplicaSet, children: Children) -> tuple[int, Millis | None]:
        least = found.spec.min_ready_seconds
        if not least:
            return len(children.ready), None
        return availability(children.ready.values(), least, self._loop.now)

    def _manage(self, found: ReplicaSet, children: Children) -> str:
        """Make what is missing or delete what is too much, at most 500 in one sync; why that failed."""
        missing = wanted_replicas(found) - len(children.active)
        if missing < 0:
            active = list(children.active.values())
            related = self._related(found) if -missing < len(active) else ()
            delete_all(self._shop, replicas_to_delete(active, related, min(-missing, BURST), self._loop.now))
        elif missing > 0:
            mold = self._shop.mold(found, found.spec.template)
            if not isinstance(mold, Mold):
                return mold
            for _ in range(min(missing, BURST)):
                self._store.put(mold.pod(self._shop.name("Pod", mold.namespace, f"{found.name}-")))
        return ""

    def _related(self, found: ReplicaSet) -> Iterator[Pod]:
        """The active pods of all ReplicaSets of the same Deployment, or of this one where it has none."""
        key = parent(found, "Deployment")
        above = self._store.get("Deployment", key) if key is not None else None
        sets = [found] if above is None else self._store.owned_by(above, KIND)
        return (pod for one in sets for pod in self._shop.family.of(one).active.values())

    def _write(self, found: ReplicaSet, seen: tuple[int, int, int], available: int, why: str) -> None:
        pods, ready, leaving = seen
        old = found.status
        status = replace(
            old,
            observed_generation=found.metadata.generation,
            replicas=pods,
            fully_labeled_replicas=pods,
            ready_replicas=ready,
            available_replicas=available,
            terminating_replicas=leaving,
            conditions=_failure(old.conditions, why, self._loop.now),
        )
        if status != old:
            self._store.put(replace(found, status=status))


def _failure(conditions: tuple[Condition, ...], why: str, now: Millis) -> tuple[Condition, ...]:
    """The conditions with ReplicaFailure while pods are refused, without it else."""
    old = next((c for c in conditions if c.type == "ReplicaFailure"), None)
    if (old is None) == (not why):
        return conditions
    if not why:
        return tuple(c for c in conditions if c is not old)
    return (*conditions, Condition("ReplicaFailure", "True", "FailedCreate", why, rfc3339(now)))
