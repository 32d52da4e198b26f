"""The first part of a claim's life: the finalizer, the order to the cloud, and its answer.

The order is made again when it is not answered or failed for now; the cloud knows it by the claim's name, so that there
is no second instance. An answer stays in the state until the claim itself says what it was.

Source: Karpenter v1.14 pkg/controllers/nodeclaim/lifecycle (launch.go).
"""

from __future__ import annotations

from msgspec.structs import replace

from fretsaw.api.times import MINUTE, SECOND, Millis
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.lifecycle import TERMINATION
from fretsaw.engine.sight import Sight, backoff
from fretsaw.engine.state import ClusterState

RETRY: Millis = 1 * SECOND
"""The first wait after a failed launch; each further one is twice as long."""
RETRY_MAX: Millis = 1 * MINUTE
"""The longest wait after a failed launch, and the wait for an answer before the order is made again."""
LONGEST_MESSAGE = 300
"""Characters of a cloud's message that a condition or an event takes."""
GIVEN_UP = "given up"
"""The look at a static pool that says when a launch of its was last given up."""
_GIVEN_UP = {"InsufficientCapacity": "insufficient_capacity", "NodeClassNotReady": "nodeclass_not_ready"}
"""Refusals after which the claim is deleted, so that its pods are planned anew, with the metric's reason."""


def protect(sight: Sight) -> bool:
    """Whether the claim has our finalizer, which is written before anything is ordered."""
    claim = sight.claim
    if claim is None or TERMINATION in claim.metadata.finalizers:
        return True
    metadata = replace(claim.metadata, finalizers=(*claim.metadata.finalizers, TERMINATION))
    sight.claim = replace(claim, metadata=metadata)
    return False


def label_class(sight: Sight) -> None:
    """Name the node class on a claim that lacks it: an older version, or somebody's hand, made it without."""
    claim = sight.claim
    if claim is None:
        return
    ref = claim.spec.node_class_ref
    if ref.label not in claim.metadata.labels:
        labels = {**claim.metadata.labels, ref.label: ref.name}
        sight.claim = replace(claim, metadata=replace(claim.metadata, labels=labels))


def launch(sight: Sight) -> None:
    """Order the claim's instance, or take note of what came of the order."""
    if sight.status("Launched") == "True" or adopt(sight):
        return
    if sight.provider_id:
        sight.mark("Launched", "True")
        return
    refused = sight.state.launching.get(sight.name)
    if isinstance(refused, e.LaunchRefused):
        _refused(sight, refused)
        if refused.kind in _GIVEN_UP:
            return
    _order(sight, answered=refused is not None)


def adopt(sight: Sight) -> bool:
    """Whether the cloud has given an instance; the claim then says which."""
    created = sight.state.launching.get(sight.name)
    if not isinstance(created, e.InstanceCreated) or sight.claim is None:
        return False
    claim = sight.claim
    status = replace(
        claim.status,
        provider_id=created.provider_id,
        image_id=created.image_id,
        capacity=created.capacity,
        allocatable=created.allocatable,
    )
    labels = {**created.labels, **claim.metadata.labels}
    sight.claim = replace(claim, metadata=replace(claim.metadata, labels=labels), status=status)
    sight.mark("Launched", "True")
    return True


def in_flight(sight: Sight) -> Millis | None:
    """Until when an order may still be answered; None where there was none, or it was answered."""
    asked = sight.checked("launch")
    if asked is None or sight.provider_id or sight.name in sight.state.launching:
        return None
    until = asked + sight.options.launch_timeout
    return until if sight.now < until else None


def strays(state: ClusterState) -> tuple[e.InstanceCreated, ...]:
    """Instances that the cloud gave to claims that are there no longer."""
    return tuple(
        answer
        for claim, answer in state.launching.items()
        if isinstance(answer, e.InstanceCreated) and claim not in state.claims
    )


def _order(sight: Sight, *, answered: bool) -> None:
    """Ask the cloud, unless it is asked already or the next try has to wait."""
    first, last = sight.checked("first launch"), sight.checked("launch")
    due = backoff(first, last, RETRY, RETRY_MAX) if answered else (last + RETRY_MAX if last is not None else 0)
    if sight.now < due:
        sight.wake_at(due)
        return
    if sight.claim is not None:
        sight.order(a.LaunchInstance(sight.claim))
        sight.check("launch")
        if first is None:
            sight.check("first launch")
        sight.wake_at(sight.now + RETRY_MAX)


def _refused(sight: Sight, refused: e.LaunchRefused) -> None:
    message = refused.message
    if len(message) > LONGEST_MESSAGE:
        message = f"{message[:LONGEST_MESSAGE]}..."
    if refused.kind == "InsufficientCapacity":
        text = f"NodeClaim {sight.name} event: {message}"
        sight.tell(f"NodeClaim/{sight.name}", sight.name, "InsufficientCapacityError", text, "Warning")
    if refused.kind in _GIVEN_UP:
        sight.delete_claim(_GIVEN_UP[refused.kind])
        pool = sight.state.pools.get(sight.machine.pool)
        if pool is not None and pool.spec.replicas is not None:
            sight.check(GIVEN_UP, pool.metadata.name)
    elif refused.kind == "CreateError":
        sight.mark("Launched", "Unknown", refused.reason or "LaunchFailed", message)
    else:
        sight.mark("Launched", "Unknown", "LaunchFailed", message)
