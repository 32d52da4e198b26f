"""A life: what can be told of one object, sentence by sentence, as a trace is read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Protocol

import msgspec

from fretsaw.api.meta import Condition
from fretsaw.api.times import SECOND, Millis
from fretsaw.engine.actions import Tell

TOGETHER: Millis = 30 * SECOND
"""Pods to which the same happens within that time share a sentence."""
NAMED = 3
"""Names that a sentence lists before it counts the rest."""
INTERRUPTIONS = {
    "spot_interrupted": "its spot instance will be taken back",
    "rebalance_recommendation": "its spot instance is at risk of being taken back",
    "capacity_reservation_interrupted": "its capacity reservation ends",
    "scheduled_change": "maintenance is scheduled for its instance",
    "instance_stopped": "its instance was stopped",
    "instance_terminated": "its instance was terminated",
    "instance_status": "its instance failed a status check",
}


class Words(Protocol):
    """How amounts and reasons are said: in the same words as in all other outputs, which the caller has."""

    def span(self, seconds: float) -> str: ...
    def usd(self, amount: float) -> str: ...
    def rate(self, usd_per_hour: float) -> str: ...
    def counted(self, count: int, noun: str) -> str: ...
    def came(self, why: str | None) -> str: ...
    def went(self, why: str | None) -> str: ...


class Sentence(msgspec.Struct, eq=False):
    """Something that is told."""

    at: Millis
    what: str
    """With `{}` in the place of the names, where there are any."""
    took: Millis | None = None
    """How long what it says took."""
    names: list[str] = []

    @property
    def text(self) -> str:
        """The sentence, in small letters and without a full stop."""
        return self.what.replace("{}", listed(self.names)) if self.names else self.what


class Life:
    """The sentences about one object, in the order of time."""

    KIND: ClassVar[str]

    def __init__(self, name: str, words: Words) -> None:
        self.name = name
        self.words = words
        self.sentences: list[Sentence] = []
        self._told: dict[str, str] = {}

    @property
    def object(self) -> str:
        """`nodeclaim/gpu-x1`, as commands take it."""
        return f"{self.KIND}/{self.name}"

    def summary(self, now: Millis) -> str:
        """The life in one line. now: the end of the trace."""
        raise NotImplementedError

    def say(self, at: Millis, what: str, since: Millis | None = None) -> None:
        """Something happened. since: when that began which now is done."""
        self.sentences.append(Sentence(at, what, None if since is None else at - since))

    def say_of(self, at: Millis, name: str, what: str) -> None:
        """Something happened with one of several: within a short time they are told together."""
        last = self.sentences[-1] if self.sentences else None
        if last is not None and last.what == what and at - last.at <= TOGETHER:
            if name not in last.names:
                last.names.append(name)
        else:
            self.sentences.append(Sentence(at, what, names=[name]))

    def say_once(self, at: Millis, about: str, what: str) -> None:
        """Something is so, unless that was the last that was said about it."""
        if self._told.get(about) != what:
            self._told[about] = what
            self.say(at, what)

    def forget(self, about: str) -> None:
        """What was said about something may be said again."""
        self._told.pop(about, None)

    def tells(self, at: Millis, tell: Tell) -> None:
        """A Kubernetes Event about it; as they are repeated, only a new one is told."""


def listed(names: Iterable[str], most: int = NAMED) -> str:
    """`a`, `a and b`, `a, b, c and 4 more`."""
    found = list(names)
    if len(found) > most + 1:
        return f"{', '.join(found[:most])} and {len(found) - most} more"
    return " and ".join(filter(None, (", ".join(found[:-1]), found[-1]))) if found else "none"


def truths(conditions: Iterable[Condition]) -> dict[str, Condition]:
    """The conditions that are True, by type."""
    return {c.type: c for c in conditions if c.status == "True"}


def lower(text: str) -> str:
    """A message as a part of a sentence: its first word small unless that is a name like `NodeClaim`; no full stop."""
    text = text.removesuffix(".")
    first = text.split(maxsplit=1)[0] if text.strip() else ""
    return text[:1].lower() + text[1:] if first[1:].islower() else text
