"""A virtual EC2: stock, launches, prices, reclaims, reservations, throttling and the bill."""

from fretsaw.providers.fleet.offerings import Selector
from fretsaw.sim.cloud.bill import Bill, Totals
from fretsaw.sim.cloud.cloud import Cloud
from fretsaw.sim.cloud.settings import (
    Bursts,
    CloudSettings,
    Hazard,
    PriceStep,
    Quota,
    Rebalance,
    Replay,
    ReservationTerms,
    SpotPath,
    StockRule,
    Throttle,
)

__all__ = [
    "Bill",
    "Bursts",
    "Cloud",
    "CloudSettings",
    "Hazard",
    "PriceStep",
    "Quota",
    "Rebalance",
    "Replay",
    "ReservationTerms",
    "Selector",
    "SpotPath",
    "StockRule",
    "Throttle",
    "Totals",
]
