"""From manifests to pods: workloads become the pods that they would make, with API defaults filled in.

Replicas share one spec and one label map, so that a reader can tell equal pods by identity.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from fretsaw.api.defaults import Defaults
from fretsaw.api.manifest import Manifests, no_collection
from fretsaw.api.meta import Object, ObjectMeta, OwnerReference
from fretsaw.api.pod import ClaimVolume, Pod, PodSpec, PodTemplateSpec, Volume, VolumeClaimTemplate
from fretsaw.api.storage import PersistentVolumeClaim, PersistentVolumeClaimStatus
from fretsaw.api.workload import CronJob, DaemonSet, Job, JobSpec, StatefulSet

INDEX: Final = "batch.kubernetes.io/job-completion-index"
_WORKLOADS: Final = ("Deployment", "ReplicaSet", "ReplicationController", "StatefulSet", "Job", "CronJob")


class Expanded(msgspec.Struct, frozen=True):
    """Everything that runs or wants to run."""

    pods: tuple[Pod, ...]
    """In the order of the files; finished pods are left out."""
    daemon_sets: tuple[DaemonSet, ...] = ()
    """Not expanded: their pods come with each node. Defaults are filled into their templates."""
    claims: tuple[PersistentVolumeClaim, ...] = ()
    """The claims of the files and, as pending ones, those that StatefulSets would make."""


def expand(manifests: Manifests) -> Expanded:
    """The pods of all Pods, Deployments, ReplicaSets, ReplicationControllers, StatefulSets, Jobs and CronJobs.

    Rules: pods of a workload are `name-N` from 0 in its namespace (`default` where it names none); replicas default
    to 1; a Job gives the pods that run at once, min(parallelism, completions), a CronJob one run, a suspended one
    none. Pods and ReplicaSets that a workload of the input owns are that workload's first pods, not additional ones:
    they keep their names, and only what is missing is made up. Limits without a request default the request, priority
    comes from the PriorityClass and overhead from the RuntimeClass. Raises nothing: what has errors is left out.
    """
    with no_collection():
        return _expand(manifests)


def _expand(manifests: Manifests) -> Expanded:
    fill = Defaults(
        {item.name: item for item in manifests.objects("PriorityClass")},
        {item.name: item for item in manifests.objects("RuntimeClass")},
    )
    family = _Family(manifests)
    pods: list[Pod] = []
    claims = {_key(claim): claim for claim in _placed(manifests.objects("PersistentVolumeClaim"))}
    daemons: list[DaemonSet] = []
    for document in manifests.documents:
        obj = document.obj
        if obj is None or document.has_errors:
            continue
        if isinstance(obj, Pod):
            pods.extend(_given(obj, len(pods), fill))
        elif isinstance(obj, DaemonSet):
            spec = replace(obj.spec, template=fill.template(obj.spec.template))
            daemons.append(replace(obj, metadata=_in_namespace(obj.metadata), spec=spec))
        elif document.kind in _WORKLOADS and not family.is_owned(obj, document.kind):
            pods.extend(_workload(obj, document.kind, fill, family))
            if isinstance(obj, StatefulSet):
                for claim in _claims_of(obj):
                    claims.setdefault(_key(claim), claim)
    return Expanded(tuple(pods), tuple(daemons), tuple(claims.values()))


def _key(obj: Object) -> tuple[str, str]:
    return obj.metadata.home, obj.metadata.name


def _in_namespace(metadata: ObjectMeta) -> ObjectMeta:
    return metadata if metadata.namespace else replace(metadata, namespace="default")


def _placed(objects: Iterable[Any]) -> Iterator[Any]:
    """Namespaced objects, the namespace filled in."""
    for obj in objects:
        metadata = _in_namespace(obj.metadata)
        yield obj if metadata is obj.metadata else replace(obj, metadata=metadata)


_Identity = tuple[str, str, str]


class _Family:
    """Who owns whom among the objects of the input, and which pod names are taken."""

    def __init__(self, manifests: Manifests) -> None:
        workloads = [(kind, obj) for kind in _WORKLOADS for obj in manifests.objects(kind)]
        self._names: set[_Identity] = {(kind, *_key(obj)) for kind, obj in workloads}
        self._uids = {obj.metadata.uid: (kind, *_key(obj)) for kind, obj in workloads if obj.metadata.uid}
        owners = (((kind, *_key(obj)), self._owner_of(obj)) for kind, obj in workloads)
        self._owner = {identity: owner for identity, owner in owners if owner is not None and owner != identity}
        self._running: Counter[_Identity] = Counter()
        self.given: set[tuple[str, str]] = set()
        for pod in manifests.objects("Pod"):
            self._adopt(pod)
        self.taken = self.given | {key for obj in manifests.objects("StatefulSet") for key in _own_names(obj)}

    def _owner_of(self, obj: Object) -> _Identity | None:
        """The workload of the input that owns an object, by kind and name or by uid."""
        namespace = _key(obj)[0]
        for owner in obj.metadata.owner_references:
            identity = (owner.kind, namespace, owner.name)
            if identity in self._names:
                return identity
            if owner.uid in self._uids:
                return self._uids[owner.uid]
        return None

    def _adopt(self, pod: Pod) -> None:
        """Counts a pod for the workload above it; finished and terminating pods will be replaced."""
        self.given.add(_key(pod))
        owner = self._owner_of(pod) if pod.metadata.owner_references else None
        if owner is None or pod.is_terminal or pod.metadata.deletion_timestamp is not None:
            return
        for _ in _WORKLOADS:  # a chain is at most CronJob, Job, Pod long; a circle must not hang us
            owner = self._owner.get(owner, owner)
        self._running[owner] += 1

    def is_owned(self, obj: Object, kind: str) -> bool:
        """Whether another workload of the input makes this one's pods."""
        return (kind, *_key(obj)) in self._owner

    def running(self, obj: Object, kind: str) -> int:
        """How many pods of the input belong to a workload."""
        return self._running[kind, *_key(obj)]


