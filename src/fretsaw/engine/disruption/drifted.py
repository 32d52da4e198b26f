"""Whether a claim is still what its pool, its catalog and its node class ask for.

The lifecycle asks, and writes the answer into the claim's Drifted condition; the drift methods read it there.
Source: Karpenter v1.14 pkg/controllers/nodeclaim/disruption drift.go.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec

from fretsaw.api.catalog import InstanceType, Offering
from fretsaw.api.labels import CAPACITY_TYPE, INSTANCE_TYPE, ZONE, normalize
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.nodepool import NodePool
from fretsaw.api.selection import NodeSelectorRequirement
from fretsaw.api.times import HOUR, MINUTE, Millis, millis
from fretsaw.engine.pool_hash import HASH, HASH_VERSION
from fretsaw.engine.requirement import Requirement
from fretsaw.engine.requirements import Requirements
from fretsaw.engine.universe import RESERVED, Universe

LOOKED_UP: Final = "instance type"
"""The name under which it is remembered when a claim's instance type was last found."""
GROWN_UP: Final[Millis] = 1 * HOUR
"""Younger claims are not held against the catalog: it may lag behind what was just launched."""
LOOK_UP_AGAIN: Final[Millis] = 30 * MINUTE
_RESERVATION = "karpenter.k8s.aws/capacity-reservation"
"""Labels that begin so change when an instance leaves its reservation."""


class Verdict(msgspec.Struct, frozen=True):
    """The reason why a claim has drifted, empty where it has not."""

    reason: str = ""
    looked_up: bool = False
    """The instance type was looked up and found: remember that, to leave it alone for a while."""


def verdict(
    claim: NodeClaim,
    pool: NodePool,
    universe: Universe | None,
    now: Millis,
    *,
    looked_up: Millis | None = None,
    provider: str = "",
) -> Verdict:
    """Whether a launched claim has drifted; the first reason in the peer's order counts.

    universe: what the pool can launch, on sale or not; None where that is not known: it is then no reason.
    looked_up: when the instance type was last found. provider: what the provider itself says.
    """
    if hash_differs(claim, pool):
        return Verdict("NodePoolDrifted")
    if requirements_differ(claim, pool):
        return Verdict("RequirementsDrifted")
    due = looked_up is None or now - looked_up >= LOOK_UP_AGAIN
    if universe is None or not due or _age(claim, now) <= GROWN_UP:
        return Verdict(provider)
    if not is_offered(claim, universe):
        return Verdict("InstanceTypeNotFound")
    return Verdict(provider, looked_up=True)


def hash_differs(claim: NodeClaim, pool: NodePool) -> bool:
    """Whether the pool's template has changed since the claim was made.

    Only where both carry a hash of the same version: another version says nothing.
    """
    ours, theirs = pool.metadata.annotations, claim.metadata.annotations
    if any(key not in known for key in (HASH, HASH_VERSION) for known in (ours, theirs)):
        return False
    return ours[HASH_VERSION] == theirs[HASH_VERSION] and ours[HASH] != theirs[HASH]


def requirements_differ(claim: NodeClaim, pool: NodePool) -> bool:
    """Whether the claim's labels no longer meet the pool's requirements; a label that is missing meets only absence."""
    return _differ(tuple(sorted(claim.metadata.labels.items())), pool.spec.template.spec.requirements)


@lru_cache(maxsize=4096)
def _differ(labels: tuple[tuple[str, str], ...], requirements: tuple[NodeSelectorRequirement, ...]) -> bool:
    asked = Requirements(Requirement.of(normalize(r.key), r.operator, r.values) for r in requirements)
    return Requirements.of_labels(dict(labels)).conflict(asked) is not None


def is_offered(claim: NodeClaim, universe: Universe) -> bool:
    """Whether the catalog has the claim's instance type where and as it was bought, on sale or not.

    An instance of a reservation counts as offered where its type is offered on demand, too.
    """
    t = universe.number.get(claim.metadata.labels.get(INSTANCE_TYPE, ""))
    return t is not None and _has_offering(claim, universe.catalog.instance_types[t])


def _has_offering(claim: NodeClaim, instance_type: InstanceType) -> bool:
    labels: dict[str, tuple[str, ...]] = {normalize(key): (value,) for key, value in claim.metadata.labels.items()}
    if claim.metadata.labels.get(CAPACITY_TYPE) == RESERVED:
        labels = {key: values for key, values in labels.items() if not key.startswith(_RESERVATION)}
        labels[CAPACITY_TYPE] = (RESERVED, "on-demand")
    return any(_matches(offering, labels) for offering in instance_type.offerings)


def _matches(offering: Offering, labels: dict[str, tuple[str, ...]]) -> bool:
    """Whether none of the offering's labels contradicts; those that the claim does not have may be anything."""
    own = {ZONE: offering.zone, CAPACITY_TYPE: offering.capacity_type}
    own |= {normalize(key): value for key, value in offering.labels.items()}
    return all(value in labels.get(key, (value,)) for key, value in own.items())


def _age(claim: NodeClaim, now: Millis) -> Millis:
    created = claim.metadata.creation_timestamp
    return now - millis(created) if created else 0
