"""The findings of `fretsaw aws check` as lines, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from textwrap import wrap

import msgspec
from rich.text import Text

from fretsaw.cli.catalog_view import console
from fretsaw.providers.aws.account.checks import Finding

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}
_WHAT = max(map(len, ("security groups", "permissions")))


def draw(found: Sequence[Finding]) -> None:
    """Print a line for each finding, what to do below it, and how many there are of each kind."""
    out = console()
    indent = " " * (6 + _WHAT + 2)
    for one in found:
        lines = wrap(one.found, max(20, out.width - len(indent)), break_on_hyphens=False) or [""]
        out.print(Text(f"{one.state:<6}", _STYLES[one.state]) + Text(f"{one.what:<{_WHAT}}  {lines[0]}"))
        for line in lines[1:]:
            out.print(Text(indent + line))
        for line in wrap(f"→ {one.do}", max(20, out.width - len(indent))) if one.do else ():
            out.print(Text(indent + line, "cyan"))
    out.print()
    out.print(Text(summary(found), "dim"))


def summary(found: Sequence[Finding]) -> str:
    """`12 ok, 2 warnings, 1 failure`."""
    counts = {state: sum(one.state == state for one in found) for state in _STYLES}
    parts = [f"{counts['ok']} ok"]
    for state, word in (("warn", "warning"), ("fail", "failure")):
        if counts[state]:
            parts.append(f"{counts[state]} {word}{'' if counts[state] == 1 else 's'}")
    return ", ".join(parts)


def as_json(found: Sequence[Finding]) -> str:
    """One document with all findings."""
    return json.dumps({"checks": [msgspec.to_builtins(one) for one in found]}, indent=2, ensure_ascii=False)
