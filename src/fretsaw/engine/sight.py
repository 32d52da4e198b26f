"""One look at one machine: what it saw, what it wants changed, and when to look again.

The parts of the lifecycle (launch, registration, drain …) are functions that are given a `Sight`. It holds the claim
and the node as they shall be; what they differ in from the objects becomes one UpdateClaim and one UpdateNode. So a
look on an object that is as it shall be writes nothing, and a write that was lost is made again by the next look.
What no object shows (an order to the cloud, an eviction, an event told) is remembered in notes.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec
from msgspec.structs import replace

from fretsaw.api.meta import Condition, ObjectMeta
from fretsaw.api.node import Node
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.times import MINUTE, SECOND, Millis, millis, span
from fretsaw.engine import actions as a
from fretsaw.engine import events as e
from fretsaw.engine.conditions import READY, Conditions, awaited, by_type, put, rooted
from fretsaw.engine.lifecycle import TERMINATION, walk
from fretsaw.engine.machines import Machine
from fretsaw.engine.options import Options
from fretsaw.engine.state import ClusterState

DEPENDENTS = ("Launched", "Registered", "Initialized")
"""The conditions that make a claim Ready."""
DEADLINE = "karpenter.sh/nodeclaim-termination-timestamp"
"""The annotation that says by when the node's pods have to be gone."""
TOLD_ANEW: Millis = 2 * MINUTE
"""An event about one object is not repeated sooner."""

REPAIR: Millis = 1 * SECOND
"""What was to be written is looked at again so soon, in case that it was lost; a change makes the look come sooner."""
_SEEN_IN_OBJECTS = (a.DeleteClaim, a.DeleteNode, a.DeletePod)
"""Orders that show in an object once they are carried out."""

spans = lru_cache(maxsize=1024)(span)
"""`api.times.span`, remembered: the same few texts stand in all claims of a pool."""


class Look(msgspec.Struct, frozen=True):
    """What a look came to: actions in the order in which they are to be done, notes, and when to look again."""

    actions: tuple[a.Action, ...] = ()
    notes: tuple[e.Event, ...] = ()
    wake: Millis | None = None
    """Takes the place of what an earlier look at the same object said. None: not before something changes."""


NOTHING = Look()


def backoff(first: Millis | None, last: Millis | None, least: Millis, most: Millis) -> Millis:
    """The time of the next try, when each wait is twice the one before; 0 where there was none yet.

    The waits so far add up to the next one less the first, so that two times say what a count would.
    """
    if first is None or last is None:
        return 0
    return last + min(last - first + least, most)


