"""How controllers make pods: from molds, so that equal pods of one owner share one spec and one map of labels.

The engine and the scheduler tell equal pods by the identity of these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from fretsaw.api.meta import Object, ObjectMeta, OwnerReference
from fretsaw.api.pod import Pod, PodSpec, PodStatus, PodTemplateSpec
from fretsaw.api.times import SECOND, Millis
from fretsaw.engine.orders import NAME_LETTERS
from fretsaw.engine.state import key_of
from fretsaw.sim.controller import WorkQueue
from fretsaw.sim.workloads.admission import Admission
from fretsaw.sim.workloads.family import Family
from fretsaw.sim.workloads.pods import said_something
from fretsaw.sim.world import World

BURST: Final = 500
"""Most pods that a ReplicaSet or a Job makes or deletes in one sync."""
_LONGEST_BASE: Final = 58
_PENDING: Final = PodStatus(phase="Pending")
_FIRST_RETRY: Final[Millis] = 5
_LAST_RETRY: Final[Millis] = 1000 * SECOND


class Mold(msgspec.Struct, frozen=True):
    """What all pods of one template have in common."""

    namespace: str
    labels: dict[str, str]
    annotations: dict[str, str]
    spec: PodSpec
    owners: tuple[OwnerReference, ...]

    def pod(
        self,
        name: str,
        *,
        labels: dict[str, str] | None = None,
        annotations: dict[str, str] | None = None,
        spec: PodSpec | None = None,
    ) -> Pod:
        """A pod that waits; what is given stands in the place of what is common."""
        metadata = ObjectMeta(
            name,
            self.namespace,
            self.labels if labels is None else labels,
            self.annotations if annotations is None else annotations,
            owner_references=self.owners,
        )
        return Pod(metadata, self.spec if spec is None else spec, _PENDING)


class Workshop:
    """What all workload controllers share: the world, the pods by owner, molds and names."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.store = world.store
        self.loop = world.loop
        self.admission = Admission(world.store)
        self.family = Family(world.store)
        self._molds: dict[tuple[str, str], tuple[PodTemplateSpec, Mold]] = {}
        self._names: dict[tuple[str, str, str], int] = {}
        self._refusals: dict[str, int] = {}

    def mold(
        self,
        owner: Object,
        template: PodTemplateSpec,
        *,
        revision: str = "",
        labels: Mapping[str, str] | None = None,
        adapt: Callable[[PodSpec], PodSpec] | None = None,
    ) -> Mold | str:
        """The mold of an owner's template, or why the API server takes no pods of it.

        labels: those that the controller adds. adapt: what it does to the spec before the API server sees it.
        """
        known = self._molds.get((owner.metadata.uid, revision))
        if known is not None and (known[0] is template or known[0] == template):
            return known[1]
        spec = template.spec if adapt is None else adapt(template.spec)
        if why := self.admission.refused(spec):
            return f'pods "{owner.metadata.name}-" is forbidden: {why}'
        made = Mold(
            owner.metadata.home,
            {**template.metadata.labels, **(labels or {})},
            template.metadata.annotations,
            self.admission.spec(spec),
            (owner_reference(owner),),
        )
        self._molds[owner.metadata.uid, revision] = (template, made)
        return made

    def forget(self, owner: Object, revisions: Iterable[str] = ("",)) -> None:
        """Drop the molds of an owner that is gone."""
        for revision in revisions:
            self._molds.pop((owner.metadata.uid, revision), None)

    def name(self, kind: str, namespace: str, base: str) -> str:
        """A name for a new object: the base, cut to 58 signs, and five signs that no other has drawn."""
        place = (kind, namespace, base)
        while True:
            number = self._names[place] = self._names.get(place, 0) + 1
            dice = self.world.dice.once("name", *place, str(number))
            name = base[:_LONGEST_BASE] + "".join(dice.choices(NAME_LETTERS, k=5))
            if self.store.get(kind, f"{namespace}/{name}") is None:
                return name

    def queue_owners(self, kind: str, queue: WorkQueue) -> None:
        """Have `queue` look at an object of this kind whenever one of its pods says something."""

        def heard(owner: OwnerReference, old: Pod | None, new: Pod | None) -> None:
            pod = new if new is not None else old
            if pod is not None and said_something(old, new):
                queue.add(owner_key(owner, pod.metadata.namespace))

        self.family.listen(kind, heard)

    def retry(self, controller: str, key: str) -> Millis:
        """How long a controller waits before it tries again what was refused: twice as long each time.

        Source: Kubernetes client-go, default rate limiter of work queues: 5 ms to 1000 s.
        """
        place = f"{controller}/{key}"
        times = self._refusals[place] = self._refusals.get(place, -1) + 1
        return min(_FIRST_RETRY << min(times, 30), _LAST_RETRY)

    def calm(self, controller: str, key: str) -> None:
        """Nothing was refused this time."""
        self._refusals.pop(f"{controller}/{key}", None)


def owner_reference(owner: Object) -> OwnerReference:
    """The reference with which what an object makes names it as its controller."""
    kind = type(owner).__name__
    group = "batch" if kind in ("Job", "CronJob") else "apps"
    return OwnerReference(kind, owner.metadata.name, owner.metadata.uid, f"{group}/v1", controller=True)


def owner_key(owner: OwnerReference, namespace: str) -> str:
    """The key of the owner of an object in a namespace."""
    return f"{namespace or 'default'}/{owner.name}"


def parent(obj: Object, kind: str) -> str | None:
    """The key of the `kind` that controls an object, if one does."""
    owner = obj.metadata.controller
    return owner_key(owner, obj.metadata.namespace) if owner is not None and owner.kind == kind else None


def delete_all(workshop: Workshop, pods: Iterable[Pod]) -> int:
    """Ask for the deletion of each; how many there were."""
    found = [key_of(pod) for pod in pods]
    for key in found:
        workshop.store.delete("Pod", key)
    return len(found)
