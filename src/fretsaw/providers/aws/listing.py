"""A catalog as rows to search, compare and sort: devices, prices, and prices per device, GiB and TFLOPS.

Works on any `Catalog`, shipped or from a file: everything is read from labels, capacity and offerings; the curated
facts add what EC2 does not say. Used by `fretsaw catalog`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from functools import cached_property
from typing import Literal

import msgspec

from fretsaw.api import labels as keys
from fretsaw.api.catalog import Catalog, InstanceType, Offering
from fretsaw.api.resources import units
from fretsaw.errors import UserError
from fretsaw.providers.aws import facts

CapacityType = Literal["on-demand", "spot"]
Sort = Literal["price-per-gpu", "price", "price-per-gib", "price-per-tflop", "spot-saving", "name"]
GI = 2**30

_DEVICE_RESOURCES = ("nvidia.com/gpu", "amd.com/gpu", "habana.ai/gaudi", "aws.amazon.com/neuron")
_PREFIX = f"{keys.AWS_DOMAIN}/instance-"


class Row(msgspec.Struct, frozen=True, dict=True):
    """One instance type, ready to compare. Prices are USD an hour; None where there is none."""

    name: str
    arch: str
    vcpus: float
    memory_bytes: int
    device: str
    """Label value of the GPU or accelerator, such as `a10g`; empty without."""
    devices: float
    """Devices, with fractions: an eighth of an L4 is 0.125."""
    device_mib: int | None
    """Memory of one device (or of the slice that the type has); EC2's figure, corrected where it is known wrong."""
    on_demand: float | None
    on_demand_source: str
    spot: float | None
    """The cheapest zone's."""
    spot_zone: str
    zones: tuple[str, ...]

    @property
    def family(self) -> str:
        """The text before the dot."""
        return self.name.partition(".")[0]

    @property
    def accelerated(self) -> bool:
        """Whether it has GPUs or other accelerators."""
        return bool(self.device) or self.devices > 0

    @property
    def spot_saving(self) -> float | None:
        """Share of the on-demand price that the cheapest spot zone saves."""
        if self.spot is None or not self.on_demand:
            return None
        return 1 - self.spot / self.on_demand

    @cached_property
    def facts(self) -> facts.DeviceFacts | None:
        """What is known of its device beyond EC2's own data."""
        return facts.device(self.device, self.device_mib) if self.device else None

    @property
    def nominal_gib(self) -> float:
        """Memory of one device as people ask for it: a GPU sold with 24 GB counts as 24 though EC2 says 22.4 GiB."""
        sold = self.facts.memory_gb * min(self.devices, 1) if self.facts else 0
        return max(sold, (self.device_mib or 0) / 1024)

    def price(self, capacity: CapacityType) -> float | None:
        """The cheapest price for a capacity type in USD an hour, None where there is none."""
        return self.spot if capacity == "spot" else self.on_demand

    def per_device(self, capacity: CapacityType) -> float | None:
        """USD an hour for one whole device."""
        return _ratio(self.price(capacity), self.devices)

    def per_gib(self, capacity: CapacityType) -> float | None:
        """USD an hour for a GiB of device memory."""
        # A slice's own memory is what it has; for whole devices it is the count times the memory of one.
        share = max(self.devices, 1) if self.devices else 0
        return _ratio(self.price(capacity), share * (self.device_mib or 0) / 1024)

    def per_tflop(self, capacity: CapacityType) -> float | None:
        """USD an hour for a dense fp16 TFLOPS."""
        speed = self.facts.fp16_tflops if self.facts else None
        return _ratio(self.price(capacity), self.devices * (speed or 0))


class Wanted(msgspec.Struct, frozen=True):
    """What a listing is narrowed to; an empty field does not narrow."""

    words: tuple[str, ...] = ()
    gpus: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    arch: str = ""
    min_devices: float = 0
    min_device_gib: float = 0
    capacity: CapacityType | None = None
    every_type: bool = False
    """Also types without devices, when nothing else names them."""


def rows(catalog: Catalog) -> list[Row]:
    """One row for each instance type, in the catalog's order."""
    return [_row(item) for item in catalog.instance_types]


def _row(item: InstanceType) -> Row:
    device, count, mib = _devices(item)
    on_demand = _cheapest(item.offerings, "on-demand")
    spot = _cheapest(item.offerings, "spot")
    return Row(
        name=item.name,
        arch="/".join(item.labels.get(keys.ARCH, [])),
        vcpus=units("cpu", item.capacity.get("cpu", "0")) / 1000,
        memory_bytes=units("memory", item.capacity.get("memory", "0")),
        device=device,
        devices=count,
        device_mib=mib,
        on_demand=on_demand.price if on_demand else None,
        on_demand_source=on_demand.price_source if on_demand else "",
        spot=spot.price if spot else None,
        spot_zone=spot.zone if spot else "",
        zones=tuple(sorted({offering.zone for offering in item.offerings if offering.available})),
    )


