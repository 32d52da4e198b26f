"""Estimates of on-demand prices and the spot model."""

from __future__ import annotations

import pytest

from fretsaw.providers.aws import prices
from fretsaw.providers.aws.prices import OnDemand
from fretsaw.providers.aws.snapshot import PriceBasis, RegionRow, Saving

BASE = {"g5.xlarge": 1.0, "g5.2xlarge": 2.0, "g5.4xlarge": 4.0, "g6.xlarge": 0.8, "p5.48xlarge": 55.0, "m5.large": 0.1}
OLD = {**BASE, "p5.48xlarge": 98.0}


def regional(listed: dict[str, float], *names: str) -> dict[str, OnDemand]:
    return prices.regional(list(names or BASE), listed, BASE, OLD)


def test_a_listed_price_counts_when_another_size_agrees() -> None:
    found = regional({"g5.xlarge": 1.2, "g5.2xlarge": 2.4}, "g5.xlarge", "g5.2xlarge")
    assert found == {name: OnDemand(usd, PriceBasis.LISTED) for name, usd in (("g5.xlarge", 1.2), ("g5.2xlarge", 2.4))}


@pytest.mark.parametrize("surcharge", [1.06, 1.1])
def test_a_dedicated_tenancy_price_is_replaced_by_the_familys_factor(surcharge: float) -> None:
    found = regional(
        {"g5.xlarge": 1.2, "g5.2xlarge": 2.4 * surcharge, "g5.4xlarge": 4.8}, "g5.2xlarge", "g5.xlarge", "g5.4xlarge"
    )
    assert found["g5.2xlarge"] == OnDemand(2.4, PriceBasis.FAMILY)


def test_more_surcharged_than_plain_prices_still_give_the_plain_factor() -> None:
    found = regional({"g5.xlarge": 1.1, "g5.2xlarge": 2.2, "g5.4xlarge": 4.0}, "g5.xlarge", "g5.2xlarge", "g5.4xlarge")
    assert found["g5.xlarge"] == OnDemand(1.0, PriceBasis.FAMILY)


def test_a_single_listed_size_is_an_estimate() -> None:
    assert regional({"g5.xlarge": 1.2}, "g5.xlarge")["g5.xlarge"] == OnDemand(1.2, PriceBasis.FAMILY)


def test_a_price_cut_since_is_carried_over_to_the_region() -> None:
    assert regional({"p5.48xlarge": 98.0 * 1.25})["p5.48xlarge"] == OnDemand(68.75, PriceBasis.FAMILY)


def test_a_family_without_any_listed_size_takes_its_categorys_factor() -> None:
    assert regional({"g5.xlarge": 1.2, "g5.2xlarge": 2.4})["g6.xlarge"] == OnDemand(0.96, PriceBasis.CATEGORY)


def test_nothing_to_go_by_is_no_price() -> None:
    assert regional({"g5.xlarge": 1.2})["m5.large"] == OnDemand(None, PriceBasis.NONE)


def test_a_type_that_the_base_region_does_not_price_keeps_its_listed_price() -> None:
    assert regional({"p9.large": 7.0}, "p9.large")["p9.large"] == OnDemand(7.0, PriceBasis.UNCONFIRMED)
    assert prices.like(["p9.large"], {"p9.large": 7.0}, BASE, OLD)["p9.large"] == OnDemand(7.0, PriceBasis.UNCONFIRMED)


def test_bare_metal_does_not_decide_a_familys_factor() -> None:
    base = {"m5.metal": 4.0, "m5.large": 0.1}
    found = prices.regional(list(base), {"m5.metal": 3.6, "m5.large": 0.12}, base, base)
    assert found["m5.metal"] == OnDemand(4.8, PriceBasis.FAMILY)


def test_parity_takes_the_base_price_and_says_whether_the_old_list_agrees() -> None:
    found = prices.like(list(BASE), {"g5.xlarge": 1.0, "g6.xlarge": 0.88, "p5.48xlarge": 98.0}, BASE, OLD)
    assert found["g5.xlarge"] == OnDemand(1.0, PriceBasis.LISTED)
    assert found["g6.xlarge"] == OnDemand(0.8, PriceBasis.PARITY)
    assert found["p5.48xlarge"] == OnDemand(55.0, PriceBasis.PARITY)


def test_only_prices_that_somebody_published_carry_no_mark() -> None:
    unmarked = {basis for basis in PriceBasis if not prices.price_source(basis)}
    assert unmarked == {PriceBasis.PUBLISHED, PriceBasis.LISTED, PriceBasis.ACCOUNT, PriceBasis.NONE}
    assert set(prices.BASES) == set(PriceBasis)
    assert set(prices.BASIS_SOURCE) == set(PriceBasis) - {PriceBasis.NONE}


@pytest.mark.parametrize("zone", ["us-east-1a", "us-east-1b", "us-east-1c"])
def test_modelled_spot_stays_within_the_zones_spread(zone: str) -> None:
    row = RegionRow("g5.xlarge", "abc", 1.0, PriceBasis.PUBLISHED)
    price = prices.spot_price(row, Saving(60, 4), zone)
    assert price is not None
    assert abs(price / 0.4 - 1) <= prices.ZONE_SPREAD
    assert price == prices.spot_price(row, Saving(60, 4), zone)


def test_no_pool_or_no_on_demand_price_is_no_spot_price() -> None:
    assert prices.spot_price(RegionRow("g5.xlarge", "a", 1.0, PriceBasis.PUBLISHED), None, "us-east-1a") is None
    assert prices.spot_price(RegionRow("p5e.48xlarge", "a", None, PriceBasis.NONE), Saving(60, 4), "us-east-1a") is None
