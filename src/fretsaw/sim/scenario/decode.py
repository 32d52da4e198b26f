"""From a raw tree to the model, with a problem for everything that does not fit, and where each part stood."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Meta

from fretsaw.api.decode import seen
from fretsaw.api.problem import Problem
from fretsaw.api.rules_text import near
from fretsaw.sim.scenario.shape import Choice, Field, Many, Map, OneOf, Parts, Plain, Scalar, Shape
from fretsaw.sim.scenario.units import BadText

WORDS: Final = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
_WRONG: Final = object()


class Decoder:
    """Reads one tree. `problems` grows; `paths` tells where a part of the result stood."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._paths: dict[int, str] = {}
        self._kept: list[Any] = []

    def read(self, raw: Any, shape: Parts) -> Any:
        """The part, None where what is wrong leaves nothing of it. A wrong field that has a default gets that."""
        found = self._value(raw, shape, "")
        return None if found is _WRONG else found

    def path(self, part: Any) -> str:
        """Where a part stood in the file; empty for one that was not in it."""
        return self._paths.get(id(part), "")

    def _report(self, path: str, message: str, raw: Any, right: str = "") -> Any:
        self.problems.append(Problem(path, message, seen=seen(raw), right=right))
        return _WRONG

    def _value(self, raw: Any, shape: Shape, path: str) -> Any:
        match shape:
            case Scalar(unit):
                return self._scalar(raw, unit, path)
            case Plain():
                return self._plain(raw, shape, path)
            case Choice(words):
                return self._choice(raw, words, path)
            case Many(item):
                return self._many(raw, item, path)
            case Map(value):
                return self._map(raw, value, path)
            case OneOf(parts):
                return self._one_of(raw, parts, path)
            case Parts():
                return self._parts(raw, shape, path)

    def _scalar(self, raw: Any, unit: Any, path: str) -> Any:
        try:
            return unit.parse(raw)
        except BadText as error:
            inner = raw.get(error.path.removeprefix(".")) if error.path and isinstance(raw, dict) else raw
            return self._report(path + error.path, f"not {error.what}", inner, error.right)

    def _plain(self, raw: Any, shape: Plain, path: str) -> Any:
        is_number = isinstance(raw, int | float) and not isinstance(raw, bool)
        fits = is_number and raw == raw if shape.kind is float else type(raw) is shape.kind
        if not fits:
            quoted = f'put it in quotes: "{raw}"' if shape.kind is str and is_number else ""
            return self._report(path, f"not {WORDS[shape.kind]}", raw, quoted)
        if shape.meta is not None and (bounds := outside(raw, shape.meta)):
            return self._report(path, "out of bounds", raw, bounds)
        return float(raw) if shape.kind is float else raw

    def _choice(self, raw: Any, words: tuple[str, ...], path: str) -> Any:
        if raw is False and "off" in words:
            return "off"  # what YAML makes of a bare off
        if isinstance(raw, str) and raw in words:
            return raw
        meant = near(raw, words) if isinstance(raw, str) else ""
        return self._report(
            path, "not a known value", raw, f"did you mean {meant}?" if meant else f"one of {', '.join(words)}"
        )

    def _many(self, raw: Any, item: Shape, path: str) -> Any:
        if not isinstance(raw, list):
            return self._report(path, "not a list", raw, "begin each entry with a dash")
        values = [self._value(value, item, f"{path}[{index}]") for index, value in enumerate(raw)]
        return tuple(value for value in values if value is not _WRONG)

    def _map(self, raw: Any, value_shape: Shape, path: str) -> Any:
        if not isinstance(raw, dict):
            return self._report(path, "not a map", raw)
        values = {key: self._value(value, value_shape, f"{path}[{key}]") for key, value in raw.items()}
        return {key: value for key, value in values.items() if value is not _WRONG}

    def _one_of(self, raw: Any, parts: tuple[Parts, ...], path: str) -> Any:
        keys = [part.key for part in parts]
        if not isinstance(raw, dict):
            return self._report(path, "not a map", raw, f"a map with {_or(keys)}")
        given = [part for part in parts if part.key in raw]
        if len(given) == 1:
            return self._parts(raw, given[0], path)
        if given:
            return self._report(path, "only one of these can be given", raw, " or ".join(part.key for part in given))
        return self._report(path, "missing key", raw, f"one of {', '.join(keys)}")

    def _parts(self, raw: Any, shape: Parts, path: str) -> Any:
        if shape.short and not isinstance(raw, dict) and not isinstance(raw, list) and raw is not None:
            raw, here = {shape.short: raw}, path
        else:
            here = ""
        if not isinstance(raw, dict):
            return self._report(path, "not a map", raw, f"with {', '.join(f.name for f in shape.fields[:4])} …")
        self._unknown(raw, shape, path)
        self._exactly_one(raw, shape, path)
        given, whole = self._fields(raw, shape, path, here)
        if not whole:
            return _WRONG
        part = shape.build(**given)
        self._paths[id(part)] = path
        self._kept.append(part)  # so that its id stays its own
        return part

    def _fields(self, raw: dict[str, Any], shape: Parts, path: str, here: str) -> tuple[dict[str, Any], bool]:
        """The attributes that are given and fit, and whether those that must be there are. Null counts as absent."""
        given: dict[str, Any] = {}
        whole = True
        for field in shape.fields:
            value = self._field(raw, field, here or _join(path, field.name))
            if value is not _WRONG:
                given[field.attribute] = value
            elif field.required:
                whole = False
        return given, whole

    def _field(self, raw: dict[str, Any], field: Field, path: str) -> Any:
        if raw.get(field.name) is not None:
            return self._value(raw[field.name], field.shape, path)
        if field.required:
            self.problems.append(Problem(path, "missing"))
        return _WRONG

    def _unknown(self, raw: dict[str, Any], shape: Parts, path: str) -> None:
        names = tuple(field.name for field in shape.fields)
        for key in raw:
            if key not in names:
                meant = near(key, names)
                right = f"did you mean {meant}?" if meant else f"known: {', '.join(names)}"
                self.problems.append(Problem(_join(path, key), "unknown key", seen=f'"{key}"', right=right))

    def _exactly_one(self, raw: dict[str, Any], shape: Parts, path: str) -> None:
        if not shape.one_of:
            return
        given = [name for name in shape.one_of if raw.get(name) is not None]
        if not given:
            self.problems.append(Problem(path, "missing key", right=f"one of {', '.join(shape.one_of)}"))
        elif len(given) > 1:
            self.problems.append(Problem(_join(path, given[1]), "only one of these can be given", right=_or(given)))


def outside(number: Any, meta: Meta) -> str:
    """What a value's bounds are, where it is not within them."""
    bounds = []
    size = len(number) if isinstance(number, str) else number
    if meta.ge is not None and number < meta.ge:
        bounds.append(f"at least {meta.ge}")
    if meta.gt is not None and number <= meta.gt:
        bounds.append(f"more than {meta.gt}")
    if meta.le is not None and number > meta.le:
        bounds.append(f"at most {meta.le}")
    if meta.min_length is not None and size < meta.min_length:
        bounds.append("not empty")
    if meta.max_length is not None and size > meta.max_length:
        bounds.append(f"at most {meta.max_length} characters")
    return ", ".join(bounds)


def _join(path: str, name: str) -> str:
    step = f"[{name}]" if "." in name or "[" in name else name
    return f"{path}{step}" if step.startswith("[") or not path else f"{path}.{step}"


def _or(words: list[str]) -> str:
    return " or ".join(words)
