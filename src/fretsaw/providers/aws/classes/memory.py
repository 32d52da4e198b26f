"""Answers that are remembered for a while; the time comes in as an argument.

A question that failed is not asked again at once either: a class is looked at whenever anything changes, and a missing
permission would be asked for every second.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import TypeVar

import msgspec

from fretsaw.api.times import SECOND, Millis
from fretsaw.providers.aws.calls.asking import AwsError

T = TypeVar("T")
FAILED = 5 * SECOND
"""How long a failure is told again without asking. Short, so that a repaired permission shows soon."""
_MOST = 4096


class _Entry(msgspec.Struct):
    value: object
    asked: Millis
    until: Millis


class Memory:
    """Question → answer or AwsError."""

    def __init__(self) -> None:
        self._entries: dict[Hashable, _Entry] = {}

    async def get(self, question: Hashable, ttl: Millis, now: Millis, ask: Callable[[], Awaitable[T]]) -> T:
        """What is remembered of a question, else what `ask` says now. Raises AwsError, also a remembered one."""
        entry = self._entries.get(question)
        # A clock that was set back makes an answer old, not eternal.
        if entry is None or not entry.asked <= now < entry.until:
            entry = await self._ask(question, ttl, now, ask)
        if isinstance(entry.value, AwsError):
            raise entry.value
        return entry.value  # type: ignore[return-value]

    def put(self, question: Hashable, answer: object, ttl: Millis, now: Millis) -> None:
        """Remember what is known without asking."""
        self._entries[question] = _Entry(answer, now, now + ttl)

    def forget(self, question: Hashable) -> None:
        """Ask anew next time."""
        self._entries.pop(question, None)

    def asked(self, question: Hashable) -> Millis | None:
        """When the question was last asked; None where it was not, or is forgotten."""
        entry = self._entries.get(question)
        return None if entry is None else entry.asked

    async def _ask(self, question: Hashable, ttl: Millis, now: Millis, ask: Callable[[], Awaitable[T]]) -> _Entry:
        try:
            entry = _Entry(await ask(), now, now + ttl)
        except AwsError as error:
            entry = _Entry(error, now, now + FAILED)
        if len(self._entries) >= _MOST:
            self._entries = {key: one for key, one in self._entries.items() if now < one.until}
        self._entries[question] = entry
        return entry
