"""How a node ends: tainted, drained group by group, its volumes detached, its instance terminated, then let go.

The order is kept by `end_node`, which stops at the first step that has to wait; the next look goes through all steps
again. A deadline (the claim's termination timestamp) bounds the drain and the wait for volumes.

Source: Karpenter v1.14 pkg/controllers/node/termination.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from fretsaw.api.node import Node, VolumeAttachment
from fretsaw.api.pod import Pod
from fretsaw.api.times import MINUTE, SECOND, Millis, millis, rfc3339
from fretsaw.engine import actions as a
from fretsaw.engine.evictions import delete, evict, grace_of, must_go
from fretsaw.engine.lifecycle import TERMINATION
from fretsaw.engine.managed import is_managed_node
from fretsaw.engine.pdbs import owned_by
from fretsaw.engine.sight import Sight
from fretsaw.engine.taints import DISRUPTED, untolerated

NO_TRAFFIC = "node.kubernetes.io/exclude-from-external-load-balancers"
"""The label that takes a node out of load balancers."""
LEAST_DRAIN: Millis = 5 * SECOND
"""A drain takes so long at least, so that pods that were bound just before are seen."""
STUCK: Millis = 1 * MINUTE
"""A pod that is there so long after it should have stopped is not waited for."""
ASK_AGAIN: Millis = 5 * SECOND
"""The wait before the cloud is asked again whether an instance has ended."""
CRITICAL = frozenset({"system-cluster-critical", "system-node-critical"})
"""Priority classes of the pods that go last."""
LISTED = 5
"""Volumes that an event names."""


def end_node(sight: Sight) -> None:
    """Bring a node that is being deleted to its end, as far as it goes now."""
    node = sight.node
    if node is None or not _is_ours(node):
        return
    if sight.claim is not None and not sight.deleting:
        sight.delete_claim("node_deleted")
        return
    if not sight.machine.ready and _vanished(sight):
        sight.release_node()
        return
    if sight.deadline is not None:
        warn_of_deadline(sight, f"Node/{node.metadata.name}", node.metadata.name)
    sight.node = cordoned(node)
    if _drained(sight) and _detached(sight, node) and (sight.claim is None or end_instance(sight)):
        sight.release_node()


def cordoned(node: Node) -> Node:
    """The node as no new pod may land on it, and no load balancer sends to it."""
    taints = (*(taint for taint in node.spec.taints if taint.key != DISRUPTED.key), DISRUPTED)
    labels = {**node.metadata.labels, NO_TRAFFIC: "karpenter"}
    if DISRUPTED in node.spec.taints and labels == node.metadata.labels:
        return node
    return replace(node, metadata=replace(node.metadata, labels=labels), spec=replace(node.spec, taints=taints))


def end_instance(sight: Sight) -> bool:
    """Whether the instance has ended, or there never was one; the cloud is asked to end it, now and again."""
    if not sight.provider_id or sight.lost:
        return True
    asked = sight.checked("terminate")
    if asked is None or sight.now - asked >= ASK_AGAIN:
        sight.order(a.TerminateInstance(sight.provider_id, sight.name))
        sight.check("terminate")
        asked = sight.now
    if sight.status("InstanceTerminating") != "True":
        sight.mark("InstanceTerminating", "True")
    sight.wake_at(asked + ASK_AGAIN)
    return False


def warn_of_deadline(sight: Sight, about: str, key: str) -> None:
    """Tell by when pods are deleted."""
    if sight.deadline is not None:
        text = f"All pods will be deleted by {rfc3339(sight.deadline)}"
        sight.tell(about, key, "TerminationGracePeriodExpiring", text, "Warning")


def is_drainable(pod: Pod, now: Millis) -> bool:
    """Whether a drain moves the pod: not those that tolerate it, not mirror pods, not those that stop for ever."""
    if untolerated((DISRUPTED,), pod.spec.tolerations) is None or owned_by(pod, "Node"):
        return False
    stopping = pod.metadata.deletion_timestamp
    return not stopping or now < millis(stopping) + STUCK


def waiting_for(pods: Iterable[Pod], now: Millis) -> tuple[Pod, ...]:
    """The pods that have to be gone before the node is drained. Those that say do-not-disrupt are among them."""
    return tuple(pod for pod in pods if not pod.is_terminal and is_drainable(pod, now))


def first_group(pods: Iterable[Pod]) -> tuple[Pod, ...]:
    """The pods that go next: plain ones before those of DaemonSets, and critical ones last."""
    groups: dict[tuple[bool, bool], list[Pod]] = {}
    for pod in pods:
        critical = pod.spec.priority_class_name in CRITICAL
        groups.setdefault((critical, owned_by(pod, "DaemonSet")), []).append(pod)
    return tuple(groups[min(groups)]) if groups else ()


def _is_ours(node: Node) -> bool:
    metadata = node.metadata
    return bool(metadata.deletion_timestamp) and TERMINATION in metadata.finalizers and is_managed_node(node)


def _vanished(sight: Sight) -> bool:
    """Whether the provider does not have the instance; of one without a claim only the listing tells."""
    if sight.lost or sight.provider_id in sight.state.unlisted:
        return True
    listed = sight.state.listed
    return sight.claim is None and listed is not None and sight.provider_id not in listed


def _drained(sight: Sight) -> bool:
    """Whether no pod is left that has to leave; those that are get their eviction, or are deleted."""
    if sight.claim is not None and sight.condition("Drained") is None:
        sight.mark("Drained", "Unknown", "Draining")
    waiting = waiting_for(sight.machine.pods, sight.now)
    if waiting:
        _send_away(sight, waiting)
        return False
    if sight.claim is None or sight.status("Drained") == "True":
        return True
    since = sight.since("Drained")
    if since <= sight.now < since + LEAST_DRAIN:  # one that began in the future says that a clock was set back
        sight.wake_at(since + LEAST_DRAIN)
        return False
    sight.mark("Drained", "True")
    return True


def _send_away(sight: Sight, waiting: tuple[Pod, ...]) -> None:
    name, deadline = sight.machine.node_name, sight.deadline
    forced = {pod.key: pod for pod in waiting if must_go(pod, deadline, sight.now)}
    for pod in forced.values():
        if deadline is not None:
            delete(sight, pod, deadline)
    for pod in first_group(pod for pod in waiting if pod.key not in forced):
        evict(sight, pod)
    for when in _next_times(waiting, deadline, sight.now):
        sight.wake_at(when)
    text = f"Failed to drain node, {len(waiting)} pods are waiting to be evicted"
    sight.tell(f"Node/{name}", name, "FailedDraining", text, "Warning")


def _next_times(waiting: Iterable[Pod], deadline: Millis | None, now: Millis) -> Iterator[Millis]:
    """When a pod stops being waited for, or has to be deleted, though nothing about it changes."""
    for pod in waiting:
        stopping = pod.metadata.deletion_timestamp
        if stopping:
            yield millis(stopping) + STUCK
        elif deadline is not None and now <= deadline - grace_of(pod):
            yield deadline - grace_of(pod) + 1


def _detached(sight: Sight, node: Node) -> bool:
    """Whether no volume is attached that is going to be detached, or the wait for it is given up."""
    attached = sorted(_attachments(sight, node))
    if not attached:
        if sight.status("VolumesDetached") == "Unknown":
            sight.mark("VolumesDetached", "True")
        return True
    deadline = sight.deadline
    if deadline is not None and sight.now >= deadline:
        sight.mark("VolumesDetached", "False", "TerminationGracePeriodElapsed")
        return True
    if deadline is not None:
        sight.wake_at(deadline)
    if sight.status("VolumesDetached") == "Unknown":
        sight.mark("VolumesDetached", "Unknown", "AwaitingVolumeDetachment")
    more = f" and {len(attached) - LISTED} other(s)" if len(attached) > LISTED else ""
    name = node.metadata.name
    text = f"Awaiting deletion of bound volumeattachments ({', '.join(attached[:LISTED])}{more})"
    sight.tell(f"Node/{name}", name, "AwaitingVolumeDetachment", text)
    return False


def _attachments(sight: Sight, node: Node) -> Iterator[str]:
    """Attachments of the node that go once its pods have: not those of volumes of pods that stay."""
    kept: frozenset[str] | None = None
    found: Iterable[VolumeAttachment] = sight.state.objects["VolumeAttachment"].values()
    for attachment in found:
        volume = attachment.spec.source.persistent_volume_name
        if attachment.spec.node_name != node.metadata.name or not volume:
            continue
        if kept is None:
            kept = frozenset(_volumes_that_stay(sight))
        if volume not in kept:
            yield attachment.metadata.name


def _volumes_that_stay(sight: Sight) -> Iterator[str]:
    """Volumes of the pods that the drain leaves alone."""
    for pod in sight.machine.pods:
        if is_drainable(pod, sight.now):
            continue
        for volume in pod.spec.volumes:
            claim = volume.persistent_volume_claim
            name = claim.claim_name if claim is not None else f"{pod.metadata.name}-{volume.name}"
            key = f"{pod.metadata.home}/{name}"
            if (claim is not None or volume.ephemeral is not None) and (
                found := sight.state.get("PersistentVolumeClaim", key)
            ) is not None:
                yield found.spec.volume_name
