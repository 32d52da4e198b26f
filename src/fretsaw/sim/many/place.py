"""A value at a path of a raw tree: whether there can be such a field, and a copy of the tree that has it.

The shape of a scenario decides, not what the file happens to say: a field with a default can be set without standing
in the file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from fretsaw.api.rules_text import near
from fretsaw.sim.scenario.model import Scenario
from fretsaw.sim.scenario.shape import Many, Map, OneOf, Parts, Shape, shape_of

_STEP: Final = re.compile(r"""\[["']?([^\]"']*)["']?\]|([^.\[\]]+)""")


class NoPlace(ValueError):  # noqa: N818 (its readers know it by this name)
    """A path leads nowhere."""

    def __init__(self, wrong: str, seen: str = "", right: str = "") -> None:
        super().__init__(wrong, seen, right)
        self.wrong = wrong
        self.seen = seen
        self.right = right


def steps(path: str) -> list[str]:
    """The keys and indexes of `a.b[0][c.d/e]`."""
    return [match[1] if match[1] is not None else match[2] for match in _STEP.finditer(path)]


def place(tree: dict[str, Any], path: Sequence[str], value: Any) -> Any:
    """A scenario's raw tree with the value in it; the given one stays as it is. Raises NoPlace."""
    return _put(tree, shape_of(Scenario), path, value, "")


def place_inside(raw: Any, path: Sequence[str], value: Any, here: str = "") -> Any:
    """The same for a tree whose fields are checked later, such as a Kubernetes object's: maps may get new keys."""
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(raw, list):
        return _put_item(raw, None, step, rest, value, here)
    if raw is not None and not isinstance(raw, dict):
        raise NoPlace(f"{here} is no map and no list", f'"{step}"', f"it is {raw!r}")
    return {**(raw or {}), step: place_inside((raw or {}).get(step), rest, value, _join(here, step))}


def _put(raw: Any, shape: Shape, path: Sequence[str], value: Any, here: str) -> Any:
    if not path:
        return value
    step, rest = path[0], path[1:]
    match shape:
        case Parts():
            return _put_field(raw, shape, step, rest, value, here)
        case OneOf(parts):
            return _put_field(raw, _which(raw, parts, here), step, rest, value, here)
        case Many(item):
            return _put_item(raw or [], item, step, rest, value, here)
        case Map(inner):
            given = raw if isinstance(raw, dict) else {}
            return {**given, step: _put(given.get(step), inner, rest, value, _join(here, step))}
        case _:
            return place_inside(raw, path, value, here)


def _which(raw: Any, parts: Sequence[Parts], here: str) -> Parts:
    """The part that stands there, told by its key."""
    found = next((part for part in parts if isinstance(raw, dict) and part.key in raw), None)
    if found is None:
        raise NoPlace("nothing stands there that could be changed", here)
    return found


def _put_field(raw: Any, shape: Parts, step: str, rest: Sequence[str], value: Any, here: str) -> Any:
    field = shape.field(step)
    if field is None:
        names = tuple(field.name for field in shape.fields)
        meant = near(step, names)
        right = f"did you mean {_join(here, meant)}?" if meant else f"known: {', '.join(names)}"
        raise NoPlace("unknown path", f'"{step}"', right)
    if raw is not None and not isinstance(raw, dict | list) and shape.short:
        raw = {shape.short: raw}
    given = dict(raw) if isinstance(raw, dict) else {}
    if step in shape.one_of:  # of fields that exclude each other, the one that is set takes the others' place
        given = {key: old for key, old in given.items() if key == step or key not in shape.one_of}
    return {**given, step: _put(given.get(step), field.shape, rest, value, _join(here, step))}


def _put_item(raw: Sequence[Any], item: Shape | None, step: str, rest: Sequence[str], value: Any, here: str) -> Any:
    index = int(step) if step.isascii() and step.isdigit() else -1
    if not isinstance(raw, list) or not 0 <= index < len(raw):
        count = len(raw) if isinstance(raw, list) else 0
        right = f"{here} has {count} entries, {here}[0] to {here}[{count - 1}]" if count else f"{here} is empty"
        raise NoPlace("no such entry", f'"{step}"', right)
    inner = f"{here}[{index}]"
    old = raw[index]
    new = place_inside(old, rest, value, inner) if item is None else _put(old, item, rest, value, inner)
    return [*raw[:index], new, *raw[index + 1 :]]


def _join(here: str, step: str) -> str:
    return f"{here}.{step}" if here else step
