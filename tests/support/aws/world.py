"""What tests script of EC2: stock, prices, refusals, reservations, and how instances behave."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

_T = TypeVar("_T")
Offering = tuple[str, str, str]
"""(instance type, zone, capacity type); `*` in a table stands for any."""

ACCOUNT = "123456789012"
REGION = "us-east-1"
SPOT_SHARE = 0.4
"""Of the on-demand price, in the region's first zone; each further zone costs one part in a hundred more."""

_PRICES = Path(__file__).parents[3] / "src/fretsaw/providers/aws/data/regions/us-east-1.json"

_COMMON = ("m5.large", "m5.xlarge", "c5.large", "m6g.large", "m6g.xlarge", "c6i.2xlarge", "m7i.48xlarge", "t3.micro")
_ACCELERATED = ("dl", "f", "g", "inf", "p", "trn", "vt")


@cache
def list_prices() -> dict[str, float]:
    """On-demand prices of us-east-1 by type, as far as there are any."""
    rows = json.loads(_PRICES.read_text())["rows"]
    return {row[0]: row[2] for row in rows if row[2]}


def is_shown(name: str) -> bool:
    """Whether a type is among those that `World.every_type` leaves: the accelerated ones, and a few others."""
    letters = name.rstrip("0123456789").partition(".")[0]
    family = "".join(letter for letter in letters.partition("-")[0] if letter.isalpha())
    return name in _COMMON or any(family.startswith(prefix) for prefix in _ACCELERATED)


class World:
    """The state behind the patches; a fresh one after each reset."""

    def __init__(self) -> None:
        self.every_type = False
        """Describe all 1,395 instance types: moto needs 2 s for them."""
        self.prices: dict[str, float] = dict(list_prices())
        self.spot_prices: dict[tuple[str, str], float] = {}
        """(type, zone) → USD an hour, in the place of the usual share of the on-demand price."""
        self.stock: dict[Offering, int] = {}
        """How many instances there are left; without an entry they never run out."""
        self.refusals: dict[Offering, tuple[str, str]] = {}
        """Offerings that CreateFleet refuses, with code and message."""
        self.full_subnets: set[str] = set()
        self.hidden_looks = 0
        """How many times a new instance is not found yet when instances are described."""
        self.hidden: dict[str, int] = {}
        """Instance → looks for which it stays hidden."""
        self.dying: list[tuple[str, str]] = []
        """Code and message of the next instances, which end at once."""
        self.statuses: dict[str, dict[str, Any]] = {}
        """Instance → what DescribeInstanceStatus says in the place of `ok`."""
        self.reservations: dict[str, dict[str, Any]] = {}
        self.placement_groups: dict[str, dict[str, Any]] = {}
        self.quotas: dict[str, float] = {}
        """Quota code → value; see `answers`."""
        self.fleets: dict[str, tuple[str, Any]] = {}
        """Client token → what was asked, what was answered."""
        self.launched: list[str] = []
        """Every instance that a fleet has launched, in order."""

    def spot(self, name: str, zone: str) -> float | None:
        """Spot price in USD an hour."""
        if (name, zone) in self.spot_prices:
            return self.spot_prices[name, zone]
        price = self.prices.get(name)
        return None if price is None else round(price * (SPOT_SHARE + (ord(zone[-1]) - ord("a")) / 100), 6)

    def price(self, offering: Offering) -> float | None:
        """USD an hour; None where nothing is known."""
        name, zone, capacity = offering
        return self.spot(name, zone) if capacity == "spot" else self.prices.get(name)

    def refusal(self, offering: Offering) -> tuple[str, str] | None:
        """Why an offering is not to be had at all."""
        return _of(self.refusals, offering)

    def left(self, offering: Offering) -> int | None:
        """Instances that are left of it; None: without end."""
        return _of(self.stock, offering)

    def take(self, offering: Offering, count: int) -> None:
        """Count instances as sold."""
        for key in _matching(offering):
            if key in self.stock:
                self.stock[key] -= count
                return


CURRENT: dict[str, World] = defaultdict(World)
"""The world of this process, under the name `now`: moto's own state is one for each process, too."""


def world() -> World:
    """The world as it is now."""
    return CURRENT["now"]


def _matching(offering: Offering) -> list[Offering]:
    name, zone, capacity = offering
    return [(n, z, c) for n in (name, "*") for z in (zone, "*") for c in (capacity, "*")]


def _of(table: Mapping[Offering, _T], offering: Offering) -> _T | None:
    return next((table[key] for key in _matching(offering) if key in table), None)
