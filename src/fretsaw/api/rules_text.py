"""Small rules that many objects share: labels, selectors and closed sets of words."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final

from fretsaw.api.labels import is_label_value, is_qualified_name
from fretsaw.api.meta import LabelSelector
from fretsaw.api.problem import Problem

is_key = lru_cache(maxsize=65536)(is_qualified_name)
is_value = lru_cache(maxsize=65536)(is_label_value)
"""Labels recur in thousands of pods; a look-up is five times faster than the check."""

_KEY: Final = "letters, digits, - _ . with an optional prefix such as example.com/"
_VALUE: Final = "at most 63 letters, digits, - _ ."


def wrong(path: str, message: str, seen: str, right: str = "") -> Problem:
    """A broken rule."""
    return Problem(path, message, by="rule", seen=f'"{seen}"' if seen else "", right=right)


@lru_cache(maxsize=4096)
def near(word: str, known: Collection[str]) -> str:
    """The known word that was most likely meant, or an empty text."""
    lower = {name.lower(): name for name in sorted(known)}
    if word.lower() in lower:
        return lower[word.lower()]
    found = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.75)
    return found[0] if found else ""


def choice(path: str, seen: str, allowed: Sequence[str]) -> Problem:
    """A word that is not one of those allowed."""
    meant = near(seen, allowed)
    right = f"did you mean {meant}?" if meant else f"one of {', '.join(allowed)}"
    return wrong(path, "not a known value", seen, right)


def labels(path: str, given: Mapping[str, str]) -> Iterator[Problem]:
    """Keys and values of labels or of a node selector."""
    for key, value in given.items():
        if not is_key(key):
            yield wrong(f"{path}[{key}]", "not a valid label key", key, _KEY)
        if not is_value(value):
            yield wrong(f"{path}[{key}]", "not a valid label value", value, _VALUE)


def selector(select: LabelSelector, path: str) -> Iterator[Problem]:
    """A label selector."""
    yield from labels(f"{path}.matchLabels", select.match_labels)
    for index, expression in enumerate(select.match_expressions):
        here = f"{path}.matchExpressions[{index}]"
        yield from operator(
            expression.operator, expression.values, here, ("In", "NotIn", "Exists", "DoesNotExist"), expression.key
        )


def operator(name: str, values: Sequence[str], path: str, allowed: Sequence[str], key: str) -> Iterator[Problem]:
    """An operator with the number of values that it takes."""
    if not is_key(key):
        yield wrong(f"{path}.key", "not a valid label key", key, _KEY)
    if name not in allowed:
        yield choice(f"{path}.operator", name, allowed)
    elif name in ("In", "NotIn") and not values:
        yield wrong(f"{path}.values", f"missing: {name} needs at least one value", "")
    elif name in ("Exists", "DoesNotExist") and values:
        yield wrong(f"{path}.values", f"{name} takes no values", ", ".join(values))
    elif name in ("Gt", "Lt") and (len(values) != 1 or not _is_int(values[0])):
        yield wrong(f"{path}.values", f"{name} takes exactly one integer", ", ".join(values))


def _is_int(text: str) -> bool:
    body = text[1:] if text[:1] in ("-", "+") else text
    return body.isascii() and body.isdigit() and len(body) < 20
