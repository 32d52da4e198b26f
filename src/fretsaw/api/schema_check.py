"""All schema problems of a prepared object at once, in the words of whoever wrote it.

jsonschema finds them, with the API server's dialect: RE2 patterns, int-or-string, list types, integer formats.
Source: kubernetes kube-openapi validation of custom resources.
"""

from __future__ import annotations

import difflib
import json
import re
from collections import deque
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from fretsaw.api.problem import Problem
from fretsaw.api.resources import BadQuantity, parse
from fretsaw.api.schema import (
    DURATION,
    DURATION_OR_NEVER,
    INT_OR_STRING,
    LABEL_VALUE,
    LIST_TYPE,
    QUALIFIED_NAME,
    QUANTITY,
    Schema,
)
from fretsaw.api.structural import Path, path_text

BLOCKING: Final = frozenset({"type", "required", "enum", "maxLength", "maxItems", "maxProperties", LIST_TYPE})
"""Problems below a node that keep its CEL rules from running, as in the API server."""

_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_INTEGER_BITS = {"int32": 31, "int64": 63}
_NAMES = {
    "string": "a string",
    "integer": "a whole number",
    "boolean": "true or false",
    "object": "a map",
    "array": "a list",
    "number": "a number",
}
_FORMS = {
    QUALIFIED_NAME: "letters, digits, '-', '_' or '.', such as team, after an optional DNS prefix and a slash",
    LABEL_VALUE: "letters, digits, '-', '_' or '.', a letter or digit first and last",
    DURATION: "whole numbers with the units h, m and s, such as 1h30m",
    DURATION_OR_NEVER: "whole numbers with the units h, m and s, such as 1h30m, or Never",
    r"^\d+(\.\d+)?$": "digits, with a point before decimals",
}


@lru_cache(maxsize=256)
def re2(pattern: str) -> re.Pattern[str]:
    """The pattern as RE2 reads it: ASCII classes, and `$` only at the very end."""
    return re.compile(re.sub(r"(?<!\\)\$", r"\\Z", pattern), re.ASCII)


def _pattern(_: Any, pattern: str, instance: Any, __: Schema) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not re2(pattern).search(instance):
        yield ValidationError("pattern")


def _required(_: Any, names: list[str], instance: Any, __: Schema) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        for name in names:
            if name not in instance:
                yield ValidationError("required", path=deque([name]))


def _any_of(_: Any, __: Any, instance: Any, schema: Schema) -> Iterator[ValidationError]:
    if schema.get(INT_OR_STRING) and not isinstance(instance, str) and not _is_int64(instance):
        yield ValidationError("type")


def _is_int64(instance: Any) -> bool:
    """Whether the API server reads the number as a whole one; it takes larger ones for floating-point numbers."""
    return isinstance(instance, int) and not isinstance(instance, bool) and -(2**63) <= instance < 2**63


def _format(_: Any, name: str, instance: Any, __: Schema) -> Iterator[ValidationError]:
    if bits := _INTEGER_BITS.get(name):
        if isinstance(instance, int) and not -(2**bits) <= instance < 2**bits:
            yield ValidationError("format")
    elif name == "date-time" and isinstance(instance, str) and not _is_date_time(instance):
        yield ValidationError("format")


def _is_date_time(text: str) -> bool:
    if not _DATE_TIME.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(re.sub(r"\.\d+", "", text).upper().replace("Z", "+00:00"))
    except ValueError:
        return False
    return True


def _list_type(_: Any, kind: str, instance: Any, schema: Schema) -> Iterator[ValidationError]:
    if kind == "atomic" or not isinstance(instance, list):
        return
    keys = schema.get("x-kubernetes-list-map-keys", ())
    seen: set[str] = set()
    for index, item in enumerate(instance):
        identity = item if kind == "set" else [item.get(key) if isinstance(item, dict) else None for key in keys]
        text = json.dumps(identity, sort_keys=True, default=str)
        if text in seen:
            yield ValidationError("duplicate", path=deque([index]), instance=item)
        seen.add(text)


_Validator = extend(
    Draft202012Validator,
    {
        "pattern": _pattern,
        "required": _required,
        "anyOf": _any_of,
        "format": _format,
        LIST_TYPE: _list_type,
    },
)


def check(value: Any, schema: Schema) -> tuple[list[Problem], list[Path]]:
    """The problems of a prepared object, and the paths of those that keep rules from running."""
    errors = list(_Validator(schema).iter_errors(value))
    mistyped = {tuple(error.absolute_path) for error in errors if _is_type(error)}
    problems, blocking = [], []
    for error in errors:
        path = tuple(error.absolute_path)
        if path in mistyped and not _is_type(error):
            continue
        problems.append(_problem(error, path))
        if _is_type(error) or error.validator in BLOCKING:
            blocking.append(path)
    return problems, blocking


def _is_type(error: ValidationError) -> bool:
    return error.validator in ("type", "anyOf")


def shown(value: Any) -> str:
    """A value in a message: as JSON, cut to 80 signs."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "..."


def _problem(error: ValidationError, path: Path) -> Problem:
    message, right = _words(error)
    seen = "" if error.validator == "required" else shown(error.instance)
    if error.validator in ("maxItems", "minItems", "maxProperties"):
        seen = str(len(error.instance))
    return Problem(path_text(path), message, seen=seen, right=right)


def _words(error: ValidationError) -> tuple[str, str]:
    """What is wrong, and what would be right."""
    name, value, instance = str(error.validator), error.validator_value, error.instance
    if name == "type":
        return f"must be {_NAMES[value]}", _type_advice(value, instance)
    if name == "enum":
        near = difflib.get_close_matches(str(instance).lower(), [str(v).lower() for v in value], n=1, cutoff=0.5)
        hint = next((f'did you mean "{v}"? ' for v in value if near and str(v).lower() == near[0]), "")
        return "unsupported value", f"{hint}supported: {', '.join(value)}"
    if name == "pattern":
        return "has the wrong form", _form(value, instance)
    return {
        "anyOf": ("must be a whole number or a string", "such as 4, 500m or 16Gi, decimals in quotes"),
        "required": ("missing", "a value is required here"),
        "format": ("is out of range" if str(value) in _INTEGER_BITS else "is no date and time", f"format {value}"),
        "minimum": ("is too small", f"at least {value}"),
        "maximum": ("is too large", f"at most {value}"),
        "minLength": ("is too short", "it must not be empty" if value == 1 else f"at least {value} characters"),
        "maxLength": ("is too long", f"at most {value} characters"),
        "minItems": ("has too few items", f"at least {value}"),
        "maxItems": ("has too many items", f"at most {value}"),
        "maxProperties": ("has too many entries", f"at most {value}"),
        LIST_TYPE: ("duplicate", "each may stand once"),
    }[name]


def _type_advice(expected: str, instance: Any) -> str:
    if expected == "string" and isinstance(instance, bool | int | float):
        return f'put it in quotes: "{json.dumps(instance)}"'
    if expected in ("integer", "boolean") and isinstance(instance, str):
        return "without quotes, if it is meant as one"
    if expected == "array" and not isinstance(instance, list):
        return "write it as a list item, after '- '"
    return ""


def _form(pattern: str, instance: str) -> str:
    if pattern == QUANTITY:
        try:
            parse(instance)
        except BadQuantity as error:
            return error.right
    return _FORMS.get(pattern, f"pattern {pattern}")
