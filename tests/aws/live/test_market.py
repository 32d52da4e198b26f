"""The market: what is read and when, what stands in where a reading fails, and what catalogs come of it."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from fretsaw.api.catalog import Catalog, InstanceType, Offering
from fretsaw.api.meta import ObjectMeta
from fretsaw.api.nodeclass import EC2NodeClass, EC2NodeClassSpec
from fretsaw.api.nodeclass_status import EC2NodeClassStatus, ResolvedAMI, ResolvedCapacityReservation, ResolvedSubnet
from fretsaw.errors import NotReady, ProviderError, Throttled
from fretsaw.providers.aws import snapshot
from fretsaw.providers.aws.calls import Aws, AwsError
from fretsaw.providers.aws.live import Intervals, Live, reading
from fretsaw.providers.aws.live.assemble import assemble
from support.aws import Moto
from support.aws.asking import Hand, Scripted

NOW = int(datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp() * 1000)
HOUR = 3600.0
NODE_CLASS = EC2NodeClass(metadata=ObjectMeta(name="gpu"))


def on(moto: Moto, act: Callable[[Aws], Awaitable[Any]]) -> Any:
    async def whole() -> Any:
        async with moto.session() as aws:
            return await act(aws)

    return asyncio.run(whole())


def find(catalog: Catalog, name: str) -> InstanceType:
    return next(item for item in catalog.instance_types if item.name == name)


def prices(catalog: Catalog, name: str, capacity: str) -> dict[str, float]:
    return {one.zone: one.price for one in find(catalog, name).offerings if one.capacity_type == capacity}


def refusal(code: str = "UnauthorizedOperation") -> AwsError:
    return AwsError("any:Call", code, "refused")


# With moto: what is really asked and read


def test_a_catalog_has_the_accounts_types_zones_and_prices(moto: Moto) -> None:
    moto.world.prices["g5.xlarge"] = 1.25
    moto.world.spot_prices["g5.xlarge", "us-east-1b"] = 0.33

    async def act(aws: Aws) -> Catalog:
        live = Live(aws, Hand(NOW))
        return await live.catalog(NODE_CLASS)

    catalog = on(moto, act)
    assert catalog.notes == []
    assert (catalog.region, catalog.as_of) == ("us-east-1", "2026-11-24")
    assert set(prices(catalog, "g5.xlarge", "on-demand").values()) == {1.25}
    assert prices(catalog, "g5.xlarge", "spot")["us-east-1b"] == 0.33
    assert {one.price_source for one in find(catalog, "g5.xlarge").offerings} == {""}
    zone = next(one for one in find(catalog, "g5.xlarge").offerings if one.zone == "us-east-1a")
    assert zone.labels == {"topology.k8s.aws/zone-id": "use1-az6"}
    assert len(catalog.instance_types) == len({item.name for item in catalog.instance_types}) > 80


def test_every_list_is_read_in_pages(moto: Moto) -> None:
    moto.world.every_type = True
    found = on(moto, lambda aws: reading.types(aws))
    assert len(found) > 1300
    assert moto.count("ec2:DescribeInstanceTypes") == -(-len(found) // 100)
    listed = on(moto, lambda aws: reading.on_demand(aws))
    assert len(listed) > 1300
    assert moto.count("pricing:GetProducts") > 13
    assert {"m5.metal", "m5.large", "p5.48xlarge"} <= set(listed)


def test_a_whole_refresh_takes_less_than_two_seconds_of_cpu(moto: Moto) -> None:
    """Of this thread, which is all that a controller's loop loses; moto works in others."""
    moto.world.every_type = True

    async def act(aws: Aws) -> float:
        await reading.zones(aws)  # reads the models once
        began = time.thread_time()
        supply = await Live(aws, Hand(NOW)).supply()
        assert len(supply.sales) > 1300
        return time.thread_time() - began

    gc.freeze()  # moto's own objects are no part of it, and the collector would count them
    try:
        # A busy machine makes the first figure larger than it is: what can be done in two seconds once, can.
        assert any(on(moto, act) <= 2.0 for _ in range(3))
    finally:
        gc.unfreeze()