class Sight:
    """What the parts of one look share. It lives as long as the look."""

    __slots__ = (
        "_changed",
        "_conditions",
        "_notes",
        "_orders",
        "_wake",
        "claim",
        "machine",
        "name",
        "node",
        "now",
        "options",
        "state",
    )

    def __init__(self, state: ClusterState, machine: Machine, options: Options, now: Millis) -> None:
        self.state = state
        self.machine = machine
        self.options = options
        self.now = now
        self.claim = machine.claim
        """The claim as it shall be; its conditions are added at the end."""
        self.node = machine.node
        """The node as it shall be."""
        self.name = machine.name
        self._conditions: Conditions = by_type(machine.claim.status.conditions) if machine.claim is not None else {}
        self._changed = False
        self._orders: list[a.Action] = []
        self._notes: list[e.Event] = []
        self._wake: Millis | None = None

    # Seeing

    @property
    def provider_id(self) -> str:
        """The instance's id as it will be known after this look, empty before the launch."""
        if self.claim is not None and self.claim.status.provider_id:
            return self.claim.status.provider_id
        return self.machine.provider_id

    @property
    def deleting(self) -> bool:
        """Whether the claim is deleted."""
        return self.claim is not None and bool(self.claim.metadata.deletion_timestamp)

    @property
    def lost(self) -> bool:
        """Whether the provider has said that it no longer finds the instance."""
        return self.provider_id in self.state.lost

    @property
    def deadline(self) -> Millis | None:
        """When the node's pods have to be gone, None for no such time."""
        text = self.claim.metadata.annotations.get(DEADLINE) if self.claim is not None else None
        try:
            return millis(text) if text else None
        except ValueError:
            return None

    def condition(self, type_: str) -> Condition | None:
        """A condition of the claim as it will be after this look."""
        return self._conditions.get(type_)

    def status(self, type_: str) -> str:
        """The status of a condition; Unknown where the claim does not report it."""
        found = self._conditions.get(type_)
        return found.status if found is not None else "Unknown"

    def since(self, type_: str) -> Millis:
        """Since when a condition has its status; now where the claim does not report it."""
        found = self._conditions.get(type_)
        return millis(found.last_transition_time) if found is not None and found.last_transition_time else self.now

    def checked(self, what: str, key: str = "") -> Millis | None:
        """When something that no object shows was last done for the claim, or for another object."""
        return self.state.checked.get((what, key or self.name))

    # Wanting

    def expect_conditions(self) -> None:
        """Add the conditions that every claim has, Unknown since its creation."""
        if self.claim is None or all(type_ in self._conditions for type_ in (*DEPENDENTS, READY)):
            return
        text = self.claim.metadata.creation_timestamp
        created = millis(text) if text else self.now
        self._conditions = awaited(self._conditions, DEPENDENTS, created, self.claim.metadata.generation)
        self._changed = True

    def mark(self, type_: str, status: str, reason: str = "", message: str = "") -> None:
        """Set a condition of the claim."""
        if self.claim is None:
            return
        found = put(
            self._conditions,
            type_,
            status,
            self.now,
            reason=reason,
            message=message,
            generation=self.claim.metadata.generation,
        )
        if found != self._conditions:
            self._conditions, self._changed = found, True

    def clear(self, type_: str) -> None:
        """Take a condition of the claim away."""
        if type_ in self._conditions:
            self._conditions = {known: c for known, c in self._conditions.items() if known != type_}
            self._changed = True

    def annotate(self, key: str, value: str) -> None:
        """Set an annotation of the claim."""
        if self.claim is not None and self.claim.metadata.annotations.get(key) != value:
            annotations = {**self.claim.metadata.annotations, key: value}
            self.claim = replace(self.claim, metadata=replace(self.claim.metadata, annotations=annotations))

    def order(self, action: a.Action) -> None:
        """Have something done, after the claim and node are written. The same order twice is one."""
        if action not in self._orders:
            self._orders.append(action)

    def delete_claim(self, reason: str) -> None:
        """Have the claim deleted; the first reason counts."""
        if not self.deleting and not any(isinstance(order, a.DeleteClaim) for order in self._orders):
            self.order(a.DeleteClaim(self.name, reason))

    def note(self, event: e.Event) -> None:
        """Have something remembered."""
        self._notes.append(event)

    def check(self, what: str, key: str = "") -> None:
        """Remember that something was done now."""
        self.note(e.Checked(what, key or self.name, self.now))

    def tell(
        self, about: str, key: str, reason: str, message: str, type_: str = "Normal", *, every: Millis = TOLD_ANEW
    ) -> None:
        """Tell of an object (`Node/gpu-1`, whose key is `gpu-1`), but not again too soon."""
        what = f"told {about.partition('/')[0]} {reason}"
        last = self.checked(what, key)
        if (last is None or self.now - last >= every) and e.Checked(what, key, self.now) not in self._notes:
            self.order(a.Tell(about, reason, message, type_))
            self.check(what, key)

    def wake_at(self, when: Millis) -> None:
        """Look again at this time, or sooner."""
        when = max(when, self.now + 1)
        self._wake = when if self._wake is None else min(when, self._wake)

    def release_claim(self) -> None:
        """Let the claim go."""
        if self.claim is not None:
            self.claim = replace(self.claim, metadata=_released(self.claim))

    def release_node(self) -> None:
        """Let the node go."""
        if self.node is not None:
            self.node = replace(self.node, metadata=_released(self.node))

    def look(self) -> Look:
        """All that was wanted. Raises BrokenInvariant where the claim would leave its table of phases."""
        updates: list[a.Action] = []
        claim = self._written()
        if claim is not None and self.machine.claim is not None:
            walk(self.machine.claim, claim)
            updates.append(a.UpdateClaim(claim))
        if self.node is not None and self.node != self.machine.node:
            updates.append(a.UpdateNode(self.node))
        if updates or any(isinstance(order, _SEEN_IN_OBJECTS) for order in self._orders):
            self.wake_at(self.now + REPAIR)
        return Look((*updates, *self._orders), tuple(self._notes), self._wake)

    def _written(self) -> NodeClaim | None:
        """The claim to write, None where it is as it shall be."""
        claim, before = self.claim, self.machine.claim
        if claim is None or (not self._changed and claim is before):
            return None
        if self._changed:
            found = rooted(self._conditions, DEPENDENTS, self.now, claim.metadata.generation)
            claim = replace(claim, status=replace(claim.status, conditions=tuple(found.values())))
        return claim if claim != before else None


def _released(obj: NodeClaim | Node) -> ObjectMeta:
    return replace(obj.metadata, finalizers=tuple(f for f in obj.metadata.finalizers if f != TERMINATION))
