"""The catalogs of all pools as markets, and their reading by the autoscaler.

Read at the start, when what is left of a reservation changes, and whenever the provider reads spot prices anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from fretsaw.api.catalog import Catalog
from fretsaw.api.times import Millis
from fretsaw.engine.events import CatalogRead
from fretsaw.providers.fleet.market import Market
from fretsaw.sim.cloud.prices import Prices
from fretsaw.sim.world import World

FIRST = -100
"""Priority of what has to be known before anything else of its moment."""


class Catalogs:
    """What each pool can launch. Pools with one catalog share its market."""

    def __init__(
        self, world: World, catalogs: Mapping[str, Catalog], unready: Mapping[str, str], prices: Prices
    ) -> None:
        self._world = world
        self._unready = dict(unready)
        self._prices = prices
        self._numbers: dict[str, int] = {}
        self._markets: list[Market] = []
        numbers: dict[int, int] = {}
        for pool, catalog in catalogs.items():
            number = numbers.setdefault(id(catalog), len(numbers))
            if number == len(self._markets):
                self._markets.append(Market(catalog))
            self._numbers[pool] = number
        self._stale = False
        self.shown: Callable[[Catalog], Catalog] = lambda catalog: catalog
        """What the autoscaler sees of a catalog: with the reservations as they are."""
        world.loop.at(world.loop.now, self._report, priority=FIRST)

    def markets(self) -> Iterable[Market]:
        """All of them."""
        return self._markets

    def market(self, pool: str) -> Market | None:
        """A pool's market, None where it has none."""
        number = self._numbers.get(pool)
        return None if number is None else self._markets[number]

    def types(self) -> tuple[str, ...]:
        """The names of all instance types, sorted."""
        return tuple(sorted({t.name for market in self._markets for t in market.catalog.instance_types}))

    def zones(self) -> tuple[str, ...]:
        """The names of all zones, sorted."""
        types = (t for market in self._markets for t in market.catalog.instance_types)
        return tuple(sorted({offering.zone for t in types for offering in t.offerings}))

    def why_not(self, pool: str) -> str:
        """Why a pool has no market."""
        return self._unready.get(pool, "its NodePool has no catalog")

    def changed(self) -> None:
        """Something about a catalog is new; several changes of one moment are told once."""
        if not self._stale:
            self._stale = True
            self._world.loop.at(self._world.loop.now, self._report, priority=FIRST)

    def refresh(self, every: Millis) -> None:
        """Read spot prices now and so often."""
        self._world.loop.after(every, self._refresh, every)

    def _refresh(self, every: Millis) -> None:
        self._markets = [Market(self._prices.shown(market)) for market in self._markets]
        self._report()
        self.refresh(every)

    def _report(self) -> None:
        self._stale = False
        for number, market in enumerate(self._markets):
            pools = tuple(sorted(pool for pool, own in self._numbers.items() if own == number))
            self._world.report(CatalogRead(pools, self.shown(market.catalog)))
        for pool, why in sorted(self._unready.items()):
            self._world.report(CatalogRead((pool,), None, why))
