"""Write the snapshot from bundled data of moto and libcloud, and from the reviewed inputs beside it.

Run by `fretsaw catalog build`; needs the extra `fretsaw[catalog]`. No network, no clock: the same inputs give the same
bytes. Inputs of ours lie in `data/inputs/`: `corrections.yaml`, `facts.yaml`, `sources.yaml`, `extra_types.yaml`,
`network.csv` and `spot_advisor.csv`.
"""

from __future__ import annotations

import statistics
from pathlib import Path

import msgspec

from fretsaw.providers.aws import inputs, prices
from fretsaw.providers.aws.ec2_bundle import offerings, type_rows
from fretsaw.providers.aws.snapshot import BASE_REGION, PACKAGED, PriceBasis, RegionRow, Saving, SpotBasis, TypeRow
from fretsaw.providers.aws.snapshot_text import document, table

REGIONS = (
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-southeast-2",
    "eu-central-1",
    "eu-west-1",
    "us-east-1",
    "us-east-2",
    "us-west-2",
)


def build(out: Path = PACKAGED) -> dict[str, int]:
    """Write every file of the snapshot below `out`; returns the bytes of each file by its relative name.

    Raises UserError when the extra is not installed or an input is wrong.
    """
    files = render()
    for name, content in files.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return {name: len(content) for name, content in files.items()}


def render() -> dict[str, bytes]:
    """The snapshot's files by relative name."""
    sources = inputs.sources()
    rows = sorted(type_rows(), key=lambda row: row.name)
    files = {
        "types.json": table({"as_of": sources.sources["ec2-types"].date}, TypeRow, rows),
        "facts.json": document(inputs.facts()),
        "sources.json": document(sources),
    }
    for region, content in _regions({row.name: row for row in rows}).items():
        files[f"regions/{region}.json"] = content
    return files


def _regions(types: dict[str, TypeRow]) -> dict[str, bytes]:
    corrections, listed, advisor = inputs.corrections(), inputs.libcloud_prices(), inputs.spot_advisor()
    base = corrections.prices(BASE_REGION)
    old = {**base, **corrections.superseded_prices(BASE_REGION)}
    found: dict[str, bytes] = {}
    for region in REGIONS:
        offered = offerings(region)
        names = sorted(name for name in {*offered.letters, *corrections.prices(region)} if name in types)
        if own := corrections.prices(region):
            on_demand = {name: _published(own.get(name)) for name in names}
        elif region in corrections.parity:
            on_demand = prices.like(names, listed.get(region, {}), base, old)
        else:
            on_demand = prices.regional(names, listed.get(region, {}), base, old)
        known = advisor.get(region, {})
        rows = [_row(types[name], offered.letters.get(name, ""), on_demand[name], known) for name in names]
        savings = msgspec.to_builtins(_family_savings([types[name] for name in names], known))
        head = {
            "region": region,
            "as_of": corrections.newest,
            "zones": offered.zones,
            "family_savings": savings,
        }
        found[region] = table(head, RegionRow, rows)
    return found


def _published(usd: float | None) -> prices.OnDemand:
    return prices.OnDemand(usd, PriceBasis.PUBLISHED if usd else PriceBasis.NONE)


def _row(row: TypeRow, zones: str, on_demand: prices.OnDemand, advisor: dict[str, Saving]) -> RegionRow:
    own = advisor.get(row.name) if row.accelerated and row.has("s") else None
    return RegionRow(row.name, zones, on_demand.usd, on_demand.basis, own)


def _family_savings(rows: list[TypeRow], advisor: dict[str, Saving]) -> dict[str, Saving]:
    """Savings of the families that have no devices: the family's median, or its category's where it is newer.

    Accelerated types have only their own figures: one that the advisor lacks may have no spot pool at all.
    """
    medians = _category_medians(advisor)
    found: dict[str, Saving] = {}
    for name in sorted({row.family for row in rows if not row.accelerated and row.has("s")}):
        if own := advisor.get(name):
            found[name] = Saving(own.percent, own.band, SpotBasis.FAMILY)
        elif shared := medians.get(prices.category(name)):
            found[name] = Saving(shared.percent, shared.band, SpotBasis.CATEGORY)
    return found


def _category_medians(advisor: dict[str, Saving]) -> dict[str, Saving]:
    groups: dict[str, list[Saving]] = {}
    for name, saving in sorted(advisor.items()):
        if "." not in name:
            groups.setdefault(prices.category(name), []).append(saving)
    return {
        name: Saving(
            statistics.median_low([saving.percent for saving in group]),
            statistics.median_low([saving.band for saving in group]),
        )
        for name, group in groups.items()
    }
