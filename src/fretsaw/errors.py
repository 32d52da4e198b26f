"""What can go wrong, sorted by whose turn it is to act.

    FretsawError
    ├── UserError           a file, flag or manifest is wrong: the user fixes the input (exit code 2)
    ├── ProviderError       the outside world failed: Kubernetes or the cloud (exit code 3)
    │   ├── OutOfCapacity      nothing of what was asked for is to be had: plan anew
    │   ├── NotReady           the node class cannot launch anything yet
    │   ├── LaunchFailed       the cloud refuses the order as it is; asking again may help
    │   ├── InstanceNotFound   there is no such instance any more
    │   └── Throttled          asked too often: wait
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


class OutOfCapacity(ProviderError):
    """The cloud has none of the offerings that a launch could take."""

    def __init__(self, message: str, offerings: frozenset[tuple[str, str, str]] = frozenset()) -> None:
        super().__init__(message, offerings)
        self.message = message
        self.offerings = offerings
        """(instance type, zone, capacity type) of each that was tried."""

    def __str__(self) -> str:
        return self.message


class NotReady(ProviderError):
    """A node class is not there, or says itself that it cannot launch anything."""


class LaunchFailed(ProviderError):
    """The cloud refused a launch for a reason that a condition can name."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(reason, message)
        self.reason = reason
        """One word, such as `LaunchTemplateNotFound`."""
        self.message = message

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


class InstanceNotFound(ProviderError):
    """The cloud does not know an instance, or no longer."""


class Throttled(ProviderError):
    """The cloud takes no more calls for now."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message, retry_after_s)
        self.message = message
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return self.message


class BrokenInvariant(FretsawError):
    """Something that cannot be has happened: a bug of ours, with its story."""