def _own_names(obj: StatefulSet) -> Iterator[tuple[str, str]]:
    first, count = _numbers(obj, obj.spec)
    namespace, name = _key(obj)
    return ((namespace, f"{name}-{number}") for number in range(first, first + count))


def _given(pod: Pod, number: int, fill: Defaults) -> Iterator[Pod]:
    """A pod of the input, unless it has finished; a pod with only a generateName is named after its place."""
    if pod.is_terminal:
        return
    metadata = _in_namespace(pod.metadata)
    if not metadata.name:
        metadata = replace(metadata, name=f"{metadata.generate_name}{number}")
    spec = fill.spec(pod.spec)
    if metadata is pod.metadata and spec is pod.spec:
        yield pod
    else:
        yield replace(pod, metadata=metadata, spec=spec)


def _workload(obj: Any, kind: str, fill: Defaults, family: _Family) -> Iterator[Pod]:
    """The pods that a workload still lacks; all share one spec but for those with claims of their own."""
    job = obj.spec.job_template.spec if isinstance(obj, CronJob) else obj.spec
    template = fill.template(job.template)
    if isinstance(obj, Job):
        template = _with_job_labels(template, obj.name)
    indexed = isinstance(job, JobSpec) and job.completion_mode == "Indexed"
    for number in _missing(obj, kind, job, family):
        yield _pod(obj, kind, template, number, indexed=indexed)


def _with_job_labels(template: PodTemplateSpec, name: str) -> PodTemplateSpec:
    """The labels that the Job controller gives its pods, as affinity may ask for them."""
    labels = {**template.metadata.labels, "batch.kubernetes.io/job-name": name, "job-name": name}
    return replace(template, metadata=replace(template.metadata, labels=labels))


def _numbers(obj: Any, job: Any) -> tuple[int, int]:
    """The first number and how many pods there should be."""
    if isinstance(job, JobSpec):
        finished = obj.status if isinstance(obj, Job) else None
        if job.suspend or obj.spec.suspend or (finished and finished.completion_time):
            return 0, 0
        parallelism = 1 if job.parallelism is None else job.parallelism
        if job.completions is not None:
            parallelism = min(parallelism, job.completions - (finished.succeeded if finished else 0))
        return 0, max(0, parallelism)
    replicas = 1 if job.replicas is None else max(0, job.replicas)
    return (job.ordinals.start if isinstance(obj, StatefulSet) and job.ordinals else 0), replicas


def _missing(obj: Any, kind: str, job: Any, family: _Family) -> Iterator[int]:
    """Numbers to make pods for: of a StatefulSet exactly those that are not there, else as many as are lacking."""
    first, count = _numbers(obj, job)
    namespace, name = _key(obj)
    if isinstance(obj, StatefulSet):
        yield from (n for n in range(first, first + count) if (namespace, f"{name}-{n}") not in family.given)
        return
    lacking, number = count - family.running(obj, kind), first
    while lacking > 0:
        if (namespace, f"{name}-{number}") not in family.taken:
            family.taken.add((namespace, f"{name}-{number}"))
            lacking -= 1
            yield number
        number += 1


def _pod(obj: Any, kind: str, template: PodTemplateSpec, number: int, *, indexed: bool) -> Pod:
    annotations = template.metadata.annotations
    if indexed:
        annotations = {**annotations, INDEX: str(number)}
    spec = template.spec
    name = f"{obj.name}-{number}"
    if isinstance(obj, StatefulSet) and obj.spec.volume_claim_templates:
        spec = _with_claims(spec, obj.spec.volume_claim_templates, name)
    metadata = ObjectMeta(
        name,
        obj.metadata.home,
        template.metadata.labels,
        annotations,
        # Zero-filled, so that ties by uid go by number.
        uid=f"{obj.metadata.uid or obj.name}-{number:06}",
        creation_timestamp=obj.metadata.creation_timestamp,
        owner_references=(OwnerReference(kind, obj.name, obj.metadata.uid, controller=True),),
    )
    return Pod(metadata, spec)


def _with_claims(spec: PodSpec, templates: tuple[VolumeClaimTemplate, ...], pod: str) -> PodSpec:
    """The spec with a volume for each claim template; it replaces a volume of the same name."""
    own = {template.name: Volume(template.name, ClaimVolume(f"{template.name}-{pod}")) for template in templates}
    others = tuple(volume for volume in spec.volumes if volume.name not in own)
    return replace(spec, volumes=(*others, *own.values()))


def _claims_of(obj: StatefulSet) -> Iterator[PersistentVolumeClaim]:
    """The claims that a StatefulSet makes, as they are before anything is bound."""
    first, count = _numbers(obj, obj.spec)
    for template in obj.spec.volume_claim_templates:
        for number in range(first, first + count):
            metadata = replace(
                template.metadata,
                name=f"{template.name}-{obj.name}-{number}",
                namespace=obj.metadata.home,
            )
            yield PersistentVolumeClaim(metadata, template.spec, PersistentVolumeClaimStatus("Pending"))
