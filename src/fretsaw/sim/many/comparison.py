"""Two scenarios on the same seeds: pairs of runs, their differences, and when those are a failure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fretsaw.api.times import DAY, HOUR, MINUTE, SECOND, Millis
from fretsaw.errors import UserError
from fretsaw.sim.many.conditions import Condition, failure
from fretsaw.sim.many.figures import FIGURES, Figure
from fretsaw.sim.many.intervals import paired
from fretsaw.sim.many.task import Task
from fretsaw.sim.scenario.model import Scenario

Comparison = dict[str, Any]
SIDES = ("a", "b")


class Pairs:
    """The runs of two scenarios, seed by seed, as they come in."""

    def __init__(self, a: Scenario, b: Scenario, first_seed: int, conditions: Sequence[Condition] = ()) -> None:
        self._names = {"a": a.scenario, "b": b.scenario}
        self._first = first_seed
        self._conditions = conditions
        extra = {condition.figure.name: condition.figure for condition in conditions}
        self.figures: tuple[Figure, ...] = tuple({**{figure.name: figure for figure in FIGURES}, **extra}.values())
        """What is compared: the usual figures, and those of the conditions."""
        self._values: dict[str, dict[int, dict[str, float | None]]] = {side: {} for side in SIDES}

    def add(self, task: Task, result: dict[str, Any]) -> None:
        """A run is done. Of its result only the figures are kept."""
        self._values[task.side][task.seed] = {figure.name: figure.of(result) for figure in self.figures}

    @property
    def seeds(self) -> list[int]:
        """The seeds on which both scenarios have run."""
        return sorted(self._values["a"].keys() & self._values["b"].keys())

    def compared(self) -> Comparison:
        """The figures of both, their differences and the failures; as of the pairs that are complete.

        A figure that could be measured in no pair is left out; one that could not in some is of the others.
        """
        seeds = self.seeds
        metrics = [row for figure in self.figures if (row := self._row(figure)) is not None]
        told = [failure(condition, *self._both(condition.figure)) for condition in self._conditions]
        sides = {side: {"scenario": self._names[side], "seeds": len(seeds), "firstSeed": self._first} for side in SIDES}
        return {**sides, "runs": len(seeds), "metrics": metrics, "failures": [text for text in told if text]}

    def _both(self, figure: Figure) -> tuple[list[float], list[float]]:
        """The values of the pairs in which both have one."""
        first: list[float] = []
        second: list[float] = []
        for seed in self.seeds:
            a, b = (self._values[side][seed][figure.name] for side in SIDES)
            if a is not None and b is not None:
                first.append(a)
                second.append(b)
        return first, second

    def _row(self, figure: Figure) -> dict[str, Any] | None:
        a, b = self._both(figure)
        if len(a) < 2:
            return None
        pair = paired(a, b)
        difference = pair.difference
        return {
            "name": figure.name,
            "unit": figure.unit,
            "a": _rounded(pair.a),
            "b": _rounded(pair.b),
            "difference": _rounded(difference.mean),
            "low": _rounded(difference.low),
            "high": _rounded(difference.high),
            "relative": _rounded(pair.relative),
            "clear": difference.clear,
        }


def tasks(a: str, b: str, seeds: Sequence[int], length: Millis | None) -> list[Task]:
    """All runs, pair by pair, so that one that is interrupted leaves whole pairs."""
    return [Task(path, seed, (), length, side) for seed in seeds for side, path in zip(SIDES, (a, b), strict=True)]


def comparable(a: Scenario, b: Scenario, names: tuple[str, str]) -> None:
    """Raises UserError for scenarios of different lengths: neither costs nor counts of these could be compared."""
    if a.for_ != b.for_:
        wrong = "the scenarios are not equally long"
        raise UserError(names[1], wrong, f"{_span(b.for_)}, and {names[0]} {_span(a.for_)}", "give --for to both")


def _span(length: Millis) -> str:
    unit, name = next((u, n) for u, n in ((DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (SECOND, "s")) if length % u == 0)
    return f"{length // unit}{name}"


def _rounded(value: float | None) -> float | None:
    """Nine digits behind the point: a nano-USD, and no trace of how a sum was made."""
    return None if value is None else round(value, 9)
