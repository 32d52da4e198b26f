"""Metric families and their values: counters, gauges, histograms and summaries, in Prometheus' text format.

A family says what is told; a store beside it holds the numbers by label values. The text is written here and not by the
client library: a node of the cluster has some thirty labels and dozens of series, and the library would spend seconds
on a page for which the labels, rendered once for each object, take milliseconds. A store belongs to one thread.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, Protocol

import msgspec
from prometheus_client.utils import floatToGoString

from fretsaw.api.times import MINUTE, SECOND, Millis

Type = Literal["counter", "gauge", "histogram", "summary"]
OBJECTIVES = (0.0, 0.5, 0.9, 0.99, 1.0)
"""Quantiles of a summary."""
WINDOW: Millis = 10 * MINUTE
"""How long an observation counts for a summary's quantiles."""
MOST = 10_000
"""Observations that a summary keeps for one set of labels; the oldest go first."""
DURATIONS = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.25, 1.5, 1.75,
    2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 40, 50, 60, 120, 150, 300, 450, 600,
)  # fmt: skip
"""Buckets of most durations, in seconds."""


class Family(msgspec.Struct, frozen=True):
    """One metric: its name, what its series are told apart by, and what it says."""

    name: str
    type: Type
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram's buckets, the infinite one left out."""


class Store(Protocol):
    """The numbers of one family."""

    @property
    def family(self) -> Family:
        """What they say."""

    def lines(self, now: Millis) -> Iterator[str]:
        """The series, a line for each number."""

    def clear(self) -> None:
        """Forget all numbers."""


def inner(labels: Iterable[str], values: Iterable[str]) -> str:
    """The labels as they stand between the braces of a line."""
    return ",".join(f'{label}="{_escaped(value)}"' for label, value in zip(labels, values, strict=True))


def line(name: str, inside: str, value: float) -> str:
    """One number."""
    return f"{name}{{{inside}}} {number(value)}" if inside else f"{name} {number(value)}"


def number(value: float) -> str:
    """A number as Prometheus reads it."""
    if isinstance(value, int):
        return str(value)
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"


def _bound(value: float) -> str:
    """A bucket's bound as Go writes it, since queries compare it as a text: `1`, `2.592e+06`."""
    text: str = floatToGoString(value)  # type: ignore[no-untyped-call]
    return text.removesuffix(".0")


def exposed(family: Family, lines: Iterable[str]) -> Iterator[str]:
    """A family with its head; nothing at all where it has no series."""
    found = iter(lines)
    first = next(found, None)
    if first is not None:
        yield f"# HELP {family.name} {family.help}"
        yield f"# TYPE {family.name} {family.type}"
        yield first
        yield from found


def _escaped(value: str) -> str:
    if "\\" in value or '"' in value or "\n" in value:
        return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return value


class Counter:
    """Numbers that only grow."""

    def __init__(self, family: Family, *preset: tuple[str, ...]) -> None:
        """preset: label values that are told with 0 before anything is counted."""
        self.family = family
        self._preset = preset
        self.values: dict[tuple[str, ...], float] = dict.fromkeys(preset, 0)

    def add(self, *labels: str, by: float = 1) -> None:
        """Count."""
        self.values[labels] = self.values.get(labels, 0) + by

    def clear(self) -> None:
        """Begin at 0."""
        self.values = dict.fromkeys(self._preset, 0)

    def lines(self, now: Millis) -> Iterator[str]:
        """The series, in the order in which they came."""
        for labels, value in self.values.items():
            yield line(self.family.name, inner(self.family.labels, labels), value)


