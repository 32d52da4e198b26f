"""What a NodePool says of itself: how much it has, whether it can be used, how registrations went, and its hash.

Source: Karpenter v1.14 pkg/controllers/nodepool (counter, hash, readiness, registrationhealth, validation),
pkg/state/nodepoolhealth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from fretsaw.api import runtime
from fretsaw.api.labels import NODEPOOL
from fretsaw.api.meta import Condition
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.nodepool import NodePool, NodePoolStatus
from fretsaw.api.resources import render
from fretsaw.api.times import SECOND, Millis, millis
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.conditions import Conditions, awaited, by_type, put, rooted
from fretsaw.engine.machines import Machine
from fretsaw.engine.pool_hash import HASH, HASH_VERSION, VERSION, pool_hash
from fretsaw.engine.requests import Amounts
from fretsaw.engine.roster import capacity
from fretsaw.engine.sight import REPAIR, Look
from fretsaw.engine.state import HISTORY, ClusterState

DEPENDENTS = ("ValidationSucceeded", "NodeClassReady")
HEALTHY = "NodeRegistrationHealthy"
COUNT_AGAIN: Millis = 5 * SECOND
"""Time between two counts of a pool's nodes."""
COUNTED = ("cpu", "memory", "pods", "ephemeral-storage", "nodes")
"""Resources that a pool's status names even when there is nothing of them."""
_ASKED_AGAIN = "Unknown"


def look_at_pool(
    state: ClusterState, pool: NodePool, now: Millis, hash_of: Callable[[NodePool], str] = pool_hash
) -> Look:
    """What the pool's status, conditions and annotations have to become, and those of claims with an older hash.

    Called when a machine, the pool or its node class has changed; nodes are counted every 5 s at most.
    """
    notes: list[e.Event] = []
    claims = tuple(_rehashed(state, pool, hash_of))
    health = _history(state, pool, notes)
    status = replace(pool.status, node_class_observed_generation=_class_generation(state, pool))
    status = replace(status, conditions=_conditions(state, pool, health, now))
    wake = None
    last = state.checked.get(("count", pool.metadata.name))
    if last is not None and now - last < COUNT_AGAIN:
        wake = last + COUNT_AGAIN
    else:
        status = counted(status, usage(state, pool))
        notes.append(e.Checked("count", pool.metadata.name, now))
    metadata = replace(pool.metadata, annotations={**pool.metadata.annotations, **_hashes(pool, hash_of)})
    after = replace(pool, metadata=metadata, status=status)
    updates = (a.UpdatePool(after),) if after != pool else ()
    if claims or updates:
        wake = min(wake or now + REPAIR, now + REPAIR)
    return Look((*claims, *updates), tuple(notes), wake)


def usage(state: ClusterState, pool: NodePool) -> Amounts:
    """What the pool's nodes and claims have in all, those that go left out."""
    name = pool.metadata.name
    held = state.roster.capacities(name)
    marked = [m for one in state.marked if (m := state.machines.get(one)) is not None and _counts(m, name)]
    if marked:
        held = held.copy()
        for machine in marked:
            held.add(capacity(machine), -1)
    found = dict.fromkeys((*COUNTED, *_further(state, name, set(held.resources()) - set(COUNTED))), 0)
    return {resource: held.total[resource] for resource in found} | {"nodes": held.number + held.total["nodes"]}


def _counts(machine: Machine, pool: str) -> bool:
    return machine.pool == pool and not machine.deleting and not machine.terminating


def _further(state: ClusterState, pool: str, resources: set[str]) -> Iterable[str]:
    """The resources in the order in which the pool's machines name them."""
    if len(resources) < 2:
        return resources
    found: dict[str, None] = {}
    for machine in state.machines.values():
        if _counts(machine, pool) and machine.name not in state.marked:
            found |= dict.fromkeys(name for name in capacity(machine) if name in resources)
            if len(found) == len(resources):
                break
    return found


def counted(status: NodePoolStatus, total: Amounts) -> NodePoolStatus:
    """The status with these amounts."""
    resources: dict[str, Any] = {name: render(name, amount) for name, amount in total.items()}
    return replace(status, resources=resources, nodes=total["nodes"])


def is_unhealthy(history: Sequence[bool]) -> bool:
    """Whether registrations fail too often: half of the last four, however few there were."""
    return 2 * sum(not well for well in history) >= HISTORY


# The hash


def _hashes(pool: NodePool, hash_of: Callable[[NodePool], str]) -> dict[str, str]:
    return {HASH: hash_of(pool), HASH_VERSION: VERSION}


def _rehashed(state: ClusterState, pool: NodePool, hash_of: Callable[[NodePool], str]) -> Iterator[a.UpdateClaim]:
    """Claims whose hash is of another version: they get the new one, but those that have drifted stay so."""
    if pool.metadata.annotations.get(HASH_VERSION) == VERSION:
        return
    for claim in state.claims.values():
        metadata = claim.metadata
        if metadata.labels.get(NODEPOOL) != pool.metadata.name or metadata.annotations.get(HASH_VERSION) == VERSION:
            continue
        hashes = _hashes(pool, hash_of) if claim.condition("Drifted") is None else {HASH_VERSION: VERSION}
        yield a.UpdateClaim(replace(claim, metadata=replace(metadata, annotations={**metadata.annotations, **hashes})))


