"""What makes a claim go, or says that it may: timeouts, expiry, interruptions, lost instances, age of its pods, drift.

Each part asks for the claim's deletion again in every look until the claim is deleted, so that a lost order is
repaired; none of them looks at budgets or at what protects pods.

Source: Karpenter v1.14 pkg/controllers/nodeclaim (lifecycle/liveness.go, expiration, garbagecollection, disruption,
podevents, consistency); AWS provider v1.14 pkg/controllers/interruption.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from fretsaw.api.labels import NODEPOOL
from fretsaw.api.resources import units
from fretsaw.api.times import HOUR, MINUTE, SECOND, Millis, millis, rfc3339
from fretsaw.engine.joining import report_registration
from fretsaw.engine.sight import DEADLINE, Sight, spans

CONSISTENCY: Millis = 10 * MINUTE
"""Time between two comparisons of a node with what was bought."""
LEAST_CAPACITY = 90
"""Per cent of the expected capacity below which a node is no longer what was bought."""
POD_EVENTS: Millis = 10 * SECOND
"""Pod events that follow one another sooner than this count as one."""
GROWN_UP: Millis = 1 * HOUR
"""From this age on a claim is held against the catalog. What else can make it drift comes with an event: a change of
its pool, its catalog or what the provider says, so that nobody has to look every few minutes."""

_TOLD = {
    "spot_interrupted": ("Warning", "SpotInterrupted", "Spot interruption warning was triggered"),
    "capacity_reservation_interrupted": (
        "Warning",
        "CapacityReservationInstanceInterrupted",
        "Capacity Reservation interruption warning was triggered",
    ),
    "rebalance_recommendation": (
        "Normal",
        "SpotRebalanceRecommendation",
        "Spot rebalance recommendation was triggered",
    ),
    "scheduled_change": ("Warning", "InstanceUnhealthy", "An unhealthy warning was triggered for the instance"),
    "instance_stopped": ("Warning", "InstanceStopping", "Instance is stopping"),
    "instance_terminated": ("Warning", "InstanceTerminating", "Instance is terminating"),
    "instance_status": ("Warning", "InstanceUnhealthy", "An unhealthy warning was triggered for the instance"),
}
"""The event for each kind of announcement: type, reason, message."""
HARMLESS = frozenset({"rebalance_recommendation"})
"""Announcements that are told and not acted upon."""
FORCEFUL = frozenset({"instance_status"})
"""Announcements after which there is no time to drain: what protects pods no longer counts."""


def live(sight: Sight) -> None:
    """Give a claim up that has not launched, or whose node has not registered, in time."""
    if sight.status("Registered") == "True":
        return
    options = sight.options
    for type_, timeout, reason in (
        ("Launched", options.launch_timeout, "launch_timeout"),
        ("Registered", options.registration_timeout, "registration_timeout"),
    ):
        if sight.status(type_) == "True":
            continue
        deadline = sight.since(type_) + timeout
        if sight.now >= deadline:
            report_registration(sight, well=False)
            sight.delete_claim(reason)
        else:
            sight.wake_at(deadline)


def expire(sight: Sight) -> None:
    """Delete a claim that has reached its age, whatever runs on it."""
    claim = sight.claim
    age = spans(claim.spec.expire_after) if claim is not None else None
    if claim is None or age is None or not claim.metadata.creation_timestamp:
        return
    end = millis(claim.metadata.creation_timestamp) + age
    if sight.now >= end:
        sight.delete_claim("expired")
    else:
        sight.wake_at(end)


def interrupt(sight: Sight) -> None:
    """Act on what the cloud announced about the instance: tell, and cordon and drain by deleting the claim.

    The announcement is put away once the claim is deleted, and has its deadline where there is no time to drain.
    """
    if not sight.state.interruptions:
        return
    kind = sight.state.interruptions.get(sight.provider_id)
    if kind is None:
        return
    _announce(sight, *_TOLD[kind])
    if kind in FORCEFUL and sight.deadline is None:
        sight.annotate(DEADLINE, rfc3339(sight.now))
    elif sight.deleting or kind in HARMLESS:
        sight.check("interruption", sight.provider_id)
    if kind not in HARMLESS and not sight.deleting:
        sight.delete_claim(kind)
        text = "Interruption triggered termination for the"
        _both(sight, "Warning", "TerminatingOnInterruption", f"{text} NodeClaim", f"{text} Node")


def collect(sight: Sight) -> None:
    """Delete a registered claim whose instance the provider does not have, unless its node says it is well."""
    missing = sight.lost or sight.provider_id in sight.state.unlisted
    if missing and sight.status("Registered") == "True" and not sight.machine.ready:
        sight.delete_claim("garbage_collected")


def compare(sight: Sight) -> None:
    """See now and then whether the node has what was bought. Advice only: nothing is done about it."""
    if sight.status("Initialized") != "True" or sight.node is None:
        return
    last = sight.checked("consistency")
    if last is not None and sight.now - last < CONSISTENCY:
        sight.wake_at(last + CONSISTENCY)
        return
    short = list(_short(sight))
    for text in short:
        sight.tell(f"NodeClaim/{sight.name}", sight.name, "FailedConsistencyCheck", text, "Warning")
    if short:
        sight.mark("ConsistentStateFound", "False", "ConsistencyCheckFailed", "Consistency Check Failed")
    else:
        sight.mark("ConsistentStateFound", "True")
    sight.check("consistency")


def hear_pods(sight: Sight) -> None:
    """Keep the time of the last pod that came or went. Pods of DaemonSets do not count."""
    node, claim = sight.node, sight.claim
    if node is None or claim is None:
        return
    heard = sight.checked("pods", node.metadata.name)
    if node.metadata.name in sight.state.pods_moved:
        heard = sight.now
        sight.check("pods", node.metadata.name)
    last = claim.status.last_pod_event_time
    if heard is not None and (last is None or heard - millis(last) >= POD_EVENTS):
        sight.claim = replace(claim, status=replace(claim.status, last_pod_event_time=rfc3339(heard)))


def consolidatable(sight: Sight) -> None:
    """Say whether the claim's pods have been the same for long enough. Pools with a fixed size do not ask."""
    claim = sight.claim
    pool = sight.state.pools.get(claim.metadata.labels.get(NODEPOOL, "")) if claim is not None else None
    if claim is None or pool is None or pool.spec.replicas is not None:
        return
    after = spans(pool.spec.disruption.consolidate_after)
    if after is None or sight.status("Initialized") != "True":
        sight.clear("Consolidatable")
        return
    last = claim.status.last_pod_event_time
    ripe = (millis(last) if last else sight.since("Initialized")) + after
    if sight.now < ripe:
        sight.clear("Consolidatable")
        sight.wake_at(ripe)
    elif sight.status("Consolidatable") != "True":
        sight.mark("Consolidatable", "True")


