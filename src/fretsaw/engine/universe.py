"""A catalog as bit sets: which instance types satisfy a requirement, have room, and are on sale, at what price.

A set of types is one Python integer (bit t = the t-th type of the catalog), so that "all of these at once" is one `&`.
Offerings with the same labels (zone, capacity type, reservation …) form a *cell*; a set of cells is an integer too.
Prices are integers in nano-USD an hour: exact sums, and a reservation's ten-millionth of a price is not lost.

Everything is immutable after construction but for the memories of answers already given.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from decimal import Decimal
from functools import lru_cache
from itertools import islice

import msgspec

from fretsaw.api.catalog import Catalog
from fretsaw.api.labels import AWS_TYPE_LABELS, CAPACITY_TYPE, INSTANCE_TYPE, WELL_KNOWN, ZONE, normalize
from fretsaw.api.resources import units
from fretsaw.engine.requirement import Requirement
from fretsaw.engine.requirements import Requirements

RESERVATION_ID = "karpenter.k8s.aws/capacity-reservation-id"
RESERVED = "reserved"
LAUNCH_ORDER = (RESERVED, "spot", "on-demand")
"""Which capacity type a launch takes where several are allowed."""
NANO = 1_000_000_000

Bits = int
"""A set of instance types, or of cells, as a bit mask."""
Entries = tuple[tuple[int, int, int], ...]
"""(nano-USD an hour, type, cell), cheapest first."""
MEMORIES = 4096
"""Answers about prices that are remembered: each question has its own price, and so there is no end to them."""


def bits(mask: Bits) -> Iterator[int]:
    """The positions of the set bits, ascending."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


class Cell(msgspec.Struct, frozen=True):
    """A way to buy: all offerings with these labels. `on_sale` are the types of `listed` that can be bought so now."""

    zone: str
    capacity_type: str
    labels: tuple[tuple[str, str], ...]
    listed: Bits
    on_sale: Bits
    price_nano: Mapping[int, int]
    """Whole nano-USD an hour, rounded down: what is proven with them holds for the prices themselves."""
    price_usd: Mapping[int, float]
    """The same as the catalog writes them."""
    price_source: Mapping[int, str]
    listed_usd: Mapping[int, float] = {}
    """Prices of all types of `listed`, on sale or not."""
    reservation_capacity: int | None = None

    @property
    def reservation(self) -> str:
        """The reservation's identity; empty for on-demand and spot."""
        return dict(self.labels).get(RESERVATION_ID, f"{self.zone}/{self.labels}") if self.reserved else ""

    @property
    def reserved(self) -> bool:
        """Whether this cell is paid-for capacity."""
        return self.capacity_type == RESERVED


class Room:
    """Who has room for how much: for each resource the distinct amounts, and the types that have at least that."""

    __slots__ = ("_columns", "usable")

    def __init__(self, allocatable: Iterable[Mapping[str, int]]) -> None:
        amounts: dict[str, dict[int, Bits]] = {}
        usable = 0
        for t, resources in enumerate(allocatable):
            if all(amount >= 0 for amount in resources.values()):
                usable |= 1 << t
            for resource, amount in resources.items():
                column = amounts.setdefault(resource, {})
                column[amount] = column.get(amount, 0) | 1 << t
        self.usable = usable
        self._columns: dict[str, tuple[list[int], list[Bits]]] = {}
        for resource, column in amounts.items():
            values = sorted(column)
            masks, seen = [0] * len(values), 0
            for i in range(len(values) - 1, -1, -1):
                seen |= column[values[i]]
                masks[i] = seen
            self._columns[resource] = (values, masks)

    def holding(self, resource: str, need: int) -> Bits:
        """Types with at least `need` of `resource` (base units); none where the resource is unknown and needed."""
        if need <= 0:
            return self.usable
        column = self._columns.get(resource)
        if column is None:
            return 0
        values, masks = column
        at = bisect_left(values, need)
        return masks[at] if at < len(values) else 0

    def largest(self, resource: str, types: Bits) -> int:
        """The largest amount of `resource` on any of `types`; 0 where none has it."""
        values, masks = self._columns.get(resource, ((), ()))
        beyond = bisect_left(range(len(values)), True, key=lambda i: not masks[i] & types)
        return values[beyond - 1] if beyond else 0


