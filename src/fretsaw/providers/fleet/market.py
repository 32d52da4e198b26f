"""One catalog as a cloud and its provider look at it: by cell, with orders and masks that launches ask for.

A launch touches a dozen cells and at most sixty types, whatever the size of the catalog.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterator, Mapping
from typing import Protocol

import msgspec

from fretsaw.api.catalog import Catalog
from fretsaw.api.labels import ARCH, AWS_DOMAIN, CAPACITY_TYPE, INSTANCE_TENANCY, INSTANCE_TYPE, ZONE, normalize
from fretsaw.api.nodeclaim import NodeClaim, NodeClaimSpec
from fretsaw.api.resources import Quantity, render, units
from fretsaw.engine.requests import Amounts
from fretsaw.engine.requirement import Requirement
from fretsaw.engine.requirements import Requirements
from fretsaw.engine.universe import NANO, Bits, Cell, Universe
from fretsaw.providers.fleet.offerings import ANY, OfferingKey

EFA = "vpc.amazonaws.com/efa"
RESERVATION_TYPE = f"{AWS_DOMAIN}/capacity-reservation-type"
INTERRUPTIBLE = f"{AWS_DOMAIN}/capacity-reservation-interruptible"
_EXOTIC = ("nvidia.com/gpu", "amd.com/gpu", "habana.ai/gaudi", "aws.amazon.com/neuron", "aws.amazon.com/neuroncore")
_LETTERS = re.compile(r"[a-z]+")
_FIXED = {INSTANCE_TYPE, ZONE, CAPACITY_TYPE}


Priced = tuple[int, str, str, int, int]
"""(nano-USD an hour, type's name, zone, type, cell)."""


class Avoided(Protocol):
    """Offerings that are not asked for at the moment."""

    @property
    def version(self) -> int:
        """Another one whenever the set is."""

    def all(self) -> frozenset[OfferingKey]:
        """The set."""


class Wants(msgspec.Struct, frozen=True):
    """What a claim asks for."""

    requirements: Requirements
    requests: Amounts
    types: Bits
    """Types that meet the requirements and have room, on sale or not."""
    cells: Bits
    """Cells that the requirements admit."""


class Shelf:
    """A cell's types by price."""

    __slots__ = ("_masks", "_order", "_prices")

    def __init__(self, cell: Cell, names: tuple[str, ...]) -> None:
        self._order = sorted(cell.price_nano, key=lambda t: (cell.price_nano[t], names[t]))
        self._prices = [cell.price_nano[t] for t in self._order]
        self._masks = [0]
        for t in self._order:
            self._masks.append(self._masks[-1] | 1 << t)

    def cheapest(self, types: Bits) -> int | None:
        """The lowest price of any of `types`, None where the cell sells none of them."""
        at = bisect_left(self._masks, True, key=lambda mask: bool(mask & types))
        return self._prices[at - 1] if at < len(self._masks) else None

    def cheapest_first(self, types: Bits) -> Iterator[tuple[int, int]]:
        """(price, type) of `types` by price, then name."""
        return ((price, t) for price, t in zip(self._prices, self._order, strict=True) if types >> t & 1)

    def up_to(self, price: int) -> Bits:
        """The types that cost at most so much."""
        return self._masks[bisect_right(self._prices, price)]


class Market:
    """A catalog, and the memories of what was asked of it."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.universe = Universe(catalog)
        self.shelves = [Shelf(cell, self.universe.names) for cell in self.universe.cells]
        self.exotic: Bits = sum(1 << t for t in range(len(self.universe.names)) if self._is_exotic(t))
        self.vcpus = [amounts.get("cpu", 0) // 1000 for amounts in self.universe.capacity]
        self.letters = [match.group() if (match := _LETTERS.match(name)) else "" for name in self.universe.names]
        self._on_demand = self._on_demand_prices()
        self._index = {name: t for t, name in enumerate(self.universe.names)}
        self.truncated: dict[tuple[tuple[int, Bits], ...], Bits] = {}
        """The types that `choose` kept of more than it may send, by what was on sale."""
        self.priced: dict[tuple[tuple[int, Bits], ...], tuple[Hashable, list[Priced]]] = {}
        """The offerings that `fill` ordered by price, by what was on sale; with what the prices hung on."""
        self._wants: dict[tuple[object, object], Wants] = {}
        self._down: list[Bits] = [0] * len(self.universe.cells)
        self._down_version = -1
        self._type_labels: dict[int, dict[str, str]] = {}
        self._amounts: dict[int, tuple[dict[str, str], dict[str, str]]] = {}

    def _is_exotic(self, t: int) -> bool:
        amounts = self.universe.capacity[t]
        return "metal" in self.universe.names[t].partition(".")[2] or any(amounts.get(r) for r in _EXOTIC)

    def _on_demand_prices(self) -> dict[int, int]:
        """The lowest on-demand price of each type that has one."""
        found: dict[int, int] = {}
        for cell in self.universe.cells:
            if cell.capacity_type == "on-demand":
                for t, price in cell.price_nano.items():
                    found[t] = min(price, found.get(t, price))
        return found

    def index(self, name: str) -> int | None:
        """A type's number."""
        return self._index.get(name)

    def on_demand(self, t: int) -> int | None:
        """What a type costs on demand, nano-USD an hour; None where it is not sold so."""
        return self._on_demand.get(t)

    def key(self, t: int, c: int) -> OfferingKey:
        """The offering of type `t` in cell `c`."""
        cell = self.universe.cells[c]
        return self.universe.names[t], cell.zone, cell.capacity_type

    # What a claim asks for

    def wants(self, claim: NodeClaim) -> Wants:
        """The claim's requirements and requests; claims of one kind share one answer."""
        spec = claim.spec
        question = (spec.requirements, tuple(sorted(spec.resources.requests.items())))
        known = self._wants.get(question)
        if known is None:
            known = self._wants[question] = self._read(spec)
        return known

    def _read(self, spec: NodeClaimSpec) -> Wants:
        requirements = Requirements(
            Requirement.of(normalize(r.key), r.operator, r.values, r.min_values) for r in spec.requirements
        )
        requests = {resource: units(resource, quantity) for resource, quantity in spec.resources.requests.items()}
        types = self.universe.compatible(requirements) & self.universe.room.usable
        for resource, amount in requests.items():
            types &= self.universe.room.holding(resource, amount)
        return Wants(requirements, requests, types, self.universe.cells_for(requirements))

    def down(self, unavailable: Avoided) -> list[Bits]:
        """For each cell the types that the provider avoids there at the moment."""
        if self._down_version != unavailable.version:
            self._down_version = unavailable.version
            self._down = [0] * len(self.universe.cells)
            for offering in unavailable.all():
                self._avoid(*offering)
        return self._down

    def _avoid(self, name: str, zone: str, capacity: str) -> None:
        """Leave out what an offering names; `*` stands for any."""
        every = self.universe.all
        types = every if name == ANY else 1 << self._index[name] if name in self._index else 0
        for c, cell in enumerate(self.universe.cells):
            if zone in (ANY, cell.zone) and capacity in (ANY, cell.capacity_type):
                self._down[c] |= types

    # What a launch answers

    def labels(self, t: int, c: int, wants: Wants) -> dict[str, str]:
        """What an instance of type `t` bought in cell `c` says of itself.

        Source: Karpenter AWS provider v1.14 pkg/cloudprovider (instance to NodeClaim).
        """
        cell, name = self.universe.cells[c], self.universe.names[t]
        known = self._type_labels.get(t)
        if known is None:
            known = self._type_labels[t] = self._single_valued(t)
        own = {INSTANCE_TYPE: name, ZONE: cell.zone, CAPACITY_TYPE: cell.capacity_type}
        tenancy = wants.requirements.get(INSTANCE_TENANCY)
        offered = self.catalog.instance_types[t].labels.get(INSTANCE_TENANCY)
        if offered and "default" in offered:
            own[INSTANCE_TENANCY] = "default" if tenancy is None or tenancy.has("default") else "dedicated"
        return {**known, **dict(cell.labels), **own}

    def _single_valued(self, t: int) -> dict[str, str]:
        """The labels of which a type has exactly one value; architecture and system where it says nothing."""
        labels = self.catalog.instance_types[t].labels
        found = {ARCH: "amd64", "kubernetes.io/os": "linux"}
        if self.catalog.region:
            found["topology.kubernetes.io/region"] = self.catalog.region
        found.update({normalize(key): values[0] for key, values in labels.items() if len(values) == 1})
        return {key: value for key, value in found.items() if key not in _FIXED and not _of_reservation(key)}

    def amounts(self, t: int, wants: Wants) -> tuple[dict[str, str], dict[str, str]]:
        """(capacity, allocatable) as texts without zeros; EFA interfaces only for who asked for them."""
        known = self._amounts.get(t)
        if known is None:
            capacity = self.catalog.instance_types[t].capacity
            allocatable = self.universe.allocatable[t]
            known = self._amounts[t] = (
                _without_zeros(capacity),
                {r: render(r, a) for r, a in allocatable.items() if a},
            )
        if EFA in known[0] and not wants.requests.get(EFA):
            capacity, allocatable_texts = ({r: q for r, q in part.items() if r != EFA} for part in known)
            return capacity, allocatable_texts
        return dict(known[0]), dict(known[1])


def _of_reservation(key: str) -> bool:
    return key.startswith(f"{AWS_DOMAIN}/capacity-reservation-")


def _without_zeros(capacity: Mapping[str, Quantity]) -> dict[str, str]:
    return {resource: str(quantity) for resource, quantity in capacity.items() if units(resource, quantity)}


def usd(nano: int) -> float:
    """Nano-USD as USD."""
    return nano / NANO