def drift(sight: Sight, reason: str) -> None:
    """Say whether the claim is what its pool and node class ask for. reason: why not, empty if it is."""
    if sight.status("Launched") != "True" or not reason:
        sight.clear("Drifted")
    else:
        sight.mark("Drifted", "True", reason, reason)
    grown_up = sight.since("Launched") + GROWN_UP
    if sight.status("Launched") == "True" and sight.now <= grown_up:
        sight.wake_at(grown_up + 1)


def _announce(sight: Sight, type_: str, reason: str, message: str) -> None:
    _both(sight, type_, reason, message, message)


def _both(sight: Sight, type_: str, reason: str, of_claim: str, of_node: str) -> None:
    """Tell of the claim and of its node."""
    sight.tell(f"NodeClaim/{sight.name}", sight.name, reason, of_claim, type_)
    if sight.node is not None:
        name = sight.node.metadata.name
        sight.tell(f"Node/{name}", name, reason, of_node, type_)


def _short(sight: Sight) -> Iterator[str]:
    """What the node has too little of, in words."""
    if sight.claim is None or sight.node is None:
        return
    bought, there = sight.claim.status.capacity, sight.node.status.capacity
    for resource in sorted(sight.claim.spec.resources.requests):
        wanted = units(resource, bought[resource], up=False) if resource in bought else 0
        found = units(resource, there[resource], up=False) if resource in there else 0
        asked = units(resource, sight.claim.spec.resources.requests[resource])
        if asked and wanted and found * 100 < LEAST_CAPACITY * wanted:
            share = f"{100 * found / wanted:.1f}% of expected"
            yield f"expected {bought[resource]} of resource {resource}, but found {there.get(resource, 0)} ({share})"