@pytest.mark.parametrize("fails", ["pricing:GetProducts", "ec2:DescribeSpotPriceHistory"])
def test_shipped_prices_stand_in_for_those_that_cannot_be_read(moto: Moto, fails: str) -> None:
    moto.deny(fails)

    async def act(aws: Aws) -> tuple[Catalog, list[str]]:
        live = Live(aws, Hand(NOW))
        return await live.catalog(NODE_CLASS), [error.call for error in live.failures]

    catalog, failures = on(moto, act)
    assert failures == [fails]
    [note] = catalog.notes
    offerings = find(catalog, "g5.xlarge").offerings
    if fails.startswith("pricing"):
        assert note == "on-demand prices could not be read; those used are 127 days old"
        assert set(prices(catalog, "g5.xlarge", "on-demand").values()) == {1.006}
    else:
        assert note.startswith("spot prices could not be read")
        marks = {one.price_source for one in offerings if one.capacity_type == "spot"}
        assert marks == {"modelled"}
        assert all(0 < usd < 1.006 for usd in prices(catalog, "g5.xlarge", "spot").values())


@pytest.mark.parametrize(
    "fails", ["ec2:DescribeInstanceTypes", "ec2:DescribeInstanceTypeOfferings", "ec2:DescribeAvailabilityZones"]
)
def test_without_types_offerings_or_zones_there_is_no_catalog_and_the_reason_is_told(moto: Moto, fails: str) -> None:
    moto.deny(fails)
    with pytest.raises(AwsError) as caught:
        on(moto, lambda aws: Live(aws, Hand(NOW)).supply())
    assert (caught.value.call, caught.value.code) == (fails, "UnauthorizedOperation")


@pytest.mark.parametrize(
    ("code", "kind"), [("RequestLimitExceeded", Throttled), ("UnauthorizedOperation", ProviderError)]
)
def test_a_class_learns_why_there_is_no_catalog(code: str, kind: type[ProviderError]) -> None:
    aws = market()
    aws.put("ec2:DescribeInstanceTypes", refusal(code))
    with pytest.raises(ProviderError, match=code) as caught:
        asyncio.run(Live(aws, Hand(NOW)).catalog(NODE_CLASS))
    assert type(caught.value) is kind


def test_a_class_whose_values_cannot_be_read_is_not_ready() -> None:
    spec = EC2NodeClassSpec(
        subnet_selector_terms=(),
        security_group_selector_terms=(),
        ami_selector_terms=(),
        kubelet={"kubeReserved": {"cpu": "much"}},
    )
    with pytest.raises(NotReady, match=r"EC2NodeClass gpu: .*kubeReserved.cpu"):
        asyncio.run(Live(market(), Hand(NOW)).catalog(replace(NODE_CLASS, spec=spec)))


# Without: when it is read


def market(**put: Any) -> Scripted:
    """An account with two types in one zone."""
    entry = {
        "InstanceType": "g5.xlarge",
        "SupportedVirtualizationTypes": ["hvm"],
        "SupportedUsageClasses": ["on-demand", "spot"],
        "ProcessorInfo": {"SupportedArchitectures": ["x86_64"], "Manufacturer": "AMD"},
        "VCpuInfo": {"DefaultVCpus": 4},
        "MemoryInfo": {"SizeInMiB": 16384},
        "GpuInfo": {"Gpus": [{"Name": "A10G", "Manufacturer": "NVIDIA", "Count": 1, "MemoryInfo": {"SizeInMiB": 1}}]},
    }
    aws = Scripted()
    aws.put("ec2:DescribeAvailabilityZones", {"AvailabilityZones": [{"ZoneName": "us-east-1a", "ZoneId": "use1-az1"}]})
    aws.put("ec2:DescribeInstanceTypes", {"InstanceTypes": [entry]})
    aws.put(
        "ec2:DescribeInstanceTypeOfferings",
        {"InstanceTypeOfferings": [{"InstanceType": "g5.xlarge", "Location": "us-east-1a"}]},
    )
    aws.put("ec2:DescribeSpotPriceHistory", spot(0.4))
    aws.put("pricing:GetProducts", {"PriceList": [product("g5.xlarge", "1.006")]})
    return aws


