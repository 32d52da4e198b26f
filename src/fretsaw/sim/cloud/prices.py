"""What each offering costs now, for launches, for the bill, and for the autoscaler when it reads prices anew."""

from __future__ import annotations

import msgspec

from fretsaw.api.catalog import Catalog, InstanceType, Offering
from fretsaw.api.times import HOUR
from fretsaw.engine.universe import RESERVED, nano_usd
from fretsaw.providers.fleet.market import Market, usd
from fretsaw.providers.fleet.offerings import OfferingKey
from fretsaw.sim.cloud.settings import PriceStep, SpotPath
from fretsaw.sim.cloud.spot_price import Constant, Path, Rate, Stepped
from fretsaw.sim.world import World

FREE = Constant(0)


class Prices:
    """On-demand as the catalog says, reserved free at the margin, spot on its path around the catalog's price; and
    whatever steps make of these."""

    def __init__(self, world: World, way: SpotPath | None, steps: tuple[PriceStep, ...] = ()) -> None:
        self._world = world
        self._way = way
        self._steps = steps
        self._rates: dict[OfferingKey, Rate] = {}

    @property
    def moving(self) -> bool:
        """Whether any price may change."""
        return self._way is not None or bool(self._steps)

    def epoch(self) -> tuple[int, int]:
        """Something that changes when any price does: the hour, and how many steps have begun."""
        now = self._world.loop.now
        return (now // HOUR if self._way is not None else 0), sum(step.at <= now for step in self._steps)

    def rate(self, market: Market, t: int, c: int) -> Rate:
        """The price of type `t` in cell `c` over time."""
        cell = market.universe.cells[c]
        if cell.reserved:
            return FREE
        return self._rate(market.key(t, c), cell.price_nano[t], market.on_demand(t))

    def now(self, market: Market, t: int, c: int) -> int:
        """Nano-USD an hour of type `t` in cell `c` now."""
        cell = market.universe.cells[c]
        if cell.reserved:
            return 0
        if not self._steps and (self._way is None or cell.capacity_type != "spot"):
            return cell.price_nano[t]
        known = self._rates.get((market.universe.names[t], cell.zone, cell.capacity_type))
        return (known or self.rate(market, t, c)).at(self._world.loop.now)

    def _rate(self, offering: OfferingKey, base: int, cap: int | None) -> Rate:
        """base: the catalog's price at the start of the run; what is read later are points of the rate itself."""
        known = self._rates.get(offering)
        if known is None:
            known = self._rates[offering] = self._made(offering, base, cap)
        return known

    def _made(self, offering: OfferingKey, base: int, cap: int | None) -> Rate:
        name, zone, capacity_type = offering
        plain: Rate = Constant(base)
        if capacity_type == "spot" and self._way is not None:
            limit = base * 10 if cap is None else cap
            plain = Path(self._world.dice, (name, zone), self._world.loop.start, base, limit, self._way)
        steps = [step for step in self._steps if step.where.matches(offering)]
        return Stepped(plain, steps) if steps else plain

    def shown(self, market: Market) -> Catalog:
        """The market's catalog with the prices of now."""
        types = [self._shown_type(one, market) for one in market.catalog.instance_types]
        return msgspec.structs.replace(market.catalog, instance_types=types)

    def _shown_type(self, one: InstanceType, market: Market) -> InstanceType:
        t = market.index(one.name)
        cap = None if t is None else market.on_demand(t)
        return msgspec.structs.replace(one, offerings=[self._shown(one.name, o, cap) for o in one.offerings])

    def _shown(self, name: str, offering: Offering, cap: int | None) -> Offering:
        if offering.capacity_type == RESERVED:
            return offering
        base = nano_usd(offering.price)
        now = self._rate((name, offering.zone, offering.capacity_type), base, cap).at(self._world.loop.now)
        return offering if now == base else msgspec.structs.replace(offering, price=usd(now))
