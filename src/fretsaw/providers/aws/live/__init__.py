"""What the account's region sells now: types, zones, prices, and what was learnt of real nodes, as catalogs."""

from __future__ import annotations

from fretsaw.providers.aws.live.market import Intervals, Live

__all__ = ["Intervals", "Live"]
