"""Which adapter reads which recording."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from fretsaw.sim.scenario.model import TraceSource
from fretsaw.sim.work.traces import helios, openb, philly
from fretsaw.sim.work.traces.table import Arriving

_ADAPTERS: Final[dict[str, Callable[[TraceSource, Path], Iterator[Arriving]]]] = {
    "openb": openb.arrivals,
    "philly": philly.arrivals,
    "helios": helios.arrivals,
}


def arrivals(source: TraceSource, folder: Path) -> Iterator[Arriving]:
    """What a recording makes, by time, read as it is asked for. Raises BadTrace at the first row that is wrong."""
    return _ADAPTERS[source.format](source, folder / source.file)