class Gauge:
    """Numbers that go up and down, set by whoever knows them."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self.values: dict[tuple[str, ...], float] = {}

    def set(self, value: float, *labels: str) -> None:
        """Say how much it is now."""
        self.values[labels] = value

    def clear(self) -> None:
        """Forget all numbers."""
        self.values.clear()

    def lines(self, now: Millis) -> Iterator[str]:
        """The series."""
        for labels, value in self.values.items():
            yield line(self.family.name, inner(self.family.labels, labels), value)


class Histogram:
    """How many observations fell below each of some bounds."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}
        self._bounds = (*(_bound(bound) for bound in family.buckets), "+Inf")

    def observe(self, value: float, *labels: str) -> None:
        """Take an observation in."""
        counts = self._counts.get(labels)
        if counts is None:
            counts = self._counts[labels] = [0] * (len(self.family.buckets) + 1)
        counts[bisect_left(self.family.buckets, value)] += 1
        self._sums[labels] = self._sums.get(labels, 0.0) + value

    def count(self, *labels: str) -> int:
        """How many observations there were."""
        return sum(self._counts.get(labels, ()))

    def total(self, *labels: str) -> float:
        """Their sum."""
        return self._sums.get(labels, 0.0)

    def clear(self) -> None:
        """Forget all observations."""
        self._counts.clear()
        self._sums.clear()

    def lines(self, now: Millis) -> Iterator[str]:
        """The buckets, the sum and the count of each set of labels."""
        name = self.family.name
        for labels, counts in self._counts.items():
            inside, seen = inner(self.family.labels, labels), 0
            comma = "," if inside else ""
            for bound, count in zip(self._bounds, counts, strict=True):
                seen += count
                yield f'{name}_bucket{{{inside}{comma}le="{bound}"}} {seen}'
            yield line(f"{name}_sum", inside, self._sums[labels])
            yield line(f"{name}_count", inside, seen)


class Summary:
    """Quantiles of the last minutes' observations, with the sum and the count of all.

    Exact within its window: the observations are kept, and ranked when they are asked for (nearest rank). Without any
    in the window a quantile is NaN, as in Go's client.
    """

    def __init__(self, family: Family, window: Millis = WINDOW, most: int = MOST) -> None:
        self.family = family
        self._window = window
        self._most = most
        self._recent: dict[tuple[str, ...], deque[tuple[Millis, float]]] = {}
        self._sums: dict[tuple[str, ...], float] = {}
        self._counts: dict[tuple[str, ...], int] = {}

    def observe(self, at: Millis, value: float, *labels: str) -> None:
        """Take an observation in."""
        recent = self._recent.get(labels)
        if recent is None:
            recent = self._recent[labels] = deque(maxlen=self._most)
        recent.append((at, value))
        self._sums[labels] = self._sums.get(labels, 0.0) + value
        self._counts[labels] = self._counts.get(labels, 0) + 1

    def count(self, *labels: str) -> int:
        """How many observations there were."""
        return self._counts.get(labels, 0)

    def quantiles(self, now: Millis, *labels: str) -> tuple[float, ...]:
        """The objectives' quantiles of the observations within the window before `now`."""
        recent = self._recent.get(labels, deque())
        while recent and recent[0][0] <= now - self._window:
            recent.popleft()
        return tuple(_ranked(sorted(value for _, value in recent), q) for q in OBJECTIVES)

    def clear(self) -> None:
        """Forget all observations."""
        self._recent.clear()
        self._sums.clear()
        self._counts.clear()

    def lines(self, now: Millis) -> Iterator[str]:
        """The quantiles, the sum and the count of each set of labels."""
        name = self.family.name
        for labels, count in self._counts.items():
            inside = inner(self.family.labels, labels)
            comma = "," if inside else ""
            for q, value in zip(OBJECTIVES, self.quantiles(now, *labels), strict=True):
                yield f'{name}{{{inside}{comma}quantile="{q:g}"}} {number(value)}'
            yield line(f"{name}_sum", inside, self._sums[labels])
            yield line(f"{name}_count", inside, count)


def _ranked(values: Sequence[float], q: float) -> float:
    """The least value that a share `q` of the sorted values does not exceed."""
    if not values:
        return math.nan
    return values[max(math.ceil(q * len(values)) - 1, 0)]


def seconds(begin: Millis, end: Millis) -> float:
    """A span in seconds. Texts of the API are whole seconds, so what began a moment ago may seem to be to come: 0."""
    return max(end - begin, 0) / SECOND


def doubling(first: float, count: int, factor: float = 2.0) -> tuple[float, ...]:
    """Bounds of which each is `factor` times the one before."""
    return tuple(first * factor**i for i in range(count))
