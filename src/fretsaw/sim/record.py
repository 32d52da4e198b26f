"""A run's trace: what the engine is told, what it wants, and the journal's facts, written as they happen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fretsaw.api.times import Millis, rfc3339
from fretsaw.engine.events import Event
from fretsaw.engine.turn import Turn
from fretsaw.sim.autoscaler import Listener
from fretsaw.sim.journal import Fact
from fretsaw.sim.simulation import Simulation
from fretsaw.trace.codec import Writer
from fretsaw.trace.files import writing

TOLD = "event"
"""Kubernetes Events: the turn before has them already, as `Tell`."""


@contextmanager
def record(simulation: Simulation, path: Path | str, version: str = "") -> Iterator[None]:
    """Write the trace of a run that has not begun yet; it ends with what each instance has cost by then.

    path: packed with gzip where it ends in `.gz`. version: of the program that writes it. Raises UserError where it
    cannot be written.
    """
    about = {
        "scenario": simulation.scenario.scenario,
        "seed": simulation.seed,
        "start": simulation.start,
        "startsAt": rfc3339(simulation.start),
        "fretsaw": version,
    }
    with writing(Path(path), simulation.options, about) as writer:
        simulation.autoscaler.listen(_taking(writer))
        journal = simulation.world.journal
        for fact in journal.facts:
            _note(writer, fact)
        journal.listen(lambda fact: _note(writer, fact))
        try:
            yield
        finally:
            _close(simulation, writer)


def _taking(writer: Writer) -> Listener:
    def take(at: Millis, what: Event | Turn) -> None:
        if isinstance(what, Turn):
            writer.turn(at, what)
        else:
            writer.event(at, what)

    return take


def _note(writer: Writer, fact: Fact) -> None:
    if fact.what != TOLD:
        writer.fact(fact.at, fact.what, fact.about, fact.data)


def _close(simulation: Simulation, writer: Writer) -> None:
    """What was paid until now: for each instance, and in all."""
    now, bill = simulation.world.loop.now, simulation.cloud.bill
    for provider_id, line in bill.lines.items():
        data = {"claim": line.instance.claim.metadata.name, "nano_usd": bill.of(provider_id, now)}
        writer.fact(now, "instance-billed", f"Instance/{provider_id}", data)
    total = bill.total(now)
    sums = {"spot": total.spot, "on_demand": total.on_demand, "reserved": total.reserved, "total": total.total}
    writer.fact(now, "run-ended", f"Run/{simulation.scenario.scenario}", {"nano_usd": sums})
