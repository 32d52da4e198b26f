"""`fretsaw catalog refresh`: an account's types and prices as a snapshot, which then is read like the shipped one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fretsaw.cli import main
from fretsaw.providers.aws import snapshot
from support.aws import Moto


def refreshed(out: Path, capsys: pytest.CaptureFixture[str], *more: str, code: int = 0) -> str:
    assert main.run(["catalog", "refresh", "--out", str(out), *more]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def rows(path: Path) -> dict[str, dict[str, Any]]:
    """The rows of a table by name, each by column."""
    document = json.loads(path.read_text())
    return {row[0]: dict(zip(document["columns"], row, strict=False)) for row in document["rows"]}


def reading(out: Path, *arguments: str) -> Any:
    """What the command says when it reads the refreshed snapshot, in a process of its own: snapshots are read once."""
    environment = {**os.environ, "FRETSAW_CATALOG_DIR": str(out)}
    command = [sys.executable, "-m", "fretsaw", "catalog", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


def test_the_region_is_written_and_read_like_a_shipped_one(
    moto: Moto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moto.world.prices["g5.xlarge"] = 2.0
    moto.world.spot_prices["g5.xlarge", "us-east-1b"] = 0.5
    said = refreshed(tmp_path, capsys)
    assert "us-east-1: 94 types in 6 zones" in said

    region = rows(tmp_path / "regions/us-east-1.json")
    assert region["g5.xlarge"]["on_demand"] == 2.0
    assert region["g5.xlarge"]["basis"] == "a"
    shipped = next(row for row in snapshot.load_region("us-east-1").rows if row.name == "g5.xlarge")
    assert shipped.saving is not None
    assert region["g5.xlarge"]["saving"][:2] == [58, shipped.saving.band]  # by the median zone; as often as shipped
    assert rows(tmp_path / "types.json").keys() == snapshot.load_types().keys()
    assert sorted(path.name for path in (tmp_path / "regions").iterdir()) == [
        f"{one}.json" for one in snapshot.regions()
    ]

    shown = reading(tmp_path, "show", "g5.xlarge", "-o", "json")
    offerings = {(one["zone"], one["capacityType"]): one for one in shown["offerings"]}
    assert offerings["us-east-1a", "on-demand"]["price"] == 2.0
    assert offerings["us-east-1b", "spot"]["price"] == 0.5
    assert not any(one.get("priceSource") for one in shown["offerings"])
    assert shown["notes"] == []
    assert shown["sources"]["spot price"].startswith("EC2 and the AWS price list, as an account read them (20")
    assert offerings["us-east-1a", "on-demand"]["labels"] == {"topology.k8s.aws/zone-id": "use1-az6"}


def test_other_regions_stay_as_they_are(moto: Moto, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refreshed(tmp_path, capsys)
    shipped = snapshot.PACKAGED / "regions/eu-west-1.json"
    assert (tmp_path / "regions/eu-west-1.json").read_bytes() == shipped.read_bytes()


def test_a_region_that_is_not_shipped_becomes_known(
    moto: Moto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "eu-south-1" not in snapshot.regions()
    refreshed(tmp_path, capsys, "--region", "eu-south-1")
    found = reading(tmp_path, "show", "m5.large", "--region", "eu-south-1", "-o", "json")
    assert found["region"] == "eu-south-1"
    assert {one["zone"] for one in found["offerings"]} == {"eu-south-1a", "eu-south-1b", "eu-south-1c"}


@pytest.mark.parametrize("fails", ["ec2:DescribeInstanceTypes", "pricing:GetProducts", "ec2:DescribeSpotPriceHistory"])
def test_half_a_snapshot_is_not_written(
    moto: Moto, tmp_path: Path, capsys: pytest.CaptureFixture[str], fails: str
) -> None:
    moto.deny(fails)
    out = tmp_path / "new"
    said = refreshed(out, capsys, code=3)
    assert f"nothing was written: {fails}: " in said
    assert not out.exists()


def test_a_folder_that_cannot_be_written_is_wrong_input(
    moto: Moto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    said = refreshed(file / "below", capsys, code=2)
    assert "cannot be written" in said
    assert "--out DIR" in said


def test_a_folder_that_is_no_catalog_is_wrong_input(tmp_path: Path) -> None:
    (tmp_path / "regions").mkdir()
    (tmp_path / "regions/us-east-1.json").write_text("{}")
    environment = {**os.environ, "FRETSAW_CATALOG_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "fretsaw", "catalog"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "FRETSAW_CATALOG_DIR: no such catalog" in done.stderr
