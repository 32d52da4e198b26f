"""What every part of the virtual cluster is given: time, objects, chance, and where to tell what happened."""

from __future__ import annotations

from collections.abc import Callable

from fretsaw.api.times import Millis
from fretsaw.engine.events import Event
from fretsaw.sim.dice import Dice
from fretsaw.sim.journal import Journal
from fretsaw.sim.loop import Loop
from fretsaw.sim.store import Store


class World:
    """One run's surroundings."""

    def __init__(self, start: Millis = 0, seed: int = 0) -> None:
        self.loop = Loop(start)
        self.store = Store(self.loop)
        self.dice = Dice(seed)
        self.journal = Journal(self.loop)
        self._reporters: list[Callable[[Event], None]] = []

    def on_report(self, reporter: Callable[[Event], None]) -> None:
        """Call `reporter` for what the cloud and the eviction API tell the autoscaler."""
        self._reporters.append(reporter)

    def report(self, event: Event) -> None:
        """Tell the autoscaler something that no object says."""
        for reporter in self._reporters:
            reporter(event)
