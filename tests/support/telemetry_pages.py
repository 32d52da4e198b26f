"""Pages of metrics as tests read them."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from fretsaw.api.meta import Object
from fretsaw.api.times import Millis
from fretsaw.controllers.telemetry import Telemetry
from fretsaw.engine import events as e
from fretsaw.engine.state import ClusterState
from fretsaw.engine.turn import Turn
from support.performer import START


class Page:
    """A page, parsed by the client library."""

    def __init__(self, text: bytes) -> None:
        self.families = list(text_string_to_metric_families(text.decode()))

    def samples(self, name: str, /, **labels: str) -> Iterator[Sample]:
        """The numbers of that name whose labels are, among others, these."""
        for family in self.families:
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    yield sample

    def total(self, name: str, /, **labels: str) -> float:
        """Their sum."""
        return sum(sample.value for sample in self.samples(name, **labels))

    def by(self, name: str, *keys: str) -> dict[tuple[str, ...], float]:
        """The sums by some of the labels."""
        found: dict[tuple[str, ...], float] = {}
        for sample in self.samples(name):
            where = tuple(sample.labels[key] for key in keys)
            found[where] = found.get(where, 0) + sample.value
        return found


class Stage:
    """A state and a Telemetry that hears of it, without a world around them."""

    def __init__(self) -> None:
        self.state = ClusterState()
        self.telemetry = Telemetry()
        self.now: Millis = START

    def happens(self, *events: e.Event) -> None:
        """Apply events, and have them heard."""
        for event in events:
            self.state.apply(event)
            self.telemetry.heard(self.now, event, self.state)

    def put(self, *objects: Object) -> None:
        """Objects are as these are."""
        self.happens(*(e.Changed(obj) for obj in objects))

    def turns(self, turn: Turn) -> None:
        """A turn is taken, and its notes are applied."""
        self.telemetry.heard(self.now, turn, self.state)
        self.state.settle()
        for note in turn.notes:
            self.state.apply(note)

    def page(self) -> Page:
        """What is told now."""
        return Page(self.telemetry.page(self.now, self.state))
