"""The shipped snapshot of EC2: instance types, and per region the zones, offerings and prices.

Read by `supply`; written by `build`, and by `live.writing` from an account. Files under `data/`: `types.json`,
`regions/<region>.json`, `facts.json` and `sources.json`, all uncompressed JSON with one row a line, so that a rebuild
shows as a readable difference.
Everything here is decoded once per process and never changed.
"""

from __future__ import annotations

import os
from difflib import get_close_matches
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TypeVar

import msgspec

from fretsaw.errors import BrokenInvariant, UserError
from fretsaw.providers.aws.catalog_file import read_catalog_file

__all__ = [
    "BASE_REGION",
    "DATA",
    "PACKAGED",
    "Device",
    "PriceBasis",
    "RegionData",
    "RegionRow",
    "Saving",
    "Source",
    "Sources",
    "SpotBasis",
    "TypeRow",
    "Types",
    "load_region",
    "load_sources",
    "load_types",
    "read_catalog_file",
    "regions",
]

_T = TypeVar("_T")

PACKAGED = Path(__file__).parent / "data"
"""The snapshot that is shipped."""
ELSEWHERE = "FRETSAW_CATALOG_DIR"
"""The variable that names a folder of `fretsaw catalog refresh --out`, to be read in the place of the shipped one."""
DATA = Path(os.environ.get(ELSEWHERE) or PACKAGED)
"""The snapshot that is read."""
BASE_REGION = "us-east-1"
"""The region whose prices are published best: those of others are estimated from them."""


class PriceBasis(StrEnum):
    """How an on-demand price was found; `prices.BASES` says it in words. One letter each, as the files have it."""

    PUBLISHED = "p"
    LISTED = "l"
    PARITY = "y"
    FAMILY = "f"
    CATEGORY = "c"
    UNCONFIRMED = "u"
    ACCOUNT = "a"
    NONE = ""


class SpotBasis(StrEnum):
    """Whose saving a spot price uses: the type's own, or the median of its family or category."""

    TYPE = "t"
    FAMILY = "f"
    CATEGORY = "c"


class Device(msgspec.Struct, frozen=True, array_like=True):
    """One entry of EC2's device lists. `memory_mib` is per device, as EC2 gives it; `cores` only for Neuron."""

    name: str
    manufacturer: str
    count: int
    memory_mib: int
    cores: int = 0


class TypeRow(msgspec.Struct, frozen=True, array_like=True):
    """What EC2 says of one instance type. The order of fields is the order of columns in `types.json`."""

    name: str
    arch: str
    vcpus: int
    memory_mib: int
    cpu_manufacturer: str
    clock_mhz: int
    """0 where EC2 leaves it out."""
    ebs_mbps: int | None
    network_mbps: int | None
    """Baseline; None where documentation only says Low, Moderate or High."""
    nvme_gb: int | None
    """Total instance storage; None without NVMe instance storage."""
    instance_storage_gb: int | None
    hypervisor: str
    """`nitro`, `xen`, or empty for bare metal."""
    flags: str
    """Letters of what it has: `a` ENA, `c` current generation, `e` encryption in transit, `n` Nitro Enclaves, `v`
    nested virtualization; and how it is sold: `o` on-demand, `s` spot, `b` capacity blocks."""
    ipv4_per_interface: int
    default_card: int
    card_interfaces: tuple[int, ...]
    """Interfaces that each network card takes, by card index."""
    efa_interfaces: int | None
    branch_interfaces: int | None
    gpus: tuple[Device, ...] = ()
    accelerators: tuple[Device, ...] = ()
    neuron: tuple[Device, ...] = ()
    other_devices: tuple[Device, ...] = ()
    """Media accelerators and FPGAs: neither labels nor resources."""
    source: str = "ec2-types"

    @property
    def family(self) -> str:
        """The text before the dot."""
        return self.name.partition(".")[0]

    def has(self, flag: str) -> bool:
        """Whether the letter stands in `flags`."""
        return flag in self.flags

    @property
    def accelerated(self) -> bool:
        """Whether it has devices of any kind."""
        return bool(self.gpus or self.accelerators or self.neuron or self.other_devices)


class Types(msgspec.Struct, frozen=True):
    """`types.json`."""

    as_of: str
    columns: tuple[str, ...]
    rows: tuple[TypeRow, ...]


class Saving(msgspec.Struct, frozen=True, array_like=True):
    """Spot below on-demand in per cent, and how often spot instances are taken back."""

    percent: int
    band: int
    """0: under 5 % of instances a month, 1: 5-10 %, 2: 10-15 %, 3: 15-20 %, 4: above."""
    basis: SpotBasis = SpotBasis.TYPE


class RegionRow(msgspec.Struct, frozen=True, array_like=True):
    """One type in one region."""

    name: str
    zones: str
    """Letters of the zones that offer it, such as `abd`; empty where no source says."""
    on_demand: float | None
    """USD an hour."""
    basis: PriceBasis
    saving: Saving | None = None
    """Only of accelerated types: the others share their family's."""
    spot: tuple[float | None, ...] = ()
    """Prices that were read from an account, in the order of `zones`, USD an hour; empty where they are modelled."""


class RegionData(msgspec.Struct, frozen=True):
    """`regions/<region>.json`."""

    region: str
    as_of: str
    """Date of the newest prices."""
    zones: dict[str, str]
    """Zone name → zone id. Names are mapped per AWS account; these are one account's."""
    family_savings: dict[str, Saving]
    """Savings of types without one of their own, by family."""
    columns: tuple[str, ...]
    rows: tuple[RegionRow, ...]
    source: str = ""
    """Of zones, offerings and spot prices that were read from an account; empty for the shipped ones."""

    def saving(self, row: RegionRow) -> Saving | None:
        """What spot saves; None where no spot pool is known."""
        return row.saving or self.family_savings.get(row.name.partition(".")[0])


class Source(msgspec.Struct, frozen=True):
    """Where figures come from, and of what day they are."""

    title: str
    date: str
    licence: str


class Sources(msgspec.Struct, frozen=True):
    """`sources.json`: the sources by key, and the source of each column of the other files."""

    sources: dict[str, Source]
    columns: dict[str, str]


@cache
def regions() -> tuple[str, ...]:
    """The regions that the snapshot has, sorted."""
    return tuple(sorted(path.stem for path in (DATA / "regions").glob("*.json")))


@cache
def load_types() -> dict[str, TypeRow]:
    """Every instance type of the snapshot by name."""
    return {row.name: row for row in _read("types.json", Types).rows}


@cache
def load_region(region: str) -> RegionData:
    """Zones, offerings and prices of a region. Raises UserError for a region that the snapshot lacks."""
    if region not in regions():
        near = get_close_matches(region, regions(), n=1)
        known = ", ".join(regions())
        right = f"did you mean {near[0]}? known: {known}" if near else f"known: {known}"
        raise UserError("region", "the catalog has no such region", region, right)
    return _read(f"regions/{region}.json", RegionData)


@cache
def load_sources() -> Sources:
    """The sources of all figures."""
    return _read("sources.json", Sources)


def _read(name: str, shape: type[_T]) -> _T:
    try:
        return msgspec.json.decode((DATA / name).read_bytes(), type=shape)
    except (OSError, msgspec.MsgspecError) as error:
        if os.environ.get(ELSEWHERE):
            right = "a folder that `fretsaw catalog refresh --out` has written"
            raise UserError(ELSEWHERE, "no such catalog", f"{DATA / name}: {error}", right) from error
        raise BrokenInvariant(f"the shipped catalog file {name} is damaged: {error}") from error
