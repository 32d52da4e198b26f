"""A cluster's objects as manifests, as if they had been read from a file; alone, or with files on top of them.

What is planned is the cluster as it is: a CronJob's next run and a Job that has ended are not a part of that. They are
told by their uid, so that the same holds for a snapshot.
"""

from __future__ import annotations

from copy import copy

from msgspec.structs import replace

from fretsaw.api import admission
from fretsaw.api.document import Document
from fretsaw.api.kinds import split
from fretsaw.api.labels import REGION, ZONE
from fretsaw.api.manifest import Manifests, no_collection
from fretsaw.api.pod import Pod, PodStatus
from fretsaw.api.workload import CronJob, Job
from fretsaw.api.yamltext import Chunk
from fretsaw.live.clean import cleaned
from fretsaw.live.reading import Reading

CLUSTER = "<cluster>"
"""The file that a live object is said to stand in."""
Identity = tuple[str, str, str, str]


def manifests_of(reading: Reading) -> Manifests:
    """The objects of a reading."""
    chunk = Chunk("", 1)
    with no_collection():
        trees = (cleaned(tree, with_env=True) for tree in reading.objects())
        documents = [Document(CLUSTER, tree, chunk, number) for number, tree in enumerate(trees)]
        for document in documents:
            admission.examine(document)
    return Manifests(documents)


def over(cluster: Manifests, files: Manifests) -> Manifests:
    """The cluster after these files were applied: an object of a file stands for the cluster's object of that name.

    A pod that is there stays as it is, as nothing that is planned with can be changed of it. A node class keeps what
    AWS is known to have for it.
    """
    known = {_identity(document): document for document in cluster.documents if document.known is not None}
    applied = [
        _applied(document, known.get(_identity(document)))
        for document in files.documents
        if document.kind != "Pod" or _identity(document) not in known
    ]
    replaced = {_identity(document) for document in applied if document.known is not None}
    kept = [document for document in cluster.documents if _identity(document) not in replaced]
    return Manifests([*kept, *applied])


def as_it_is(manifests: Manifests) -> Manifests:
    """Without a cluster's CronJobs, whose runs are Jobs once they are due, and without its Jobs that have ended."""
    return Manifests(document for document in manifests.documents if not _is_over(document))


def alone(manifests: Manifests, pod: str) -> Manifests:
    """A cluster with no node and no other pod, where this pod (`namespace/name`) waits: what would be bought for it?"""
    gone = {"Node", "NodeClaim", "Deployment", "ReplicaSet", "ReplicationController", "StatefulSet", "Job", "CronJob"}
    found = []
    for document in manifests.documents:
        if isinstance(document.obj, Pod):
            if document.obj.metadata.key != pod:
                continue
            found.append(_unbound(document, document.obj))
        elif document.kind not in gone:
            found.append(document)
    return Manifests(found)


def region_of(manifests: Manifests) -> str | None:
    """Where the cluster is: what its nodes say, or the subnets of its node classes; None where they do not say one."""
    labels = (document.obj.metadata.labels for document in manifests.of("Node") if document.obj is not None)
    found = {labels.get(REGION) or labels.get(ZONE, "")[:-1] for labels in labels} - {""}
    if not found:
        statuses = (document.raw.get("status") or {} for document in manifests.of("EC2NodeClass"))
        subnets = (subnet for status in statuses for subnet in status.get("subnets") or ())
        found = {str(subnet.get("zone") or "")[:-1] for subnet in subnets} - {""}
    return found.pop() if len(found) == 1 else None


def _unbound(document: Document, pod: Pod) -> Document:
    found = copy(document)
    found.obj = replace(pod, spec=replace(pod.spec, node_name=""), status=PodStatus())
    return found


def _is_over(document: Document) -> bool:
    obj = document.obj
    if obj is None or not obj.metadata.uid:
        return False
    if isinstance(obj, Job):
        return any(one.type in ("Complete", "Failed") and one.status == "True" for one in obj.status.conditions)
    return isinstance(obj, CronJob)


def _identity(document: Document) -> Identity:
    namespaced = document.known is not None and document.known.namespaced
    namespace = (document.namespace or "default") if namespaced else ""
    return split(document.api_version)[0], document.kind, namespace, document.name


def _applied(document: Document, before: Document | None) -> Document:
    if before is None or document.kind != "EC2NodeClass" or "status" not in before.raw:
        return document
    found = copy(document)
    found.raw = {**document.raw, "status": before.raw["status"]}
    return found
