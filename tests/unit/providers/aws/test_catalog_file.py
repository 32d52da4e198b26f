"""Catalog files: what is read, what is refused and how, and that an export reads back as it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fretsaw.api.catalog import Catalog, InstanceType, Offering
from fretsaw.errors import UserError
from fretsaw.providers.aws.catalog_file import write_catalog
from fretsaw.providers.aws.instance_types import catalog
from fretsaw.providers.aws.snapshot import read_catalog_file


def a_type(**fields: Any) -> dict[str, Any]:
    offering = {"zone": "us-east-1a", "capacityType": "spot", "price": 0.4, "available": True, "labels": {}}
    base = {"name": "g5.xlarge", "capacity": {"cpu": "4", "nvidia.com/gpu": "1"}, "overhead": {"cpu": "80m"}}
    return {**base, "labels": {"kubernetes.io/arch": ["amd64"]}, "offerings": [offering], **fields}


def offering(**fields: Any) -> dict[str, Any]:
    return a_type(offerings=[{"zone": "us-east-1a", "capacityType": "spot", "price": 0.4, **fields}])


def read(tmp_path: Path, *types: Any, **fields: Any) -> Catalog:
    path = tmp_path / "catalog.json"
    path.write_text(json.dumps({"region": "us-east-1", "asOf": "2026-08-01", "instanceTypes": list(types), **fields}))
    return read_catalog_file(path)


def test_a_catalog_file_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, a_type()) == Catalog(
        [
            InstanceType(
                name="g5.xlarge",
                capacity={"cpu": "4", "nvidia.com/gpu": "1"},
                overhead={"cpu": "80m"},
                labels={"kubernetes.io/arch": ["amd64"]},
                offerings=[Offering("us-east-1a", "spot", 0.4)],
            )
        ],
        region="us-east-1",
        as_of="2026-08-01",
    )


def test_an_export_reads_back_as_it_was(tmp_path: Path) -> None:
    status = {"capacityReservations": [{"id": "cr-1", "instanceType": "g5.xlarge", "availabilityZone": "us-east-1a"}]}
    exported = catalog("eu-west-1", node_class_status=status)
    path = tmp_path / "catalog.json"
    path.write_text(write_catalog(exported), encoding="utf-8")
    assert read_catalog_file(path) == exported
    offerings = [offer for item in json.loads(path.read_text())["instanceTypes"] for offer in item["offerings"]]
    assert all({"zone", "capacityType", "price", "available", "labels"} <= set(offer) for offer in offerings)


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        (offering(price=-1), "instanceTypes[0] (g5.xlarge).offerings[0].price: not a price: -1"),
        (
            offering(capacityType="sport"),
            "offerings[0].capacityType: unknown: sport (one of on-demand, spot, reserved)",
        ),
        (offering(zone=""), "offerings[0].zone: empty"),
        (offering(reservationCapacity=-1), "offerings[0].reservationCapacity: below zero"),
        (offering(price="cheap"), "instanceTypes[0].offerings[0].price: Expected `float`, got `str`"),
        (a_type(capacity={"memory": "16gb"}), 'capacity["memory"]: not a quantity: \'16gb\' (did you mean "16Gi"?'),
        (a_type(overhead={"cpu": "-1"}), 'overhead["cpu"]: below zero: -1'),
        (a_type(labels={"a": "b"}), "instanceTypes[0].labels[...]: Expected `array`, got `str`"),
        (a_type(name=""), "instanceTypes[0].name: empty"),
        ({"capacity": {}}, "instanceTypes[0]: Object missing required field `name`"),
        ("g5.xlarge", "instanceTypes[0]: Expected `object`, got `str`"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, item: Any, problem: str) -> None:
    with pytest.raises(UserError) as caught:
        read(tmp_path, item)
    assert problem in str(caught.value)
    assert caught.value.where.endswith("catalog.json")


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        read(tmp_path, a_type(), a_type(), offering(price=-1) | {"name": "g6.xlarge", "capacity": {"cpu": "four"}})
    text = str(caught.value)
    assert "the catalog file has 4 problems" in text
    assert text.count("g5.xlarge is listed 2 times") == 2
    assert "instanceTypes[2] (g6.xlarge).capacity" in text
    assert "instanceTypes[2] (g6.xlarge).offerings[0].price" in text


def test_many_problems_are_counted(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has 30 problems") as caught:
        read(tmp_path, *[a_type() for _ in range(30)])
    assert str(caught.value).endswith("… and 10 more")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the catalog file is empty"),
        ("{", "not JSON"),
        ("[]", "Expected `object`, got `array`"),
        ("{}", "instanceTypes"),
        ('{"instanceTypes": []}', "the catalog has no instance types"),
        ('{"instanceTypes": [], "region": 7}', "region: Expected `str`, got `int`"),
        ('{"instanceTypes": NaN}', "NaN is not a number of JSON"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_text_that_is_no_catalog_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "catalog.json"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_catalog_file(path)
    assert problem in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read the catalog file: No such file"):
        read_catalog_file(tmp_path / "absent.json")
    with pytest.raises(UserError, match="cannot read the catalog file: Is a directory"):
        read_catalog_file(tmp_path)
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="not UTF-8 text"):
        read_catalog_file(tmp_path / "binary.json")
