"""The shipped files: complete, sourced, compact, and what the build command makes of its inputs."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from fretsaw.errors import BrokenInvariant, UserError
from fretsaw.providers.aws import facts, snapshot
from fretsaw.providers.aws.snapshot import DATA, PriceBasis, RegionRow, TypeRow

extra = pytest.mark.skipif(
    find_spec("moto") is None or find_spec("libcloud") is None, reason="needs the extra fretsaw[catalog]"
)


@pytest.fixture(scope="module")
def rebuilt() -> dict[str, bytes]:
    from fretsaw.providers.aws import build

    return build.render()


@extra
def test_a_rebuild_gives_the_committed_bytes(rebuilt: dict[str, bytes]) -> None:
    committed = {
        str(path.relative_to(DATA)): path.read_bytes() for path in sorted(DATA.rglob("*.json")) if path.is_file()
    }
    assert sorted(rebuilt) == sorted(committed)
    assert [name for name in rebuilt if rebuilt[name] != committed[name]] == []


@extra
def test_a_build_writes_below_the_given_folder(tmp_path: Path, rebuilt: dict[str, bytes]) -> None:
    from fretsaw.providers.aws import build

    sizes = build.build(tmp_path)
    assert sizes == {name: len(content) for name, content in rebuilt.items()}
    assert (tmp_path / "regions" / "us-east-1.json").read_bytes() == rebuilt["regions/us-east-1.json"]


@extra
def test_another_version_of_a_source_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from fretsaw.providers.aws import inputs

    monkeypatch.setitem(inputs.PACKAGES, "moto", ("moto", "0.0.1"))
    with pytest.raises(UserError, match=r"needs moto 0\.0\.1"):
        inputs.bundled("moto")


def test_a_missing_source_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from fretsaw.providers.aws import inputs

    monkeypatch.setitem(inputs.PACKAGES, "moto", ("not-a-package-at-all", "1"))
    with pytest.raises(UserError, match=r"pip install 'fretsaw\[catalog\]'"):
        inputs.bundled("moto")


def test_the_data_stays_small() -> None:
    assert sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file()) < 700_000


def test_columns_are_named_as_they_are_read() -> None:
    types = json.loads((DATA / "types.json").read_bytes())
    region = json.loads((DATA / "regions" / "us-east-1.json").read_bytes())
    assert tuple(types["columns"]) == TypeRow.__struct_fields__
    assert tuple(region["columns"]) == RegionRow.__struct_fields__


def test_every_region_knows_its_zones_and_types() -> None:
    for region in snapshot.regions():
        data = snapshot.load_region(region)
        letters = {zone[-1] for zone in data.zones}
        assert len(set(data.zones.values())) == len(data.zones)
        for row in data.rows:
            assert row.name in snapshot.load_types()
            assert set(row.zones) <= letters
            assert (row.on_demand is None) == (row.basis is PriceBasis.NONE)


def prices_of(table: Path) -> Iterator[tuple[str, float]]:
    for row in csv.DictReader(table.read_text().splitlines()):
        if row["usd_per_hour"]:
            yield row["type"], float(row["usd_per_hour"])


def test_published_prices_of_accelerated_types_are_as_documented() -> None:
    rows = {row.name: row for region in ("us-west-2", "us-east-1") for row in snapshot.load_region(region).rows}
    wrong = {
        name: (rows[name].on_demand, usd)
        for name, usd in prices_of(Path(__file__).parent / "gpu_instances.csv")
        if abs((rows[name].on_demand or 0) - usd) > 0.0001
    }
    assert wrong == {}


def test_every_source_is_dated_and_named_by_something() -> None:
    known = snapshot.load_sources()
    assert all(source.date.startswith("202") and source.title for source in known.sources.values())
    assert set(known.columns.values()) <= set(known.sources)
    assert {row.source for row in snapshot.load_types().values()} <= set(known.sources)


def test_a_damaged_file_is_our_bug(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "types.json").write_text('{"as_of": 1}')
    monkeypatch.setattr(snapshot, "DATA", tmp_path)
    snapshot.load_types.cache_clear()
    try:
        with pytest.raises(BrokenInvariant, match=r"types\.json is damaged"):
            snapshot.load_types()
    finally:
        snapshot.load_types.cache_clear()


def test_facts_tell_models_of_one_name_apart_and_correct_ec2() -> None:
    small, large = facts.device("a100", 40960), facts.device("a100", 81920)
    trainium2 = facts.device("trainium2", 524288)
    assert small is not None
    assert large is not None
    assert trainium2 is not None
    assert (small.memory_gb, large.memory_gb, trainium2.true_memory_mib) == (40, 80, 98304)
    assert facts.device("a1000") is None


def test_every_device_of_the_catalog_has_facts() -> None:
    from fretsaw.providers.aws.labels import kebab

    for row in snapshot.load_types().values():
        for device in (*row.gpus, *row.neuron, *row.accelerators):
            assert facts.device(kebab(device.name), device.memory_mib), row.name
            assert facts.family(row.family) or row.family == "trn2u", row.name


def test_fractions_of_gpus_are_as_ec2_cuts_them() -> None:
    fractions = {name: found.device_fraction for name, found in facts.load().types.items() if found.device_fraction < 1}
    for name, fraction in fractions.items():
        (slice_,) = snapshot.load_types()[name].gpus
        assert slice_.count == 0
        assert abs(slice_.memory_mib / 22888 - fraction) < 0.001
    assert set(fractions) == {name for name, row in snapshot.load_types().items() if any(not d.count for d in row.gpus)}


def test_types_outside_the_sources_are_no_part_of_the_catalog() -> None:
    assert not set(facts.load().outside) & set(snapshot.load_types())
