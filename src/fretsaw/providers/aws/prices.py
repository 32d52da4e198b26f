"""Prices that no list at hand gives: on-demand estimates for a region (at build time), and the spot model.

Published prices pass through unchanged. What is estimated or modelled is marked, in the snapshot by its basis and in a
catalog by `Offering.price_source`. docs/catalog.md explains the method and counts the figures.
"""

from __future__ import annotations

import re
import statistics
import zlib
from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from fretsaw.providers.aws.snapshot import PriceBasis, RegionRow, Saving

BASES: Mapping[PriceBasis, str] = {
    PriceBasis.PUBLISHED: "published price",
    PriceBasis.LISTED: "listed in the older price list, and in line with the rest of its family",
    PriceBasis.PARITY: "the region's price list equals that of us-east-1; this type is not in the older list",
    PriceBasis.FAMILY: "estimated: us-east-1 price times the factor that other sizes of the family show in this region",
    PriceBasis.CATEGORY: "estimated: us-east-1 price times the median factor of the region's families of this category",
    PriceBasis.UNCONFIRMED: "listed in the older price list, with nothing to check it against",
    PriceBasis.ACCOUNT: "read from the AWS price list",
    PriceBasis.NONE: "no public on-demand price",
}
"""What each basis of an on-demand price means."""

BASIS_SOURCE: Mapping[PriceBasis, str] = {
    PriceBasis.PUBLISHED: "karpenter-prices",
    PriceBasis.LISTED: "libcloud-prices",
    PriceBasis.PARITY: PriceBasis.PARITY,
    PriceBasis.FAMILY: "estimate",
    PriceBasis.CATEGORY: "estimate",
    PriceBasis.UNCONFIRMED: "libcloud-prices",
    PriceBasis.ACCOUNT: "aws-account",
}
"""The source that a basis stands on."""

_ESTIMATED: frozenset[PriceBasis] = frozenset(
    {PriceBasis.PARITY, PriceBasis.FAMILY, PriceBasis.CATEGORY, PriceBasis.UNCONFIRMED}
)

_SURCHARGES = (1.0, 1.06, 1.065, 1.1)
"""The older list gives dedicated-tenancy prices for about a fifth of the types: 6 to 10 % above the shared price."""
_TOLERANCE = 0.006
"""Small prices are rounded in the lists, so equal factors differ by up to half a per cent."""
ZONE_SPREAD = 0.03
"""How far a zone's modelled spot price may lie from the region's: enough to order the zones."""


class OnDemand(NamedTuple):
    """A price in USD an hour, and how it was found."""

    usd: float | None
    basis: PriceBasis


def category(name: str) -> str:
    """The leading letters of a type: `g`, `gr`, `p`, `trn`."""
    match = re.match(r"[a-z]+", name)
    return match.group() if match else ""


def family(name: str) -> str:
    """The part before the dot: `g5`, `p6-b200`."""
    return name.partition(".")[0]


def price_source(basis: PriceBasis) -> str:
    """The mark of an on-demand offering: empty for a published price."""
    return "estimated" if basis in _ESTIMATED else ""


def regional(
    names: list[str], listed: Mapping[str, float], base: Mapping[str, float], old: Mapping[str, float]
) -> dict[str, OnDemand]:
    """On-demand price of each type of a region whose current price list is not at hand.

    listed: the region's older list, with gaps and some dedicated-tenancy prices; base: us-east-1 now; old: us-east-1 at
    the time of the older list. A listed price is taken when at least one other size of its family agrees on the
    region's factor and us-east-1 has not cut the type since; everything else is estimated from the factor, or absent.
    """
    ratios = {name: listed[name] / old[name] for name in names if listed.get(name) and old.get(name)}
    factors, witnesses = _family_factors(ratios)
    medians = _category_factors(factors)
    return {name: _price(name, listed, base, old, factors, witnesses, medians) for name in names}


