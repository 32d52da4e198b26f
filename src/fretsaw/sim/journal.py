"""What happened in a run beside the objects: facts that the bill, the report and the checks are made from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from fretsaw.api.times import Millis
from fretsaw.sim.loop import Loop


class Fact(msgspec.Struct, frozen=True, gc=False):
    """Something that happened to an object. Equal data of several facts may be one object: nobody writes to it."""

    at: Millis
    what: str
    """A word of `docs/simulate.md`, such as `instance-running`, `insufficient-capacity`, `pod-preempted`."""
    about: str
    """`Kind/name` or `Kind/namespace/name`."""
    data: dict[str, Any] = {}


class Journal:
    """Takes facts down, and tells whoever listens."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.facts: list[Fact] = []
        self._texts: dict[str, str] = {}
        self._data: dict[tuple[str, ...], dict[str, Any]] = {}
        """What many facts say alike: there may be millions of them in a long run, such as events told over and over."""
        self._listeners: list[Callable[[Fact], None]] = []

    def listen(self, listener: Callable[[Fact], None]) -> None:
        """Call `listener` for every fact from now on."""
        self._listeners.append(listener)

    def note(self, what: str, about: str, **data: Any) -> None:
        """Something happened now."""
        about = self._texts.setdefault(about, about)
        fact = Fact(self._loop.now, what, about, self._shared(data))
        self.facts.append(fact)
        for listener in self._listeners:
            listener(fact)

    def _shared(self, data: dict[str, Any]) -> dict[str, Any]:
        """The one object among equal data, where that is nothing but texts."""
        if not all(type(value) is str for value in data.values()):
            return data
        return self._data.setdefault((*data, *data.values()), data)
