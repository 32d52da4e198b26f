"""`fretsaw sweep`: a grid of settings, each on the same seeds; finished runs are kept, and the best is marked."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fretsaw import __version__
from fretsaw.cli import errors
from fretsaw.cli.many_options import executor, run_all, run_options, warn_of_violations

if TYPE_CHECKING:
    from fretsaw.api.times import Millis
    from fretsaw.sim.many.axes import Point
    from fretsaw.sim.many.rows import Figures, Rows
    from fretsaw.sim.many.sweep import Summary, Sweep
    from fretsaw.sim.many.task import Task
    from fretsaw.sim.scenario.read import Reading

EPILOG = """
\b
Examples:
  fretsaw sweep week.yaml --set cluster.settings.packing=cost,first-fit
  fretsaw sweep week.yaml --set 'cloud.spot.reclaims.rate=1%/h,5%/h,10%/h' --runs 10
  fretsaw sweep week.yaml --set nodepool/gpu-spot.spec.disruption.consolidateAfter=1m,10m,1h \\
      --set nodepool/gpu-spot.spec.weight=10,50 --out consolidation
  fretsaw sweep week.yaml --set 'work[0].runs={mean: 20m},{mean: 2h}' --format csv --best 'p99 wait'

\b
A path is a field of the scenario, or kind/name and a field of an object in its manifests. Several --set make
a grid. Each point runs on the same seeds. A second start runs only what is not in --out yet.

\b
Exit codes: 0 done · 1 a law was violated · 2 the input is wrong · 3 the outside world failed ·
130 interrupted (what was computed is kept and shown)
"""


@click.command(epilog=EPILOG, short_help="A grid of settings, many seeds each, and which is the best.")
@click.argument("scenario", metavar="SCENARIO.yaml")
@click.option("--set", "sets", multiple=True, metavar="PATH=A,B,…", help="Values of a field; several make a grid.")
@click.option("--runs", type=click.IntRange(1), default=5, show_default=True, help="Seeds for each point of the grid.")
@run_options
@click.option("--out", metavar="DIR", help="Where runs are kept; by default SCENARIO.sweep in this folder.")
@click.option("--format", type=click.Choice(["parquet", "csv"]), default="parquet", show_default=True)
@click.option("--best", "best", default="cost", show_default=True, metavar="METRIC", help="What the best is best in.")
@click.option("--executor", "where", type=click.Choice(["process", "ray"]), default="process", show_default=True)
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def sweep(
    scenario: str,
    sets: tuple[str, ...],
    runs: int,
    seed: int | None,
    length: Millis | None,
    jobs: int,
    out: str | None,
    format: str,
    best: str,
    where: str,
    output: str,
) -> int:
    """Run SCENARIO once for each combination of the --set values and each seed, and sum up what came of it."""
    from fretsaw.sim.many import axes, export, figures
    from fretsaw.sim.many.sweep import Sweep

    export.check(format)
    by, run = figures.known(best, "--best"), executor(where, jobs)
    points = axes.grid(sets)
    if length is not None and any(setting.path == "for" for setting in points[0]):
        raise click.UsageError("--for and --set for= contradict each other: leave one out")
    reading = _checked(scenario, points)
    begin = reading.usable().seed if seed is None else seed
    asked = Sweep(scenario, points, tuple(range(begin, begin + runs)), length)
    folder = Path(out) if out else Path(f"{Path(scenario).stem}.sweep")
    done: dict[Task, Figures] = {}
    finished = _run(asked, reading, folder, run, done)
    if not done:
        return errors.INTERRUPTED
    file = export.write(asked, done, folder, format)
    _show(asked, done, by, output, file)
    violations = sum(found.get("violations") or 0 for found in done.values())
    warn_of_violations(violations)
    if not finished:
        return errors.INTERRUPTED
    return errors.FOUND if violations else errors.DONE


def _checked(scenario: str, points: Iterable[Point]) -> Reading:
    """The scenario as it is in its file, after every point of the grid was read: all that is wrong comes first."""
    from fretsaw.sim.many.override import changed, said

    reading = changed(scenario)
    for problem in reading.problems:
        errors.say("warning", str(problem))
    told = {said(problem) for problem in reading.problems}
    for point in points:
        for problem in changed(scenario, point).problems:
            if (text := said(problem)) not in told:
                told.add(text)
                errors.say("warning", f"--set {' '.join(map(str, point))}: {text}")
    return reading


def _run(asked: Sweep, reading: Reading, folder: Path, where: Any, done: dict[Task, Figures]) -> bool:
    """Fills `done` with what is kept and what is run now; whether that is all."""
    from fretsaw.sim.many.rows import Rows, fingerprint, key
    from fretsaw.sim.many.sweep import measured

    scenario = fingerprint(asked.scenario, reading)
    keys = {task: key(task, scenario, __version__) for task in asked.tasks}
    with Rows(folder) as rows:
        missing = _missing(keys, rows, done)

        def take(task: Task, result: dict[str, Any]) -> None:
            done[task] = measured(result)
            rows.add(keys[task], task, done[task])

        return run_all(where, missing, take, whole=len(keys), title="sweeping")


def _missing(keys: dict[Task, str], rows: Rows, done: dict[Task, Figures]) -> list[Task]:
    """What is still to be run; the rest goes to `done`."""
    done.update({task: rows.known[key] for task, key in keys.items() if key in rows.known})
    if done:
        errors.say("note", f"{len(done)} of {len(keys)} runs are known from an earlier start")
    return [task for task in keys if task not in done]


def _show(asked: Sweep, done: dict[Task, Figures], by: Any, output: str, file: Path) -> None:
    from fretsaw.sim.many.sweep import summaries, told

    found: list[Summary] = summaries(asked, done, by)
    if output == "json":
        told_of = {**told(asked, found, by), "file": str(file)}
        click.echo(json.dumps(told_of, indent=2, ensure_ascii=False))
        return
    from fretsaw.cli.render import console
    from fretsaw.cli.sweep_view import draw

    draw(console(), asked, found, by)
    click.echo(f"\nAll runs: {file}")
