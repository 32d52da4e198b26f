"""What an event changed: the object before and after, its conditions' transitions, and the finalizers that it lost.

An event says how an object is now. Who counts deletions and transitions has to know how it was before, and remembers
that himself, so that he needs one call for each event and the state holds nothing for his sake.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fretsaw.api.capacitybuffer import CapacityBuffer
from fretsaw.api.meta import Condition, Object
from fretsaw.api.node import Node
from fretsaw.api.nodeclaim import NodeClaim
from fretsaw.api.nodepool import NodePool
from fretsaw.api.times import Millis, millis
from fretsaw.engine import events as e
from fretsaw.engine.state import key_of

FOLLOWED = frozenset({"CapacityBuffer", "Node", "NodeClaim", "NodePool", "Pod"})
"""Kinds whose changes somebody wants to hear of."""
Conditioned = NodeClaim | NodePool | Node | CapacityBuffer
"""Kinds whose conditions are told."""
UNKNOWN = Condition(status="Unknown")


class Changes:
    """Remembers how each followed object was last seen."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], Any] = {}

    def of(self, event: e.Event) -> Iterator[tuple[Any, Any]]:
        """(before, after) for a followed object; two pairs where another of the same name took its place."""
        match event:
            case e.Changed(obj) if type(obj).__name__ in FOLLOWED:
                where = type(obj).__name__, key_of(obj)
                old = self._seen.get(where)
                self._seen[where] = obj
                if old is not None and old.metadata.uid != obj.metadata.uid:
                    yield old, None
                    old = None
                yield old, obj
            case e.Gone(kind, key):
                old = self._seen.pop((kind, key), None)
                if old is not None:
                    yield old, None


class Orders(dict[str, str]):
    """Why something was ordered, by name, until it is seen. What never comes is forgotten when there is too much."""

    def note(self, name: str, why: str) -> None:
        """Remember an order."""
        self[name] = why
        if len(self) > MOST_ORDERS:
            del self[next(iter(self))]


MOST_ORDERS = 10_000
"""Orders that are remembered."""


def became_true(old: NodeClaim | None, new: NodeClaim | None, condition: str) -> bool:
    """Whether a condition of a claim that was seen before holds since this change."""
    return old is not None and new is not None and _holds(new, condition) and not _holds(old, condition)


def _holds(claim: NodeClaim, condition: str) -> bool:
    found = claim.condition(condition)
    return found is not None and found.status == "True"


def transitions(old: Object | None, new: Object | None) -> Iterator[tuple[Condition | None, Condition]]:
    """(before, after) for each condition whose status changed. One that is new and Unknown has not changed."""
    if not isinstance(new, Conditioned):
        return
    before = old.status.conditions if isinstance(old, Conditioned) else ()
    if before is new.status.conditions:
        return
    known = {condition.type: condition for condition in before}
    for condition in new.status.conditions:
        was = known.get(condition.type)
        if (was or UNKNOWN).status != condition.status:
            yield was, condition


def lost_finalizers(old: Object | None, new: Object | None) -> tuple[str, ...]:
    """The finalizers that an object which is being deleted has lost, or had when it went."""
    if old is None or not old.metadata.finalizers:
        return ()
    left = new.metadata if new is not None else None
    if not (left or old.metadata).deletion_timestamp:
        return ()
    kept = left.finalizers if left is not None else ()
    return tuple(name for name in old.metadata.finalizers if name not in kept)


def since(text: str | None, otherwise: Millis) -> Millis:
    """The time that a text of the API names, or another where it names none."""
    try:
        return millis(text) if text else otherwise
    except ValueError:
        return otherwise
