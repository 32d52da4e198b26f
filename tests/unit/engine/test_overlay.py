"""NodeOverlays: arithmetic, order and conflicts."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fretsaw.api.catalog import Catalog
from fretsaw.engine.cluster import Cluster
from fretsaw.engine.overlay import adjusted, overlaid
from fretsaw.planner import cluster_of, from_objects
from support import builders as b
from support.kube import CAPACITY_TYPE, ZONE

CATALOG = b.catalog(b.machine("small", "4", "8Gi", 0.1), b.machine("large", "8", "16Gi", 0.2))
NAME = "node.kubernetes.io/instance-type"


@pytest.mark.parametrize(
    ("price", "change", "result"),
    [
        (1.0, "0.25", 0.25),
        (1.0, "0", 0.0),
        (1.0, "+0.25", 1.25),
        (1.0, "-0.25", 0.75),
        (1.0, "+10%", 1.1),
        (1.0, "+250%", 3.5),
        (2.0, "-50%", 1.0),
        (2.0, "-100%", 0.0),
        (0.1, "-0.2", 0.0),
        (0.3, "-33.3%", 0.2001),
        (0.5, "+.25", 0.75),
    ],
)
def test_price_arithmetic(price: float, change: str, result: float) -> None:
    assert adjusted(price, change) == result


def overlay(name: str, *needs: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return b.named(
        "NodeOverlay", "karpenter.sh/v1alpha1", name, {"requirements": list(needs) or [b.need(NAME, "Exists")], **spec}
    )


def applied(
    *overlays: dict[str, Any], pools: tuple[dict[str, Any], ...] = (b.pool(),)
) -> tuple[dict[str, Catalog], list[str]]:
    return overlaid(cluster_of(from_objects([*pools, *overlays]), msgspec.convert(CATALOG, Catalog)))


def prices(
    catalogs: dict[str, Catalog], pool: str = "main", kind: str = b.ON_DEMAND, zone: str = "z-a"
) -> dict[str, float]:
    return {
        t.name: o.price
        for t in catalogs[pool].instance_types
        for o in t.offerings
        if (o.zone, o.capacity_type) == (zone, kind)
    }


def test_without_overlays_the_catalog_is_the_same_object() -> None:
    catalog = msgspec.convert(CATALOG, Catalog)
    assert overlaid(Cluster(catalogs={"main": catalog}))[0]["main"] is catalog


def test_a_price_goes_to_the_offerings_that_match_and_says_where_it_is_from() -> None:
    found, notes = applied(
        overlay(
            "o", b.need(NAME, "In", "small"), b.need(ZONE, "In", "z-a"), b.need(CAPACITY_TYPE, "In", "spot"), price="9"
        )
    )
    assert notes == []
    small = next(t for t in found["main"].instance_types if t.name == "small")
    assert [(o.zone, o.capacity_type) for o in small.offerings if o.price_source == "nodeoverlay"] == [("z-a", "spot")]
    assert prices(found, kind=b.SPOT) == {"small": 9.0, "large": 0.06}


def test_capacity_goes_to_the_whole_type() -> None:
    found, _ = applied(overlay("o", b.need(NAME, "In", "large"), capacity={"x.io/slots": "4"}))
    assert [t.capacity.get("x.io/slots") for t in found["main"].instance_types] == [None, "4"]
    assert prices(found) == {"small": 0.1, "large": 0.2}


def test_the_heaviest_overlay_wins() -> None:
    found, notes = applied(
        overlay("light", price="1"), overlay("heavy", b.need(NAME, "In", "small"), price="2", weight=5)
    )
    assert (prices(found), notes) == ({"small": 2.0, "large": 1.0}, [])


def test_one_overlay_may_set_the_price_and_another_the_capacity() -> None:
    found, notes = applied(overlay("a", price="1"), overlay("b", capacity={"x.io/slots": "4"}))
    assert notes == []
    assert prices(found) == {"small": 1.0, "large": 1.0}
    assert {t.capacity["x.io/slots"] for t in found["main"].instance_types} == {"4"}


def test_of_equal_weight_the_later_name_wins_and_the_other_is_left_out_as_a_whole() -> None:
    found, notes = applied(
        overlay("a", price="1", capacity={"x.io/slots": "4"}), overlay("b", b.need(NAME, "In", "small"), price="2")
    )
    assert prices(found) == {"small": 2.0, "large": 0.2}
    assert not any("x.io/slots" in t.capacity for t in found["main"].instance_types)
    assert len(notes) == 1
    assert notes[0].startswith("nodeoverlay/a is left out: another overlay of equal weight sets the price of small")


def test_an_overlay_may_be_for_one_pool() -> None:
    pools = (b.pool("one"), b.pool("two", labels={"team": "red"}))
    found, _ = applied(overlay("o", b.need("team", "In", "red"), price="3"), pools=pools)
    assert (prices(found, "one")["small"], prices(found, "two")["small"]) == (0.1, 3.0)
    found, _ = applied(overlay("o", b.need("karpenter.sh/nodepool", "In", "one"), price="3"), pools=pools)
    assert (prices(found, "one")["small"], prices(found, "two")["small"]) == (3.0, 0.1)


def test_a_label_that_nobody_defines_keeps_an_overlay_away() -> None:
    found, _ = applied(overlay("o", b.need("team", "In", "red"), price="3"))
    assert prices(found) == {"small": 0.1, "large": 0.2}
