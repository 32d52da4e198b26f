"""A figure that is read again from time to time, and stays as it was while that fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from fretsaw.providers.aws.calls import AwsError

T = TypeVar("T")
FIRST_WAIT_S = 60.0
"""After a reading that failed; doubled with each further one, up to the part's own interval."""


class Part(Generic[T]):
    """One reading with its age. The times are seconds of a clock that nobody sets."""

    def __init__(self, read: Callable[[], Awaitable[T]], every_s: float) -> None:
        self.value: T | None = None
        self.failure: AwsError | None = None
        """Why the last reading failed; None where it did not."""
        self.read_at = 0.0
        """When the value was read, or found to be still the same."""
        self.version = 0
        """Counts the readings that found something new."""
        self._read = read
        self._every_s = every_s
        self._due = float("-inf")
        self._failures = 0

    def is_due(self, now: float) -> bool:
        """Whether it is time to read."""
        return now >= self._due

    async def refresh(self, now: float) -> None:
        """Read, and keep what is known where that fails."""
        try:
            value = await self._read()
        except AwsError as error:
            self.failure = error
            self._due = now + min(FIRST_WAIT_S * 2.0**self._failures, self._every_s)
            self._failures += 1
            return
        self.failure, self._failures = None, 0
        self._due, self.read_at = now + self._every_s, now
        if value != self.value:
            self.value = value
            self.version += 1
