"""StatefulSets: pods with numbers, made, updated and removed one after the other, each with claims of its own.

Source: Kubernetes v1.36 pkg/controller/statefulset (stateful_set_control.go); kubernetes.io, StatefulSets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from fretsaw.api.pod import Pod, PodTemplateSpec
from fretsaw.api.times import Millis
from fretsaw.api.workload import StatefulSet, StatefulSetStatus, wanted_replicas
from fretsaw.engine.state import key_of
from fretsaw.sim.conditions import is_ready
from fretsaw.sim.controller import WorkQueue, asks_anew
from fretsaw.sim.workloads.claims import make_claims, own_claims, with_claims
from fretsaw.sim.workloads.family import Children
from fretsaw.sim.workloads.making import Mold, Workshop
from fretsaw.sim.workloads.pods import availability, is_available
from fretsaw.sim.workloads.revision import REVISION_HASH, template_hash

KIND: Final = "StatefulSet"
POD_NAME: Final = "statefulset.kubernetes.io/pod-name"
POD_INDEX: Final = "apps.kubernetes.io/pod-index"


class View(msgspec.Struct):
    """A set and its pods, as one sync sees them."""

    found: StatefulSet
    current: str
    """Revision that pods below the partition have."""
    update: str
    """Revision of the template as it is now."""
    replicas: list[Pod | None]
    """By ordinal, from the first; None where there is no pod."""
    condemned: list[Pod]
    """Pods beyond the wanted numbers, the highest ordinal first."""
    now: Millis

    @property
    def ordered(self) -> bool:
        """Whether each pod waits for the one before."""
        return self.found.spec.pod_management_policy != "Parallel"

    @property
    def start(self) -> int:
        """The first ordinal."""
        return _start(self.found)

    def is_fine(self, pod: Pod) -> bool:
        """Whether a pod runs, is ready, and has been for long enough."""
        return _runs(pod) and is_available(pod, self.found.spec.min_ready_seconds, self.now)


class StatefulSets:
    """Keeps the pods of each StatefulSet."""

    def __init__(self, workshop: Workshop) -> None:
        self._shop = workshop
        self._store = workshop.store
        self._loop = workshop.loop
        self._templates: dict[str, dict[str, PodTemplateSpec]] = {}
        """The template of each revision, by the set's uid."""
        self.queue = WorkQueue(workshop.loop, self.sync)
        workshop.store.watch(KIND, self._changed)
        workshop.queue_owners(KIND, self.queue)
        for key in workshop.store.all(KIND):
            self.queue.add(key)

    def _changed(self, old: StatefulSet | None, new: StatefulSet | None) -> None:
        if new is None and old is not None:
            self._shop.forget(old, self._templates.pop(old.metadata.uid, {}))
        elif new is not None and asks_anew(old, new):
            self.queue.add(key_of(new))

    def sync(self, key: str) -> None:
        """Take the steps that are due: make, then remove, then update; and write the status."""
        found: StatefulSet | None = self._store.get(KIND, key)
        if found is None:
            return
        children = self._shop.family.of(found)
        view = self._view(found, children)
        if not found.metadata.deletion_timestamp and not self._make(view) and not self._remove(view):
            self._update(view)
        again = self._write(view)
        if again is not None:
            self.queue.add(key, after=again - self._loop.now)

    def _view(self, found: StatefulSet, children: Children) -> View:
        template = found.spec.template
        update = f"{found.name}-{template_hash(template)}"
        known = self._templates.setdefault(found.metadata.uid, {})
        known.setdefault(update, template)
        current = found.status.current_revision
        current = current if current in known else update
        start, count = _start(found), wanted_replicas(found)
        replicas: list[Pod | None] = [None] * count
        condemned: list[tuple[int, Pod]] = []
        for pod in (*children.active.values(), *children.leaving.values(), *children.ended.values()):
            ordinal = ordinal_of(pod, found)
            if ordinal is not None and start <= ordinal < start + count:
                replicas[ordinal - start] = pod
            elif ordinal is not None:
                condemned.append((ordinal, pod))
        last = [pod for _, pod in sorted(condemned, key=lambda item: -item[0])]
        return View(found, current, update, replicas, last, self._loop.now)

    # Steps: each tells whether the later ones have to wait

    def _make(self, view: View) -> bool:
        """Make missing pods, replace ended ones; in order, a pod that is not fine yet holds up all behind it."""
        for place, pod in enumerate(view.replicas):
            if pod is None:
                if not self._made(view, view.start + place) or view.ordered:
                    return True
            elif pod.is_terminal:
                if not pod.metadata.deletion_timestamp:
                    self._store.delete("Pod", pod.key)
                if view.ordered:
                    return True
            else:
                self._keep(view, pod, condemned=False)
                if view.ordered and (pod.metadata.deletion_timestamp or not view.is_fine(pod)):
                    return True
        return False

    def _made(self, view: View, ordinal: int) -> bool:
        """Make one pod with its claims; False where the API server takes none."""
        found = view.found
        revision = self._revision_for(view, ordinal)
        template = self._templates[found.metadata.uid][revision]
        mold = self._shop.mold(found, template, revision=revision, labels={REVISION_HASH: revision})
        if not isinstance(mold, Mold):
            self.queue.add(key_of(found), after=self._shop.retry(KIND, key_of(found)))
            return False
        self._shop.calm(KIND, key_of(found))
        name = f"{found.name}-{ordinal}"
        make_claims(self._store, found, name)
        labels = mold.labels | {POD_NAME: name, POD_INDEX: str(ordinal)}
        pod = self._store.put(mold.pod(name, labels=labels, spec=with_claims(mold.spec, found, name)))
        view.replicas[ordinal - view.start] = pod
        return True

    def _revision_for(self, view: View, ordinal: int) -> str:
        """Pods below the partition are made of the revision that is current, all others of the newest."""
        spec = view.found.spec
        below = spec.update_strategy.type != "OnDelete" and ordinal < view.start + _partition(view.found)
        return view.current if below else view.update

    def _remove(self, view: View) -> bool:
        """Delete pods beyond the wanted number; in order: from the highest, one at a time, while all others are fine.

        The first pod of all that is not fine does not have to become fine before it is deleted.
        """
        unhealthy = self._first_unhealthy(view)
        for pod in view.condemned:
            self._keep(view, pod, condemned=True)
            if pod.metadata.deletion_timestamp:
                if view.ordered:
                    return True
                continue
            if view.ordered and not view.is_fine(pod) and pod is not unhealthy:
                return True
            self._store.delete("Pod", pod.key)
            if view.ordered:
                return True
        return False

    def _first_unhealthy(self, view: View) -> Pod | None:
        pods = [*view.replicas, *reversed(view.condemned)]
        return next((pod for pod in pods if pod is not None and not _healthy(pod)), None)

    def _update(self, view: View) -> bool:
        """Delete the highest pod of an old revision that is at or above the partition, once all above it are fine."""
        if view.found.spec.update_strategy.type == "OnDelete":
            return False
        for pod in reversed(view.replicas[_partition(view.found) :]):
            if pod is None:
                return True
            if revision_of(pod) != view.update and not pod.metadata.deletion_timestamp:
                self._store.delete("Pod", pod.key)
                return True
            if not _healthy(pod) or not view.is_fine(pod):
                return True
        return False

    def _keep(self, view: View, pod: Pod, *, condemned: bool) -> None:
        if view.found.spec.volume_claim_templates:
            own_claims(self._store, view.found, pod, condemned=condemned)

    # Status

    def _write(self, view: View) -> Millis | None:
        """Write the status where it says something new; when the next pod becomes available."""
        found, status = view.found, view.found.status
        pods = [*(pod for pod in view.replicas if pod is not None), *view.condemned]
        fine, again = availability((p for p in pods if _runs(p)), found.spec.min_ready_seconds, view.now)
        staying = [revision_of(pod) for pod in pods if not pod.metadata.deletion_timestamp]
        new = replace(
            status,
            observed_generation=found.metadata.generation,
            replicas=len(pods),
            ready_replicas=sum(map(_runs, pods)),
            available_replicas=fine,
            current_replicas=staying.count(view.current),
            updated_replicas=staying.count(view.update),
            current_revision=view.current,
            update_revision=view.update,
        )
        new = _completed(found, new)
        if new != status:
            self._store.put(replace(found, status=new))
        self._forget(found, pods, new)
        return again

    def _forget(self, found: StatefulSet, pods: Sequence[Pod], status: StatefulSetStatus) -> None:
        """Drop the templates of revisions that no pod has any more."""
        known = self._templates[found.metadata.uid]
        if len(known) > 1:
            needed = {status.current_revision, status.update_revision, *map(revision_of, pods)}
            gone = [revision for revision in known if revision not in needed]
            self._shop.forget(found, gone)
            for revision in gone:
                del known[revision]


