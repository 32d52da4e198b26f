"""All keys of a node's requirements, and the question whether another set can be met beside them.

Requirements are immutable; `merged` and `conflict` remember their answers, since a scheduling pass asks the same few
questions thousands of times. `intern` makes equal sets one object, so that a look-up compares identities.

Source: Karpenter v1.14 pkg/scheduling/requirements.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from fretsaw.api.labels import HOSTNAME, normalize
from fretsaw.engine.requirement import Requirement


class Conflict(msgspec.Struct, frozen=True):
    """Why one set cannot be met beside another; `existing` is None where the key has no known values."""

    key: str
    incoming: Requirement
    existing: Requirement | None = None

    def __str__(self) -> str:
        if self.existing is None:
            return f'label "{self.key}" does not have known values'
        return f"key {self.key}, {self.incoming} not in {self.existing}"


class Requirements:
    """An immutable map from key to Requirement; a key that is absent is unrestricted."""

    __slots__ = ("_conflicts", "_hash", "_map", "_merged", "has_min_values")

    def __init__(self, requirements: Iterable[Requirement] = ()) -> None:
        found: dict[str, Requirement] = {}
        for requirement in requirements:
            existing = found.get(requirement.key)
            found[requirement.key] = requirement if existing is None else existing & requirement
        self._map = dict(sorted(found.items()))
        self._hash = hash(tuple(self._map.items()))
        self.has_min_values = any(r.min_values is not None for r in found.values())
        self._merged: dict[Requirements, Requirements] = {}
        self._conflicts: dict[tuple[Requirements, frozenset[str] | None], Conflict | None] = {}

    @classmethod
    def of_labels(cls, labels: Mapping[str, str]) -> Requirements:
        """Each label as `In [value]`, keys normalised."""
        return cls(Requirement(normalize(key), (value,)) for key, value in labels.items())

    def get(self, key: str) -> Requirement | None:
        """The requirement of `key`, None where it is unrestricted."""
        return self._map.get(key)

    def __iter__(self) -> Iterator[Requirement]:
        return iter(self._map.values())

    def __len__(self) -> int:
        return len(self._map)

    def __contains__(self, key: str) -> bool:
        return key in self._map

    def merged(self, other: Requirements) -> Requirements:
        """Both sets at once; keys of both are intersected."""
        if not other._map:
            return self
        known = self._merged.get(other)
        if known is None:
            known = self._merged[other] = Requirements([*self, *other])
        return known

    def with_(self, requirement: Requirement) -> Requirements:
        """This set and one more requirement."""
        existing = self._map.get(requirement.key)
        if existing is not None and existing & requirement == existing:
            return self
        return self.merged(Requirements([requirement]))

    def without(self, *keys: str) -> Requirements:
        """This set without `keys`."""
        return Requirements(r for r in self if r.key not in keys)

    def replaced(self, requirement: Requirement) -> Requirements:
        """This set with one key's requirement replaced, not intersected."""
        return Requirements([*(r for r in self if r.key != requirement.key), requirement])

    def conflict(self, incoming: Requirements, may_be_absent: frozenset[str] | None = frozenset()) -> Conflict | None:
        """Why `incoming` cannot be placed on a node with these requirements; None when it can.

        may_be_absent: keys that a node may get later without defining them (the well-known ones on a new node);
        None asks for the intersection alone, as instance types are asked: every key may be absent.
        Two sets that an absent label satisfies never conflict.
        """
        if not incoming._map:
            return None
        question = (incoming, may_be_absent)
        if question in self._conflicts:
            return self._conflicts[question]
        answer = self._conflicts[question] = self._find_conflict(incoming, may_be_absent)
        return answer

    def _find_conflict(self, incoming: Requirements, may_be_absent: frozenset[str] | None) -> Conflict | None:
        if may_be_absent is not None:
            for asked in incoming:
                if asked.key not in may_be_absent and asked.key not in self._map and not asked.forbids:
                    return Conflict(asked.key, asked)
        for asked in incoming:
            existing = self._map.get(asked.key)
            if existing is None or existing.overlaps(asked) or (asked.forbids and existing.forbids):
                continue
            return Conflict(asked.key, asked, existing)
        return None

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Requirements) and self._hash == other._hash and self._map == other._map

    def __hash__(self) -> int:
        return self._hash

    def texts(self) -> tuple[str, ...]:
        """One text a key, sorted, without the host name (it is a placeholder while a node is planned)."""
        return tuple(sorted(str(r) for r in self if r.key != HOSTNAME))

    def __str__(self) -> str:
        return ", ".join(self.texts())

    __repr__ = __str__


EMPTY = Requirements()
