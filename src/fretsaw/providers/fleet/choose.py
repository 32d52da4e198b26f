"""What the AWS provider asks EC2 for: which types, in which cells, bought how.

The steps run in the provider's order on sets of types, one per cell.
Source: Karpenter AWS provider v1.14 pkg/providers/instance and its filter package.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator

import msgspec

from fretsaw.engine.template import min_values_unmet
from fretsaw.engine.universe import Bits, bits
from fretsaw.providers.fleet.market import INTERRUPTIBLE, RESERVATION_TYPE, Market, Wants

MOST_TYPES = 60
"""Types in one CreateFleet call."""
NONE_AVAILABLE = "all requested instance types were unavailable during launch"
TOO_FEW = "truncating instance types based on the passed-in requirements"
Sale = dict[int, Bits]
"""Cell → types that may be bought there; cells without any are left out."""


class Request(msgspec.Struct, frozen=True):
    """A CreateFleet call: one instance of any of `sale`, all bought in one way."""

    capacity_type: str
    sale: Sale


class Nothing(msgspec.Struct, frozen=True):
    """There is nothing to ask for."""

    message: str


def request(market: Market, wants: Wants, down: list[Bits], left: Callable[[str], int]) -> Request | Nothing:
    """What is asked of EC2 for a claim.

    down: for each cell the types that the provider avoids. left: instances left in a reservation, by its id.
    """
    sale = _on_sale(market, wants, down, left)
    sale = _one_kind_of_reservation(market, sale)
    sale = _fullest_reservations(market, sale, left)
    if not wants.requirements.has_min_values:
        sale = _without_exotic(market, sale)
        sale = _without_dear_spot(market, sale)
    if not sale:
        return Nothing(NONE_AVAILABLE)
    kept = _cheapest_types(market, sale)
    if min_values_unmet(market.universe, wants.requirements, kept):
        return Nothing(TOO_FEW)
    capacity_type = _capacity_type(market, sale, kept)
    of_type = {c: t & kept for c, t in sale.items() if market.universe.cells[c].capacity_type == capacity_type}
    return Request(capacity_type, {c: types for c, types in of_type.items() if types})


def _on_sale(market: Market, wants: Wants, down: list[Bits], left: Callable[[str], int]) -> Sale:
    found: Sale = {}
    for c in bits(wants.cells):
        cell = market.universe.cells[c]
        types = cell.on_sale & wants.types & ~down[c]
        if types and not (cell.reserved and left(cell.reservation) <= 0):
            found[c] = types
    return found


def _one_kind_of_reservation(market: Market, sale: Sale) -> Sale:
    """With any reservation: those of the kind that has the cheapest, and nothing else; of capacity blocks only one."""
    kinds: dict[int, Sale] = {}
    for c, types in sale.items():
        if market.universe.cells[c].reserved:
            kinds.setdefault(_kind(market, c), {})[c] = types
    if not kinds:
        return sale
    chosen = min(kinds, key=lambda kind: (_cheapest(market, kinds[kind])[0], kind))
    if chosen != _BLOCK:
        return kinds[chosen]
    _, t, c = _cheapest(market, kinds[chosen])
    return {c: 1 << t}


_DEFAULT, _BLOCK, _INTERRUPTIBLE = 0, 1, 2
"""Kinds of reservations in the order in which equal prices are taken."""


def _kind(market: Market, c: int) -> int:
    labels = dict(market.universe.cells[c].labels)
    if labels.get(RESERVATION_TYPE) == "capacity-block":
        return _BLOCK
    return _INTERRUPTIBLE if labels.get(INTERRUPTIBLE) == "true" else _DEFAULT


def _cheapest(market: Market, sale: Sale) -> tuple[int, int, int]:
    """(price, type, cell) of the cheapest offering; ties by type and cell."""
    cells, names = market.universe.cells, market.universe.names
    entries = ((cells[c].price_nano[t], names[t], t, c) for c, types in sale.items() for t in bits(types))
    price, _, t, c = min(entries)
    return price, t, c


def _fullest_reservations(market: Market, sale: Sale, left: Callable[[str], int]) -> Sale:
    """For each type and zone the one reservation with most instances left."""
    cells = market.universe.cells
    best: dict[tuple[str, int], tuple[int, int]] = {}
    for c, types in sale.items():
        if not cells[c].reserved:
            return sale
        for t in bits(types):
            mine = (-left(cells[c].reservation), c)
            best[cells[c].zone, t] = min(mine, best.get((cells[c].zone, t), mine))
    found: Sale = {}
    for (_, t), (_, c) in best.items():
        found[c] = found.get(c, 0) | 1 << t
    return found


def _without_exotic(market: Market, sale: Sale) -> Sale:
    """Without bare metal and accelerators, unless that leaves nothing."""
    plain = {c: types & ~market.exotic for c, types in sale.items() if types & ~market.exotic}
    return plain or sale


def _without_dear_spot(market: Market, sale: Sale) -> Sale:
    """Without spot offerings that cost more than the cheapest on-demand offering, where both are on sale."""
    cells, shelves = market.universe.cells, market.shelves
    prices = [shelves[c].cheapest(types) for c, types in sale.items() if cells[c].capacity_type == "on-demand"]
    limit = min((price for price in prices if price is not None), default=None)
    if limit is None:
        return sale
    spot = {c: types & shelves[c].up_to(limit) for c, types in sale.items() if cells[c].capacity_type == "spot"}
    return {c: types for c, types in {**sale, **spot}.items() if types}


def _cheapest_types(market: Market, sale: Sale) -> Bits:
    """The sixty types with the cheapest offerings."""
    every = 0
    for types in sale.values():
        every |= types
    if every.bit_count() <= MOST_TYPES:
        return every
    question = tuple(sale.items())
    known = market.truncated.get(question)
    if known is None:
        known = market.truncated[question] = _first(market, sale)
    return known


def _first(market: Market, sale: Sale) -> Bits:
    names = market.universe.names
    kept = count = 0
    for _, _, t in heapq.merge(*(_priced(market, c, types, names) for c, types in sale.items())):
        if not kept >> t & 1:
            kept |= 1 << t
            count += 1
            if count == MOST_TYPES:
                break
    return kept


def _priced(market: Market, c: int, types: Bits, names: tuple[str, ...]) -> Iterator[tuple[int, str, int]]:
    return ((price, names[t], t) for price, t in market.shelves[c].cheapest_first(types))


def _capacity_type(market: Market, sale: Sale, kept: Bits) -> str:
    """Reserved before spot before on-demand, by what there is."""
    there = {market.universe.cells[c].capacity_type for c, types in sale.items() if types & kept}
    return next(kind for kind in ("reserved", "spot", "on-demand") if kind in there)
