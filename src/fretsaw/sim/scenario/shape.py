"""The model's types as the reader and the schema look at them: scalars, choices, lists, maps, parts.

Both walk the same shapes, so that a field has to be described once only.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import FieldInfo, fields

from fretsaw.engine.options import Options
from fretsaw.engine.settings import Settings
from fretsaw.sim.scenario.part import Part
from fretsaw.sim.scenario.units import Duration, Unit


class Scalar(msgspec.Struct, frozen=True):
    """A text with a meaning, read by its unit."""

    unit: Any


class Plain(msgspec.Struct, frozen=True):
    """A text, number or boolean as it is, within bounds."""

    kind: type
    meta: Meta | None = None


class Choice(msgspec.Struct, frozen=True):
    """One of some words."""

    words: tuple[str, ...]


class Many(msgspec.Struct, frozen=True):
    """A list."""

    item: Any


class Map(msgspec.Struct, frozen=True):
    """A map with free keys."""

    value: Any


class Field(msgspec.Struct, frozen=True):
    """A field of a part."""

    name: str
    """As in the file."""
    attribute: str
    shape: Any
    required: bool


class Parts(msgspec.Struct, frozen=True):
    """A part of the model."""

    build: Callable[..., Any]
    """Makes it of the given attributes."""
    fields: tuple[Field, ...]
    name: str
    of: tuple[type, ...]
    """The structs that hold its fields."""
    key: str = ""
    short: str = ""
    one_of: tuple[str, ...] = ()

    def field(self, name: str) -> Field | None:
        """The field of a YAML name."""
        return next((field for field in self.fields if field.name == name), None)


class OneOf(msgspec.Struct, frozen=True):
    """One of several parts, told by the key that only it has."""

    parts: tuple[Parts, ...]


Shape = Scalar | Plain | Choice | Many | Map | Parts | OneOf


def camel(attribute: str) -> str:
    """The YAML name of an attribute."""
    first, *rest = attribute.strip("_").split("_")
    return first + "".join(word.capitalize() for word in rest)


@cache
def shape_of(part: type) -> Parts:
    """The shape of a part of the model."""
    if part is Options:
        return _settings()
    assert issubclass(part, Part)
    hints = typing.get_type_hints(part, include_extras=True)
    found = tuple(_field(info, hints) for info in fields(part))
    return Parts(part, found, part.__name__, _family(part), part.KEY, part.SHORT, part.ONE_OF)


def _family(part: type) -> tuple[type, ...]:
    return tuple(base for base in part.__mro__ if base is not Part and issubclass(base, Part))


def _field(info: FieldInfo, hints: Mapping[str, Any]) -> Field:
    return Field(camel(info.name), info.name, _shape(hints[info.name]), info.required)


def _settings() -> Parts:
    """The settings of the autoscaler and of its placing, side by side; in them, `Millis` stands for a duration."""
    own = typing.get_type_hints(Options, localns={"Millis": Duration}, include_extras=True)
    placing = typing.get_type_hints(Settings, include_extras=True)
    at_least_0 = Meta(ge=0)
    found = [_field(info, own) for info in fields(Options) if info.name != "placing"]
    for info in fields(Settings):
        shape = _shape(placing[info.name])
        if info.name == "packing":
            shape = Choice(("cost", "first-fit"))
        elif isinstance(shape, Plain) and shape.kind in (int, float):
            shape = Plain(shape.kind, at_least_0)
        found.append(Field(camel(info.name), info.name, shape, False))
    return Parts(_options, tuple(found), "Settings", (Options, Settings))


def _options(**given: Any) -> Options:
    placing = {name: given.pop(name) for name in Settings.__struct_fields__ if name in given}
    return Options(placing=Settings(**placing), **given)


def _shape(hint: Any, meta: Meta | None = None) -> Shape:
    """The shape of a type hint; None of a union counts as absent."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        unit = next((extra for extra in args[1:] if isinstance(extra, Unit)), None)
        if unit is not None:
            return Scalar(unit)
        return _shape(args[0], next((extra for extra in args[1:] if isinstance(extra, Meta)), None))
    if origin in (typing.Union, types.UnionType):
        members = [_shape(arg) for arg in args if arg is not type(None)]
        return members[0] if len(members) == 1 else OneOf(tuple(m for m in members if isinstance(m, Parts)))
    if origin is Literal:
        return Choice(args)
    if origin is tuple:
        return Many(_shape(args[0]))
    if origin is dict:
        return Map(_shape(args[1]))
    if hint in (str, int, float, bool):
        return Plain(hint, meta)
    return shape_of(hint)
