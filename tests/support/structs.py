"""Hypothesis strategies for values of any type that the API, the events and the actions are made of."""

from __future__ import annotations

from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from hypothesis import strategies as st

INT64 = 2**63 - 1
TEXTS = st.text(st.characters(codec="utf-8"), max_size=6)
_SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXTS,
    int: st.integers(-INT64, INT64),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    NoneType: st.none(),
    Any: st.one_of(TEXTS, st.integers(-9, 9), st.booleans(), st.lists(TEXTS, max_size=2)),
}


@cache
def values(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a type, such as `tuple[str, ...]`, `int | None`, a Literal or a struct."""
    if kind in _SCALARS:
        return _SCALARS[kind]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return st.deferred(lambda: structs(kind))
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _annotated(*arguments)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (Union, UnionType):
        return st.one_of(*map(values, arguments))
    if origin is tuple and arguments[-1] is not ...:
        return st.tuples(*map(values, arguments))
    if origin is dict:
        return st.dictionaries(*map(values, arguments), max_size=3)
    made = {tuple: tuple, list: list, frozenset: frozenset}[origin]
    return st.lists(values(arguments[0]), max_size=3).map(made)


def _annotated(kind: Any, *extra: Any) -> st.SearchStrategy[Any]:
    """Of what an annotation asks for, patterns and the least number are kept: the reader checks them."""
    metas = [one for one in extra if isinstance(one, msgspec.Meta)]
    for meta in metas:
        if meta.pattern is not None:
            return st.from_regex(meta.pattern, fullmatch=True).filter(str.isprintable)
        if meta.ge is not None or meta.le is not None:
            return st.integers(int(meta.ge or 0), int(meta.le if meta.le is not None else 2**31))
    return values(kind)


@st.composite
def structs(draw: st.DrawFn, kind: type[msgspec.Struct]) -> Any:
    """A struct: some of its fields are given, the others have their defaults."""
    given = {}
    for field in msgspec.structs.fields(kind):
        if field.required or draw(st.integers(0, 5)) == 0:
            given[field.name] = draw(values(field.type))
    return kind(**given)
