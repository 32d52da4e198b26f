"""How files of the snapshot are written: JSON with a row a line, so that a change shows as a readable difference."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec


def table(head: Mapping[str, Any], shape: type[msgspec.Struct], rows: Iterable[msgspec.Struct]) -> bytes:
    """One JSON object with `head`, the names of the columns, and the rows as lists."""
    head = {**head, "columns": shape.__struct_fields__}
    body = ",\n".join(f"  {_compact(_without_defaults(row))}" for row in rows)
    return f'{_compact(head)[:-1]},"rows":[\n{body}\n]}}\n'.encode()


def document(value: object) -> bytes:
    """One JSON object, indented, with its keys in order."""
    return (json.dumps(msgspec.to_builtins(value), indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _without_defaults(row: msgspec.Struct) -> list[Any]:
    """The row's values up to the last one that is not its field's default."""
    values: list[Any] = msgspec.to_builtins(row)
    defaults = row.__struct_defaults__
    while defaults and values[-1] == msgspec.to_builtins(defaults[-1]):
        values, defaults = values[:-1], defaults[:-1]
    return values


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
