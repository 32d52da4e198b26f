"""Offerings that lately could not be had, and why. A reason that lasts is told again and again by whoever asks.

Source: Karpenter AWS provider v1.14 pkg/cache (3 minutes).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fretsaw.providers.fleet.offerings import OfferingKey

UNAVAILABLE_S = 180.0


class Unavailable:
    """The memory; marked again, an offering is kept longer. now: seconds of a clock that never goes back."""

    def __init__(self, now: Callable[[], float], keep_s: float = UNAVAILABLE_S) -> None:
        self._now, self._keep_s = now, keep_s
        self._until: dict[OfferingKey, float] = {}
        self._why: dict[OfferingKey, str] = {}
        self._version = 0

    @property
    def version(self) -> int:
        """Another one whenever the set is."""
        self._forget()
        return self._version

    def all(self) -> frozenset[OfferingKey]:
        """What is avoided now; `*` stands for any."""
        self._forget()
        return frozenset(self._until)

    def reasons(self) -> dict[OfferingKey, str]:
        """For each offering that is avoided the code that it was refused with."""
        self._forget()
        return dict(self._why)

    def mark(self, offerings: Iterable[OfferingKey], why: str) -> None:
        """Avoid these from now on."""
        for offering in offerings:
            self._version += offering not in self._until
            self._until.pop(offering, None)  # the dictionary stays ordered by expiry
            self._until[offering] = self._now() + self._keep_s
            self._why[offering] = why

    def _forget(self) -> None:
        now = self._now()
        while self._until and next(iter(self._until.values())) <= now:
            first = next(iter(self._until))
            del self._until[first], self._why[first]
            self._version += 1