def ordinal_of(pod: Pod, found: StatefulSet) -> int | None:
    """A pod's number; None for a name that is not of the set."""
    prefix, _, number = pod.name.rpartition("-")
    return int(number) if prefix == found.name and number.isascii() and number.isdigit() else None


def revision_of(pod: Pod) -> str:
    """The revision that a pod was made of."""
    return pod.metadata.labels.get(REVISION_HASH, "")


def _completed(found: StatefulSet, status: StatefulSetStatus) -> StatefulSetStatus:
    """The status after a rolling update that has reached all pods: the newest revision is the current one."""
    goal = wanted_replicas(found)
    done = goal == status.updated_replicas == status.ready_replicas == status.replicas
    if found.spec.update_strategy.type == "OnDelete" or not done:
        return status
    return replace(status, current_revision=status.update_revision, current_replicas=status.updated_replicas)


def _start(found: StatefulSet) -> int:
    return found.spec.ordinals.start if found.spec.ordinals is not None else 0


def _partition(found: StatefulSet) -> int:
    rolling = found.spec.update_strategy.rolling_update
    return (rolling.partition or 0) if rolling is not None else 0


def _runs(pod: Pod) -> bool:
    return pod.status.phase == "Running" and is_ready(pod)


def _healthy(pod: Pod) -> bool:
    return _runs(pod) and not pod.metadata.deletion_timestamp
