"""What a plain YAML scalar means to kubectl: YAML 1.1 as sigs.k8s.io/yaml (go-yaml v2) reads it.

So `yes`, `no`, `on` and `off` are booleans, `0644` is octal and dates stay text, as an API server would receive them; a
reader that kept `on` as text would accept what the server refuses.
Differs: single letters (`y`, `n`) stay text. Other writers of YAML leave them unquoted and mean the letter, which is a
common label value, and no field of ours could hold the boolean in its place.
"""

from __future__ import annotations

import math
import re
from typing import Final

_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
}
_NUMERIC_START: Final = frozenset("+-.0123456789")
_INTEGER = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_NO_NUMBER = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_LONGEST_NUMBER: Final = 400

Scalar = str | int | float | bool | None


def resolve(text: str) -> Scalar:
    """The value of a plain scalar. Raises ValueError for `.inf` and `.nan`, which JSON has no number for."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMERIC_START or len(text) > _LONGEST_NUMBER:
        return text
    if _NO_NUMBER.fullmatch(text):
        raise ValueError(text)
    digits = text.replace("_", "")
    if _INTEGER.fullmatch(digits):
        return integer(digits)
    return number(digits) if _FLOAT.fullmatch(digits) else text


def integer(digits: str) -> int | float:
    """Decimal, 0x, 0b, and octal with or without the o; beyond 64 bits it is a float, as in Go."""
    body = digits.lstrip("+-").lower()
    if len(body) > 1 and body[0] == "0" and body[1].isdigit():
        body = "0o" + body[1:]
    value = int(body, 0)
    value = -value if digits[0] == "-" else value
    return value if -(2**63) <= value < 2**64 else float(value)


def number(digits: str) -> str | int | float:
    """Whole floats become integers, as they do on their way through JSON; out of range they stay text."""
    value = float(digits)
    if math.isinf(value):
        return digits
    return int(value) if value.is_integer() and abs(value) < 2**53 else value
