"""Services that moto has not: the price list, and quotas. Answered at the gate, in their JSON."""

from __future__ import annotations

import json
from typing import Any

from support.aws.gate import Answer
from support.aws.world import is_shown, world

_PAGE = 100
QUOTAS = {
    "L-DB2E81BA": "Running On-Demand G and VT instances",
    "L-417A185B": "Running On-Demand P instances",
    "L-6E869C2A": "Running On-Demand DL instances",
    "L-1945791B": "Running On-Demand Inf instances",
    "L-2C3B7624": "Running On-Demand Trn instances",
    "L-3819A6DF": "All G and VT Spot Instance Requests",
    "L-7212CCBC": "All P4, P3 and P2 Spot Instance Requests",
    "L-C4BD4855": "All P5 Spot Instance Requests",
    "L-85EED4F7": "All DL Spot Instance Requests",
    "L-B5D1601B": "All Inf Spot Instance Requests",
    "L-6B0D517C": "All Trn Spot Instance Requests",
    "L-1216C47A": "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances",
}
"""Code → name, as Service Quotas has them; without a scripted value the quota is 768 vCPUs."""


def products(asked: dict[str, Any]) -> dict[str, Any]:
    """GetProducts: one product for each type of the queried tenancy, in pages of 100."""
    wanted = {one["Field"]: one["Value"] for one in asked.get("Filters", [])}
    metal = wanted.get("productFamily") == "Compute Instance (bare metal)"
    names = [
        name
        for name in sorted(world().prices)
        if (".metal" in name) == metal and (world().every_type or is_shown(name))
    ]
    start = int(asked.get("NextToken") or 0)
    end = start + min(int(asked.get("MaxResults") or _PAGE), _PAGE)
    answer: dict[str, Any] = {"FormatVersion": "aws_v1", "PriceList": [_product(name) for name in names[start:end]]}
    if end < len(names):
        answer["NextToken"] = str(end)
    return answer


def _product(name: str) -> str:
    price = {"unit": "Hrs", "pricePerUnit": {"USD": f"{world().prices[name]:.10f}"}}
    sku = name.replace(".", "").upper()
    return json.dumps(
        {
            "product": {"productFamily": "Compute Instance", "attributes": {"instanceType": name}, "sku": sku},
            "serviceCode": "AmazonEC2",
            "terms": {"OnDemand": {f"{sku}.JRTCKXETXF": {"priceDimensions": {f"{sku}.6YS6EN2CT7": price}}}},
        }
    )


def quotas(asked: dict[str, Any]) -> dict[str, Any]:
    """ListServiceQuotas of EC2."""
    return {
        "Quotas": [
            {"ServiceCode": "ec2", "QuotaCode": code, "QuotaName": name, "Value": world().quotas.get(code, 768.0)}
            for code, name in QUOTAS.items()
        ]
    }


ANSWERS: dict[str, Answer] = {"pricing:GetProducts": products, "servicequotas:ListServiceQuotas": quotas}
