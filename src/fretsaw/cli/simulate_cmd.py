"""`fretsaw simulate`: reads a scenario, runs it with a progress bar, prints a summary, writes what was asked for."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fretsaw import __version__
from fretsaw.cli import errors
from fretsaw.cli.params import span
from fretsaw.cli.progress import Bar

if TYPE_CHECKING:
    from fretsaw.api.times import Millis
    from fretsaw.sim.scenario.read import Reading
    from fretsaw.sim.simulation import Simulation

EPILOG = """
\b
Examples:
  fretsaw simulate scenarios/gpu-platform-week.yaml --html week.html
  fretsaw simulate scenarios/tiered-fallback.yaml --for 12h --seed 7
  fretsaw simulate -f pools/ -f workloads/ --for 2d
  fretsaw simulate week.yaml --trace week.jsonl.gz && fretsaw story week.jsonl.gz
  fretsaw simulate week.yaml -o json | jq .cost.total
  fretsaw simulate --schema > scenario.schema.json

\b
Exit codes: 0 all is as expected · 1 an expectation failed or a law was violated ·
2 the scenario is wrong · 130 interrupted (what was computed is written, marked partial)
"""
PLAIN = "scenario: {name}\nfor: 1d\ncluster: {{}}\n"
"""The scenario of manifests alone."""


@click.command(epilog=EPILOG, short_help="Days of a cluster in seconds: waits, interruptions, the bill.")
@click.argument("scenario", required=False, metavar="[SCENARIO.yaml]")
@click.option("-f", "--filename", "files", multiple=True, metavar="PATH", help="More manifests for the cluster.")
@click.option("--for", "length", callback=span, metavar="DURATION", help="Virtual time, such as 12h or 7d.")
@click.option("--seed", type=click.IntRange(0), help="The seed of all chance; the scenario's own by default.")
@click.option("--json", "json_file", metavar="FILE", help="Write the result, all figures, as JSON.")
@click.option("--html", "html_file", metavar="FILE", help="Write the report, one page that works offline.")
@click.option("--trace", "trace_file", metavar="FILE", help="Write events and decisions as JSON lines (.gz: packed).")
@click.option("--schema", is_flag=True, help="Print the JSON schema of scenario files, and do nothing else.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def simulate(
    scenario: str | None,
    files: tuple[str, ...],
    length: Millis | None,
    seed: int | None,
    json_file: str | None,
    html_file: str | None,
    trace_file: str | None,
    schema: bool,
    output: str,
) -> int:
    """Simulate a cluster: Kubernetes, its nodes and EC2 in virtual time, decided by the engine that runs in production.

    SCENARIO says what stands in the cluster, what work comes, what the cloud does, and what is expected. Without one,
    the manifests given with -f are run for a day.
    """
    if schema:
        from fretsaw.sim.scenario.schema import schema as described

        click.echo(json.dumps(described(), indent=2))
        return errors.DONE
    if not scenario and not files:
        raise click.UsageError(
            "nothing to simulate: name a scenario (such as: fretsaw simulate scenarios/gpu-platform-week.yaml)"
        )
    reading = _read(scenario, files)
    if reading.errors:
        return errors.WRONG_INPUT
    run = _built(reading, seed, length)
    result, interrupted = _run(run, trace_file, quiet=output == "json")
    _write(result, json_file, html_file)
    _print(result, output, html_file)
    if interrupted:
        return errors.INTERRUPTED
    found = result["violations"] or any(not e["ok"] for e in result["expectations"])
    return errors.FOUND if found else errors.DONE


def _read(scenario: str | None, files: tuple[str, ...]) -> Reading:
    """The scenario, its problems told."""
    from fretsaw.sim.scenario.read import parse, read

    reading = read(scenario, files) if scenario else parse(PLAIN.format(name="manifests"), "<flags>", ".", files)
    for problem in reading.problems:
        errors.say(problem.severity, str(problem))
    return reading


def _built(reading: Reading, seed: int | None, length: Millis | None) -> Simulation:
    from fretsaw import planner

    return planner.simulation(reading, seed=seed, length=length)


def _run(run: Simulation, trace_file: str | None, *, quiet: bool) -> tuple[dict[str, Any], bool]:
    """(the result, whether the user stopped it)."""
    from fretsaw.api.manifest import no_collection

    started = time.perf_counter()
    interrupted = False
    with ExitStack() as stack:
        if trace_file is not None:
            from fretsaw.sim.record import record

            stack.enter_context(record(run, Path(trace_file), __version__))
        stack.enter_context(no_collection())
        bar = stack.enter_context(Bar(f"simulating {run.scenario.scenario}", shown=False if quiet else None))
        try:
            run.run(bar)
        except KeyboardInterrupt:
            interrupted = True
    if interrupted:
        errors.say("warning", "interrupted: what follows is what was computed so far")
    return run.result(time.perf_counter() - started), interrupted


def _write(result: dict[str, Any], json_file: str | None, html_file: str | None) -> None:
    from fretsaw.errors import UserError

    texts = []
    if json_file is not None:
        texts.append((json_file, json.dumps(result, indent=2, ensure_ascii=False) + "\n"))
    if html_file is not None:
        from fretsaw.report.page import html

        texts.append((html_file, html(result)))
    for name, text in texts:
        try:
            Path(name).write_text(text, encoding="utf-8")
        except OSError as error:
            raise UserError(name, "cannot be written", error.strerror or str(error)) from error


def _print(result: dict[str, Any], output: str, html_file: str | None) -> None:
    if output == "json":
        click.echo(json.dumps(result, indent=2, ensure_ascii=False))
        return
    from fretsaw.cli.render import console
    from fretsaw.report.summary import draw

    draw(console(), result)
    if html_file is not None:
        click.echo(f"Report: {html_file}")
