"""The life of a NodeClaim: its phases, and what leads from one to the next.

A phase is not stored: `phase_of` reads it from the claim's deletion time and conditions. Every change that a look makes
to a claim is walked along `TRANSITIONS`, so that a claim can take no other way than the one in the table; the diagram
in the documentation is drawn from it.

    Created ─ launch ─▶ Launched ─ register ─▶ Registered ─ initialize ─▶ Initialized
        └──── delete ───────┤                      └────── delete ─────────────┤
                            ▼                                                  ▼
                        Abandoned ────────────▶ InstanceTerminating ◀── … ─ Draining
                            └───────────────────────▶ Gone

Source: Karpenter v1.14 pkg/controllers/nodeclaim/lifecycle, pkg/controllers/node/termination.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.engine.machines import Machine
from fretsaw.errors import BrokenInvariant

TERMINATION = "karpenter.sh/termination"
"""The finalizer that keeps claims and nodes until their instance has ended."""


class Phase(StrEnum):
    """Where a claim stands."""

    CREATED = "Created"
    LAUNCHED = "Launched"
    REGISTERED = "Registered"
    INITIALIZED = "Initialized"
    ABANDONED = "Abandoned"
    DRAINING = "Draining"
    DRAINED = "Drained"
    VOLUMES_DETACHED = "VolumesDetached"
    INSTANCE_TERMINATING = "InstanceTerminating"
    GONE = "Gone"


class What(StrEnum):
    """What happens to a claim. The order is that in which several of them count when they are seen at once."""

    LAUNCH = "launch"
    REGISTER = "register"
    INITIALIZE = "initialize"
    DELETE = "delete"
    DRAIN = "drain"
    DETACH = "detach"
    TERMINATE = "terminate"
    FINALIZE = "finalize"


TRANSITIONS: dict[tuple[Phase, What], Phase] = {
    # The cloud answered the order with an instance.
    (Phase.CREATED, What.LAUNCH): Phase.LAUNCHED,
    # The launch was refused for good, took too long, or somebody deleted the claim.
    (Phase.CREATED, What.DELETE): Phase.ABANDONED,
    # The instance's node has joined, and has the claim's labels and taints.
    (Phase.LAUNCHED, What.REGISTER): Phase.REGISTERED,
    # No node came in time, or somebody deleted the claim.
    (Phase.LAUNCHED, What.DELETE): Phase.ABANDONED,
    # The node is ready, without startup taints, and has every resource that was asked for.
    (Phase.REGISTERED, What.INITIALIZE): Phase.INITIALIZED,
    # Expired, interrupted, sick, vanished, no longer wanted, or deleted by hand before it was ready for pods.
    (Phase.REGISTERED, What.DELETE): Phase.DRAINING,
    # The same for a node that was in use; also disruptions.
    (Phase.INITIALIZED, What.DELETE): Phase.DRAINING,
    # The cloud's answer to the order came after the deletion.
    (Phase.ABANDONED, What.LAUNCH): Phase.ABANDONED,
    # The node had joined when the claim was deleted, and is drained like any other.
    (Phase.ABANDONED, What.REGISTER): Phase.DRAINING,
    # There is an instance to end, and no node to drain.
    (Phase.ABANDONED, What.TERMINATE): Phase.INSTANCE_TERMINATING,
    # There never was an instance, or it has ended by itself.
    (Phase.ABANDONED, What.FINALIZE): Phase.GONE,
    # No pod is left that has to leave.
    (Phase.DRAINING, What.DRAIN): Phase.DRAINED,
    # The node was taken away by force while it drained.
    (Phase.DRAINING, What.TERMINATE): Phase.INSTANCE_TERMINATING,
    # The instance vanished while its node drained.
    (Phase.DRAINING, What.FINALIZE): Phase.GONE,
    # No volume is attached any more, or the grace period is over.
    (Phase.DRAINED, What.DETACH): Phase.VOLUMES_DETACHED,
    # The node was taken away by force while volumes were attached.
    (Phase.DRAINED, What.TERMINATE): Phase.INSTANCE_TERMINATING,
    # The instance vanished while volumes were attached.
    (Phase.DRAINED, What.FINALIZE): Phase.GONE,
    # The cloud is asked to end the instance.
    (Phase.VOLUMES_DETACHED, What.TERMINATE): Phase.INSTANCE_TERMINATING,
    # The instance vanished before the cloud was asked.
    (Phase.VOLUMES_DETACHED, What.FINALIZE): Phase.GONE,
    # The cloud no longer finds the instance.
    (Phase.INSTANCE_TERMINATING, What.FINALIZE): Phase.GONE,
}


def step(phase: Phase, what: What, story: str = "") -> Phase:
    """The phase after something happened. Raises BrokenInvariant with the story where that cannot be."""
    after = TRANSITIONS.get((phase, what))
    if after is None:
        raise BrokenInvariant(f"{story or 'a NodeClaim'}: {what} in phase {phase}")
    return after


def phase_of(machine: Machine) -> Phase:
    """Where a machine stands; a node without a claim is in use until it is deleted."""
    if machine.claim is not None:
        return phase_of_claim(machine.claim)
    if machine.node is None:
        return Phase.GONE
    return Phase.DRAINING if machine.deleting else Phase.INITIALIZED


def phase_of_claim(claim: NodeClaim | None) -> Phase:
    """Where a claim stands; None is one that is there no longer."""
    if claim is None:
        return Phase.GONE
    reached = _reached(claim)
    if claim.metadata.deletion_timestamp:
        return next((phase for what, phase in _DYING if what in reached), Phase.ABANDONED)
    return next((phase for what, phase in _LIVING if what in reached), Phase.CREATED)


def walk(before: NodeClaim, after: NodeClaim | None) -> Phase:
    """Go from one version of a claim to a later one along the table; the phase that is reached.

    Raises BrokenInvariant where the table has no such way, or leads elsewhere than where the claim says it is.
    """
    phase = phase_of_claim(before)
    story = f"nodeclaim/{before.metadata.name}: {_story(before)} → {_story(after) if after is not None else 'gone'}"
    for what in _happened(before, after):
        phase = step(phase, what, story)
    if phase is not phase_of_claim(after):
        raise BrokenInvariant(f"{story}: in phase {phase_of_claim(after)} instead of {phase}")
    return phase


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    edges = [f"    {phase} --> {after}: {what}" for (phase, what), after in TRANSITIONS.items()]
    return "\n".join(
        ("stateDiagram-v2", f"    [*] --> {Phase.CREATED}: create", *edges, f"    {Phase.GONE} --> [*]", "")
    )


_LIVING = (
    (What.INITIALIZE, Phase.INITIALIZED),
    (What.REGISTER, Phase.REGISTERED),
    (What.LAUNCH, Phase.LAUNCHED),
)
"""Where a claim stands by the last thing that happened to it, the latest first."""
_DYING = (
    (What.FINALIZE, Phase.GONE),
    (What.TERMINATE, Phase.INSTANCE_TERMINATING),
    (What.DETACH, Phase.VOLUMES_DETACHED),
    (What.DRAIN, Phase.DRAINED),
    (What.REGISTER, Phase.DRAINING),
)
"""The same for one that is deleted."""
_CONDITIONS = {
    "Launched": What.LAUNCH,
    "Registered": What.REGISTER,
    "Initialized": What.INITIALIZE,
    "Drained": What.DRAIN,
    "VolumesDetached": What.DETACH,
    "InstanceTerminating": What.TERMINATE,
}


def _reached(claim: NodeClaim) -> set[What]:
    """What has happened to a claim so far. Volumes count as detached when the wait for them was given up."""
    found = {
        _CONDITIONS[c.type]
        for c in claim.status.conditions
        if c.type in _CONDITIONS and (c.status == "True" or (c.type == "VolumesDetached" and c.status == "False"))
    }
    if claim.metadata.deletion_timestamp:
        found.add(What.DELETE)
        if TERMINATION not in claim.metadata.finalizers:
            found.add(What.FINALIZE)
    return found


def _happened(before: NodeClaim, after: NodeClaim | None) -> Iterator[What]:
    old = _reached(before)
    new = _reached(after) if after is not None else old | {What.DELETE, What.FINALIZE}
    return (what for what in What if what in new and what not in old)


def _story(claim: NodeClaim) -> str:
    """The claim in one line, for whoever has to find out."""
    said = [f"{c.type}={c.status}" for c in claim.status.conditions]
    if claim.metadata.deletion_timestamp:
        said.append(f"deleted {claim.metadata.deletion_timestamp}")
    return " ".join((*said, f"finalizers={','.join(claim.metadata.finalizers) or 'none'}"))
