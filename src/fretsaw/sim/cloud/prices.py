"""What each offering costs now, for launches, for the bill, and for the autoscaler when it reads prices anew."""

from __future__ import annotations

import msgspec

from fretsaw.api.catalog import Catalog, InstanceType
from fretsaw.engine.universe import nano_usd
from fretsaw.sim.cloud.market import Market, usd
from fretsaw.sim.cloud.settings import SpotPath
from fretsaw.sim.cloud.spot_price import Constant, Path, Rate
from fretsaw.sim.world import World


class Prices:
    """On-demand as the catalog says, reserved free at the margin, spot on its path around the catalog's price."""

    def __init__(self, world: World, way: SpotPath | None) -> None:
        self._world = world
        self._way = way
        self._paths: dict[tuple[str, str], Path] = {}

    def rate(self, market: Market, t: int, c: int) -> Rate:
        """The price of type `t` in cell `c` over time."""
        cell = market.universe.cells[c]
        if cell.reserved:
            return Constant(0)
        if cell.capacity_type == "spot" and self._way is not None:
            return self._path(market.universe.names[t], cell.zone, cell.price_nano[t], market.on_demand(t))
        return Constant(cell.price_nano[t])

    def now(self, market: Market, t: int, c: int) -> int:
        """Nano-USD an hour of type `t` in cell `c` now."""
        cell = market.universe.cells[c]
        if cell.reserved:
            return 0
        if cell.capacity_type != "spot" or self._way is None:
            return cell.price_nano[t]
        known = self._paths.get((market.universe.names[t], cell.zone))
        return (known or self.rate(market, t, c)).at(self._world.loop.now)

    def _path(self, name: str, zone: str, base: int, cap: int | None) -> Path:
        """base: the catalog's price at the start of the run; later readings of it are points of the path itself."""
        known = self._paths.get((name, zone))
        if known is None:
            assert self._way is not None
            limit = base * 10 if cap is None else cap
            known = Path(self._world.dice, (name, zone), self._world.loop.start, base, limit, self._way)
            self._paths[name, zone] = known
        return known

    def shown(self, market: Market) -> Catalog:
        """The market's catalog with the spot prices of now."""
        types = [self._shown_type(t, market) for t in market.catalog.instance_types]
        return msgspec.structs.replace(market.catalog, instance_types=types)

    def _shown_type(self, one: InstanceType, market: Market) -> InstanceType:
        t = market.index(one.name)
        cap = None if t is None else market.on_demand(t)
        offerings = [
            msgspec.structs.replace(
                offering,
                price=usd(self._path(one.name, offering.zone, nano_usd(offering.price), cap).at(self._world.loop.now)),
            )
            if offering.capacity_type == "spot" and self._way is not None
            else offering
            for offering in one.offerings
        ]
        return msgspec.structs.replace(one, offerings=offerings)
