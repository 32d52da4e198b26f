"""What is to be done: commands keyed by the object's name, which a world performs.

Performing one twice is harmless, losing one is repaired by the next turn, since `turn` looks at the state and not at
what it asked for before.
"""

from __future__ import annotations

import msgspec

from fretsaw.api.node import Node
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.nodepool import NodePool


class Action(msgspec.Struct, frozen=True, tag=True, tag_field="action", rename="camel", omit_defaults=True):
    """Base of all actions."""


class CreateClaim(Action, frozen=True):
    """Make a NodeClaim. reason: `provisioned`, or the disruption's reason in lower case."""

    claim: NodeClaim
    reason: str = "provisioned"
    pods: tuple[str, ...] = ()
    """The pods that it is for, `namespace/name`."""


class UpdateClaim(Action, frozen=True):
    """Write a claim's metadata and status as they are here; its spec never changes."""

    claim: NodeClaim


class UpdateNode(Action, frozen=True):
    """Write a node's metadata and spec as they are here. A node that is left without finalizers while deleted goes."""

    node: Node


class UpdatePool(Action, frozen=True):
    """Write a pool's annotations and status as they are here."""

    pool: NodePool


class DeleteClaim(Action, frozen=True):
    """Ask for a claim's deletion. reason: as the metric says it, such as `expired`, `empty`, `launch_timeout`."""

    name: str
    reason: str


class DeleteNode(Action, frozen=True):
    """Ask for a node's deletion."""

    name: str


class LaunchInstance(Action, frozen=True):
    """Ask the cloud for the claim's instance. Answered by InstanceCreated or LaunchRefused, once for each claim."""

    claim: NodeClaim


class TerminateInstance(Action, frozen=True):
    """Ask the cloud to end an instance. Answered by InstanceGone when it is no longer there."""

    provider_id: str
    claim: str


class Evict(Action, frozen=True):
    """Ask the eviction API to remove a pod. Answered by EvictionAnswered."""

    pod: str
    uid: str
    node: str
    reason: str


class DeletePod(Action, frozen=True):
    """Delete a pod whatever protects it, with this grace."""

    pod: str
    uid: str
    grace_s: int
    reason: str


class NominatePod(Action, frozen=True):
    """Set `status.nominatedNodeName` of a pod; an empty node withdraws it."""

    pod: str
    node: str


class Tell(Action, frozen=True):
    """A Kubernetes Event about an object. kind/name: `NodeClaim/gpu-x1`, `Node/…`, `NodePool/…`, `Pod/ns/name`."""

    about: str
    reason: str
    message: str
    type: str = "Normal"


AnyAction = (
    CreateClaim
    | UpdateClaim
    | UpdateNode
    | UpdatePool
    | DeleteClaim
    | DeleteNode
    | LaunchInstance
    | TerminateInstance
    | Evict
    | DeletePod
    | NominatePod
    | Tell
)
