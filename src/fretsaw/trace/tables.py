"""What is written once and named by a number from then on: the specs of pods, and the parts of catalogs.

    {"spec": 3, "is": {…}}                               a pod's spec, without its node
    {"type": 7, "is": {"name": …, "labels": …}}          an instance type: what it is,
    {"size": 9, "is": {"capacity": …, "overhead": …}}    what its nodes hold,
    {"offerings": 12, "is": [{…}, …]}                    and how it can be bought
    {"catalog": 1, "types": [[7, 9, 12], …], "is": {"region": …}}
    {"catalog": 2, "like": 1, "types": {"5": [7, 9, 13]}, "is": {"region": …}}

Pods of a workload share their spec, and a reader gets one object for equal specs again. Node classes of one region
share types and offerings, and a catalog that is read anew differs from the last one in a few offerings.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from fretsaw.api.catalog import Catalog, InstanceType, Offering
from fretsaw.api.pod import PodSpec

AnyThing = TypeVar("AnyThing")
ENCODER = msgspec.json.Encoder()
Row = tuple[int, int, int]
"""The numbers of an instance type, its size and its offerings."""
BASES = 8
"""Catalogs that a new one is compared with; one for each node class is enough."""
FEW = 0.5
"""Share of types that may differ from an earlier catalog; above it the whole list is as short."""


class WriteTables:
    """Numbers for what was written; the lines that define them go out before the line that names them."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._specs: dict[bytes, int] = {}
        self._offerings: dict[bytes, int] = {}
        self._types: dict[bytes, int] = {}
        self._sizes: dict[bytes, int] = {}
        self._catalogs: list[tuple[int, Catalog, list[Row]]] = []
        """The last few, the newest first."""
        self._count = 0

    def spec(self, spec: PodSpec) -> int:
        """The number of a pod's spec; the node is no part of it."""
        return self._part("spec", self._specs, replace(spec, node_name="") if spec.node_name else spec)

    def catalog(self, catalog: Catalog) -> int:
        """The number of a catalog."""
        for number, known, _ in self._catalogs:
            if known is catalog:
                return number
        base = self._base(catalog)
        rows = self._rows(catalog, base)
        for number, known, known_rows in self._catalogs:
            if known_rows == rows and _head(known) == _head(catalog):
                return number
        number = self._count
        self._count += 1
        self._write(ENCODER.encode({"catalog": number, **_told(base, rows), "is": _head(catalog)}))
        self._catalogs = [(number, catalog, rows), *self._catalogs][:BASES]
        return number

    def _base(self, catalog: Catalog) -> tuple[int, Catalog, list[Row]] | None:
        """The known catalog that shares most types with this one, the same objects."""
        types = catalog.instance_types
        fitting = [known for known in self._catalogs if len(known[1].instance_types) == len(types)]
        return max(fitting, key=lambda k: (_shared(k[1].instance_types, types), k[0]), default=None)

    def _rows(self, catalog: Catalog, base: tuple[int, Catalog, list[Row]] | None) -> list[Row]:
        types = catalog.instance_types
        if base is None:
            return [self._row(one) for one in types]
        return [
            row if one is before else self._row(one)
            for one, before, row in zip(types, base[1].instance_types, base[2], strict=True)
        ]

    def _row(self, one: InstanceType) -> Row:
        return (
            self._part("type", self._types, {"name": one.name, "labels": one.labels}),
            self._part("size", self._sizes, {"capacity": one.capacity, "overhead": one.overhead}),
            self._part("offerings", self._offerings, one.offerings),
        )

    def _part(self, what: str, known: dict[bytes, int], value: Any) -> int:
        text = ENCODER.encode(value)
        number = known.get(text)
        if number is None:
            number = known[text] = len(known)
            self._write(b'{"%b":%d,"is":%b}' % (what.encode(), number, text))
        return number


def _shared(one: list[InstanceType], other: list[InstanceType]) -> int:
    return sum(a is b for a, b in zip(one, other, strict=True))


def _head(catalog: Catalog) -> Catalog:
    return replace(catalog, instance_types=[])


def _told(base: tuple[int, Catalog, list[Row]] | None, rows: list[Row]) -> dict[str, Any]:
    """The rows, or those that the base has otherwise."""
    if base is not None:
        changed = {str(i): row for i, (row, before) in enumerate(zip(rows, base[2], strict=True)) if row != before}
        if len(changed) <= FEW * len(rows):
            return {"like": base[0], "types": changed}
    return {"types": rows}


class ReadTables:
    """What the numbers stand for."""

    def __init__(self) -> None:
        self._specs: dict[int, PodSpec] = {}
        self._offerings: dict[int, list[Offering]] = {}
        self._types: dict[int, dict[str, Any]] = {}
        self._sizes: dict[int, dict[str, Any]] = {}
        self._catalogs: dict[int, tuple[Catalog, list[Row]]] = {}
        self._made: dict[Row, InstanceType] = {}

    def define(self, value: dict[str, Any]) -> None:
        """Take a definition in. Raises KeyError, ValueError or TypeError for one that is wrong, or none."""
        if "spec" in value:
            self._specs[value["spec"]] = msgspec.convert(value["is"], PodSpec)
        elif "offerings" in value:
            self._offerings[value["offerings"]] = msgspec.convert(value["is"], list[Offering])
        elif "size" in value:
            self._sizes[value["size"]] = value["is"]
        elif "type" in value:
            self._types[value["type"]] = value["is"]
        elif "catalog" in value:
            self._catalogs[value["catalog"]] = self._catalog(value)
        else:
            raise ValueError("it says neither what happened, nor what a number stands for")

    def spec(self, number: int) -> PodSpec:
        """A pod's spec without its node. Raises ValueError for a number that no line has defined."""
        return _defined("spec", self._specs, number)

    def catalog(self, number: int) -> Catalog:
        """A catalog; the same object for the same number. Raises ValueError as above."""
        return _defined("catalog", self._catalogs, number)[0]

    def _catalog(self, value: dict[str, Any]) -> tuple[Catalog, list[Row]]:
        if "like" in value:
            rows = list(_defined("catalog", self._catalogs, value["like"])[1])
            for place, row in value["types"].items():
                rows[int(place)] = msgspec.convert(row, Row)
        else:
            rows = msgspec.convert(value["types"], list[Row])
        types = [self._made.get(row) or self._type(row) for row in rows]
        return replace(msgspec.convert(value["is"], Catalog), instance_types=types), rows

    def _type(self, row: Row) -> InstanceType:
        one: dict[str, Any] = _defined("type", self._types, row[0])
        size: dict[str, Any] = _defined("size", self._sizes, row[1])
        offerings = _defined("offerings", self._offerings, row[2])
        made = self._made[row] = replace(msgspec.convert({**one, **size}, InstanceType), offerings=offerings)
        return made


def _defined(what: str, known: dict[int, AnyThing], number: int) -> AnyThing:
    if number not in known:
        raise ValueError(f"{what} {number} is used, and no line before has defined it")
    return known[number]
