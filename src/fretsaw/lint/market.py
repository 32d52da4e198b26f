"""What a set of requirements can buy: the engine's own answer, in words and dollars.

Prices are those of the shipped catalog, with the defaults of AL2023: a node class moves them by a few MiB, not by type.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache

import msgspec

from fretsaw.engine.requirements import Requirements
from fretsaw.engine.universe import LAUNCH_ORDER, Bits, Universe, bits
from fretsaw.providers.aws import instance_types, snapshot

NVIDIA = "nvidia.com/gpu"
NEURON = "aws.amazon.com/neuron"
DEVICES = (NVIDIA, "amd.com/gpu", NEURON, "habana.ai/gaudi")
"""Resources of whole accelerators, as instance types have them."""
HOURS_A_MONTH = 730
AWS_LABEL = "karpenter.k8s.aws/instance-"


@cache
def universe_of(region: str) -> Universe:
    """All that is sold in a region. Cost: half a second, once."""
    return Universe(instance_types.catalog(region))


def region_of(zone: str) -> str | None:
    """The region of a zone's name, if the catalog has it."""
    return zone[:-1] if zone[:-1] in snapshot.regions() else None


class Choice(msgspec.Struct, frozen=True):
    """One way to buy one type."""

    type: str
    usd: float
    capacity_type: str
    zone: str

    def __str__(self) -> str:
        return f"{self.type} ({self.capacity_type}, {dollars(self.usd)}/h)"


class Fleet(msgspec.Struct, frozen=True):
    """Some machines of one type."""

    number: int
    choice: Choice

    @property
    def usd(self) -> float:
        """What all of them cost an hour."""
        return self.number * self.choice.usd

    def __str__(self) -> str:
        times = f"{self.number} × " if self.number > 1 else ""
        return f"{times}{self.choice.type} ({self.choice.capacity_type}, {dollars(self.usd)}/h)"


class Offer(msgspec.Struct, frozen=True):
    """Types that are left, and the cells in which they are sold."""

    universe: Universe
    types: Bits
    cells: Bits

    @classmethod
    def of(cls, universe: Universe, requirements: Requirements, within: Bits | None = None) -> Offer:
        """What can be bought under requirements; within: only these types."""
        types = universe.eligible(requirements)
        return cls(universe, types if within is None else types & within, universe.cells_for(requirements))

    def __len__(self) -> int:
        return self.types.bit_count()

    def __bool__(self) -> bool:
        return self.types != 0

    @property
    def names(self) -> list[str]:
        """The types, cheapest first."""
        return [self.universe.names[t] for _, t, _ in self.universe.cheapest_first(self.types, self.cells, len(self))]

    @property
    def cheapest(self) -> Choice:
        """The least that a node costs. Only for an offer that is not empty."""
        return self._choice(self.universe.cheapest_first(self.types, self.cells, 1)[0])

    @property
    def dearest(self) -> Choice:
        """The type whose cheapest price is the highest. Only for an offer that is not empty."""
        return self._choice(self.universe.cheapest_first(self.types, self.cells, len(self))[-1])

    def _choice(self, entry: tuple[int, int, int]) -> Choice:
        _, t, c = entry
        cell = self.universe.cells[c]
        return Choice(self.universe.names[t], cell.price_usd[t], cell.capacity_type, cell.zone)

    @property
    def capacity_types(self) -> frozenset[str]:
        """How any of the types can be bought."""
        return _capacity_types(self.universe, self.types, self.cells)

    @property
    def launched_as(self) -> str:
        """The capacity type that a launch takes while there is any."""
        return next((kind for kind in LAUNCH_ORDER if kind in self.capacity_types), "")

    @property
    def zones(self) -> list[str]:
        """Where any of the types can be bought."""
        cells = (self.universe.cells[c] for c in bits(self.cells))
        return sorted({cell.zone for cell in cells if cell.on_sale & self.types})

    def values(self, label: str) -> list[str]:
        """The values of a label `instance-<label>` among the types."""
        return list(self.universe.values_of(AWS_LABEL + label, self.types))

    def only(self, label: str, *values: str) -> Offer:
        """The types with one of these values of `instance-<label>`."""
        mask = 0
        for t in bits(self.types):
            if set(self.universe.catalog.instance_types[t].labels.get(AWS_LABEL + label, ())) & set(values):
                mask |= 1 << t
        return msgspec.structs.replace(self, types=mask)

    def holding(self, needs: Mapping[str, int]) -> Offer:
        """The types with room for this much; daemon pods are not counted."""
        types = self.types & self.universe.room.usable
        for resource, need in needs.items():
            types &= self.universe.room.holding(resource, need)
        return msgspec.structs.replace(self, types=types)

    def for_pods(self, needs: Mapping[str, int], pods: int) -> Fleet:
        """The cheapest number of machines of one type for some equal pods. Only where a type holds one."""
        found = []
        for price, t, c in self.universe.cheapest_first(self.types, self.cells, len(self)):
            has = self.universe.allocatable[t]
            each = min((has.get(r, 0) // need for r, need in needs.items() if need > 0), default=0)
            if each:
                number = -(-pods // each)
                found.append((number * price, number, self.universe.names[t], self._choice((price, t, c))))
        _, number, _, choice = min(found, key=lambda one: one[:3])
        return Fleet(number, choice)

    def amount(self, name: str, resource: str) -> int:
        """How much of a resource a type has."""
        return self.universe.capacity[self.universe.number[name]].get(resource, 0)

    def label(self, name: str, label: str) -> str:
        """The label `instance-<label>` of a type; empty where it has none."""
        found = self.universe.catalog.instance_types[self.universe.number[name]].labels.get(AWS_LABEL + label)
        return found[0] if found else ""

    def devices(self, name: str) -> int:
        """How many accelerators a type has."""
        return sum(self.amount(name, resource) for resource in DEVICES)

    def usd_per_device(self) -> float:
        """The least that an accelerator costs an hour; 0 where no type has any."""
        prices = [
            self._choice(entry).usd / count
            for entry in self.universe.cheapest_first(self.types, self.cells, len(self))
            if (count := self.devices(self.universe.names[entry[1]]))
        ]
        return min(prices, default=0.0)

    def __str__(self) -> str:
        if not self:
            return "no type"
        if len(self) == 1:
            return f"1 type: {self.cheapest}"
        return f"{len(self)} types, the cheapest {self.cheapest}"


@lru_cache(maxsize=65536)
def _capacity_types(universe: Universe, types: Bits, cells: Bits) -> frozenset[str]:
    found = (universe.cells[c] for c in bits(cells))
    return frozenset(cell.capacity_type for cell in found if cell.on_sale & types)


def dollars(usd: float) -> str:
    """`$0.526`, `$55.04`, `$1,204`: three figures that matter."""
    if usd >= 1000:
        return f"${usd:,.0f}"
    return f"${usd:,.2f}" if usd >= 10 else f"${usd:.3f}"


def a_month(usd_per_hour: float) -> str:
    """What an hourly price comes to in a month."""
    return f"{dollars(usd_per_hour * HOURS_A_MONTH)} a month"


def listed(words: list[str], most: int = 4) -> str:
    """`a, b, c and 5 more`."""
    if len(words) <= most:
        return ", ".join(words)
    return f"{', '.join(words[:most])} and {len(words) - most} more"


def counted(number: int, word: str) -> str:
    """`1 node`, `2 nodes`."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
