"""What happened: the only input of `ClusterState.apply`.

A world (the simulator's, or a real API server's watches) reports objects as they are now and what the cloud answered;
the engine's own memory (nominations, running commands) changes by the notes that `turn` hands back, which are events
too. So a recorded list of events is a run.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from fretsaw.api.catalog import Catalog
from fretsaw.api.meta import Object
from fretsaw.api.times import Millis

RefusalKind = Literal["InsufficientCapacity", "NodeClassNotReady", "CreateError", "Other"]
InterruptionKind = Literal[
    "spot_interrupted",
    "rebalance_recommendation",
    "capacity_reservation_interrupted",
    "scheduled_change",
    "instance_stopped",
    "instance_terminated",
    "instance_status",
]


class Event(msgspec.Struct, frozen=True, tag=True, tag_field="event", rename="camel", omit_defaults=True):
    """Base of all events."""


# Of the API server


class Changed(Event, frozen=True):
    """An object was made or changed; this is how it is now. Its kind is the name of its class."""

    obj: Object


class Gone(Event, frozen=True):
    """An object is there no longer. key: `namespace/name`, or the name of a kind without namespaces."""

    kind: str
    key: str


# Of the cloud


class CatalogRead(Event, frozen=True):
    """What a node class can launch, as the provider sees it now; `pools` use it. A pool without one is unusable."""

    pools: tuple[str, ...]
    catalog: Catalog | None
    why: str = ""
    """Why there is none."""


class OfferingsOut(Event, frozen=True):
    """Offerings that the provider takes for unavailable at the moment: all of them, not the difference."""

    offerings: frozenset[tuple[str, str, str]]
    """(instance type, zone, capacity type); any of them may be `*`."""


class InstanceCreated(Event, frozen=True):
    """The cloud answered a launch: this is the instance."""

    claim: str
    provider_id: str
    labels: dict[str, str]
    capacity: dict[str, str]
    allocatable: dict[str, str]
    image_id: str = ""
    price_usd_per_hour: float = 0.0


class LaunchRefused(Event, frozen=True):
    """The cloud did not launch an instance."""

    claim: str
    kind: RefusalKind
    message: str = ""
    reason: str = ""
    """What the provider calls a CreateError."""


class InstanceGone(Event, frozen=True):
    """The provider no longer finds an instance."""

    provider_id: str


class InstancesListed(Event, frozen=True):
    """All instances that the provider has, for garbage collection; those that are being deleted left out."""

    provider_ids: frozenset[str]


class Interrupted(Event, frozen=True):
    """The cloud announced something about an instance."""

    provider_id: str
    kind: InterruptionKind


class DriftFound(Event, frozen=True):
    """The provider says that a claim's instance is not what its node class asks for; an empty reason takes it back."""

    claim: str
    reason: str


class EvictionAnswered(Event, frozen=True):
    """What the eviction API answered; `refused` is empty where the pod goes."""

    pod: str
    refused: str = ""


# The engine's own memory


class Nominated(Event, frozen=True):
    """A machine was chosen for a pending pod: it is left alone until then."""

    machine: str
    until: Millis


class BatchOpened(Event, frozen=True):
    """Pods wait, or nodes go: when the first of them, and the last, was seen. pods: `ns/name`, or `node/name`."""

    first: Millis
    last: Millis
    pods: frozenset[str]


class BatchDone(Event, frozen=True):
    """A provisioning pass has looked at these pods (and nodes that go); `unplaced` found no place."""

    at: Millis
    seen: frozenset[str]
    unplaced: frozenset[str] = frozenset()
    buffered: frozenset[str] = frozenset()
    """Machines on which the pass found room for virtual buffer pods: they are not empty."""


class Planned(Event, frozen=True):
    """Where a pass wants pods to go: (pod, machine). What it does not mention stays as it was."""

    placements: tuple[tuple[str, str], ...]
    at: Millis


class CommandProposed(Event, frozen=True):
    """A disruption was computed and waits for its validation."""

    command: Command
    due: Millis


class CommandDropped(Event, frozen=True):
    """A proposed disruption did not pass its validation. why: budget, scheduling, churn or unknown."""

    command: Command
    why: str


class CommandStarted(Event, frozen=True):
    """A disruption began: its candidates are tainted, its replacements ordered."""

    command: Command
    at: Millis


class CommandEnded(Event, frozen=True):
    """A disruption is over. why is empty where its candidates were deleted, else what failed."""

    command: str
    why: str = ""


class MethodIdle(Event, frozen=True):
    """A disruption method found nothing in this version of the state, and need not look again before it changes."""

    method: str
    version: int


class MethodCut(Event, frozen=True):
    """A single-node round ended before it had looked at these pools, which go first the next time."""

    pools: tuple[str, ...]


class Looked(Event, frozen=True):
    """The disruption loop has run through its methods. quiet: until when it would find nothing but for a change."""

    at: Millis
    quiet: Millis = 0


class Registered(Event, frozen=True):
    """A claim of the pool has registered (`well`), or has run out of time before it did."""

    pool: str
    well: bool


class HealthForgotten(Event, frozen=True):
    """The pool's registration history begins anew; `healthy` is what its condition said, None for unknown."""

    pool: str
    healthy: bool | None = None


class Checked(Event, frozen=True):
    """A periodic look at one object is done, such as its consistency scan. what: the look's name."""

    what: str
    key: str
    at: Millis


# Shared by events and actions


class Command(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A disruption: candidates to take away, replacements to wait for first."""

    id: str
    """Unique in a run: method and time."""
    method: Literal["emptiness", "static-drift", "drift", "multi", "single"]
    reason: Literal["Empty", "Drifted", "Underutilized"]
    candidates: tuple[str, ...]
    """Names of claims."""
    replacements: tuple[str, ...] = ()
    """Names of claims, known once the command starts."""
    types: tuple[tuple[str, ...], ...] = ()
    """For each replacement the instance types that it may be."""
    savings_usd_per_hour: float = 0.0

    @property
    def decision(self) -> Literal["delete", "replace"]:
        """Whether the candidates are only deleted, or replaced."""
        return "replace" if self.types else "delete"


AnyEvent = (
    Changed
    | Gone
    | CatalogRead
    | OfferingsOut
    | InstanceCreated
    | LaunchRefused
    | InstanceGone
    | InstancesListed
    | Interrupted
    | DriftFound
    | EvictionAnswered
    | Nominated
    | BatchOpened
    | BatchDone
    | Planned
    | CommandProposed
    | CommandDropped
    | CommandStarted
    | CommandEnded
    | MethodIdle
    | MethodCut
    | Looked
    | Registered
    | HealthForgotten
    | Checked
)
