"""`fretsaw catalog`: what it lists, in which order, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from fretsaw.cli.main import run
from fretsaw.providers.aws import listing
from fretsaw.providers.aws.instance_types import catalog


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("FORCE_COLOR", raising=False)


def out(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["catalog", *arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(out(capsys, *arguments, "-o", "json"))["types"]
    return rows


def names(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    return [row["name"] for row in listed(capsys, *arguments)]


def test_without_arguments_it_lists_accelerated_types_by_price_per_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    rows = listed(capsys)
    prices = [row["perGPUHour"] for row in rows if row["perGPUHour"] is not None]
    assert prices == sorted(prices)
    assert all(row["gpu"] for row in rows)
    assert len(rows) > 70


def test_a_table_fits_80_columns_and_names_the_source_of_its_prices(capsys: pytest.CaptureFixture[str]) -> None:
    text = out(capsys, "--region", "us-west-2")
    assert max(map(len, text.splitlines())) <= 80
    assert "Prices: us-west-2 of 2026-07-20." in text
    assert "Spot prices are modelled" in text
    assert "20 of 77 types; --all or --limit shows more." in text
    assert "* estimated" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("arguments", [("h100",), ("list", "h100"), ("H100",), ("--gpu", "h100")])
def test_words_find_types_by_their_gpu(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    assert names(capsys, *arguments) == ["p5.48xlarge", "p5.4xlarge"]


def test_words_find_types_without_gpus_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert "m5.large" in names(capsys, "m5.la")
    assert names(capsys, "g5", "48x") == ["g5.48xlarge"]


def test_filters_narrow_together(capsys: pytest.CaptureFixture[str]) -> None:
    found = names(capsys, "--gpu", "a10g", "--gpu", "l4", "--min-gpus", "8")
    assert sorted(found) == ["g5.48xlarge", "g6.48xlarge"]
    assert all(name.startswith("g5g.") for name in names(capsys, "--arch", "arm64"))
    assert sorted(names(capsys, "--family", "p4d", "--family", "p4de")) == ["p4d.24xlarge", "p4de.24xlarge"]


def test_memory_of_a_gpu_is_the_nominal_one(capsys: pytest.CaptureFixture[str]) -> None:
    found = names(capsys, "--min-gpu-memory", "24", "--gpu", "l4")
    assert "g6.xlarge" in found
    assert "g6f.4xlarge" not in found


@pytest.mark.parametrize(
    ("sort", "field", "sign"),
    [
        ("price", "onDemandPerHour", 1),
        ("price-per-gib", "perGPUMemoryGiBHour", 1),
        ("price-per-tflop", "perTFLOPSHour", 1),
        ("spot-saving", "spotSaving", -1),
    ],
)
def test_order_puts_missing_figures_last(capsys: pytest.CaptureFixture[str], sort: str, field: str, sign: int) -> None:
    values = [row[field] for row in listed(capsys, "--region", "us-west-2", "--sort", sort)]
    known = [value for value in values if value is not None]
    assert known == sorted(known, key=lambda value: sign * value)
    assert None not in values[: len(known)]
    assert len(known) > 40


def test_spot_listing_prices_by_spot(capsys: pytest.CaptureFixture[str]) -> None:
    rows = listed(capsys, "--capacity", "spot", "--sort", "price")
    assert all(row["spotPerHour"] for row in rows)
    assert [row["spotPerHour"] for row in rows] == sorted(row["spotPerHour"] for row in rows)
    first = next(row for row in rows if row["name"] == "g5.12xlarge")
    assert first["perGPUHour"] == pytest.approx(first["spotPerHour"] / 4, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "per_1000_tflops"),
    [
        ("g4dn.xlarge", 8.1),
        ("g5.xlarge", 14.4),
        ("g6.xlarge", 6.7),
        ("p4d.24xlarge", 8.8),
        ("p5.48xlarge", 7.0),
        ("p6-b200.48xlarge", 6.3),
        ("trn1.32xlarge", 7.1),
        ("inf2.xlarge", 4.0),
    ],
)
def test_price_per_speed_agrees_with_published_ratios(name: str, per_1000_tflops: float) -> None:
    (row,) = [row for row in listing.rows(catalog()) if row.name == name]
    assert row.per_tflop("on-demand") == pytest.approx(per_1000_tflops / 1000, abs=0.00006)


def test_a_slice_of_a_gpu_counts_as_its_share() -> None:
    (row,) = [row for row in listing.rows(catalog()) if row.name == "g6f.large"]
    assert (row.devices, row.device_mib, row.per_device("on-demand")) == (0.125, 2861, pytest.approx(1.616))
    assert row.per_gib("on-demand") == pytest.approx(0.202 / (2861 / 1024))


def test_csv_has_a_line_for_each_type(capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(out(capsys, "--family", "g6", "-o", "csv"))))
    assert len(rows) == 8
    assert rows[0]["gpu"] == "l4"


def test_all_lists_every_type(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(names(capsys, "--all")) > 1300
    assert len(names(capsys, "--all", "--limit", "3")) == 3


def test_wide_shows_every_column(capsys: pytest.CaptureFixture[str]) -> None:
    header = out(capsys, "-o", "wide").splitlines()[0]
    titles = ["type", "arch", "GPUs", "GiB each", "vCPU", "memory", "$/h", "spot from", "$/GPU-h", "$/GiB-h"]
    assert re.split(r" {2,}", header) == [*titles, "$/TFLOPS-h", "zones"]


@pytest.mark.parametrize(("sort", "title"), [("price-per-tflop", "$/TFLOPS-h"), ("price-per-gib", "$/GiB-h")])
def test_the_column_sorted_by_is_always_shown(capsys: pytest.CaptureFixture[str], sort: str, title: str) -> None:
    lines = out(capsys, "--sort", sort, "--min-gpu-memory", "80").splitlines()
    assert title in lines[0]
    assert max(map(len, lines)) <= 80


def test_nothing_that_matches_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert out(capsys, "--gpu", "t4", "--min-gpus", "64") == "No instance type matches.\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a1000"], "error: no such instance type in the catalog: a1000 (did you mean a100"),
        (["--gpu", "h10"], "error: --gpu: no such GPU in the catalog: h10 (did you mean h100"),
        (["--family", "p5x"], "error: --family: no such family in the catalog: p5x (did you mean"),
        (["--region", "eu-wset-1"], "the catalog has no such region: eu-wset-1 (did you mean eu-west-1?"),
        (["show", "g5.xlrage"], "no such instance type in the catalog: g5.xlrage (did you mean g5.xlarge"),
        (["show", "p3.2xlarge"], "documented, but no source of the catalog has it: p3.2xlarge"),
        (["export", "--out", "/no/such/folder/c.json"], "cannot write the catalog file: No such file or directory"),
        (["--catalog", "absent.json"], "error: absent.json: cannot read the catalog file"),
    ],
)
def test_unknown_names_and_files_are_refused_with_a_suggestion(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run(["catalog", *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


def test_show_tells_everything_in_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    text = out(capsys, "show", "p4d.24xlarge")
    assert max(map(len, text.splitlines())) <= 80
    for part in (
        "NVSwitch, 600 GB/s",
        "312",
        "published price",
        "1082712Mi",
        "karpenter.k8s.aws/instance-gpu-name: a100",
        "2026-07-20",
    ):
        assert part in text


def test_show_as_json_has_allocatable_facts_and_sources(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(out(capsys, "show", "trn2.48xlarge", "--region", "us-east-2", "-o", "json"))
    assert found["allocatable"]["aws.amazon.com/neuron"] == "16"
    assert found["device"]["true_memory_mib"] == 98304
    assert found["offerings"] == []
    assert found["sources"]["machine, devices, network cards"].startswith("EC2 DescribeInstanceTypes")


def test_show_of_a_type_without_devices_or_zones(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Devices" not in out(capsys, "show", "m5.large")
    assert "not offered in any zone" in out(capsys, "show", "g4ad.xlarge")


def test_an_exported_file_can_be_listed_and_shown(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "catalog.json"
    assert run(["catalog", "export", "--region", "eu-west-1", "--out", str(path)]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"types of eu-west-1 to {path}" in captured.err
    assert names(capsys, "--catalog", str(path)) == names(capsys, "--region", "eu-west-1")
    shown = out(capsys, "show", "g5.xlarge", "--catalog", str(path))
    assert "Sources" not in shown
    assert "Prices: eu-west-1 of 2026-07-20." in shown


def test_export_writes_only_json_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(out(capsys, "export"))
    assert document["region"] == "us-east-1"
    assert len(document["instanceTypes"]) > 1300
