"""Offerings that lately could not be had. Source: Karpenter AWS provider v1.14 pkg/cache (3 minutes)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fretsaw.providers.fake.wire import Offering


class Unavailable:
    """The memory; marked again, an offering is kept longer. now: seconds of a clock that never goes back."""

    def __init__(self, keep_s: float, now: Callable[[], float]) -> None:
        self._keep_s = keep_s
        self._now = now
        self._until: dict[Offering, float] = {}
        self._version = 0

    @property
    def version(self) -> int:
        """Another one whenever the set is."""
        self._forget()
        return self._version

    def all(self) -> frozenset[Offering]:
        """What is avoided now."""
        self._forget()
        return frozenset(self._until)

    def mark(self, offerings: Iterable[Offering]) -> None:
        """Avoid these from now on."""
        for offering in offerings:
            self._version += offering not in self._until
            self._until.pop(offering, None)  # the dictionary stays ordered by expiry
            self._until[offering] = self._now() + self._keep_s

    def _forget(self) -> None:
        now = self._now()
        while self._until and next(iter(self._until.values())) <= now:
            del self._until[next(iter(self._until))]
            self._version += 1
