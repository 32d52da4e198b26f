"""How often we may ask, and how long we wait before we ask again."""

from __future__ import annotations

import asyncio
import random


class Bucket:
    """Tokens for requests: `burst` after a rest, `rate` a second in the long run. Who came first goes first."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate, self._burst = rate, float(burst)
        self._tokens = float(burst)
        self._filled: float | None = None

    async def take(self) -> None:
        """Return when a token is ours. One who gives up waiting gives the token back."""
        now = asyncio.get_running_loop().time()
        if self._filled is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._filled) * self._rate)
        self._filled = now
        self._tokens -= 1  # below zero it is a debt: everyone waits for the end of his own, and so nobody overtakes
        if self._tokens < 0:
            try:
                await asyncio.sleep(-self._tokens / self._rate)
            except asyncio.CancelledError:
                self._tokens += 1
                raise


class Backoff:
    """Waits that double, by a random part so that many clients do not come at once."""

    def __init__(self, first_s: float, longest_s: float) -> None:
        self._first_s, self._longest_s = first_s, longest_s
        self._next_s = first_s

    def next_s(self, at_least_s: float | None = None) -> float:
        """The next wait. at_least_s: what the server asked for; the random part comes on top of it."""
        wait = self._next_s * random.uniform(0.5, 1.0)
        self._next_s = min(2 * self._next_s, self._longest_s)
        return wait + (at_least_s or 0.0)

    def reset(self) -> None:
        """It worked: begin anew the next time."""
        self._next_s = self._first_s
