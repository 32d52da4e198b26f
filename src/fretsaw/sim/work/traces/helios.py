"""Helios: how many GPUs the jobs of a virtual cluster of SenseTime's asked for, minute by minute.

Played as jobs of one GPU each, as many as GPUs were in demand, running or waited for; where demand falls, the oldest
end.
Source: Hu et al., SC 2021.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fretsaw.api.times import MINUTE, Millis
from fretsaw.sim.behavior import Behavior
from fretsaw.sim.scenario.model import TraceSource
from fretsaw.sim.spread import Spread
from fretsaw.sim.work.traces.objects import items, made, spec
from fretsaw.sim.work.traces.philly import per_gpu
from fretsaw.sim.work.traces.table import Arriving, BadTrace, in_order, moment, rows, whole

COLUMNS: Final = ("time", "running_gpu_num", "pending_gpu_num")


def demand(file: Path) -> Iterator[tuple[Millis, int]]:
    """(time after the recording's start, GPUs in demand), one for each minute. Raises BadTrace, also for a gap."""
    first: Millis | None = None
    before: Millis | None = None
    for line, (time, running, pending) in rows(file, COLUMNS):
        now = moment(file, line, "time", time)
        in_order(file, line, before, now)
        if before is not None and now != before + MINUTE:
            raise BadTrace(file, line, "not a minute after the row above", f"{(now - before) / 1000:g}s")
        before = now
        first = now if first is None else first
        gpus = whole(file, line, "running_gpu_num", running) + whole(file, line, "pending_gpu_num", pending)
        yield now - first, gpus


def arrivals(source: TraceSource, file: Path) -> Iterator[Arriving]:
    """Jobs of one GPU in the order of their start.

    The oldest end first, so that a job is known as soon as it has ended; those that never do come last.
    """
    start = source.start or 0
    alive: deque[Millis] = deque()
    number = 0
    for now, gpus in demand(file):
        if now < start:
            continue
        while len(alive) > gpus:
            if source.limit is not None and number >= source.limit:
                return
            yield _job(source, number, alive.popleft(), now, start)
            number += 1
        alive.extend([now] * (gpus - len(alive)))
    for began in alive:
        if source.limit is not None and number >= source.limit:
            return
        yield _job(source, number, began, None, start)
        number += 1


def _job(source: TraceSource, number: int, began: Millis, ended: Millis | None, start: Millis) -> Arriving:
    runs = None if ended is None else Spread.fixed(round((ended - began) / source.speed))
    of = spec(per_gpu(source), (), items(source.node_selector))
    objects = made(source.as_ or "job", source.namespace, f"helios-{number:06}", of, "helios")
    return Arriving(round((began - start) / source.speed), objects, Behavior(runs=runs))