def spot(usd: float) -> dict[str, Any]:
    row = {"InstanceType": "g5.xlarge", "AvailabilityZone": "us-east-1a", "SpotPrice": str(usd)}
    return {"SpotPriceHistory": [row]}


def product(name: str, usd: str) -> str:
    price = f'{{"pricePerUnit": {{"USD": "{usd}"}}}}'
    terms = f'{{"OnDemand": {{"a": {{"priceDimensions": {{"b": {price}}}}}}}}}'
    return f'{{"product": {{"attributes": {{"instanceType": "{name}"}}}}, "terms": {terms}}}'


async def settled(live: Live) -> None:
    """Ask, and wait for what that began."""
    await live.supply()
    if live._refreshing is not None:
        await live._refreshing


def test_figures_are_read_again_when_their_time_has_come() -> None:
    aws, hand = market(), Hand(NOW)

    async def act() -> None:
        live = Live(aws, hand, intervals=Intervals(types_s=10 * HOUR, on_demand_s=5 * HOUR, spot_s=HOUR), seconds=hand)
        for _ in range(12):
            await settled(live)
            await settled(live)
            hand.pass_by(HOUR)
        await live.close()

    asyncio.run(act())
    assert aws.count("ec2:DescribeSpotPriceHistory") == 12
    assert aws.count("pricing:GetProducts") == 2 * 3  # two tenancies, at 0, 5 and 10 hours
    assert aws.count("ec2:DescribeInstanceTypes") == aws.count("ec2:DescribeAvailabilityZones") == 2


def test_a_catalog_is_the_same_object_until_something_changes() -> None:
    aws, hand = market(), Hand(NOW)
    aws.put("ec2:DescribeSpotPriceHistory", spot(0.4), spot(0.4), spot(0.5))

    async def act() -> None:
        live = Live(aws, hand, seconds=hand)
        first = await live.catalog(NODE_CLASS)
        hand.pass_by(HOUR)
        await settled(live)  # the same prices again
        assert await live.catalog(NODE_CLASS) is first
        hand.pass_by(HOUR)
        await settled(live)
        second = await live.catalog(NODE_CLASS)
        assert second is not first
        assert prices(second, "g5.xlarge", "spot") == {"us-east-1a": 0.5}
        other = replace(NODE_CLASS, status=EC2NodeClassStatus(subnets=(ResolvedSubnet(id="s", zone="us-east-1f"),)))
        assert find(await live.catalog(other), "g5.xlarge").offerings == []

    asyncio.run(act())


def test_what_is_known_stays_while_readings_fail_and_they_are_not_tried_all_the_time() -> None:
    aws, hand = market(), Hand(NOW)

    async def act() -> None:
        live = Live(aws, hand, seconds=hand)
        await settled(live)
        for call in ("ec2:DescribeSpotPriceHistory", "ec2:DescribeInstanceTypes"):
            aws.put(call, refusal())
        hand.pass_by(13 * HOUR)
        for _ in range(60):
            await settled(live)
            hand.pass_by(60)
        assert prices(await live.catalog(NODE_CLASS), "g5.xlarge", "spot") == {"us-east-1a": 0.4}
        assert aws.count("ec2:DescribeInstanceTypes") == 1 + 6  # after 0, 1, 3, 7, 15 and 31 minutes
        aws.put("ec2:DescribeSpotPriceHistory", spot(0.6))
        hand.pass_by(HOUR)
        await settled(live)
        assert prices(await live.catalog(NODE_CLASS), "g5.xlarge", "spot") == {"us-east-1a": 0.6}

    asyncio.run(act())