class Universe:
    """One catalog, ready to be asked."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.base = self
        """The universe with all that the catalog sells (see `with_out`)."""
        types = catalog.instance_types
        self.names = tuple(t.name for t in types)
        self.number = {name: t for t, name in enumerate(self.names)}
        """The place of each type by its name."""
        self.all: Bits = (1 << len(types)) - 1
        self.capacity = tuple({r: units(r, q, up=False) for r, q in t.capacity.items()} for t in types)
        self.overhead = tuple({r: units(r, q, up=True) for r, q in t.overhead.items()} for t in types)
        self.allocatable = tuple(map(_allocatable, self.capacity, self.overhead))
        self.room = Room(self.allocatable)
        self.capacity_room = Room(self.capacity)
        self.cells = _cells(catalog)
        self._offering_keys = frozenset(key for cell in self.cells for key, _ in cell.labels)
        written = set[str]().union(*(t.labels for t in types))
        self._written: dict[str, list[str]] = {}
        """For each label the keys with which types spell it: itself, and aliases."""
        for key in sorted(written):
            self._written.setdefault(normalize(key), []).append(key)
        self._keys = frozenset((INSTANCE_TYPE, ZONE, CAPACITY_TYPE, *self._written, *self._offering_keys))
        self.well_known = (WELL_KNOWN - AWS_TYPE_LABELS) | self._keys
        """Keys that a new node may have without its pool defining them; not what no type says of itself."""
        self._columns: dict[str, dict[str, Bits]] = {}
        self._types_memo: dict[Requirement, Bits] = {}
        self._cells_memo: dict[Requirements, Bits] = {}
        self._eligible_memo: dict[Requirements, Bits] = {}
        self._on_sale_memo: dict[Bits, Bits] = {}
        self._price_memo: dict[Bits, dict[int, tuple[int, int]]] = {}
        self._order_memo: dict[Bits, list[tuple[int, int, int]]] = {}
        self._worst_memo: dict[Bits, dict[int, int]] = {}
        self._cheapest_memo: dict[tuple[Bits, Bits, int], Entries] = {}
        self._below_memo: dict[tuple[int, Bits, int], tuple[Entries, Entries]] = {}
        self.reserved_cells: Bits = sum(1 << c for c, cell in enumerate(self.cells) if cell.reserved)

    def with_out(self, offerings: frozenset[tuple[str, str, str]]) -> Universe:
        """The same catalog with these (type, zone, capacity type) not on sale; `*` stands for any."""
        base = self.base
        if not offerings:
            return base
        other = copy(base)
        other.cells = tuple(_reduced(cell, base._types_out(cell, offerings)) for cell in base.cells)
        other._eligible_memo, other._on_sale_memo, other._price_memo = {}, {}, {}
        other._order_memo, other._cheapest_memo, other._worst_memo, other._below_memo = {}, {}, {}, {}
        return other

    def _types_out(self, cell: Cell, offerings: frozenset[tuple[str, str, str]]) -> Bits:
        out = 0
        for name, zone, capacity_type in offerings:
            if zone in ("*", cell.zone) and capacity_type in ("*", cell.capacity_type):
                out |= self.all if name == "*" else 1 << self.number[name] if name in self.number else 0
        return out & cell.on_sale

    def _column(self, key: str) -> dict[str, Bits]:
        """The values of a label with the types that may carry them, on sale or not; made when first asked for."""
        column = self._columns.get(key)
        if column is None:
            column = self._columns[key] = {}
            for value, mask in self._entries(key):
                column[value] = column.get(value, 0) | mask
        return column

    def _entries(self, key: str) -> Iterator[tuple[str, Bits]]:
        """(value, types) of a label from all that types and offerings say."""
        types = self.catalog.instance_types
        if key == INSTANCE_TYPE:
            yield from ((name, 1 << t) for t, name in enumerate(self.names))
        for written in self._written.get(key, ()):
            yield from ((value, 1 << t) for t, one in enumerate(types) for value in one.labels.get(written, ()))
        for cell in self.cells:
            if key == ZONE:
                yield cell.zone, cell.listed
            elif key == CAPACITY_TYPE:
                yield cell.capacity_type, cell.listed
            elif key in self._offering_keys:
                yield from ((value, cell.listed) for name, value in cell.labels if name == key)

    def values_of(self, key: str, types: Bits) -> Iterator[str]:
        """The values of label `key` on any of `types`, sorted."""
        return (value for value, mask in sorted(self._column(key).items()) if mask & types)

    def carries(self, key: str) -> bool:
        """Whether any type or offering carries the label `key`."""
        return key in self._keys

    def satisfying(self, requirement: Requirement) -> Bits:
        """Types whose labels overlap one requirement; a key that no type carries restricts nothing."""
        known = self._types_memo.get(requirement)
        if known is not None:
            return known
        if requirement.key not in self._keys:
            return self.all
        values = self._column(requirement.key)
        found = _union(mask for value, mask in values.items() if requirement.has(value))
        if requirement.forbids:
            found |= self.all & ~_union(values.values())
        self._types_memo[requirement] = found
        return found

    def compatible(self, requirements: Requirements) -> Bits:
        """Types whose labels overlap all requirements, whether on sale or not."""
        found = self.all
        for requirement in requirements:
            found &= self.satisfying(requirement)
        return found

    def cells_for(self, requirements: Requirements) -> Bits:
        """Cells whose labels the requirements admit."""
        known = self._cells_memo.get(requirements)
        if known is None:
            known = sum(1 << c for c, cell in enumerate(self.cells) if _admits(requirements, cell, self._offering_keys))
            self._cells_memo[requirements] = known
        return known

    def on_sale(self, cells: Bits) -> Bits:
        """Types that can be bought now in any of `cells`."""
        known = self._on_sale_memo.get(cells)
        if known is None:
            known = self._on_sale_memo[cells] = _union(self.cells[c].on_sale for c in bits(cells))
        return known

    def eligible(self, requirements: Requirements) -> Bits:
        """Types that satisfy all requirements and are on sale in a cell that they admit."""
        known = self._eligible_memo.get(requirements)
        if known is None:
            known = self.compatible(requirements) & self.on_sale(self.cells_for(requirements))
            self._eligible_memo[requirements] = known
        return known

    def prices(self, cells: Bits) -> dict[int, tuple[int, int]]:
        """For each type on sale in `cells`: (cheapest nano-USD an hour, its cell); ties go to the earlier cell."""
        known = self._price_memo.get(cells)
        if known is None:
            known = {}
            for c in bits(cells):
                for t, price in self.cells[c].price_nano.items():
                    if t not in known or price < known[t][0]:
                        known[t] = (price, c)
            self._price_memo[cells] = known
        return known

    def worst_prices(self, cells: Bits) -> Mapping[int, int]:
        """For each type on sale in `cells`: the most that a launch may cost, in nano-USD an hour.

        A launch takes reserved capacity where there is any, else spot, else on-demand, and of that the dearest offering
        may be the one that is left. Source: Karpenter v1.14 pkg/cloudprovider types.go (WorstLaunchPrice).
        """
        known = self._worst_memo.get(cells)
        if known is None:
            by_kind: dict[str, dict[int, int]] = {kind: {} for kind in LAUNCH_ORDER}
            for c in bits(cells):
                worst = by_kind[self.cells[c].capacity_type]
                for t, price in self.cells[c].price_nano.items():
                    worst[t] = max(price, worst.get(t, 0))
            known = {}
            for kind in reversed(LAUNCH_ORDER):
                known.update(by_kind[kind])
            self._worst_memo[cells] = known
        return known

    def cheapest_first(self, types: Bits, cells: Bits, most: int) -> tuple[tuple[int, int, int], ...]:
        """(nano-USD an hour, type, cell) of `types` on sale in `cells`, by price, then name; the first `most`."""
        question = (types, cells, most)
        known = self._cheapest_memo.get(question)
        if known is None:
            ordered = (entry for entry in self._order(cells) if types >> entry[1] & 1)
            known = self._cheapest_memo[question] = tuple(islice(ordered, most))
        return known

    def safely_below(self, price: int, entries: Entries, cells: Bits) -> Entries:
        """Those of `entries`, as `cheapest_first` gives them, whose launch in `cells` costs less even at its dearest.

        Cost: the number of entries, once for each such tuple that is asked about; it is known by its identity.
        """
        question = (id(entries), cells, price)
        known = self._below_memo.get(question)
        if known is None:
            if len(self._below_memo) >= MEMORIES:
                self._below_memo.clear()
            worst = self.worst_prices(cells)
            kept = tuple([entry for entry in entries if worst[entry[1]] < price])
            known = self._below_memo[question] = (entries, kept)
        return known[1]

    def cheapest(self, types: Bits, cells: Bits) -> int | None:
        """The lowest price of `types` in `cells` in nano-USD an hour, None where none is on sale there."""
        found = self.cheapest_first(types, cells, 1)
        return found[0][0] if found else None

    def _order(self, cells: Bits) -> list[tuple[int, int, int]]:
        order = self._order_memo.get(cells)
        if order is None:
            order = [(price, t, c) for t, (price, c) in self.prices(cells).items()]
            order.sort(key=lambda entry: (entry[0], self.names[entry[1]]))
            self._order_memo[cells] = order
        return order

    def distinct_values(self, key: str, types: Bits) -> int:
        """How many values of `key` the `types` have between them, as `minValues` counts."""
        return sum(1 for mask in self._column(key).values() if mask & types)


def _allocatable(capacity: dict[str, int], overhead: dict[str, int]) -> dict[str, int]:
    """Capacity minus overhead; memory set aside as huge pages is no memory any more, though never below nothing."""
    left = {resource: amount - overhead.get(resource, 0) for resource, amount in capacity.items()}
    huge = sum(amount for resource, amount in capacity.items() if resource.startswith("hugepages-"))
    if huge:
        left["memory"] = max(left.get("memory", 0) - huge, 0)
    return left


def _reduced(cell: Cell, out: Bits) -> Cell:
    """The cell without some types on sale."""
    if not out:
        return cell
    return msgspec.structs.replace(
        cell,
        on_sale=cell.on_sale & ~out,
        price_nano={t: price for t, price in cell.price_nano.items() if not out >> t & 1},
        price_usd={t: price for t, price in cell.price_usd.items() if not out >> t & 1},
    )


def _union(masks: Iterable[Bits]) -> Bits:
    found = 0
    for mask in masks:
        found |= mask
    return found


def _admits(requirements: Requirements, cell: Cell, offering_keys: frozenset[str]) -> bool:
    labels = {ZONE: cell.zone, CAPACITY_TYPE: cell.capacity_type, **dict(cell.labels)}
    for requirement in requirements:
        value = labels.get(requirement.key)
        if value is not None:
            if not requirement.has(value):
                return False
        elif requirement.key in offering_keys and not requirement.forbids:
            return False
    return True


class _Gathered:
    """What the offerings of one cell say, while they are read."""

    __slots__ = ("all_prices", "left", "listed", "on_sale", "prices", "sources")

    def __init__(self) -> None:
        self.listed = self.on_sale = 0
        self.prices: dict[int, float] = {}
        self.all_prices: dict[int, float] = {}
        self.sources: dict[int, str] = {}
        self.left: int | None = None


def _cells(catalog: Catalog) -> tuple[Cell, ...]:
    """Offerings gathered by their labels, ordered by zone, capacity type and labels."""
    gathered: dict[tuple[str, str, tuple[tuple[str, str], ...]], _Gathered] = {}
    as_written: dict[tuple[str, str, tuple[tuple[str, str], ...]], _Gathered] = {}
    for t, instance_type in enumerate(catalog.instance_types):
        bit = 1 << t
        for o in instance_type.offerings:
            written = (o.zone, o.capacity_type, tuple(o.labels.items()))
            cell = as_written.get(written)
            if cell is None:
                key = (o.zone, o.capacity_type, tuple(sorted((normalize(k), v) for k, v in o.labels.items())))
                cell = as_written[written] = gathered.setdefault(key, _Gathered())
            cell.listed |= bit
            cell.all_prices[t] = min(o.price, cell.all_prices.get(t, math.inf))
            if o.reservation_capacity is not None:
                cell.left = o.reservation_capacity if cell.left is None else min(cell.left, o.reservation_capacity)
            if o.available:
                cell.on_sale |= bit
                if o.price < cell.prices.get(t, math.inf):
                    cell.prices[t] = o.price
                    cell.sources[t] = o.price_source
    return tuple(
        Cell(
            *key,
            listed=cell.listed,
            on_sale=cell.on_sale,
            price_nano={t: nano_usd(price) for t, price in cell.prices.items()},
            price_usd=cell.prices,
            price_source=cell.sources,
            listed_usd=cell.all_prices,
            reservation_capacity=cell.left,
        )
        for key, cell in sorted(gathered.items())
    )


@lru_cache(maxsize=65536)
def nano_usd(price: float) -> int:
    """A price in USD as whole nano-USD, rounded down from its decimal text."""
    return int(Decimal(repr(price)) * NANO)
