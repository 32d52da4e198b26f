"""Labels, capacity and overhead of every accelerated type: as documented, and as reviewed in `accelerated.txt`.

FRETSAW_GOLDEN=write renews the table, to be read before it is committed.
"""

from __future__ import annotations

import asyncio
import os
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fretsaw.api.catalog import Catalog, InstanceType
from fretsaw.api.resources import units
from fretsaw.providers.aws import instance_types, snapshot
from fretsaw.providers.aws.calls import Aws
from fretsaw.providers.aws.live import reading
from fretsaw.providers.aws.live.assemble import assemble
from support.aws import Moto
from support.aws import plain_types as plain
from support.aws.world import world

GOLDEN = Path(__file__).parent / "accelerated.txt"
K8A = plain.K8A
DEVICES = ("GpuInfo", "NeuronInfo", "InferenceAcceleratorInfo", "FpgaInfo", "MediaAcceleratorInfo")


@cache
def everything(url: str) -> tuple[dict[str, dict[str, Any]], Catalog]:
    """The raw descriptions of accelerated types, and the catalog made of them; read once."""

    async def act() -> tuple[dict[str, dict[str, Any]], Catalog]:
        world().every_type = True
        async with await Aws.connect("us-east-1", endpoint=url) as aws:
            # Asked as `reading` asks, so that the server has the answer already.
            asked = {"Filters": reading.NODES, "MaxResults": 100}
            entries = await aws.pages("ec2:DescribeInstanceTypes", "InstanceTypes", **asked)
            types, zones, offered = await reading.types(aws), await reading.zones(aws), await reading.offerings(aws)
        today = date(2026, 11, 24)
        supply = assemble("us-east-1", zones, types, offered, None, None, today, today)
        raw = {one["InstanceType"]: one for one in entries if any(part in one for part in DEVICES)}
        return {name: raw[name] for name in sorted(raw)}, instance_types.catalog_of(supply)

    return asyncio.run(act())


@pytest.fixture
def entries(moto: Moto) -> dict[str, dict[str, Any]]:
    return everything(moto.url)[0]


@pytest.fixture
def items(moto: Moto) -> dict[str, InstanceType]:
    return {item.name: item for item in everything(moto.url)[1].instance_types}


def test_labels_are_the_documented_ones(entries: dict[str, Any], items: dict[str, InstanceType]) -> None:
    shipped = snapshot.load_types()
    for name, entry in entries.items():
        expected = {key: [value] for key, value in plain.labels(entry, shipped[name].network_mbps).items()}
        expected["topology.kubernetes.io/region"] = ["us-east-1"]
        expected[f"{K8A}instance-tenancy"] = ["default", "dedicated"]
        assert items[name].labels == expected, name


def test_capacity_and_overhead_are_the_documented_ones(entries: dict[str, Any], items: dict[str, InstanceType]) -> None:
    shipped = snapshot.load_types()
    for name, entry in entries.items():
        found = {key: units(key, text) for key, text in items[name].capacity.items()}
        assert found == plain.capacity(entry, shipped[name].branch_interfaces or 0), name
        assert {key: units(key, text) for key, text in items[name].overhead.items()} == plain.overhead(entry), name


def line(item: InstanceType) -> str:
    """A type as the table has it."""
    capacity = {name: units(name, text) for name, text in item.capacity.items()}
    overhead = {name: units(name, text) for name, text in item.overhead.items()}
    kind = "gpu" if f"{K8A}instance-gpu-name" in item.labels else "accelerator"
    labels = [item.labels.get(f"{K8A}instance-{kind}-{part}", ["-"])[0] for part in ("manufacturer", "name", "count")]
    memory = item.labels.get(f"{K8A}instance-gpu-memory", ["-"])[0]
    extended = [f"{name}={amount}" for name, amount in sorted(capacity.items()) if "/" in name]
    return " ".join(
        [
            f"{item.name:<20} {item.labels['kubernetes.io/arch'][0]}",
            f"{capacity['cpu'] // 1000:>3}-{overhead['cpu'] / 1000:.3f} vCPU",
            f"{capacity['memory'] // plain.MI:>8}-{overhead['memory'] // plain.MI}Mi",
            f"{capacity['pods']:>3} pods ",
            f"{'/'.join([*labels, memory])} ",
            ",".join(extended) or "-",
        ]
    )


def test_the_reviewed_table_holds(entries: dict[str, Any], items: dict[str, InstanceType]) -> None:
    text = "".join(f"{line(items[name])}\n" for name in entries)
    if os.environ.get("FRETSAW_GOLDEN") == "write":
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


def test_the_table_has_every_family_of_accelerators(entries: dict[str, Any]) -> None:
    families = {name.partition(".")[0] for name in entries}
    assert families >= {
        "dl2q", "f2", "g4dn", "g5", "g5g", "g6", "g6e", "g6f", "g7", "g7e", "gr6", "gr6f", "inf1", "inf2", "p3dn", "p4d",
        "p4de", "p5", "p5e", "p5en", "p6-b200", "p6-b300", "trn1", "trn1n", "trn2", "vt1",
    }  # fmt: skip
