"""`fretsaw compare`: two scenarios on the same seeds, what differs and how surely, and a gate for pipelines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fretsaw.cli import errors
from fretsaw.cli.many_options import executor, run_all, run_options, warn_of_violations

if TYPE_CHECKING:
    from fretsaw.api.times import Millis
    from fretsaw.sim.scenario.model import Scenario

EPILOG = """
\b
Examples:
  fretsaw compare today.yaml proposed.yaml
  fretsaw compare today.yaml proposed.yaml --runs 50 --html compared.html
  fretsaw compare main.yaml branch.yaml --fail-if 'cost > +5%' --fail-if 'p99 wait > 10m'
  fretsaw compare a.yaml b.yaml --for 1d -o json | jq '.metrics[] | select(.clear)'

\b
Conditions, METRIC OP VALUE, with > >= < <=:
  cost > +5%              B costs over 5 % more than A
  p99 wait of ml > +2m    pods of the namespace ml wait over two minutes longer
  planned landing < -3pp  three points less land where they were planned
  pending pods > 0        any pod of B is left waiting
Metrics are the rows of the table and all that `expect` of a scenario can measure.

\b
Exit codes: 0 done · 1 a condition holds, or a law was violated · 2 the input is wrong · 3 the outside
world failed · 130 interrupted (what was computed is shown)
"""


@click.command(epilog=EPILOG, short_help="Two scenarios on the same seeds: what is change, what chance.")
@click.argument("a", metavar="A.yaml")
@click.argument("b", metavar="B.yaml")
@click.option("--runs", type=click.IntRange(2), default=20, show_default=True, help="Seeds that both are run on.")
@click.option("--fail-if", "fail_if", multiple=True, metavar="'METRIC OP VALUE'", help="Exit with 1 then; repeatable.")
@run_options
@click.option("--html", "html_file", metavar="FILE", help="Write the comparison as one page that works offline.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def compare(
    a: str,
    b: str,
    runs: int,
    fail_if: tuple[str, ...],
    seed: int | None,
    length: Millis | None,
    jobs: int,
    html_file: str | None,
    output: str,
) -> int:
    """Run A and B on the same seeds and show every difference of B from A with its 95 % confidence interval.

    On the same seed both meet the same arrivals, boot times and reclaims, so that few runs tell small differences.
    """
    from fretsaw.sim.many import comparison
    from fretsaw.sim.many.conditions import parse

    conditions = [parse(text) for text in fail_if]
    first, second = _scenario(a), _scenario(b)
    if length is None:
        comparison.comparable(first, second, (a, b))
    begin = first.seed if seed is None else seed
    pairs = comparison.Pairs(first, second, begin, conditions)
    tasks = comparison.tasks(a, b, range(begin, begin + runs), length)
    finished = run_all(executor("process", jobs), tasks, pairs.add, title="comparing")
    if len(pairs.seeds) < 2:
        errors.say("warning", "too few runs for a comparison: at least two on both sides")
        return errors.INTERRUPTED
    compared = pairs.compared()
    _show(compared, output, html_file)
    violations = next((m["a"] + m["b"] for m in compared["metrics"] if m["name"] == "violations"), 0)
    warn_of_violations(violations)
    if not finished:
        return errors.INTERRUPTED
    return errors.FOUND if compared["failures"] or violations else errors.DONE


def _scenario(path: str) -> Scenario:
    """The scenario of a file, its warnings told. Raises UserError with all its errors."""
    from fretsaw.sim.scenario.read import read

    reading = read(path)
    scenario = reading.usable()
    for problem in reading.problems:
        errors.say("warning", str(problem))
    return scenario


def _show(compared: dict[str, Any], output: str, html_file: str | None) -> None:
    if html_file is not None:
        _write(compared, html_file)
    if output == "json":
        click.echo(json.dumps(compared, indent=2, ensure_ascii=False))
        return
    from fretsaw.cli.render import console
    from fretsaw.report.comparison import draw

    draw(console(), compared)
    if html_file is not None:
        click.echo(f"Report: {html_file}")


def _write(compared: dict[str, Any], html_file: str) -> None:
    from fretsaw.errors import UserError
    from fretsaw.report.comparison import html

    try:
        Path(html_file).write_text(html(compared), encoding="utf-8")
    except OSError as error:
        raise UserError(html_file, "cannot be written", error.strerror or str(error)) from error
