"""Numbers that manifests give as a count or as a share, such as `25%`."""

from __future__ import annotations

from fretsaw.api.meta import IntOrText


def scaled(value: IntOrText, whole: int, *, up: bool) -> int:
    """What a number or a percentage of `whole` comes to. up: a part of one counts as one, else as none."""
    if isinstance(value, int):
        return value
    if not value.endswith("%"):
        return int(value)
    hundredths = int(value.removesuffix("%")) * whole
    return -(-hundredths // 100) if up else hundredths // 100