def test_prices_are_of_the_day_on_which_they_were_read() -> None:
    aws, hand = market(), Hand(NOW)

    async def act() -> list[str]:
        live = Live(aws, hand, seconds=hand)
        found = [(await live.catalog(NODE_CLASS)).as_of]
        for usd in (0.5, 0.6):
            aws.put("pricing:GetProducts", refusal())
            aws.put("ec2:DescribeSpotPriceHistory", spot(usd))
            hand.pass_by(48 * HOUR)
            await settled(live)
            found.append((await live.catalog(NODE_CLASS)).as_of)
        return found

    assert asyncio.run(act()) == ["2026-11-24"] * 3


def test_an_empty_answer_does_not_replace_what_is_known() -> None:
    aws, hand = market(), Hand(NOW)

    async def act() -> None:
        live = Live(aws, hand, seconds=hand)
        await settled(live)
        aws.put("ec2:DescribeSpotPriceHistory", {"SpotPriceHistory": []})
        aws.put("ec2:DescribeInstanceTypes", {"InstanceTypes": [{"InstanceType": "broken"}]})
        hand.pass_by(13 * HOUR)
        await settled(live)
        assert prices(await live.catalog(NODE_CLASS), "g5.xlarge", "spot") == {"us-east-1a": 0.4}
        assert {error.code for error in live.failures} == {reading.NOTHING}

    asyncio.run(act())


def test_many_that_ask_first_wait_for_one_reading() -> None:
    aws, hand = market(), Hand(NOW)

    async def act() -> list[Catalog]:
        live = Live(aws, hand, seconds=hand)
        return list(await asyncio.gather(*(live.catalog(NODE_CLASS) for _ in range(5))))

    assert len({id(catalog) for catalog in asyncio.run(act())}) == 1
    assert aws.count("ec2:DescribeInstanceTypes") == 1


@pytest.mark.parametrize(("region", "isolated"), [("us-gov-west-1", False), ("us-east-1", True)])
def test_an_isolated_vpc_and_govcloud_do_not_ask_for_the_price_list(region: str, isolated: bool) -> None:
    aws = market()
    aws.region = region
    catalog = asyncio.run(Live(aws, Hand(NOW), isolated=isolated).catalog(NODE_CLASS))
    assert aws.count("pricing:GetProducts") == 0
    assert prices(catalog, "g5.xlarge", "on-demand") == {"us-east-1a": 1.006}
    assert len(catalog.notes) == 1


# What a class sees


def test_memory_that_a_node_showed_replaces_the_estimate_of_its_images() -> None:
    aws, hand = market(), Hand(NOW)
    image = ResolvedAMI(id="ami-1", requirements=())
    own = replace(NODE_CLASS, status=EC2NodeClassStatus(amis=(image,)))

    async def act() -> list[str]:
        live = Live(aws, hand, seconds=hand)
        before = await live.catalog(own)
        live.saw_memory("g5.xlarge", ["ami-1"], 15900 * 2**20)
        live.saw_memory("g5.xlarge", ["ami-1"], 15800 * 2**20)
        live.saw_memory("g5.xlarge", ["ami-1"], 15850 * 2**20)
        seen, other = await live.catalog(own), await live.catalog(NODE_CLASS)
        hand.pass_by(61 * 24 * HOUR)
        after = await live.catalog(own)
        assert find(seen, "g5.xlarge").overhead == find(before, "g5.xlarge").overhead
        return [find(one, "g5.xlarge").capacity["memory"] for one in (before, seen, other, after)]

    assert asyncio.run(act()) == ["15155Mi", "15800Mi", "15155Mi", "15155Mi"]


