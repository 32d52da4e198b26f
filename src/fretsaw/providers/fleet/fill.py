"""EC2's side of CreateFleet: which of the offerings asked for it launches, and which it could not.

On-demand and reserved: lowest-price, so one price after the other; equal prices by depth of stock, then by a draw of
the claim's own, as EC2 does not always answer with the first zone. Spot: price-capacity-optimized, modelled as the
deepest stock among the offerings within a band above the cheapest, then the next band. Offerings that were looked at
before any could be filled are the errors of the answer.

Source: EC2 User Guide, EC2 Fleet allocation strategies; Karpenter AWS provider v1.14 pkg/errors (codes).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from random import Random

import msgspec

from fretsaw.engine.universe import bits
from fretsaw.providers.fleet.choose import Request
from fretsaw.providers.fleet.market import Market, Priced
from fretsaw.providers.fleet.offerings import OfferingKey

INSUFFICIENT = "InsufficientInstanceCapacity"
RESERVATION_FULL = "ReservationCapacityExceeded"
VCPU_LIMIT = "VcpuLimitExceeded"
SPOT_LIMIT = "MaxSpotInstanceCountExceeded"
"""Error codes that Karpenter takes for lack of capacity."""


class Override(msgspec.Struct, frozen=True):
    """One offering of a call, at its price now."""

    price: int
    """Nano-USD an hour."""
    t: int
    c: int
    offering: OfferingKey


class Failed(msgspec.Struct, frozen=True):
    """An offering that EC2 could not fill."""

    override: Override
    code: str


class Answer(msgspec.Struct, frozen=True):
    """What CreateFleet says: an instance of `launched`, if any, and errors, with or without one."""

    launched: Override | None
    errors: tuple[Failed, ...] = ()


class Supply:
    """Who knows what there is, and what it costs now."""

    def __init__(
        self,
        price: Callable[[Market, int, int], int],
        depth: Callable[[Market, Override], float],
        refusal: Callable[[Market, int, str], str],
        epoch: Callable[[], Hashable],
        band: float,
    ) -> None:
        self.price = price
        """(market, type, cell) → nano-USD an hour now."""
        self.depth = depth
        """Instances that can be had of an offering now."""
        self.refusal = refusal
        """(market, type, capacity type) → the code of the quota in the way; empty for none."""
        self.epoch = epoch
        """Something that changes when any price does."""
        self.band = band


def fill(market: Market, asked: Request, supply: Supply, random: Random) -> Answer:
    """The offering that EC2 launches an instance of, and those that it failed at before."""
    spot = asked.capacity_type == "spot"
    errors: list[Failed] = []
    for tier in _tiers(_priced(market, asked, supply), supply.band if spot else 0.0):
        overrides = [Override(price, t, c, market.key(t, c)) for price, _, _, t, c in tier]
        able, failed = _able(market, asked, supply, overrides)
        if able:
            return Answer(_deepest(able, spot, random), tuple(errors))
        errors += failed
    return Answer(None, tuple(errors))


def _priced(market: Market, asked: Request, supply: Supply) -> list[Priced]:
    """All offerings of the call, by price, then name and zone; remembered as long as prices stay what they are."""
    question, epoch = tuple(asked.sale.items()), supply.epoch()
    known = market.priced.get(question)
    if known is None or known[0] != epoch:
        names, cells, price = market.universe.names, market.universe.cells, supply.price
        found = sorted(
            (price(market, t, c), names[t], cells[c].zone, t, c) for c, types in asked.sale.items() for t in bits(types)
        )
        known = market.priced[question] = (epoch, found)
    return known[1]


def _tiers(offerings: list[Priced], band: float) -> Iterator[list[Priced]]:
    """Offerings that are equally good by price: each at most `band` above the cheapest of its tier."""
    tier: list[Priced] = []
    for one in offerings:
        if tier and one[0] > tier[0][0] * (1 + band):
            yield tier
            tier = []
        tier.append(one)
    if tier:
        yield tier


def _able(
    market: Market, asked: Request, supply: Supply, tier: list[Override]
) -> tuple[list[tuple[float, Override]], list[Failed]]:
    """(those that can be filled with the depth of their stock, the others with their error)."""
    able: list[tuple[float, Override]] = []
    failed: list[Failed] = []
    for override in tier:
        depth = supply.depth(market, override)
        quota = supply.refusal(market, override.t, asked.capacity_type)
        if quota:
            failed.append(Failed(override, quota))
        elif depth <= 0:
            failed.append(Failed(override, RESERVATION_FULL if asked.capacity_type == "reserved" else INSUFFICIENT))
        else:
            able.append((depth, override))
    return able, failed


def _deepest(able: list[tuple[float, Override]], spot: bool, random: Random) -> Override:
    most = max(depth for depth, _ in able)
    best = [override for depth, override in able if depth == most]
    return best[0] if spot else best[random.randrange(len(best))]
