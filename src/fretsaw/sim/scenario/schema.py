"""The JSON schema of a scenario file, for editors: made from the model, so that it cannot fall behind.

Descriptions are the texts below the model's fields.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import cache
from typing import Any, Final

from msgspec import Meta

from fretsaw.sim.scenario.model import Scenario
from fretsaw.sim.scenario.shape import Choice, Many, Map, OneOf, Parts, Plain, Scalar, Shape, shape_of
from fretsaw.sim.scenario.units import Schema, Unit

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_TYPES: Final = {str: "string", int: "integer", float: "number", bool: "boolean"}


def schema() -> Schema:
    """The schema of a whole file."""
    definitions: dict[str, Schema] = {}
    root = _parts(shape_of(Scenario), definitions)
    return {"$schema": DIALECT, "title": "Fretsaw scenario", **root, "$defs": dict(sorted(definitions.items()))}


def _schema(shape: Shape, definitions: dict[str, Schema]) -> Schema:
    match shape:
        case Scalar(unit):
            return _unit(unit, definitions)
        case Plain(kind, meta):
            return {"type": _TYPES[kind], **(_bounds(meta) if meta else {})}
        case Choice(words):
            return {"enum": [*words, *([False] if "off" in words else [])]}
        case Many(item):
            return {"type": "array", "items": _schema(item, definitions)}
        case Map(value):
            return {"type": "object", "additionalProperties": _schema(value, definitions)}
        case OneOf(parts):
            return {"oneOf": [{"required": [part.key], **_reference(part, definitions)} for part in parts]}
        case Parts():
            return _reference(shape, definitions)


def _unit(unit: Unit, definitions: dict[str, Schema]) -> Schema:
    """A reference to a unit's schema, as many fields have the same."""
    name = unit.name.removeprefix("a ").replace(" ", "-")
    definitions.setdefault(name, {"description": unit.name, **unit.schema})
    return {"$ref": f"#/$defs/{name}"}


def _reference(shape: Parts, definitions: dict[str, Schema]) -> Schema:
    if shape.name not in definitions:
        definitions[shape.name] = {}
        definitions[shape.name] = _parts(shape, definitions)
    return {"$ref": f"#/$defs/{shape.name}"}


def _parts(shape: Parts, definitions: dict[str, Schema]) -> Schema:
    texts = {name: text for part in reversed(shape.of) for name, text in described(part).items()}
    fields = {field.name: _schema(field.shape, definitions) for field in shape.fields}
    found: Schema = {
        "type": "object",
        "description": inspect.getdoc(shape.of[0]) or "",
        "properties": {
            field.name: {
                "description": texts.get(field.attribute, ""),
                **(fields[field.name] if field.required else {"anyOf": [fields[field.name], {"type": "null"}]}),
            }
            for field in shape.fields
        },
        "required": [field.name for field in shape.fields if field.required],
        "additionalProperties": False,
    }
    if shape.one_of:
        found["oneOf"] = [_given(name) for name in shape.one_of]
    if not shape.short:
        return found
    field = shape.field(shape.short)
    assert field is not None
    return {"anyOf": [found, {"not": {"type": ["object", "array", "null"]}, **fields[field.name]}]}


def _given(name: str) -> Schema:
    """That a field is there and not null."""
    return {"required": [name], "properties": {name: {"not": {"type": "null"}}}}


def _bounds(meta: Meta) -> Schema:
    named = {
        "minimum": meta.ge,
        "exclusiveMinimum": meta.gt,
        "maximum": meta.le,
        "minLength": meta.min_length,
        "maxLength": meta.max_length,
    }
    return {name: bound for name, bound in named.items() if bound is not None}


@cache
def described(part: type) -> dict[str, str]:
    """The text below each field of a class, by attribute."""
    tree: Any = ast.parse(textwrap.dedent(inspect.getsource(part))).body[0]
    texts: dict[str, str] = {}
    for field, text in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and _is_text(text):
            texts[field.target.id] = " ".join(text.value.value.split())
    return texts


def _is_text(node: Any) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
