"""Deployments: ReplicaSets, one for each version of the template, and how pods move from the old ones to the newest.

Source: Kubernetes v1.36 pkg/controller/deployment. `rollout` has the arithmetic, `progress` the status.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from fretsaw.api.meta import LabelSelector, ObjectMeta, OwnerReference
from fretsaw.api.pod import Pod
from fretsaw.api.workload import (
    Deployment,
    DeploymentCondition,
    DeploymentStatus,
    ReplicaSet,
    ReplicaSetSpec,
    wanted_replicas,
)
from fretsaw.engine.state import key_of
from fretsaw.sim.controller import WorkQueue, asks_anew
from fretsaw.sim.workloads import progress
from fretsaw.sim.workloads.making import Workshop, owner_key, owner_reference, parent
from fretsaw.sim.workloads.revision import HASH, template_hash, unlabelled
from fretsaw.sim.workloads.rollout import (
    DESIRED,
    MAX,
    REVISION,
    active,
    fenceposts,
    is_rolling,
    is_scaling,
    new_size,
    number,
    old_sizes,
    scaled_sizes,
)

KIND: Final = "Deployment"
_OWN: Final = (REVISION, DESIRED, MAX, "kubectl.kubernetes.io/last-applied-configuration")
"""Annotations of a Deployment that its ReplicaSets do not take over."""
_HISTORY: Final = 10


class Deployments:
    """Keeps the ReplicaSets of each Deployment."""

    def __init__(self, workshop: Workshop) -> None:
        self._store = workshop.store
        self._loop = workshop.loop
        self._family = workshop.family
        self.queue = WorkQueue(workshop.loop, self.sync)
        workshop.store.watch(KIND, self._changed)
        workshop.store.watch("ReplicaSet", self._set_changed)
        workshop.family.listen("ReplicaSet", self._pod)
        for key in workshop.store.all(KIND):
            self.queue.add(key)

    def _changed(self, old: Deployment | None, new: Deployment | None) -> None:
        if new is not None and asks_anew(old, new):
            self.queue.add(key_of(new))

    def _set_changed(self, old: ReplicaSet | None, new: ReplicaSet | None) -> None:
        found = new if new is not None else old
        key = parent(found, KIND) if found is not None else None
        if key is not None:
            self.queue.add(key)

    def _pod(self, owner: OwnerReference, old: Pod | None, new: Pod | None) -> None:
        """Recreate waits for the last old pod to go."""
        if new is not None or old is None:
            return
        above: ReplicaSet | None = self._store.get("ReplicaSet", owner_key(owner, old.metadata.namespace))
        key = parent(above, KIND) if above is not None else None
        deployment: Deployment | None = self._store.get(KIND, key) if key is not None else None
        if key is not None and deployment is not None and not is_rolling(deployment):
            self.queue.add(key)

    def sync(self, key: str) -> None:
        """Bring the ReplicaSets one step further and tell how far the rollout is."""
        found: Deployment | None = self._store.get(KIND, key)
        if found is None:
            return
        if found.metadata.deletion_timestamp:
            self._tell(found, rolling=False)
            return
        found = self._paused(found)
        new, old = self._sets(found)
        if found.spec.paused or is_scaling(found, (*old, *_some(new))):
            self._renumber(found, new)
            self._resize(found, scaled_sizes(found, new, old), even=True)
            if found.spec.paused:
                self._clean(found)
            self._tell(found, rolling=False)
            return
        done = self._roll(found, new, old) if is_rolling(found) else self._recreate(found, new, old)
        status = self._tell(found, rolling=True)
        if done and progress.is_complete(found, status):
            self._clean(found)

    # Steps

    def _roll(self, deployment: Deployment, new: ReplicaSet | None, old: Sequence[ReplicaSet]) -> bool:
        """First the newest grows as far as the surge allows, then old ones shrink. Whether nothing was to do."""
        new = self._newest(deployment, new, old)
        size = new_size(deployment, (*old, new), wanted_replicas(new))
        if size != wanted_replicas(new):
            self._resize(deployment, {new.name: size})
            return False
        sizes = old_sizes(deployment, new, old)
        self._resize(deployment, sizes)
        return not sizes

    def _recreate(self, deployment: Deployment, new: ReplicaSet | None, old: Sequence[ReplicaSet]) -> bool:
        """First all old pods go, then the newest ReplicaSet is made. Whether nothing was to do."""
        if active(old):
            self._resize(deployment, {one.name: 0 for one in active(old)})
            return False
        children = [self._family.of(one) for one in old]
        if any(one.status.replicas for one in old) or any(one.active or one.leaving for one in children):
            return False
        new = self._newest(deployment, new, old)
        if wanted_replicas(new) == wanted_replicas(deployment):
            return True
        self._resize(deployment, {new.name: wanted_replicas(deployment)})
        return False

    def _resize(self, deployment: Deployment, sizes: Mapping[str, int], *, even: bool = False) -> None:
        """Write new sizes. even: also where a size stays, so that the annotations say what it was made for."""
        for name, size in sizes.items():
            key = f"{deployment.metadata.home}/{name}"
            one: ReplicaSet = self._store.get("ReplicaSet", key)
            annotations = one.metadata.annotations | _goals(deployment)
            if wanted_replicas(one) == size and not (even and annotations != one.metadata.annotations):
                continue
            metadata = replace(one.metadata, annotations=annotations)
            self._store.put(replace(one, metadata=metadata, spec=replace(one.spec, replicas=size)))

    # ReplicaSets

    def _sets(self, deployment: Deployment) -> tuple[ReplicaSet | None, list[ReplicaSet]]:
        """The ReplicaSet of the template as it is now, if there is one, and all others."""
        sets = [one for one in self._store.owned_by(deployment, "ReplicaSet") if not one.metadata.deletion_timestamp]
        template = unlabelled(deployment.spec.template, HASH)
        new = next((one for one in sets if unlabelled(one.spec.template, HASH) == template), None)
        return new, [one for one in sets if one is not new]

    def _newest(self, deployment: Deployment, new: ReplicaSet | None, old: Sequence[ReplicaSet]) -> ReplicaSet:
        """The ReplicaSet of the template, made where there is none, with revision and settings up to date."""
        if new is None:
            new = self._make(deployment, old)
            self._said(
                deployment, progress.condition(progress.PROGRESSING, "True", "NewReplicaSetCreated", self._loop.now)
            )
            return new
        new = self._renumbered(deployment, new, old)
        current = progress.find(deployment.status.conditions, progress.PROGRESSING)
        if current is None:
            self._said(
                deployment, progress.condition(progress.PROGRESSING, "True", "FoundNewReplicaSet", self._loop.now)
            )
        return new

    def _make(self, deployment: Deployment, old: Sequence[ReplicaSet]) -> ReplicaSet:
        template, namespace = deployment.spec.template, deployment.metadata.home
        collisions = 0
        while self._store.get("ReplicaSet", f"{namespace}/{deployment.name}-{template_hash(template, collisions)}"):
            collisions += 1
        sign = {HASH: template_hash(template, collisions)}
        labels = template.metadata.labels | sign
        given = {key: value for key, value in deployment.metadata.annotations.items() if key not in _OWN}
        selector = deployment.spec.selector or LabelSelector()
        revision = {REVISION: str(1 + max((number(one, REVISION) or 0 for one in old), default=0))}
        metadata = ObjectMeta(
            f"{deployment.name}-{sign[HASH]}",
            namespace,
            labels,
            given | revision | _goals(deployment),
            owner_references=(owner_reference(deployment),),
        )
        spec = ReplicaSetSpec(
            new_size(deployment, old, 0),
            replace(selector, match_labels=selector.match_labels | sign),
            replace(template, metadata=replace(template.metadata, labels=labels)),
            deployment.spec.min_ready_seconds,
        )
        return self._store.put(ReplicaSet(metadata, spec))

    def _renumber(self, deployment: Deployment, new: ReplicaSet | None) -> None:
        if new is not None:
            self._renumbered(deployment, new, self._sets(deployment)[1])

    def _renumbered(self, deployment: Deployment, new: ReplicaSet, old: Iterable[ReplicaSet]) -> ReplicaSet:
        """The newest ReplicaSet with the highest revision, which an earlier template gets anew, and its settings."""
        revision = 1 + max((number(one, REVISION) or 0 for one in old), default=0)
        revision = max(revision, number(new, REVISION) or 0)
        metadata = replace(new.metadata, annotations=new.metadata.annotations | {REVISION: str(revision)})
        spec = replace(new.spec, min_ready_seconds=deployment.spec.min_ready_seconds)
        if metadata == new.metadata and spec == new.spec:
            return new
        return self._store.put(replace(new, metadata=metadata, spec=spec))

    def _clean(self, deployment: Deployment) -> None:
        """Delete the oldest revisions beyond the limit that have no pods."""
        old = self._sets(deployment)[1]
        limit = deployment.spec.revision_history_limit
        excess = len(old) - (_HISTORY if limit is None else limit)
        for one in sorted(old, key=lambda one: (number(one, REVISION) or 0, one.name))[: max(0, excess)]:
            seen = one.status.observed_generation == one.metadata.generation
            if seen and not one.status.replicas and not wanted_replicas(one):
                self._store.delete("ReplicaSet", key_of(one))

    # Status

    def _paused(self, deployment: Deployment) -> Deployment:
        """Tell that a rollout pauses or goes on; the time until its deadline begins anew."""
        current = progress.find(deployment.status.conditions, progress.PROGRESSING)
        reason = current.reason if current is not None else ""
        if progress.deadline(deployment) is None or reason == progress.TIMED_OUT:
            return deployment
        if deployment.spec.paused != (reason == "DeploymentPaused"):
            word = "DeploymentPaused" if deployment.spec.paused else "DeploymentResumed"
            return self._said(deployment, progress.condition(progress.PROGRESSING, "Unknown", word, self._loop.now))
        return deployment

    def _said(self, deployment: Deployment, said: DeploymentCondition) -> Deployment:
        """Write one condition at once, as the steps of a rollout do."""
        if progress.deadline(deployment) is None:
            return deployment
        latest: Deployment = self._store.get(KIND, key_of(deployment))
        status = replace(latest.status, conditions=progress.put(latest.status.conditions, said))
        return self._store.put(replace(latest, status=status))

    def _tell(self, deployment: Deployment, *, rolling: bool) -> DeploymentStatus:
        """Write the status where it says something new, and come back when the rollout has stood still for too long."""
        latest: Deployment = self._store.get(KIND, key_of(deployment))
        new, old = self._sets(latest)
        sets = (*old, *_some(new))
        status: DeploymentStatus = progress.counted(latest, new, sets, self._loop.now)
        if rolling:
            status = progress.rolled(latest, status, new, sets, self._loop.now)
        metadata = latest.metadata
        if new is not None and number(new, REVISION) is not None:
            revision = {REVISION: new.metadata.annotations[REVISION]}
            metadata = replace(metadata, annotations=metadata.annotations | revision)
        if status != latest.status or metadata != latest.metadata:
            kept = metadata if metadata != latest.metadata else latest.metadata
            self._store.put(replace(latest, metadata=kept, status=status))
        again = progress.stuck_at(latest, status) if rolling else None
        if again is not None:
            self.queue.add(key_of(latest), after=max(0, again - self._loop.now))
        return status


def _some(new: ReplicaSet | None) -> tuple[ReplicaSet, ...]:
    return () if new is None else (new,)


def _goals(deployment: Deployment) -> dict[str, str]:
    """What a ReplicaSet is annotated with so that a later change of the goal can be told and spread."""
    goal = wanted_replicas(deployment)
    return {DESIRED: str(goal), MAX: str(goal + fenceposts(deployment)[0])}
