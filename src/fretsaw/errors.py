"""What can go wrong, sorted by whose turn it is to act.

    FretsawError
    ├── UserError           a file, flag or manifest is wrong: the user fixes the input (exit code 2)
    ├── ProviderError       the outside world failed: Kubernetes or the cloud (exit code 3)
    └── BrokenInvariant     ours: a bug

Fields come first, the sentence is made in `__str__`.
"""

from __future__ import annotations


class FretsawError(Exception):
    """Root of every error that Fretsaw raises on purpose."""


class UserError(FretsawError):
    """The input is wrong: `where: what is wrong: what was seen (what would be right)`."""

    def __init__(self, where: str, wrong: str, seen: str = "", right: str = "") -> None:
        super().__init__(where, wrong, seen, right)
        self.where = where
        self.wrong = wrong
        self.seen = seen
        self.right = right

    def __str__(self) -> str:
        text = f"{self.where}: {self.wrong}" if self.where else self.wrong
        if self.seen:
            text += f": {self.seen}"
        if self.right:
            text += f" ({self.right})"
        return text


class ProviderError(FretsawError):
    """The outside world failed; the code reacts by subclass."""


class BrokenInvariant(FretsawError):
    """Something that cannot be has happened: a bug of ours, with its story."""
