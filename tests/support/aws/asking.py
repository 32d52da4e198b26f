"""An `Asking` without a network: answers that a test lays down, and a clock that it moves."""

from __future__ import annotations

import inspect
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any

from fretsaw.api.times import Millis
from fretsaw.providers.aws.calls import AwsError
from fretsaw.providers.aws.calls.table import known

Answer = dict[str, Any] | AwsError | Callable[[dict[str, Any]], Any]


class Scripted:
    """Answers in their order; the last one stays. A function gets the parameters, and may be a coroutine. Implements
    `Asking`."""

    def __init__(self, region: str = "us-east-1") -> None:
        self.region = region
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.closed = False
        self._answers: dict[str, deque[Answer]] = defaultdict(deque)

    def put(self, call: str, *answers: Answer) -> None:
        """Answer so from now on."""
        known(call)
        self._answers[call] = deque(answers)

    def count(self, call: str) -> int:
        """How often a call was asked."""
        return sum(one == call for one, _ in self.asked)

    async def ask(self, call: str, /, **parameters: Any) -> dict[str, Any]:
        """See Asking."""
        known(call)
        self.asked.append((call, parameters))
        answers = self._answers[call]
        if not answers:
            raise AssertionError(f"the test has no answer to {call}")
        answer = answers.popleft() if len(answers) > 1 else answers[0]
        if isinstance(answer, AwsError):
            raise answer
        found: Any = answer(parameters) if callable(answer) else answer
        told: dict[str, Any] = await found if inspect.isawaitable(found) else found
        return told

    async def pages(self, call: str, field: str, /, **parameters: Any) -> list[Any]:
        """See Asking."""
        return list((await self.ask(call, **parameters)).get(field, ()))

    async def close(self) -> None:
        """See Asking."""
        self.closed = True


class Hand:
    """A clock that stands until it is moved: `now` for the time of day, called for steady seconds."""

    def __init__(self, now: Millis) -> None:
        self.at = now

    def now(self) -> Millis:
        """See ports.Clock."""
        return self.at

    def __call__(self) -> float:
        return self.at / 1000

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self.at += round(seconds * 1000)
