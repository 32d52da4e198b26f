"""Offerings as the cloud names them, and selectors that say which of them a rule or a fault is about."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache

import msgspec

from fretsaw.api.labels import CAPACITY_TYPE, KNOWN_VALUES
from fretsaw.errors import UserError

OfferingKey = tuple[str, str, str]
"""(instance type, zone, capacity type), as `OfferingsOut` has it."""
ANY = "*"


class Selector(msgspec.Struct, frozen=True):
    """Offerings by instance type (a name, a family such as `g5`), zone and capacity type.

    Each part may be a pattern such as `g5.*` or `*`, or several with commas between them.
    """

    type: str = ANY
    zone: str = ANY
    capacity_type: str = ANY

    @classmethod
    def of(cls, text: str) -> Selector:
        """The selector that `type/zone/capacity` spells; what is left out is `*`, as in `g5/spot` or `us-east-1a`.

        The first part is the type. Raises UserError for more than three parts.
        """
        parts = text.split("/")
        if not 0 < len(parts) <= 3:
            raise UserError("selector", "has too many parts", text, "type/zone/capacity, such as g5/us-east-1a/spot")
        capacity = parts.pop() if set(parts[-1].split(",")) <= KNOWN_VALUES[CAPACITY_TYPE] else ANY
        if len(parts) == 3:
            if parts[2] != ANY:
                right = f"the last part is * or one of {', '.join(sorted(KNOWN_VALUES[CAPACITY_TYPE]))}"
                raise UserError("selector", "has an unknown capacity type", text, right)
            parts.pop()
        name, zone = (*parts, ANY, ANY)[:2]
        return cls(name or ANY, zone or ANY, capacity)

    def matches(self, offering: OfferingKey) -> bool:
        """Whether an offering is meant."""
        name, zone, capacity = offering
        family = name.partition(".")[0]
        return (
            (_fits(self.type, name) or _fits(self.type, family))
            and _fits(self.zone, zone)
            and _fits(self.capacity_type, capacity)
        )

    def __str__(self) -> str:
        return f"{self.type}/{self.zone}/{self.capacity_type}"


@lru_cache(maxsize=65536)
def _fits(patterns: str, text: str) -> bool:
    return patterns == ANY or any(fnmatchcase(text, pattern) for pattern in patterns.split(","))
