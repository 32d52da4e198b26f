"""The CRDs' CEL rules, run by Google's engine as the API server runs them.

Rules are compiled once, when first needed. An error while a rule runs counts as a broken rule.
Source: kubernetes.io, CustomResourceDefinitions, validation rules (correlation of old values, transition rules).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from typing import Any, Final

from cel_expr_python import cel as engine

from fretsaw.api.labels import as_int64
from fretsaw.api.problem import Problem
from fretsaw.api.schema import LIST_TYPE, RIGHT, RULES, Schema
from fretsaw.api.schema_check import re2, shown
from fretsaw.api.structural import Path, path_text

_LONG: Final = 50
"""From this length on, a rule that compares the items of a list is run item by item: the engine ends an evaluation
after 10000 steps, where the API server would go on."""


class _Absent:
    """There is no old value, or none that corresponds."""


_ABSENT = _Absent()


def _find(text: str, pattern: str) -> str:
    match = re2(pattern).search(text)
    return match.group(0) if match else ""


def _integer(text: str) -> int:
    """Go's ParseInt; the engine's own `int(text)` would also take spaces around the digits."""
    number = as_int64(text)
    if number is None:
        raise ValueError(f"no integer: {text}")
    return number


@lru_cache(maxsize=1)
def _environment() -> Any:
    string, integer = engine.Type.STRING, engine.Type.INT
    find = engine.FunctionDecl("find", [engine.Overload("find_pattern", string, [string, string], True, _find)])
    parse = engine.FunctionDecl("parse_int", [engine.Overload("parse_int", integer, [string], False, _integer)])
    return engine.NewEnv(
        variables={"self": engine.Type.DYN, "oldSelf": engine.Type.DYN, "i": engine.Type.DYN},
        extensions=[engine.CelExtension("kubernetes", [find, parse])],
    )


@cache
def compiled(expression: str) -> Any:
    """A rule ready to run. Raises an exception of the engine when it does not compile."""
    return _environment().compile(expression.replace("int(", "parse_int("))


def holds(expression: str, value: Any, old: Any = None) -> bool:
    """Whether a rule holds of `self` (and `oldSelf`); False also when it ends in an error."""
    if isinstance(value, list) and len(value) >= _LONG and (body := _body(expression)):
        return all(_true(body, {"self": value, "oldSelf": old, "i": item}) for item in value)
    return _true(expression, {"self": value, "oldSelf": old})


def _body(expression: str) -> str:
    """What a rule `self.all(i, …)` asks of each item if it compares items with each other, else empty."""
    inner = expression.removeprefix("self.all(i, ").removesuffix(")")
    return inner if len(expression) == len(inner) + len("self.all(i, )") and "self." in inner else ""


def _true(expression: str, data: dict[str, Any]) -> bool:
    try:
        result = compiled(expression).eval(data=data)
        return result.type().name() == "BOOL" and bool(result.value())
    except (RuntimeError, ValueError, TypeError):
        return False


def broken_rules(value: Any, schema: Schema, blocking: Sequence[Path], old: Any = None) -> list[Problem]:
    """A problem for each rule that does not hold, on the object as the API server would store it.

    Rules of a node are skipped while a blocking schema problem is at or below it. old: the stored object on update.
    """
    before = _ABSENT if old is None else old
    return [
        problem
        for path, node, here, then in _nodes(value, schema, before, ())
        if RULES in node
        for rule in node[RULES]
        for problem in _broken(rule, path, here, then, [bad for bad in blocking if bad[: len(path)] == path])
    ]


def _broken(rule: Schema, path: Path, value: Any, old: Any, blocking: Sequence[Path]) -> Iterator[Problem]:
    """A problem at the value; or one for each of its parts that break a rule `self.all(…)` by themselves.

    blocking: schema problems at or below the value. The API server does not run the rule then; the items of a list
    that are in order can be asked all the same.
    """
    expression = rule["rule"]
    if blocking:
        if path in blocking or not isinstance(value, list):
            return
        culprits = [part for part in _culprits(expression, value) if not _has(blocking, (*path, *part[0]))]
        if not culprits:
            return
    elif _passes(expression, value, old):
        return
    else:
        culprits = _culprits(expression, value)
    for where, seen in culprits or [((), "" if isinstance(value, dict | list) else shown(value))]:
        yield Problem(path_text((*path, *where)), rule["message"], by="rule", seen=seen, right=rule.get(RIGHT, ""))


def _passes(expression: str, value: Any, old: Any) -> bool:
    """Whether the rule holds, or compares with an old value that there is not."""
    if "oldSelf" in expression:
        return isinstance(old, _Absent) or holds(expression, value, old)
    return holds(expression, value)


def _has(blocking: Sequence[Path], path: Path) -> bool:
    return any(bad[: len(path)] == path for bad in blocking)


def _culprits(expression: str, value: Any) -> list[tuple[Path, str]]:
    """The items or keys that break the rule alone, each with what a message shows of it."""
    if not expression.startswith("self.all("):
        return []
    if isinstance(value, dict):
        return [((key,), shown(key)) for key in value if not holds(expression, {key: value[key]})]
    return [((index,), shown(item)) for index, item in enumerate(value) if not holds(expression, [item])]


def _nodes(value: Any, schema: Schema, old: Any, path: Path) -> Iterator[tuple[Path, Schema, Any, Any]]:
    """Every value with its schema and the old value that corresponds to it, outermost first."""
    yield path, schema, value, old
    if isinstance(value, dict):
        properties, others = schema.get("properties", {}), schema.get("additionalProperties")
        for key, child in value.items():
            node = properties.get(key, others)
            if node is not None:
                then = old.get(key, _ABSENT) if isinstance(old, dict) else _ABSENT
                yield from _nodes(child, node, then, (*path, key))
    elif isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield from _nodes(item, schema["items"], _corresponding(item, old, schema), (*path, index))


def _corresponding(item: Any, old: Any, schema: Schema) -> Any:
    """The old item with the same keys, in lists of type map; items of other lists have none."""
    if schema.get(LIST_TYPE) != "map" or not isinstance(old, list) or not isinstance(item, dict):
        return _ABSENT
    keys = schema["x-kubernetes-list-map-keys"]
    return next(
        (then for then in old if isinstance(then, dict) and all(then.get(k) == item.get(k) for k in keys)), _ABSENT
    )
