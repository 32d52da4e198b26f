"""What is different between two versions of an object, and the newer version again from the older one.

    {"metadata": {"labels": {…}}, "status": {"phase": "Running"}}

Structs are gone into, field by field; every other value that is not equal stands there whole, as it is now.
"""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar

import msgspec

_ENCODE = msgspec.json.Encoder().encode
AnyStruct = TypeVar("AnyStruct", bound=msgspec.Struct)


def difference(old: msgspec.Struct, new: msgspec.Struct) -> dict[str, Any]:
    """The fields of `new` that `old` has otherwise, under the names of the file; both are of one type.

    A map with its entries in another order is another map: decisions may depend on it.
    """
    found: dict[str, Any] = {}
    for name, encoded in names(type(new)):
        before, after = getattr(old, name), getattr(new, name)
        if before is after:
            continue
        if _both_structs(before, after):
            if nested := difference(before, after):
                found[encoded] = nested
        elif _ENCODE(before) != _ENCODE(after):
            found[encoded] = after
    return found


def patched(old: AnyStruct, changes: dict[str, Any]) -> AnyStruct:
    """`old` with the changes that `difference` found, as JSON has them. Raises KeyError for an unknown field."""
    fields = _fields(type(old))
    values: dict[str, Any] = {}
    for encoded, value in changes.items():
        name, type_ = fields[encoded]
        before = getattr(old, name)
        nested = isinstance(before, msgspec.Struct) and isinstance(value, dict)
        values[name] = patched(before, value) if nested else msgspec.convert(value, type_)
    return msgspec.structs.replace(old, **values)


def _both_structs(before: Any, after: Any) -> bool:
    return isinstance(after, msgspec.Struct) and type(before) is type(after)


@cache
def names(struct: type[msgspec.Struct]) -> tuple[tuple[str, str], ...]:
    """(attribute, name in the file) of each field of a struct."""
    return tuple(zip(struct.__struct_fields__, struct.__struct_encode_fields__, strict=True))


@cache
def _fields(struct: type[msgspec.Struct]) -> dict[str, tuple[str, Any]]:
    """(attribute, type) of each field by its name in the file."""
    return {field.encode_name: (field.name, field.type) for field in msgspec.structs.fields(struct)}