def test_a_reservations_free_instances_are_those_that_are_told() -> None:
    reserved = ResolvedCapacityReservation(
        availability_zone="us-east-1a",
        id="cr-1",
        instance_match_criteria="targeted",
        instance_type="g5.xlarge",
        owner_id="1",
    )
    own = replace(NODE_CLASS, status=EC2NodeClassStatus(capacity_reservations=(reserved,)))

    async def act() -> list[Offering]:
        free: dict[str, int] = {}
        live, catalogs = Live(market(), Hand(NOW), free=lambda: free), []
        for now in ({"cr-1": 3}, {"cr-1": 0}, {}):
            free = now
            catalogs.append(await live.catalog(own))
        return [find(one, "g5.xlarge").offerings[-1] for one in catalogs]

    three, none, unknown = asyncio.run(act())
    assert (three.capacity_type, three.available, three.reservation_capacity) == ("reserved", True, 3)
    assert (none.available, none.reservation_capacity) == (False, 0)
    assert (unknown.available, unknown.reservation_capacity) == (True, None)


# Pure: readings and the shipped figures together


def assembled(region: str, on_demand: Any = None, spot: Any = None) -> Any:
    kind = snapshot.load_types()["g5.xlarge"]
    places = frozenset({f"{region}a", f"{region}b"})
    zones = {f"{region}a": "1", f"{region}b": "2"}
    return assemble(
        region,
        zones,
        {"g5.xlarge": kind},
        {"g5.xlarge": places},
        on_demand,
        spot,
        date(2026, 11, 24),
        date(2026, 11, 22),
    )


def test_a_region_that_is_not_shipped_gets_estimates_and_a_note() -> None:
    supply = assembled("eu-south-2")
    [sale] = supply.sales
    assert (sale.on_demand, sale.on_demand_source, sale.spot_source) == (1.006, "estimated", "modelled")
    assert set(sale.spot) == {"eu-south-2a", "eu-south-2b"}
    assert supply.as_of == "2026-07-20"
    assert supply.notes[0] == "on-demand prices could not be read; those used are 127 days old and of us-east-1"


def test_a_type_that_a_list_lacks_has_no_price_once_the_list_was_read() -> None:
    [sale] = assembled("us-east-1", on_demand={"m5.large": 0.096}, spot={"m5.large": {"us-east-1a": 0.03}}).sales
    assert (sale.on_demand, sale.spot) == (None, {})


def test_spot_of_a_zone_without_a_price_is_not_sold_there() -> None:
    [sale] = assembled("us-east-1", on_demand={"g5.xlarge": 1.0}, spot={"g5.xlarge": {"us-east-1b": 0.3}}).sales
    assert sale.spot == {"us-east-1b": 0.3}


def test_a_catalogs_day_is_that_of_its_price_list() -> None:
    assert assembled("us-east-1", on_demand={"g5.xlarge": 1.0}, spot={}).as_of == "2026-11-22"
    assert assembled("us-east-1", spot={}).as_of == "2026-07-20"


@pytest.mark.parametrize(
    "text", ["not JSON", "{}", product("", "1"), product("x", "0.0000000000"), product("x", "free")]
)
def test_products_that_cannot_be_read_are_left_out(text: str) -> None:
    aws = market()
    aws.put("pricing:GetProducts", {"PriceList": [text, product("g5.xlarge", "1.006")]})
    assert asyncio.run(reading.on_demand(aws)) == {"g5.xlarge": 1.006}


def test_chinas_prices_are_in_its_own_currency() -> None:
    aws = market()
    aws.region = "cn-north-1"
    aws.put("pricing:GetProducts", {"PriceList": [product("g5.xlarge", "9.9").replace("USD", "CNY")]})
    assert asyncio.run(reading.on_demand(aws)) == {"g5.xlarge": 9.9}
    [filters] = [one["Filters"] for _, one in aws.asked[:1]]
    assert {"Type": "TERM_MATCH", "Field": "regionCode", "Value": "cn-north-1"} in filters
