"""Read and write catalog files; reading reports every problem at once, each with the path of its field."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from fretsaw.api.catalog import Catalog, InstanceType, Offering
from fretsaw.api.resources import BadQuantity, parse
from fretsaw.errors import UserError

CAPACITY_TYPES = ("on-demand", "spot", "reserved")
_SHOWN = 20
"""Problems that one message lists; the rest is counted."""


def read_catalog_file(path: str | Path) -> Catalog:
    """The catalog of a JSON file in the documented format.

    Raises UserError naming the file and every wrong field: text that is no JSON, a wrong type or missing field, an
    empty catalog, duplicate names, a bad or negative quantity or price, an unknown capacity type.
    """
    where = str(path)
    document = _load(Path(path), where)
    problems = list(_shape_problems(document))
    if problems:
        raise _all_problems(where, problems)
    found = msgspec.convert(document, Catalog)
    if problems := list(_value_problems(found)):
        raise _all_problems(where, problems)
    return found


def write_catalog(catalog: Catalog) -> str:
    """The catalog file's text: one instance type a line, every offering with all the documented fields."""
    head = {"region": catalog.region, "asOf": catalog.as_of, "notes": catalog.notes}
    lines = [json.dumps(_plain(item), ensure_ascii=False, separators=(", ", ": ")) for item in catalog.instance_types]
    body = ",\n  ".join(lines)
    return f'{json.dumps(head, ensure_ascii=False)[:-1]}, "instanceTypes": [\n  {body}\n]}}\n'


def _plain(item: InstanceType) -> dict[str, Any]:
    # The readers of this format are told of `available` and `labels`, so they are written even when they are defaults.
    plain: dict[str, Any] = msgspec.to_builtins(item)
    always = {"available": True, "labels": {}}
    return {**plain, "offerings": [{**always, **offering} for offering in plain["offerings"]]}


def _load(path: Path, where: str) -> object:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(where, "cannot read the catalog file", error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise UserError(where, "not UTF-8 text", f"byte {error.start}") from error
    if not text.strip():
        raise UserError(where, "the catalog file is empty", "", "`fretsaw catalog export` writes one")
    try:
        document: object = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise UserError(f"{where}:{error.lineno}", "not JSON", error.msg, f"column {error.colno}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(where, "not JSON", str(error)) from error
    return document


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not a number of JSON")


def _shape_problems(document: object) -> Iterator[str]:
    """Wrong field types, one per instance type: a first pass, so that one bad type does not hide the others."""
    if not isinstance(document, dict) or not isinstance(document.get("instanceTypes"), list):
        message = _mismatch(document, Catalog, "")
        yield message or "instanceTypes: missing (a list of instance types)"
        return
    rest = {**document, "instanceTypes": []}
    if message := _mismatch(rest, Catalog, ""):
        yield message
    if not document["instanceTypes"]:
        yield "instanceTypes: the catalog has no instance types (at least one)"
    for index, item in enumerate(document["instanceTypes"]):
        yield from _type_shape(item, f"instanceTypes[{index}]")


def _type_shape(item: object, path: str) -> Iterator[str]:
    offerings = item.get("offerings") if isinstance(item, dict) else None
    if isinstance(item, dict) and isinstance(offerings, list):
        for index, offering in enumerate(offerings):
            if message := _mismatch(offering, Offering, f"{path}.offerings[{index}]"):
                yield message
        item = {**item, "offerings": []}
    if message := _mismatch(item, InstanceType, path):
        yield message


def _mismatch(value: object, shape: type[msgspec.Struct], path: str) -> str | None:
    try:
        msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        message, _, inner = str(error).partition(" - at `$")
        field = (path + inner.rstrip("`")).lstrip(".")
        return f"{field}: {message}" if field else message
    return None


def _value_problems(catalog: Catalog) -> Iterator[str]:
    counts = Counter(item.name for item in catalog.instance_types)
    for index, item in enumerate(catalog.instance_types):
        path = f"instanceTypes[{index}]"
        if not item.name:
            yield f"{path}.name: empty (a name such as g5.xlarge)"
        elif counts[item.name] > 1:
            yield f"{path}.name: {item.name} is listed {counts[item.name]} times"
        named = f"{path} ({item.name})"
        yield from _quantities(item.capacity, f"{named}.capacity")
        yield from _quantities(item.overhead, f"{named}.overhead")
        for number, offering in enumerate(item.offerings):
            yield from _offering(offering, f"{named}.offerings[{number}]")


def _quantities(amounts: dict[str, str], path: str) -> Iterator[str]:
    for name, text in amounts.items():
        try:
            if parse(text) < 0:
                yield f'{path}["{name}"]: below zero: {text}'
        except BadQuantity as error:
            yield f'{path}["{name}"]: {error}'


def _offering(offering: Offering, path: str) -> Iterator[str]:
    if not offering.zone:
        yield f"{path}.zone: empty (a zone such as us-east-1a)"
    if offering.capacity_type not in CAPACITY_TYPES:
        yield f"{path}.capacityType: unknown: {offering.capacity_type} (one of {', '.join(CAPACITY_TYPES)})"
    if offering.price < 0 or not math.isfinite(offering.price):
        yield f"{path}.price: not a price: {offering.price} (USD an hour, zero or above)"
    if offering.reservation_capacity is not None and offering.reservation_capacity < 0:
        yield f"{path}.reservationCapacity: below zero: {offering.reservation_capacity}"


def _all_problems(where: str, problems: list[str]) -> UserError:
    if len(problems) == 1:
        return UserError(where, problems[0])
    shown = "".join(f"\n  {problem}" for problem in problems[:_SHOWN])
    rest = f"\n  … and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    return UserError(where, f"the catalog file has {len(problems)} problems{shown}{rest}")
