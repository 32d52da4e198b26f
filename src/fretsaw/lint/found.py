"""What a rule answers (Found), and what becomes of it once its file, line and object are known (Finding)."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
"""The gravest first."""


class Set(msgspec.Struct, frozen=True, tag=True):
    """Give a field a value: replace its scalar, or add the key to its map."""

    path: str
    value: Any


class Append(msgspec.Struct, frozen=True, tag=True):
    """Add an item to a list."""

    path: str
    value: Any


class Drop(msgspec.Struct, frozen=True, tag=True):
    """Take a key or an item away."""

    path: str


class Substitute(msgspec.Struct, frozen=True, tag=True):
    """Replace a word inside a text."""

    path: str
    old: str
    new: str


Edit = Set | Append | Drop | Substitute


class Found(msgspec.Struct, frozen=True):
    """One thing that a rule found in what it looked at."""

    path: str
    """The field, from the object's top; empty for the object as a whole."""
    message: str
    fix: str = ""
    """What to write or to do instead."""
    proof: str = ""
    """The engine's answer that shows it."""
    usd_per_hour: float | None = None
    """What is at risk, where that can be said."""
    edits: tuple[Edit, ...] = ()
    """Changes that mend it without changing what was meant."""
    word: str = ""
    """Of a text of several lines: the finding is where this stands."""
    severity: Severity | None = None
    """Where this case is graver or milder than the rule."""


class Finding(msgspec.Struct, frozen=True):
    """What was found, and where it stands."""

    rule: str
    name: str
    severity: Severity
    file: str
    line: int
    object: str
    path: str
    message: str
    fix: str = ""
    proof: str = ""
    usd_per_hour: float | None = None
    edits: tuple[Edit, ...] = ()

    @property
    def order(self) -> tuple[str, int, str, str, str]:
        """By place, then by rule."""
        return self.file, self.line, self.rule, self.path, self.message
