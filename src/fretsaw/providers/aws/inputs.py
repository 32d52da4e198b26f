"""The reviewed inputs of the snapshot, and the price list of libcloud: read and checked at build time only."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec
import yaml

from fretsaw.errors import UserError
from fretsaw.providers.aws.facts import Facts
from fretsaw.providers.aws.snapshot import PACKAGED, Saving, Sources

_T = TypeVar("_T")

INPUTS = PACKAGED / "inputs"
PACKAGES = {"moto": ("moto", "5.2.5"), "libcloud": ("apache-libcloud", "3.9.1")}
"""Module → package and the version that sources.yaml names."""


class PriceTable(msgspec.Struct, frozen=True):
    """Prices of one region read on one day from one source."""

    region: str
    date: str
    source: str
    usd_per_hour: dict[str, float]


class Parity(msgspec.Struct, frozen=True, rename={"like": "as"}):
    """A region that has another region's price list."""

    like: str
    source: str


class Corrections(msgspec.Struct, frozen=True):
    """`corrections.yaml`."""

    parity: dict[str, Parity]
    superseded: tuple[PriceTable, ...]
    tables: tuple[PriceTable, ...] = msgspec.field(name="prices")

    def prices(self, region: str) -> dict[str, float]:
        """Type → USD an hour now."""
        return {
            name: usd for table in self.tables if table.region == region for name, usd in table.usd_per_hour.items()
        }

    def superseded_prices(self, region: str) -> dict[str, float]:
        """Type → USD an hour before a cut."""
        return _merged(self.superseded, region)

    @property
    def newest(self) -> str:
        """Date of the newest prices."""
        return max(table.date for table in self.tables)


def _merged(tables: tuple[PriceTable, ...], region: str) -> dict[str, float]:
    return {name: usd for table in tables if table.region == region for name, usd in table.usd_per_hour.items()}


class ExtraType(msgspec.Struct, frozen=True):
    """A type of `extra_types.yaml`."""

    vcpus: int
    memory_mib: int
    nvme_gb: int
    ebs_mbps: int
    interfaces: int
    ipv4_per_interface: int
    gpus: int


class ExtraDevice(msgspec.Struct, frozen=True):
    """The device that all types of `extra_types.yaml` have."""

    name: str
    manufacturer: str
    memory_mib: int


class ExtraShared(msgspec.Struct, frozen=True):
    """What all types of `extra_types.yaml` have in common."""

    cpu_manufacturer: str
    clock_mhz: int
    gpu: ExtraDevice


class ExtraTypes(msgspec.Struct, frozen=True):
    """`extra_types.yaml`."""

    source: str
    types: dict[str, ExtraType]
    shared: ExtraShared


class Network(NamedTuple):
    """Branch interfaces and baseline Mbit/s of a type; None where the table has no figure."""

    branch_interfaces: int | None
    mbps: int | None


@cache
def sources() -> Sources:
    """`sources.yaml`; every column and table of the inputs names one of its keys."""
    found = _yaml("sources.yaml", Sources)
    named = {*found.columns.values(), *(table.source for table in corrections().tables), extra_types().source}
    if unknown := sorted(named - set(found.sources)):
        raise UserError("sources.yaml", "no such source", ", ".join(unknown), "add it under `sources`")
    return found


@cache
def corrections() -> Corrections:
    """`corrections.yaml`, with every price above zero."""
    found = _yaml("corrections.yaml", Corrections)
    wrong = [name for table in found.tables for name, usd in table.usd_per_hour.items() if not usd > 0]
    if wrong:
        raise UserError("corrections.yaml", "prices must be above zero", ", ".join(wrong))
    return found


@cache
def facts() -> Facts:
    """`facts.yaml`."""
    return _yaml("facts.yaml", Facts)


@cache
def extra_types() -> ExtraTypes:
    """`extra_types.yaml`."""
    return _yaml("extra_types.yaml", ExtraTypes)


@cache
def network() -> dict[str, Network]:
    """`network.csv`."""
    rows = _csv("network.csv")
    return {
        row["type"]: Network(
            int(row["branch_interfaces"]) if row["branch_interfaces"] else None,
            int(row["bandwidth_mbps"]) if row["bandwidth_mbps"] else None,
        )
        for row in rows
    }


@cache
def spot_advisor() -> dict[str, dict[str, Saving]]:
    """`spot_advisor.csv`: region → accelerated type, or family of other types → its (median) saving."""
    found: dict[str, dict[str, Saving]] = {}
    for row in _csv("spot_advisor.csv"):
        saving = Saving(int(row["saving_pct"]), int(row["interruption_band"]))
        found.setdefault(row["region"], {})[row["name"]] = saving
    return found


@cache
def libcloud_prices() -> dict[str, dict[str, float]]:
    """Region → type → USD an hour; zeros, which the list has for a sixth of its entries, are left out."""
    document = json.loads((bundled("libcloud") / "data" / "pricing.json").read_bytes())
    stamp = datetime.fromtimestamp(document["updated"], UTC).date().isoformat()
    if stamp != sources().sources["libcloud-prices"].date:
        raise UserError("sources.yaml", "libcloud-prices has another date than libcloud's list", stamp)
    found: dict[str, dict[str, float]] = {}
    for name, by_region in document["compute"]["ec2_linux"].items():
        for region, usd in by_region.items():
            if usd:
                found.setdefault(region, {})[name] = float(usd)
    return found


def bundled(module: str) -> Path:
    """Folder of an installed package of the extra. Raises UserError without it, or for another version."""
    package, wanted = PACKAGES[module]
    try:
        installed = version(package)
    except PackageNotFoundError as error:
        right = "pip install 'fretsaw[catalog]'"
        raise UserError("fretsaw catalog build", "needs a package that is not installed", package, right) from error
    if installed != wanted:
        raise UserError(
            "fretsaw catalog build", f"needs {package} {wanted}", installed, "the snapshot names its sources"
        )
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise UserError("fretsaw catalog build", "a package is damaged", package, "install it again")
    return Path(spec.origin).parent


def _yaml(name: str, shape: type[_T]) -> _T:
    text = (INPUTS / name).read_text(encoding="utf-8")
    loaded = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    try:
        # Dates stay text: YAML reads 2026-07-20 as a date.
        return msgspec.convert(json.loads(json.dumps(loaded, default=str)), shape)
    except msgspec.ValidationError as error:
        raise UserError(name, "does not have the expected shape", str(error)) from error


def _csv(name: str) -> list[dict[str, str]]:
    with (INPUTS / name).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))
