"""Philly: gangs of GPUs as they arrived in virtual clusters of Microsoft's, as prepared for Gavel.

The recording has steps, not times, so a job takes as long as its steps say beside those of the other jobs of its model.
Source: Jeon et al., USENIX ATC 2019; Narayanan et al. (Gavel), OSDI 2020.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median_low
from typing import Final

from fretsaw.api.times import HOUR, Millis
from fretsaw.sim.behavior import Behavior
from fretsaw.sim.gpu_stack import NVIDIA_GPU
from fretsaw.sim.scenario.model import TraceSource
from fretsaw.sim.spread import Spread
from fretsaw.sim.work.traces.objects import items, made, spec
from fretsaw.sim.work.traces.table import Arriving, BadTrace, by_time, rows, seconds, whole

COLUMNS: Final = ("job_type", "total_steps", "arrival_s", "scale_factor")
_HOUR: Final = Spread.fixed(HOUR)


def arrivals(source: TraceSource, file: Path) -> Iterator[Arriving]:
    """A Job for each gang, one pod of one GPU for each of its GPUs, in the order of arrival. Raises BadTrace."""
    typical = typical_steps(file)
    start = source.start or 0
    count = 0

    def arrived_at(line: int, row: tuple[str, ...]) -> Millis:
        return seconds(file, line, "arrival_s", row[2])

    for line, (model, steps, _, gpus), came in by_time(file, COLUMNS, arrived_at, sort=source.sort):
        size = whole(file, line, "scale_factor", gpus)
        if not size:
            raise BadTrace(file, line, "a job without GPUs")
        if came < start:
            continue
        if source.limit is not None and count >= source.limit:
            return
        longer = whole(file, line, "total_steps", steps) / typical[model]
        behavior = Behavior(runs=scaled(source.runs or _HOUR, longer / source.speed))
        of = spec(per_gpu(source), (), items(source.node_selector))
        objects = made(source.as_ or "job", source.namespace, f"philly-{count:05}", of, "philly", size)
        yield Arriving(round((came - start) / source.speed), objects, behavior)
        count += 1


def typical_steps(file: Path) -> dict[str, int]:
    """The middle number of steps of each model's jobs, 1 at least."""
    steps: dict[str, list[int]] = defaultdict(list)
    for line, (model, text) in rows(file, ("job_type", "total_steps")):
        steps[model].append(whole(file, line, "total_steps", text))
    return {model: max(1, median_low(counts)) for model, counts in steps.items()}


def scaled(spread: Spread, times: float) -> Spread:
    """A spread of times that are `times` as long."""
    mean = None if spread.mean is None else round(spread.mean * times)
    return Spread(round(spread.low * times), round(spread.typical * times), round(spread.high * times), mean)


def per_gpu(source: TraceSource) -> tuple[tuple[str, str], ...]:
    """What a pod of one GPU asks for."""
    return (("cpu", str(source.cpu)), ("memory", source.memory), (NVIDIA_GPU, "1"))
