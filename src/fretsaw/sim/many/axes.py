"""`--set path=a,b,c`: the values of one field, and the grid that several of them span."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Final

from fretsaw.errors import UserError
from fretsaw.sim.many.override import Setting, value_of

Point = tuple[Setting, ...]
_OPEN: Final = {"[": "]", "{": "}", '"': '"', "'": "'"}


def axis(text: str) -> tuple[Setting, ...]:
    """The settings of one `path=a,b,c`. Values are YAML; commas inside brackets and quotes are theirs.

    Raises UserError where there is no path, no value, or one twice.
    """
    path, equals, values = text.partition("=")
    path = path.strip()
    if not path or not equals:
        raise UserError(f"--set {text}", "not a setting", "", "such as --set cluster.settings.packing=cost,first-fit")
    texts = list(_parts(values))
    for part in texts:
        value_of(part, text)
    if twice := next((part for part in texts if texts.count(part) > 1), None):
        raise UserError(f"--set {text}", "a value stands twice", twice)
    return tuple(Setting(path, part) for part in texts)


def grid(sets: Sequence[str]) -> tuple[Point, ...]:
    """All combinations, the last setting changing fastest; one empty point without any. Raises UserError."""
    axes = [axis(text) for text in sets]
    paths = [settings[0].path for settings in axes]
    if "seed" in paths:
        raise UserError(
            "--set seed", "the seed is no setting", "", "every point runs on the same seeds: --runs, --seed"
        )
    if twice := next((path for path in paths if paths.count(path) > 1), None):
        raise UserError(f"--set {twice}", "the path stands twice", "", "give all its values in one: path=a,b,c")
    return tuple(product(*axes))


def _parts(text: str) -> Iterator[str]:
    """The values between the commas that stand outside of all brackets and quotes."""
    closing: list[str] = []
    begin = 0
    for i, sign in enumerate(text):
        if closing and sign == closing[-1]:
            closing.pop()
        elif sign in _OPEN and not (closing and closing[-1] in "\"'") and (sign in "[{" or not text[begin:i].strip()):
            closing.append(_OPEN[sign])
        elif sign == "," and not closing:
            yield text[begin:i].strip()
            begin = i + 1
    yield text[begin:].strip()
