"""openb: the pods of Alibaba's GPU cluster of 2023, with parts of GPUs.

A pod's time of work is from its scheduling to its deletion. Those that still ran when the recording ended, and those
that never got a place, run until they are deleted: their deletion time is the recording's end, not their own.
Source: Weng et al., "Beware of Fragmentation", USENIX ATC 2023.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fretsaw.api.meta import Object
from fretsaw.api.times import DAY, SECOND, Millis
from fretsaw.sim.behavior import Behavior
from fretsaw.sim.gpu_stack import NVIDIA_GPU
from fretsaw.sim.scenario.model import TraceSource
from fretsaw.sim.spread import Spread
from fretsaw.sim.work.traces.objects import items, made, spec
from fretsaw.sim.work.traces.table import Arriving, BadTrace, by_time, rows, whole

COLUMNS: Final = (
    "name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli", "gpu_spec", "pod_phase", "creation_time",
    "deletion_time", "scheduled_time",
)  # fmt: skip
END_S: Final = 12_902_960
"""Seconds at which the recording ends."""


def arrivals(source: TraceSource, file: Path) -> Iterator[Arriving]:
    """The pods in the order of their creation. Raises BadTrace at the first row that is wrong."""
    start = source.start if source.start is not None else busy_from(file)
    count = 0

    def created_at(line: int, row: tuple[str, ...]) -> Millis:
        return SECOND * whole(file, line, "creation_time", row[7])

    for line, row, created in by_time(file, COLUMNS, created_at, sort=source.sort):
        if created < start:
            continue
        if source.limit is not None and count >= source.limit:
            return
        count += 1
        at = round((created - start) / source.speed)
        yield Arriving(at, _objects(source, file, line, row), _behavior(source, file, line, row))


def busy_from(file: Path) -> Millis:
    """The end of the last silence of over a day: what comes before are single pods, weeks apart."""
    before = start = 0
    for created in sorted(SECOND * whole(file, line, "creation_time", row[7]) for line, row in rows(file, COLUMNS)):
        if created - before > DAY:
            start = created
        before = created
    return start


def _objects(source: TraceSource, file: Path, line: int, row: tuple[str, ...]) -> tuple[Object, ...]:
    name, cpu, memory, gpus, milli, models = row[:6]
    if not name:
        raise BadTrace(file, line, "a pod without a name")
    requests = [
        ("cpu", f"{whole(file, line, 'cpu_milli', cpu)}m"),
        ("memory", f"{whole(file, line, 'memory_mib', memory)}Mi"),
    ]
    count, part = whole(file, line, "num_gpu", gpus), whole(file, line, "gpu_milli", milli)
    if count and part < 1000 and source.gpu_share:
        requests.append((source.gpu_share, str(-(-part // 10))))
    elif count:
        requests.append((NVIDIA_GPU, str(count)))
    wanted = _gpu_names(source, models) if count else ()
    of = spec(tuple(requests), wanted, items(source.node_selector))
    return made(source.as_ or "pod", source.namespace, name, of, "openb")


def _gpu_names(source: TraceSource, models: str) -> tuple[str, ...]:
    """The GPUs that a pod is bound to, among those that its models are mapped to; none where it takes any."""
    known = [source.gpu_types.get(model) for model in models.split("|") if model]
    return tuple(sorted({name for name in known if name}))


def _behavior(source: TraceSource, file: Path, line: int, row: tuple[str, ...]) -> Behavior:
    phase, created, deleted, scheduled = row[6:10]
    end = whole(file, line, "deletion_time", deleted)
    if end < int(created):
        raise BadTrace(file, line, "deleted before it was created", f"{deleted}s")
    if not scheduled or (phase == "Running" and end >= END_S):
        return Behavior()
    works = end - whole(file, line, "scheduled_time", scheduled)
    if works < 0:
        raise BadTrace(file, line, "deleted before it was scheduled", f"{deleted}s")
    return Behavior(runs=Spread.fixed(round(works * SECOND / source.speed)))
