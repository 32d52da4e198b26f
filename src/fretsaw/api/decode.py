"""From a raw tree to a struct, or to all of its wrong fields at once.

msgspec stops at the first wrong field, so the tree is walked again beside the types when it refuses.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import msgspec
from msgspec import inspect

from fretsaw.api.meta import Object
from fretsaw.api.problem import Problem

_MAPS_OF_TEXT: Final = frozenset(("labels", "annotations", "nodeSelector", "matchLabels"))
_WORDS: Final = {
    inspect.StrType: "text",
    inspect.IntType: "an integer",
    inspect.FloatType: "a number",
    inspect.BoolType: "true or false",
    inspect.DictType: "a map",
    inspect.StructType: "a map",
    inspect.VarTupleType: "a list",
    inspect.ListType: "a list",
    inspect.NoneType: "nothing",
}


def to_struct(raw: dict[str, Any], struct: type[Object]) -> tuple[Object | None, tuple[Problem, ...]]:
    """The object, or None and a problem for each field of a wrong type. Null fields count as absent."""
    try:
        return msgspec.convert(raw, struct), ()
    except msgspec.ValidationError as first:
        stripped = strip_nulls(raw)
        try:
            return msgspec.convert(stripped, struct), ()
        except msgspec.ValidationError:
            problems: list[Problem] = []
            _walk(stripped, _type_of(struct), "", problems)
            return None, tuple(problems) or (Problem("", str(first)),)


def strip_nulls(tree: Any, *, texts: bool = False) -> Any:
    """A copy without null fields, as an API server sees it: absent, or empty text in a map of texts."""
    if isinstance(tree, dict):
        if texts:
            return {key: "" if value is None else value for key, value in tree.items()}
        return {key: strip_nulls(value, texts=key in _MAPS_OF_TEXT) for key, value in tree.items() if value is not None}
    if isinstance(tree, list):
        return [strip_nulls(item) for item in tree]
    return tree


@lru_cache(maxsize=256)
def _type_of(struct: type[Object]) -> inspect.Type:
    return inspect.type_info(struct)


def _walk(tree: Any, kind: inspect.Type, path: str, problems: list[Problem]) -> None:
    """Appends a problem for every value of a wrong type."""
    if isinstance(kind, inspect.Metadata):
        return _walk(tree, kind.type, path, problems)
    if isinstance(kind, inspect.UnionType):
        return _walk_union(tree, kind, path, problems)
    if not _is_a(tree, kind):
        problems.append(_wrong(tree, (kind,), path))
    elif isinstance(kind, inspect.StructType):
        _walk_struct(tree, kind, path, problems)
    elif isinstance(kind, inspect.DictType):
        for key, value in tree.items():
            _walk(value, kind.value_type, f"{path}[{key}]", problems)
    elif isinstance(kind, inspect.VarTupleType | inspect.ListType):
        for index, item in enumerate(tree):
            _walk(item, kind.item_type, f"{path}[{index}]", problems)
    return None


def _walk_struct(tree: Any, kind: inspect.StructType, path: str, problems: list[Problem]) -> None:
    for field in kind.fields:
        here = f"{path}.{field.encode_name}" if path else field.encode_name
        if field.encode_name in tree:
            _walk(tree[field.encode_name], field.type, here, problems)
        elif field.required:
            problems.append(Problem(here, "missing", right=f"write {_words((field.type,))}"))


def _walk_union(tree: Any, kind: inspect.UnionType, path: str, problems: list[Problem]) -> None:
    """Descends into the member that the value is of, else says what it could be."""
    members = [member.type if isinstance(member, inspect.Metadata) else member for member in kind.types]
    for member in members:
        if _is_a(tree, member):
            return _walk(tree, member, path, problems)
    problems.append(_wrong(tree, tuple(m for m in members if not isinstance(m, inspect.NoneType)), path))
    return None


def _is_a(tree: Any, kind: inspect.Type) -> bool:
    """Whether a value is of a type on its outside."""
    match kind:
        case inspect.AnyType():
            return True
        case inspect.BoolType():
            return isinstance(tree, bool)
        case inspect.IntType():
            return isinstance(tree, int) and not isinstance(tree, bool) and -(2**63) <= tree < 2**63
        case inspect.FloatType():
            return isinstance(tree, int | float) and not isinstance(tree, bool)
        case inspect.StrType():
            return isinstance(tree, str)
        case inspect.NoneType():
            return tree is None
        case inspect.LiteralType():
            return tree in kind.values
        case inspect.DictType() | inspect.StructType():
            return isinstance(tree, dict)
        case inspect.VarTupleType() | inspect.ListType():
            return isinstance(tree, list)
    return True


def _wrong(tree: Any, kinds: tuple[inspect.Type, ...], path: str) -> Problem:
    words = _words(kinds)
    right = ""
    if any(isinstance(kind, inspect.StrType) for kind in kinds):
        if isinstance(tree, bool):
            right = 'YAML reads yes, no, on, off, true and false as booleans: put it in quotes, such as "true"'
        elif isinstance(tree, int | float):
            right = f'put it in quotes: "{tree}"'
    elif isinstance(tree, str) and _unquoted(tree, kinds):
        right = f"without quotes: {tree}"
    return Problem(path, f"must be {words}", seen=seen(tree), right=right)


def _unquoted(text: str, kinds: tuple[inspect.Type, ...]) -> bool:
    if any(isinstance(kind, inspect.IntType) for kind in kinds):
        return text.lstrip("-").isdecimal() and len(text) < 19
    return any(isinstance(kind, inspect.BoolType) for kind in kinds) and text in ("true", "false")


def _words(kinds: tuple[inspect.Type, ...]) -> str:
    names = dict.fromkeys(
        " or ".join(map(repr, kind.values)) if isinstance(kind, inspect.LiteralType) else _WORDS.get(type(kind), "set")
        for kind in kinds
        if not isinstance(kind, inspect.Metadata)
    )
    return " or ".join(names)


def seen(tree: Any) -> str:
    """A value as a message shows it: short, and saying what it is where that matters."""
    if isinstance(tree, dict):
        return f"a map with {', '.join(list(tree)[:3])}" if tree else "an empty map"
    if isinstance(tree, list):
        return f"a list of {len(tree)}"
    if isinstance(tree, str):
        return f'"{tree}"' if len(tree) <= 60 else f'"{tree[:57]}…"'
    if tree is None:
        return "null"
    return str(tree).lower() if isinstance(tree, bool) else str(tree)
