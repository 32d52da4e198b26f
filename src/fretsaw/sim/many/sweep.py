"""A grid of scenarios, each on the same seeds: which runs there are, and what they say of each point of the grid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from fretsaw.api.times import Millis
from fretsaw.sim.many.axes import Point
from fretsaw.sim.many.figures import FIGURES, Figure
from fretsaw.sim.many.intervals import Interval, interval, paired
from fretsaw.sim.many.rows import Figures
from fretsaw.sim.many.task import Task

JUDGED = ("violations", "expectations failed")
"""Of points that differ in these, those with fewer come first, whatever they cost."""


class Sweep(msgspec.Struct, frozen=True):
    """What is to be run."""

    scenario: str
    """The file."""
    points: tuple[Point, ...]
    seeds: tuple[int, ...]
    length: Millis | None = None

    def task(self, point: Point, seed: int) -> Task:
        """One run of it."""
        return Task(self.scenario, seed, point, self.length)

    @property
    def tasks(self) -> list[Task]:
        """All runs, seed by seed, so that a sweep that is interrupted has something of every point."""
        return [self.task(point, seed) for seed in self.seeds for point in self.points]

    @property
    def paths(self) -> tuple[str, ...]:
        """What is varied."""
        return tuple(setting.path for setting in self.points[0])


class Summary(msgspec.Struct, frozen=True):
    """What the runs of a point say."""

    point: Point
    runs: int
    figures: dict[str, Interval]
    """By name; without those that could never be measured."""
    best: bool = False
    as_good: bool = False
    """Not clearly worse than the best: chance alone could have put it behind."""


def measured(result: dict[str, Any]) -> Figures:
    """What is kept of a run."""
    return {figure.name: figure.of(result) for figure in FIGURES}


def summaries(sweep: Sweep, done: Mapping[Task, Figures], by: Figure) -> list[Summary]:
    """The points in their order, the best marked: fewest broken expectations first, then the best mean of `by`."""
    found = [_summary(sweep, point, done) for point in sweep.points]
    ranked = [(rank, i) for i, one in enumerate(found) if (rank := _rank(one, by)) is not None]
    if not ranked:
        return found
    _, best = min(ranked)
    equal = {i for rank, i in ranked if rank[:-1] == min(ranked)[0][:-1]}
    return [
        msgspec.structs.replace(
            one, best=i == best, as_good=i != best and i in equal and _as_good(sweep, found[best].point, one, done, by)
        )
        for i, one in enumerate(found)
    ]


def _summary(sweep: Sweep, point: Point, done: Mapping[Task, Figures]) -> Summary:
    runs = [done[task] for seed in sweep.seeds if (task := sweep.task(point, seed)) in done]
    figures = {}
    for figure in FIGURES:
        values = [value for run in runs if (value := run.get(figure.name)) is not None]
        if values:
            figures[figure.name] = interval(values)
    return Summary(point, len(runs), figures)


def _rank(summary: Summary, by: Figure) -> tuple[float, ...] | None:
    """Lower is better; None without a run that can tell."""
    if by.name not in summary.figures:
        return None
    mean = summary.figures[by.name].mean
    return (*(summary.figures[name].mean for name in JUDGED), -mean if by.more_is_better else mean)


def _as_good(sweep: Sweep, best: Point, other: Summary, done: Mapping[Task, Figures], by: Figure) -> bool:
    """Whether the pairs of runs leave open which of the two is better."""
    pairs = list(_pairs(sweep, best, other.point, done, by))
    if len(pairs) < 2:
        return True
    difference = paired([a for a, _ in pairs], [b for _, b in pairs]).difference
    return not difference.clear


def _pairs(
    sweep: Sweep, best: Point, other: Point, done: Mapping[Task, Figures], by: Figure
) -> Iterator[tuple[float, float]]:
    for seed in sweep.seeds:
        a = done.get(sweep.task(best, seed), {}).get(by.name)
        b = done.get(sweep.task(other, seed), {}).get(by.name)
        if a is not None and b is not None:
            yield a, b


def told(sweep: Sweep, found: Sequence[Summary], by: Figure) -> dict[str, Any]:
    """The summary for programs."""
    return {
        "scenario": sweep.scenario,
        "seeds": list(sweep.seeds),
        "by": by.name,
        "points": [
            {
                "set": {setting.path: setting.text for setting in one.point},
                "runs": one.runs,
                "best": one.best,
                "asGood": one.as_good,
                "metrics": [
                    {"name": figure.name, "unit": figure.unit, **_interval(one.figures[figure.name])}
                    for figure in FIGURES
                    if figure.name in one.figures
                ],
            }
            for one in found
        ],
    }


def _interval(found: Interval) -> dict[str, float | None]:
    ends = {"low": found.low, "high": found.high}
    return {
        "mean": round(found.mean, 9),
        **{name: None if end is None else round(end, 9) for name, end in ends.items()},
    }