# Conditions


def _conditions(state: ClusterState, pool: NodePool, health: Condition, now: Millis) -> tuple[Condition, ...]:
    before = by_type(pool.status.conditions)
    generation = pool.metadata.generation
    created = millis(pool.metadata.creation_timestamp) if pool.metadata.creation_timestamp else now
    found = awaited(before, DEPENDENTS, created, generation)
    found = _put(found, _validated(pool, before), now, generation)
    found = _put(found, _class_ready(state, pool), now, generation)
    found = _put(found, health, now, generation)
    return tuple(rooted(found, DEPENDENTS, now, generation).values())


def _put(conditions: Conditions, c: Condition, now: Millis, generation: int | None) -> Conditions:
    return put(conditions, c.type, c.status, now, reason=c.reason, message=c.message, generation=generation)


def _validated(pool: NodePool, before: Conditions) -> Condition:
    """What the rules say that the API server does not know; they are asked once for each generation."""
    known = before.get("ValidationSucceeded")
    current = known is not None and known.observed_generation == pool.metadata.generation
    if known is not None and current and known.status != _ASKED_AGAIN:
        return known
    problems = [f"{p.path}: {p.message}" for p in runtime.node_pool(_tree(pool)) if p.severity == "error"]
    if problems:
        return Condition("ValidationSucceeded", "False", "NodePoolValidationFailed", "; ".join(problems))
    return Condition("ValidationSucceeded", "True")


def _tree(pool: NodePool) -> dict[str, Any]:
    """The pool as the rules read it: as a document."""
    found: dict[str, Any] = msgspec.to_builtins(pool)
    for requirement in found["spec"]["template"]["spec"]["requirements"]:
        if not requirement.get("values"):
            requirement.pop("values", None)
    return found


def _class_ready(state: ClusterState, pool: NodePool) -> Condition:
    ref = pool.spec.template.spec.node_class_ref
    found = state.get(ref.kind, ref.name)
    if found is None:
        return Condition("NodeClassReady", "False", "NodeClassNotFound", "NodeClass not found on cluster")
    if found.metadata.deletion_timestamp:
        return Condition("NodeClassReady", "False", "NodeClassTerminating", "NodeClass is Terminating")
    ready = next((c for c in found.status.conditions if c.type == "Ready"), None)
    if ready is None or ready.status not in ("True", "False"):
        return Condition("NodeClassReady", "False", "NodeClassReadinessUnknown", "Node Class Readiness Unknown")
    if ready.status == "False":
        return Condition("NodeClassReady", "False", ready.reason, ready.message)
    return Condition("NodeClassReady", "True")


def _class_generation(state: ClusterState, pool: NodePool) -> int | None:
    """The generation of the node class; the one that was last seen where there is none now."""
    ref = pool.spec.template.spec.node_class_ref
    found = state.get(ref.kind, ref.name)
    generation: int | None = found.metadata.generation if found is not None else None
    return generation if generation is not None else pool.status.node_class_observed_generation


# The history of registrations


def _history(state: ClusterState, pool: NodePool, notes: list[e.Event]) -> Condition:
    """What the last registrations say. A changed pool or node class begins anew, as does a restart."""
    known = pool.condition(HEALTHY)
    if known is None or _is_stale(state, pool, known):
        notes.append(e.HealthForgotten(pool.metadata.name))
        return Condition(HEALTHY, "Unknown", "AwaitingReconciliation")
    history = state.health.get(pool.metadata.name)
    if history is None:
        seen = {"True": True, "False": False}.get(known.status)
        notes.append(e.HealthForgotten(pool.metadata.name, seen))
        return known
    if is_unhealthy(history):
        return known if known.status == "False" else _failed(state, pool)
    return Condition(HEALTHY, "True") if history and history[-1] else known


def _is_stale(state: ClusterState, pool: NodePool, known: Condition) -> bool:
    return (
        known.observed_generation != pool.metadata.generation
        or _class_generation(state, pool) != pool.status.node_class_observed_generation
    )


def _failed(state: ClusterState, pool: NodePool) -> Condition:
    """Why registrations fail: what the cloud said about a launch, where it said something."""
    for name in sorted(state.claims):
        claim: NodeClaim = state.claims[name]
        launched = claim.condition("Launched")
        if claim.metadata.labels.get(NODEPOOL) != pool.metadata.name or launched is None:
            continue
        if launched.status == "Unknown" and launched.reason not in ("", "AwaitingReconciliation"):
            return Condition(HEALTHY, "False", launched.reason, launched.message)
    return Condition(HEALTHY, "False", "RegistrationFailed", "Failed to register node")
