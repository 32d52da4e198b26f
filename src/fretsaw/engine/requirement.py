"""One key of a node's requirements: the set of label values that it may have.

A requirement is a set of texts in one of two forms: the listed `values`, or (complement) everything but `values`, the
latter with optional inclusive integer bounds. The form is canonical: equal sets compare equal, whichever operators they
were written with. `minValues` is not part of the set, but travels with it.

Source: Karpenter v1.14 pkg/scheduling/requirement.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

MAX_INT = 2**63 - 1
_INTEGER = re.compile(r"[+-]?[0-9]+")
_SHOWN = 5
"""Values listed in a text before `and N others`."""


@lru_cache(maxsize=65536)
def as_integer(text: str) -> int | None:
    """The 64-bit integer that `text` spells in decimal, or None."""
    if _INTEGER.fullmatch(text) is None:
        return None
    number = int(text)
    return number if -MAX_INT - 1 <= number <= MAX_INT else None


def _within(value: str, gte: int | None, lte: int | None) -> bool:
    if gte is None and lte is None:
        return True
    number = as_integer(value)
    return number is not None and (gte is None or number >= gte) and (lte is None or number <= lte)


def _highest(a: int | None, b: int | None) -> int | None:
    if a is None or b is None:
        return b if a is None else a
    return max(a, b)


def _lowest(a: int | None, b: int | None) -> int | None:
    if a is None or b is None:
        return b if a is None else a
    return min(a, b)


class Requirement:
    """A set of label values for one key; immutable, hashable, canonical."""

    __slots__ = ("_hash", "complement", "gte", "key", "lte", "min_values", "values")

    key: str
    complement: bool
    values: frozenset[str]
    gte: int | None
    lte: int | None
    min_values: int | None

    def __init__(
        self,
        key: str,
        values: Iterable[str] = (),
        *,
        complement: bool = False,
        gte: int | None = None,
        lte: int | None = None,
        min_values: int | None = None,
    ) -> None:
        if gte is not None and lte is not None and gte > lte:
            complement, values = False, ()
        kept = frozenset(v for v in values if _within(v, gte, lte))
        self.key = key
        self.complement = complement
        self.values = kept
        self.gte = gte if complement else None
        self.lte = lte if complement else None
        self.min_values = min_values
        self._hash = hash((key, complement, kept, self.gte, self.lte, min_values))

    @classmethod
    def of(cls, key: str, operator: str, values: Iterable[str] = (), min_values: int | None = None) -> Requirement:
        """The set that an `operator` with `values` means.

        operator: In, NotIn, Exists, DoesNotExist, Gt, Lt, Gte or Lte; validated before. Raises ValueError on another.
        """
        listed = tuple(values)
        match operator:
            case "In":
                return cls(key, listed, min_values=min_values)
            case "NotIn":
                return cls(key, listed, complement=True, min_values=min_values)
            case "Exists":
                return cls(key, complement=True, min_values=min_values)
            case "DoesNotExist":
                return cls(key, min_values=min_values)
            case "Gt" | "Gte" | "Lt" | "Lte":
                return cls._bounded(key, operator, int(listed[0]), min_values)
        raise ValueError(f"unknown operator {operator!r}")

    @classmethod
    def _bounded(cls, key: str, operator: str, number: int, min_values: int | None) -> Requirement:
        if operator == "Gt" and number >= MAX_INT:
            return cls(key, min_values=min_values)
        if operator in ("Gt", "Gte"):
            return cls(key, complement=True, gte=number + (operator == "Gt"), min_values=min_values)
        return cls(key, complement=True, lte=number - (operator == "Lt"), min_values=min_values)

    @property
    def operator(self) -> str:
        """In, NotIn, Exists or DoesNotExist; a bounded set without exclusions reads as Exists."""
        if self.complement:
            return "NotIn" if self.values else "Exists"
        return "In" if self.values else "DoesNotExist"

    @property
    def forbids(self) -> bool:
        """Whether the set is one that an absent label satisfies: NotIn or DoesNotExist."""
        return bool(self.values) == self.complement

    def has(self, value: str) -> bool:
        """Whether a node with this label value qualifies."""
        return (value in self.values) != self.complement and _within(value, self.gte, self.lte)

    def __and__(self, other: Requirement) -> Requirement:
        """The values that both allow; the larger `minValues`."""
        gte, lte = _highest(self.gte, other.gte), _lowest(self.lte, other.lte)
        complement = self.complement and other.complement
        if complement:
            values = self.values | other.values
        elif self.complement:
            values = other.values - self.values
        elif other.complement:
            values = self.values - other.values
        else:
            values = self.values & other.values
        smallest = _highest(self.min_values, other.min_values)
        return Requirement(self.key, values, complement=complement, gte=gte, lte=lte, min_values=smallest)

    def overlaps(self, other: Requirement) -> bool:
        """Whether a value exists that both allow: `bool(self & other)` without building it."""
        gte, lte = _highest(self.gte, other.gte), _lowest(self.lte, other.lte)
        if gte is not None and lte is not None and gte > lte:
            return False
        if self.complement and other.complement:
            return True
        if self.complement:
            self, other = other, self
        if other.complement:
            return any(v not in other.values and _within(v, gte, lte) for v in self.values)
        return not self.values.isdisjoint(other.values)

    def without_min_values(self, lowered: int | None = None) -> Requirement:
        """The same set with `minValues` dropped or lowered."""
        return Requirement(
            self.key, self.values, complement=self.complement, gte=self.gte, lte=self.lte, min_values=lowered
        )

    def __bool__(self) -> bool:
        return self.complement or bool(self.values)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return (
            isinstance(other, Requirement)
            and self._hash == other._hash
            and self.key == other.key
            and self.complement == other.complement
            and self.values == other.values
            and self.gte == other.gte
            and self.lte == other.lte
            and self.min_values == other.min_values
        )

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        text = f"{self.key} {self.operator}"
        if self.values:
            shown = sorted(self.values)
            if len(shown) > _SHOWN:
                shown = [*shown[:_SHOWN], f"and {len(shown) - _SHOWN} others"]
            text += f" [{' '.join(shown)}]"
        if self.gte is not None:
            text += f" >={self.gte}"
        if self.lte is not None:
            text += f" <={self.lte}"
        if self.min_values is not None:
            text += f" minValues {self.min_values}"
        return text

    __repr__ = __str__
