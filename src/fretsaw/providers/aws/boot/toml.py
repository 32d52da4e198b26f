"""Values as TOML, since Python reads it and does not write it. `tomllib.loads(dumps(x)) == x`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


def dumps(table: Mapping[str, Any]) -> str:
    """One document. Keys are sorted; a table's own values come before its tables."""
    return "\n".join(_table(table, ())).strip("\n") + "\n"


def _table(table: Mapping[str, Any], path: tuple[str, ...], head: str = "") -> Iterator[str]:
    plain = {key: table[key] for key in sorted(table) if not _is_table(table[key])}
    tables = {key: table[key] for key in sorted(table) if _is_table(table[key])}
    if path and (plain or head or not tables):
        yield head or f"[{_dotted(path)}]"
    for key, value in plain.items():
        yield f"{_key(key)} = {_value(value)}"
    if plain or head or not tables:
        yield ""
    for key, value in tables.items():
        inner = (*path, key)
        if isinstance(value, Mapping):
            yield from _table(value, inner)
        else:
            for one in value:
                yield from _table(one, inner, f"[[{_dotted(inner)}]]")


def _is_table(value: Any) -> bool:
    """A table, or a list of nothing but tables."""
    if isinstance(value, Mapping):
        return True
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(one, Mapping) for one in value)


def _dotted(path: Sequence[str]) -> str:
    return ".".join(map(_key, path))


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _string(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, float):
        return (
            ("nan" if math.isnan(value) else "inf" if value > 0 else "-inf")
            if not math.isfinite(value)
            else (repr(value))
        )
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_key(key)} = {_value(value[key])}" for key in sorted(value))
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return str(value)


def _string(text: str) -> str:
    """A basic string: JSON's escapes are TOML's, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