def _price(
    name: str,
    listed: Mapping[str, float],
    base: Mapping[str, float],
    old: Mapping[str, float],
    factors: Mapping[str, float],
    witnesses: Mapping[str, int],
    medians: Mapping[str, float],
) -> OnDemand:
    own = family(name)
    if not base.get(name):
        return OnDemand(listed[name], PriceBasis.UNCONFIRMED) if listed.get(name) else OnDemand(None, PriceBasis.NONE)
    factor = factors.get(own)
    if factor is not None:
        agrees = bool(listed.get(name)) and _near(listed[name] / old[name], factor)
        if agrees and witnesses[own] > 1 and base[name] == old[name]:
            return OnDemand(listed[name], PriceBasis.LISTED)
        return OnDemand(round(base[name] * factor, 5), PriceBasis.FAMILY)
    if category(name) in medians:
        return OnDemand(round(base[name] * medians[category(name)], 5), PriceBasis.CATEGORY)
    return OnDemand(None, PriceBasis.NONE)


def like(
    names: list[str], listed: Mapping[str, float], base: Mapping[str, float], old: Mapping[str, float]
) -> dict[str, OnDemand]:
    """On-demand prices of a region whose list equals the base region's.

    A price that the region's older list repeats, and that has not changed since, counts as listed.
    """
    found: dict[str, OnDemand] = {}
    for name in names:
        price = base.get(name)
        if not price:
            found[name] = (
                OnDemand(listed[name], PriceBasis.UNCONFIRMED) if listed.get(name) else OnDemand(None, PriceBasis.NONE)
            )
            continue
        repeated = _near(listed.get(name, 0) / price, 1) and price == old.get(name)
        found[name] = OnDemand(price, PriceBasis.LISTED if repeated else PriceBasis.PARITY)
    return found


def _family_factors(ratios: Mapping[str, float]) -> tuple[dict[str, float], dict[str, int]]:
    """The factor of each family, and how many of its sizes show it without a surcharge."""
    groups: dict[str, list[float]] = defaultdict(list)
    for name, ratio in sorted(ratios.items()):
        # Bare metal is listed with and without the dedicated surcharge in turn, so it proves nothing.
        if ".metal" not in name:
            groups[family(name)].append(ratio)
    factors: dict[str, float] = {}
    witnesses: dict[str, int] = {}
    for name, seen in groups.items():
        best = max(sorted(seen), key=lambda factor: (_explained(factor, seen), -factor))
        same = [ratio for ratio in seen if _near(ratio, best)]
        factors[name] = statistics.median(same)
        witnesses[name] = len(same)
    return factors, witnesses


def _explained(factor: float, seen: list[float]) -> int:
    """How many ratios are this factor, or this factor with a dedicated-tenancy surcharge."""
    return sum(any(_near(ratio, factor * surcharge) for surcharge in _SURCHARGES) for ratio in seen)


def _category_factors(factors: Mapping[str, float]) -> dict[str, float]:
    groups: dict[str, list[float]] = defaultdict(list)
    for name, factor in sorted(factors.items()):
        groups[category(name)].append(factor)
    return {name: statistics.median(seen) for name, seen in groups.items()}


def _near(left: float, right: float) -> bool:
    return abs(left / right - 1) <= _TOLERANCE


def spot_price(row: RegionRow, saving: Saving | None, zone: str) -> float | None:
    """The modelled spot price in a zone, USD an hour; None without an on-demand price or a known spot pool.

    On-demand × (1 − saving), moved by at most ZONE_SPREAD by a checksum of type and zone, so that zones differ and
    every run gives the same.
    """
    if row.on_demand is None or saving is None:
        return None
    shift = (zlib.crc32(f"{row.name}/{zone}".encode()) % 2001 - 1000) / 1000 * ZONE_SPREAD
    return round(row.on_demand * (1 - saving.percent / 100) * (1 + shift), 5)
