"""NodeOverlays, applied a second time for the checker: what a pool pays and has. Source: Karpenter v1.14 nodeoverlay."""

from __future__ import annotations

from support import kube
from support.kube import Amounts, Obj, Spans
from support.world import World


class Priced:
    """Offerings and added capacity of each (pool, type) after the overlays."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._prices: dict[tuple[str, str, int], float] = {}
        self._extra: dict[tuple[str, str], Obj] = {}
        ordered = sorted(world.kind("NodeOverlay"), key=lambda o: kube.meta(o)["name"], reverse=True)
        ordered.sort(key=lambda o: -(o["spec"].get("weight") or 0))
        by: dict[tuple[object, ...], int] = {}
        for overlay in ordered:
            self._apply(overlay, by)

    def offerings(self, pool: str, name: str) -> list[Obj]:
        """The type's offerings as the pool pays them."""
        offers = self.world.types[name].get("offerings") or []
        return [{**o, "price": self._prices.get((pool, name, i), o["price"])} for i, o in enumerate(offers)]

    def extra_capacity(self, pool: str, name: str) -> Amounts:
        """Resources that overlays set on the type."""
        return kube.amounts(self._extra.get((pool, name)))

    def capacity(self, pool: str, name: str) -> Obj:
        """Capacity of the type in the pool, as texts."""
        return {**self.world.types[name]["capacity"], **self._extra.get((pool, name), {})}

    def _apply(self, overlay: Obj, by: dict[tuple[object, ...], int]) -> None:
        """Apply one overlay to what no earlier one set; not at all where it conflicts with one of its weight."""
        spec, weight = overlay["spec"], overlay["spec"].get("weight") or 0
        wants = kube.expressions(spec.get("requirements") or [])
        if wants is None:
            return
        slots: list[tuple[object, ...]] = []
        for pool in self.world.pools:
            for name in self.world.types:
                chosen = self._covered(pool, name, wants)
                if "price" in spec or "priceAdjustment" in spec:
                    slots += [(pool, name, index) for index in chosen]
                if chosen:
                    slots += [(pool, name, resource) for resource in spec.get("capacity") or {}]
        if any(by.get(slot) == weight for slot in slots):
            return
        for slot in slots:
            if slot not in by:
                by[slot] = weight
                self._set(slot, spec)

    def _set(self, slot: tuple[object, ...], spec: Obj) -> None:
        pool, name, what = str(slot[0]), str(slot[1]), slot[2]
        if isinstance(what, int):
            price = self.world.types[name]["offerings"][what]["price"]
            self._prices[pool, name, what] = adjusted(price, spec.get("price"), spec.get("priceAdjustment"))
        else:
            self._extra.setdefault((pool, name), {})[str(what)] = spec["capacity"][what]

    def _covered(self, pool: str, name: str, wants: Spans) -> list[int]:
        """Indices of the offerings that the overlay speaks of."""
        template = self.world.pools[pool]["spec"]["template"]
        labels = {**((template.get("metadata") or {}).get("labels") or {}), kube.NODE_POOL: pool}
        spans = {**self.world.type_spans(name), **{key: kube.span("In", [value]) for key, value in labels.items()}}
        for key, one in wants.items():
            if key not in spans and not one.negative:
                return []
            if key in spans and kube.meet(one, spans[key]) is None:
                return []
        covered = []
        for index, offering in enumerate(self.world.types[name].get("offerings") or []):
            values = {
                **(offering.get("labels") or {}),
                kube.ZONE: offering["zone"],
                kube.CAPACITY_TYPE: offering["capacityType"],
            }
            if all(wants[key].has(str(value)) for key, value in values.items() if key in wants):
                covered.append(index)
        return covered


def adjusted(price: float, absolute: str | None, change: str | None) -> float:
    """Price after an overlay, never negative."""
    if absolute is not None:
        return float(absolute)
    if not change:
        return price
    if change.endswith("%"):
        return max(0.0, price * (1 + float(change[:-1]) / 100))
    return max(0.0, price + float(change))


def priced(world: World) -> Priced:
    """The world's prices and capacities after its overlays."""
    return Priced(world)