def _devices(item: InstanceType) -> tuple[str, float, int | None]:
    """(label value, count, MiB of one device)."""
    name = _label(item, "gpu-name") or _label(item, "accelerator-name")
    count: float = sum(units(resource, item.capacity.get(resource, "0")) for resource in _DEVICE_RESOURCES)
    text = _label(item, "gpu-count") or _label(item, "accelerator-count")
    if not count and text.isdigit():
        count = int(text)
    fraction = facts.of_type(item.name).device_fraction
    if name and not count and fraction < 1:
        count = fraction
    memory = _label(item, "gpu-memory")
    mib = int(memory) if memory.isdigit() else None
    known = facts.device(name, mib) if name else None
    if known and mib is None:
        mib = known.true_memory_mib or known.memory_gb * 1024
    return name, count, mib


def _label(item: InstanceType, name: str) -> str:
    values = item.labels.get(_PREFIX + name) or [""]
    return values[0]


def _cheapest(offerings: Iterable[Offering], capacity: str) -> Offering | None:
    of_type = [offering for offering in offerings if offering.capacity_type == capacity and offering.available]
    return min(of_type, key=lambda offering: (offering.price, offering.zone), default=None)


def _ratio(price: float | None, share: float) -> float | None:
    return price / share if price is not None and share > 0 else None


def select(found: Sequence[Row], wanted: Wanted) -> list[Row]:
    """The rows that match everything that is wanted.

    Raises UserError with the nearest known name when a word, GPU or family matches no type of the catalog at all.
    """
    for gpu in wanted.gpus:
        _known("GPU", gpu, {row.device for row in found if row.device})
    for family in wanted.families:
        _known("family", family, {row.family for row in found})
    for word in wanted.words:
        if not any(_matches(row, word) for row in found):
            _known("instance type", word, {row.name for row in found} | {row.device for row in found if row.device})
    named = bool(wanted.words or wanted.families or wanted.every_type)
    return [row for row in found if (named or row.accelerated) and _wanted(row, wanted)]


def _wanted(row: Row, wanted: Wanted) -> bool:
    return (
        all(_matches(row, word) for word in wanted.words)
        and (not wanted.gpus or row.device in map(str.lower, wanted.gpus))
        and (not wanted.families or row.family in wanted.families)
        and (not wanted.arch or row.arch == wanted.arch)
        and row.devices >= wanted.min_devices
        and row.nominal_gib >= wanted.min_device_gib
        and (wanted.capacity is None or row.price(wanted.capacity) is not None)
    )


def _matches(row: Row, word: str) -> bool:
    """Whether a search word is part of the type's, device's or product's name."""
    text = word.lower()
    product = row.facts.product.lower() if row.facts else ""
    return text in row.name or text in row.device or text in product


def _known(what: str, name: str, known: set[str]) -> None:
    if name.lower() not in known:
        raise UserError(f"--{what.lower()}" if what != "instance type" else "", *_unknown(what, name, known))


def _unknown(what: str, name: str, known: set[str]) -> tuple[str, str, str]:
    near = get_close_matches(name.lower(), sorted(known), n=3)
    if near:
        return f"no such {what} in the catalog", name, f"did you mean {' or '.join(near)}?"
    shown = f"known: {', '.join(sorted(known))}" if len(known) <= 40 else "`fretsaw catalog --all` lists every type"
    return f"no such {what} in the catalog", name, shown


def find(catalog: Catalog, name: str) -> InstanceType:
    """The instance type of a name. Raises UserError with the nearest names when the catalog lacks it."""
    for item in catalog.instance_types:
        if item.name == name:
            return item
    outside = facts.load().outside.get(name)
    if outside:
        raise UserError("", "documented, but no source of the catalog has it", name, outside.note)
    raise UserError("", *_unknown("instance type", name, {item.name for item in catalog.instance_types}))


def arrange(found: Sequence[Row], sort: Sort, capacity: CapacityType) -> list[Row]:
    """The rows by what they cost (or save), cheapest (or most) first; rows without the figure last; then by name."""

    def key(row: Row) -> tuple[bool, float, str]:
        value = _figure(row, sort, capacity)
        return value is None, value or 0.0, row.name

    return sorted(found, key=key)


def _figure(row: Row, sort: Sort, capacity: CapacityType) -> float | None:
    match sort:
        case "price":
            return row.price(capacity)
        case "price-per-gpu":
            return row.per_device(capacity)
        case "price-per-gib":
            return row.per_gib(capacity)
        case "price-per-tflop":
            return row.per_tflop(capacity)
        case "spot-saving":
            return -row.spot_saving if row.spot_saving is not None else None
        case "name":
            return 0.0
