"""One reading each of zones, types, offerings and prices. Raises AwsError; what cannot be understood is left out.

Source: Karpenter AWS provider v1.14 pkg/providers/instancetype, pkg/providers/pricing (filters, page sizes, fields).
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from fretsaw.providers.aws import snapshot
from fretsaw.providers.aws.calls import Asking, AwsError
from fretsaw.providers.aws.ec2_rows import baseline_mbps, type_row, usable
from fretsaw.providers.aws.snapshot import TypeRow

_T = TypeVar("_T")

SOURCE = "aws-account"
"""The key of `sources.json` for what an account told."""
NOTHING = "NothingFound"
"""The code where AWS answered, but with nothing that could be used."""

NODES = [
    {"Name": "supported-virtualization-type", "Values": ["hvm"]},
    {"Name": "processor-info.supported-architecture", "Values": ["x86_64", "arm64"]},
]
"""Of all types those that can be nodes."""
_LINUX = ["Linux/UNIX", "Linux/UNIX (Amazon VPC)"]
_LISTED = {
    "serviceCode": "AmazonEC2",
    "preInstalledSw": "NA",
    "operatingSystem": "Linux",
    "capacitystatus": "Used",
    "marketoption": "OnDemand",
}
_TENANCIES = (
    {"tenancy": "Shared", "productFamily": "Compute Instance"},
    {"tenancy": "Dedicated", "productFamily": "Compute Instance (bare metal)"},
)
"""Bare metal is listed as dedicated only; of the other types dedicated tenancy costs more, and is not asked."""


async def zones(aws: Asking) -> dict[str, str]:
    """Name → id of the zones that the account can use."""
    answer = await aws.ask("ec2:DescribeAvailabilityZones")
    found = {zone["ZoneName"]: zone.get("ZoneId", "") for zone in answer.get("AvailabilityZones", ())}
    return _some("ec2:DescribeAvailabilityZones", dict(sorted(found.items())))


async def types(aws: Asking) -> dict[str, TypeRow]:
    """Every type of the region that can be a node, by name, sorted."""
    rows: dict[str, TypeRow] = {}
    asked: dict[str, Any] = {"Filters": NODES, "MaxResults": 100}
    while True:
        # Page by page: of all descriptions together, 160,000 objects, Python would look through all again and again.
        answer = await aws.ask("ec2:DescribeInstanceTypes", **asked)
        found = (_row(entry) for entry in answer.get("InstanceTypes", ()) if usable(entry))
        rows.update((row.name, row) for row in found if row is not None)
        if not (token := answer.get("NextToken")):
            break
        asked["NextToken"] = token
    return _some("ec2:DescribeInstanceTypes", dict(sorted(rows.items())))


def _row(entry: dict[str, Any]) -> TypeRow | None:
    """The row; branch interfaces and bandwidth as the shipped tables have them, since EC2 does not tell."""
    shipped = snapshot.load_types().get(entry.get("InstanceType", ""))
    try:
        return type_row(
            entry,
            network_mbps=shipped.network_mbps if shipped else baseline_mbps(entry),
            branch_interfaces=shipped.branch_interfaces if shipped else None,
            source=SOURCE,
        )
    except (KeyError, TypeError, ValueError):
        return None


async def offerings(aws: Asking) -> dict[str, frozenset[str]]:
    """Type → names of the zones that have it."""
    call = "ec2:DescribeInstanceTypeOfferings"
    items = await aws.pages(call, "InstanceTypeOfferings", LocationType="availability-zone", MaxResults=1000)
    found: dict[str, set[str]] = defaultdict(set)
    for item in items:
        found[item["InstanceType"]].add(item["Location"])
    return _some(call, {name: frozenset(places) for name, places in sorted(found.items())})


async def spot(aws: Asking, now: datetime) -> dict[str, dict[str, float]]:
    """Type → zone → USD an hour, as it is `now`."""
    call = "ec2:DescribeSpotPriceHistory"
    items = await aws.pages(
        call, "SpotPriceHistory", ProductDescriptions=_LINUX, StartTime=now, EndTime=now, MaxResults=1000
    )
    found: dict[str, dict[str, float]] = {}
    for item in items:
        if (usd := _price(item.get("SpotPrice"))) is not None:
            found.setdefault(item["InstanceType"], {})[item["AvailabilityZone"]] = usd
    return _some(call, found)


async def on_demand(aws: Asking) -> dict[str, float]:
    """Type → USD an hour (CNY in China)."""
    found: dict[str, float] = {}
    for tenancy in _TENANCIES:
        wanted = {"regionCode": aws.region, **_LISTED, **tenancy}
        filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in wanted.items()]
        products = await aws.pages(
            "pricing:GetProducts", "PriceList", ServiceCode="AmazonEC2", Filters=filters, MaxResults=100
        )
        # Half a price list would make the other half look as if it were not for sale.
        found |= _some("pricing:GetProducts", _listed(products, "CNY" if aws.region.startswith("cn-") else "USD"))
    return found


class _Attributes(msgspec.Struct, frozen=True, rename="camel"):
    instance_type: str = ""


class _Product(msgspec.Struct, frozen=True):
    attributes: _Attributes = _Attributes()


class _Dimension(msgspec.Struct, frozen=True, rename="camel"):
    price_per_unit: dict[str, str] = {}


class _Term(msgspec.Struct, frozen=True, rename="camel"):
    price_dimensions: dict[str, _Dimension] = {}


class _Terms(msgspec.Struct, frozen=True):
    on_demand: dict[str, _Term] = msgspec.field(default_factory=dict, name="OnDemand")


class _Listed(msgspec.Struct, frozen=True):
    """A product of the price list, as far as it is read."""

    product: _Product = _Product()
    terms: _Terms = _Terms()


_decoder = msgspec.json.Decoder(_Listed)


def _listed(products: list[str], currency: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for text in products:
        try:
            one = _decoder.decode(text)
        except (msgspec.MsgspecError, TypeError):
            continue
        for term in one.terms.on_demand.values():
            for dimension in term.price_dimensions.values():
                usd = _price(dimension.price_per_unit.get(currency))
                if usd is not None and one.product.attributes.instance_type:
                    found[one.product.attributes.instance_type] = usd
    return found


def _price(text: object) -> float | None:
    """A price above zero; zero stands in the list for what is not sold that way."""
    try:
        usd = float(str(text))
    except ValueError:
        return None
    return usd if 0 < usd < float("inf") else None


def _some(call: str, found: dict[str, _T]) -> dict[str, _T]:
    """What was found. Raises AwsError where that is nothing: an empty answer must not replace what is known."""
    if not found:
        raise AwsError(call, NOTHING, "the answer has nothing that could be used", retry=True)
    return found
